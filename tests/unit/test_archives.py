"""Archives that are read, and archives that are refused in one line, quickly and in little memory."""

import gzip
import io
import lzma
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from scoredag.errors import InputError
from scoredag.intake import archives

FILES = [("set/b.txt", b"second name first\n"), ("set/a.txt", bytes(range(256)) * 40), ("set/empty.txt", b"")]


def tar_header(name, size=0, **fields):
    header = tarfile.TarInfo(name)
    header.size = size
    for field, value in fields.items():
        setattr(header, field, value)
    return header


def tar(path, entries, mode="w", **options):
    """Write (TarInfo or name, bytes) pairs."""
    with tarfile.open(path, mode, **options) as archive:
        for header, content in entries:
            if isinstance(header, str):
                header = tar_header(header, len(content))
            archive.addfile(header, io.BytesIO(content))
    return path


def pack(path, entries, method=zipfile.ZIP_DEFLATED):
    """Write (ZipInfo or name, bytes) pairs."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for header, content in entries:
            archive.writestr(header, content)
    return path


MAKERS = {
    "set.tar": tar,
    "set.tar.gz": lambda path, entries: tar(path, entries, "w:gz"),
    "set.tgz": lambda path, entries: tar(path, entries, "w:gz"),
    "set.tar.xz": lambda path, entries: tar(path, entries, "w:xz"),
    "set.zip": pack,
    "stored.zip": lambda path, entries: pack(path, entries, zipfile.ZIP_STORED),
}


@pytest.fixture(params=MAKERS)
def make(request, tmp_path):
    """A function of entries that writes them as one kind of archive."""
    return lambda entries: MAKERS[request.param](tmp_path / request.param, entries)


def refused(path, *words, **options):
    """One line that names the archive and holds the words."""
    with pytest.raises(InputError) as caught:
        list(archives.members(path, **options))
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    for word in words:
        assert word in line
    return line


@pytest.mark.parametrize("kind", MAKERS)
def test_files_come_in_the_archives_order_and_nothing_is_extracted(tmp_path, kind):
    folder = "set/" if kind.endswith("zip") else tar_header("set", type=tarfile.DIRTYPE)
    path = MAKERS[kind](tmp_path / kind, [(folder, b""), *FILES])
    assert list(archives.members(path)) == FILES
    assert list(tmp_path.iterdir()) == [path]


def test_the_kind_is_told_by_the_content(tmp_path):
    assert list(archives.members(tar(tmp_path / "download", FILES, "w:gz"))) == FILES


@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_one_packed_file_has_the_archives_name(tmp_path, ending):
    path = tmp_path / f"series.csv.{ending}"
    path.write_bytes({"gz": gzip, "xz": lzma}[ending].compress(b"time,x\n" * 5000))
    assert list(archives.members(path)) == [("series.csv", b"time,x\n" * 5000)]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../out.txt", "set/../../out.txt", "C:\\x", "..\\out", "\\\\host\\x\\y"]
)
def test_names_that_point_elsewhere_are_refused(make, name):
    refused(make([*FILES, (name, b"x")]), repr(name), "points out of the archive")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"!"]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    special = tar_header("set/special", type=kind, linkname="a.txt")
    refused(
        tar(tmp_path / "x.tar.gz", [*FILES, (special, b"")], "w:gz"), "'set/special'", "neither a file nor a folder"
    )


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    special = zipfile.ZipInfo("set/special")
    special.external_attr = (kind | 0o644) << 16
    refused(pack(tmp_path / "x.zip", [*FILES, (special, b"a.txt")]), "'set/special'", "neither a file nor a folder")


def test_sparse_files_are_refused(tmp_path):
    """Their header promises bytes that are not in the archive."""
    sparse = tar_header("hole", type=tarfile.REGTYPE)
    sparse.pax_headers = {"GNU.sparse.size": "1000000000000", "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    refused(tar(tmp_path / "x.tar", [(sparse, b"")], format=tarfile.PAX_FORMAT), "'hole'", "sparse")


def test_a_zip_that_lists_fewer_files_than_its_end_says_is_refused(tmp_path):
    path = pack(tmp_path / "x.zip", FILES)
    whole = bytearray(path.read_bytes())
    first = whole.index(b"PK\x01\x02")
    whole[first + 30] = len(whole) - 22 - whole.index(b"PK\x01\x02", first + 1)  # the others become its extra field
    path.write_bytes(whole)
    refused(path, "damaged")


def test_a_zip_may_have_a_comment(tmp_path):
    path = pack(tmp_path / "x.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"as published"
    assert list(archives.members(path)) == FILES


def test_a_name_that_comes_twice_is_refused(tmp_path):
    refused(tar(tmp_path / "x.tar", [*FILES, FILES[0]]), "'set/b.txt' twice")


def test_an_archive_without_files_is_refused(make):
    refused(make([]), "holds no file")


def test_a_name_with_a_line_break_stays_in_one_line(make):
    refused(make([("../a\nb", b"x")]), "'../a\\nb'")


@pytest.mark.parametrize("content", [b"", b"time,x\n1,2\n", b"PK", b"\x89PNG\r\n\x1a\n" + bytes(2000), b"x" * 5000])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    refused(path, "is not an archive", ".tar.gz")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "absent.zip", "No such file")


def test_an_archive_cut_anywhere_is_refused(make, tmp_path):
    path = make(FILES)
    whole = path.read_bytes()
    # the zeros that fill up the last record of a plain tar may go missing unseen
    end = (len(whole.rstrip(b"\0")) // 512 + 1) * 512 if path.suffix == ".tar" else len(whole)
    cut = tmp_path / f"cut{path.suffix}"
    for n_bytes in range(1, end, max(1, end // 150)):
        cut.write_bytes(whole[:n_bytes])
        refused(cut)


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "set.tar"])
def test_an_archive_with_a_changed_byte_never_gives_other_content(tmp_path, kind):
    """It is refused or, where the byte has no meaning, read as it was; a plain tar knows no checksum of the content."""
    whole = bytearray(MAKERS[kind](tmp_path / kind, FILES).read_bytes())
    changed = tmp_path / f"changed-{kind}"
    n_refused = 0
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        whole[place] ^= 0xFF
        changed.write_bytes(whole)
        whole[place] ^= 0xFF
        try:
            found = [content for _, content in archives.members(changed)]
        except InputError as error:
            assert "\n" not in str(error)
            n_refused += 1
        else:
            assert found == [content for _, content in FILES]
    assert n_refused > 100


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = tar(tmp_path / "x.tar", FILES)
    whole = bytearray(path.read_bytes())
    whole[1024] ^= 0xFF  # the second member's name, so that its header's checksum is wrong
    path.write_bytes(whole)
    refused(path, "damaged")


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, b"!"])
def test_a_negative_size_is_refused(tmp_path, kind):
    path = tmp_path / "x.tar"
    header = tar_header("a", size=-512, type=kind).tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(tar_header("b").tobuf() + header + bytes(10240))
    refused(path, "damaged")


def test_more_bytes_than_allowed_are_refused_and_as_many_are_not(make):
    path = make([("a", b"x" * 50_000), ("b", b"y" * 50_000)])
    refused(path, "more than 99,999 bytes", max_bytes=99_999)
    assert len(list(archives.members(path, max_bytes=120_000))) == 2


def test_an_encrypted_zip_is_refused(tmp_path):
    path = pack(tmp_path / "x.zip", FILES)
    whole = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        whole[whole.index(mark) + offset] |= 1
    path.write_bytes(whole)
    refused(path, "'set/b.txt'", "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_zip_are_refused(tmp_path, method):
    refused(pack(tmp_path / "x.zip", FILES, method), "'set/b.txt'", "deflate")


def zeros(path, n_bytes):
    """A small archive of one file of `n_bytes` zeros."""
    block = bytes(1 << 24)
    kind = path.name.split(".", 1)[1]
    if kind == "zip":
        archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        with archive, archive.open("zeros", "w") as stream:
            for _ in range(n_bytes // len(block)):
                stream.write(block)
        return path
    compress = gzip.compress if kind.endswith("gz") else lzma.compress
    start = tar_header("zeros", size=n_bytes).tobuf() if kind.startswith("tar") else b"time,x\n"
    # streams one after the other unpack to one
    path.write_bytes(compress(start) + compress(block) * (n_bytes // len(block)))
    return path


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.tar.xz", "bomb.csv.gz"])
def test_a_zip_bomb_is_refused_in_little_memory(tmp_path, name):
    path = zeros(tmp_path / name, 1 << 30)
    assert path.stat().st_size < 1 << 23
    tracemalloc.start()
    try:
        refused(path, "zip bomb")
        assert tracemalloc.get_traced_memory()[1] < 3 * archives.SLACK
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_header_is_refused(tmp_path):
    """A name of a gigabyte, which tarfile would read whole."""
    path = tmp_path / "x.tar.gz"
    header = tar_header("././@LongLink", size=1 << 30, type=tarfile.GNUTYPE_LONGNAME).tobuf()
    path.write_bytes(gzip.compress(header) + gzip.compress(bytes(1 << 24)) * 64)
    refused(path, "zip bomb")


def test_files_that_share_their_packed_bytes_are_counted_each(tmp_path):
    """A small zip whose headers all point at the same bytes."""
    path = pack(tmp_path / "x.zip", [(f"{n:03}", b"x" * 1_000_000) for n in range(3)])
    refused(path, "more than 2,500,000 bytes", max_bytes=2_500_000)
