"""Checksums of files inside them."""

import os

import pytest

from scoredag.errors import InputError
from scoredag.store import seals


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before " + seals.BLANK.encode() + b" after")
    seals.seal(path)
    return path


def damage(path, content):
    path.write_bytes(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # clocks of file systems can be slow
    with pytest.raises(InputError, match=f"{path}: is damaged"):
        seals.check(path)


def test_every_byte_is_sealed_but_for_the_mark(sealed):
    seals.check(sealed)
    content, mark = sealed.read_bytes(), seals.BLANK.rstrip("0").encode()
    start = content.index(mark)
    for place in {*range(len(content))} - {*range(start, start + len(mark))}:
        damage(sealed, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    damage(sealed, content[:-1])
    damage(sealed, content + b" ")
    sealed.write_bytes(content)
    seals.check(sealed)


def test_equal_files_have_equal_seals(sealed, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"before " + seals.BLANK.encode() + b" after")
    seals.seal(other)
    assert other.read_bytes() == sealed.read_bytes() and b"0" * 64 not in other.read_bytes()


@pytest.mark.parametrize("content", [b"", b"of someone else"])
def test_a_file_without_a_seal_passes(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    seals.check(tmp_path / "file")
