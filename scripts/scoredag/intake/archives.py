"""Archives read member by member, in memory: nothing is extracted, nothing in a header is trusted."""

import contextlib
import gzip
import hashlib
import io
import lzma
import math
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

from scoredag.errors import InputError

KINDS = ".tar, .tar.gz, .tar.xz or .zip, or one file packed as .gz or .xz"
CHUNK = 1 << 16  # bytes unpacked between two looks at the meter
RATIO = 100  # text seldom packs better than 20 to 1, zeros pack 1,000 (gzip) to 7,000 to 1 (xz)
SLACK = 1 << 25  # bytes below which the ratio does not matter


def members(path: str | os.PathLike[str], *, max_bytes: float = 4_000_000_000) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of each regular file of an archive, in the archive's order.

    The kind is told by the content: .tar, .tar.gz, .tar.xz or .zip; a .gz or .xz of anything
    else is one file, with the archive's name less its ending. One member at a time is in memory.

    Args:
        path: the archive.
        max_bytes: bytes that it may unpack to in all, counted while they are read.

    Raises:
        InputError: cannot be read, is no archive, is damaged or cut short, holds no file or the
            same name twice; holds a link, a device, an absolute path or `..`; unpacks to more
            than `max_bytes`, or to more than a hundred times what was read of it.
    """
    seen = set()
    with _one_line(path), open(path, "rb") as packed:
        for name, content in _members(path, packed, _Meter(path, max_bytes)):
            if name in seen:
                raise InputError(f"{path}: holds {name!r} twice; each file has to have a name of its own")
            seen.add(name)
            yield name, content
    if not seen:
        raise InputError(f"{path}: is an archive that holds no file")


def check_expansion(path: str | os.PathLike[str], n_bytes: int, what: str = "") -> None:
    """Raise InputError where a file that unpacks to `n_bytes`, or to `what`, is as small as only a zip bomb is."""
    if n_bytes > RATIO * Path(path).stat().st_size + SLACK:
        raise _bomb(path, what)


@contextlib.contextmanager
def gunzip(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary stream of what a gzipped file holds; where `members` would refuse the ratio it raises InputError.

    Of a file that is damaged or cut short it raises what `gzip` does.
    """
    with open(path, "rb") as packed, gzip.open(packed) as stream:
        yield io.BufferedReader(_Metered(stream, packed, _Meter(path, math.inf)), CHUNK)


def contents_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the archive's files, joined in the order of their names, in hexadecimal.

    Unlike that of the archive it stays the same when the files are packed anew. Errors: see `members`.
    """
    digest = hashlib.sha256()
    for _, content in sorted(members(path)):
        digest.update(content)
    return digest.hexdigest()


def check_contents(path: str | os.PathLike[str], expected: str | None) -> None:
    """Raise InputError unless the archive's `contents_sha256` is `expected` (None: anything goes)."""
    if expected is None:
        return
    actual = contents_sha256(path)
    if actual != expected:
        raise InputError(
            f"{path}: sha256 of its files' contents is {actual}, the config says {expected}; the archive was changed"
        )


@contextlib.contextmanager
def _one_line(path):
    """Turn what the decoders raise into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise InputError(f"{path}: is damaged or cut short ({error}); fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, OverflowError, NotImplementedError) as error:  # numbers in a header
        raise InputError(f"{path}: is damaged ({error}); fetch it again") from error


def _bomb(path, what=""):
    return InputError(f"{path}: unpacks to {what}more than {RATIO} times its size, as a zip bomb does")


class _Meter:
    """Bytes unpacked so far, against the limit and against the packed bytes that they came from."""

    def __init__(self, path, max_bytes):
        self.path = path
        self.max_bytes = max_bytes
        self.unpacked = 0

    def add(self, unpacked, packed):
        """Count `unpacked` more bytes; `packed` bytes have been read of the archive until now."""
        self.unpacked += unpacked
        if self.unpacked > self.max_bytes:
            raise InputError(f"{self.path}: unpacks to more than {self.max_bytes:,} bytes, which is the limit")
        if self.unpacked > RATIO * packed + SLACK:
            raise _bomb(self.path)


class _Metered(io.RawIOBase):
    """Bytes of `stream` as they come, on the meter; `packed` is the open archive behind it."""

    def __init__(self, stream, packed, meter):
        self.stream = stream
        self.packed = packed
        self.meter = meter

    def read(self, size=-1):
        """At most `size` bytes, and never more than a chunk."""
        data = self.stream.read(CHUNK if size < 0 else min(size, CHUNK))
        self.meter.add(len(data), self.packed.tell())
        return data

    def readinto(self, buffer):
        """As many bytes as `read` gives."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self):
        """It is."""
        return True


class _Header(tarfile.TarInfo):
    """A tar header; a block that is none is an error, where tarfile may take it for the end."""

    @classmethod
    def fromtarfile(cls, archive):
        """See `tarfile.TarInfo.fromtarfile`; only a block of zeros ends an archive."""
        try:
            header = super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
        if header.size < 0:
            raise tarfile.ReadError("negative size")
        return header


def _members(path, packed, meter):
    """(name, bytes) of the regular files of the open archive `packed`."""
    start = packed.read(tarfile.BLOCKSIZE)
    packed.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _of_zip(path, packed, meter)
        return
    unpack: Any = {b"\x1f\x8b": gzip.open, b"\xfd7": lzma.open}.get(start[:2])
    if unpack:
        with unpack(packed) as probe:
            start = probe.read(tarfile.BLOCKSIZE)
        packed.seek(0)
    elif not _is_tar(start):
        raise InputError(f"{path}: is not an archive; write one as {KINDS}")
    with unpack(packed) if unpack else contextlib.nullcontext(packed) as stream:
        metered = _Metered(stream, packed, meter)
        if _is_tar(start):
            yield from _of_tar(path, metered)
            while metered.read():  # to the checksum at the end
                pass
        else:
            yield Path(path).stem, _all_of(metered)


def _is_tar(block):
    """Whether a first block is a tar header, or the end of an empty tar."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(block) == tarfile.BLOCKSIZE and not any(block)
    return True


def _of_tar(path, stream):
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, bufsize=CHUNK, encoding="utf-8") as archive:
        for header in archive:
            _check_name(path, header.name)
            if header.isreg() and not header.issparse():
                yield header.name, _all_of(archive.extractfile(header))
            elif not header.isdir():
                raise _neither(path, header.name)


def _of_zip(path, packed, meter):
    with zipfile.ZipFile(packed) as archive:
        _check_count(packed, archive)
        consumed = 0
        for header in archive.infolist():
            _check_name(path, header.filename)
            if stat.S_IFMT(header.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _neither(path, header.filename)
            if header.is_dir():
                continue
            if header.flag_bits & 1:
                raise InputError(f"{path}: {header.filename!r} is encrypted; pack it without a password")
            # of the other methods zipfile unpacks a whole chunk of packed bytes at once, however much that is
            if header.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                method = zipfile.compressor_names.get(  # type: ignore[attr-defined]
                    header.compress_type, header.compress_type
                )
                raise InputError(f"{path}: {header.filename!r} is packed by {method}; pack it by deflate")
            with archive.open(header) as stream:
                before = packed.tell() - consumed
                content = io.BytesIO()
                while data := stream.read(CHUNK):
                    meter.add(len(data), packed.tell() - before)
                    content.write(data)
                consumed = packed.tell() - before
            yield header.filename, content.getvalue()


def _check_count(packed, archive):
    """Raise BadZipFile unless the zip lists as many files as its end says, which zipfile does not compare."""
    packed.seek(-22 - len(archive.comment), os.SEEK_END)
    end = packed.read(12)
    count = int.from_bytes(end[10:], "little")  # 65535: or more, as a longer record says
    if not end.startswith(b"PK\x05\x06") or count not in (len(archive.infolist()), 0xFFFF):
        raise zipfile.BadZipFile(f"{len(archive.infolist())} files are listed, and not {count}")


def _all_of(stream):
    """What is left of `stream`, chunk by chunk."""
    content = io.BytesIO()
    while data := stream.read(CHUNK):
        content.write(data)
    return content.getvalue()


def _check_name(path, name):
    parts = PureWindowsPath(name)  # which knows drives and both slashes
    if parts.anchor or ".." in parts.parts:
        raise InputError(f"{path}: {name!r} points out of the archive; names are relative and without '..'")


def _neither(path, name):
    return InputError(f"{path}: {name!r} is neither a file nor a folder; links, devices and sparse files are refused")
