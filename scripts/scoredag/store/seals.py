"""A checksum of a file inside that file: a flipped bit is told by whoever opens it, wherever it is.

The writer of a file puts `BLANK` into its metadata, where the format keeps text as it is, and then calls `seal`.
"""

import functools
import hashlib
import mmap
import os

from scoredag.errors import InputError

KEY = "seal"  # in the metadata
_MARK = b"scoredag-sha256="
_ZEROS = b"0" * 64
_PART = 1 << 20  # bytes in memory
BLANK = (_MARK + _ZEROS).decode()


def seal(path):
    """Replace the zeros of `BLANK` in the file by the checksum of the file as it is with them."""
    with open(path, "r+b") as stream:
        place = _place(stream)
        found = _sum(stream, place)
        stream.seek(place)
        stream.write(found)


def check(path):
    """Raise InputError if a sealed file is not what it was when it was sealed; a file without a seal passes."""
    status = os.stat(path)
    if not _whole(str(path), status.st_ino, status.st_size, status.st_mtime_ns):
        raise InputError(f"{path}: is damaged, its checksum is not that of what was written; delete it and rerun")


@functools.cache  # a table may be read a step at a time
def _whole(path, _inode, size, _time):
    with open(path, "rb") as stream:
        place = _place(stream) if size else None
        if place is None:
            return True
        found = _sum(stream, place)
        stream.seek(place)
        return stream.read(len(_ZEROS)) == found


def _place(stream):
    """Where the checksum is in the file, or None."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.rfind(_MARK)
    return None if start < 0 else start + len(_MARK)


def _sum(stream, place):
    """SHA-256 of the file, as hexadecimal bytes, with zeros for the checksum at `place`."""
    found = hashlib.sha256()
    stream.seek(0)
    while part := stream.read(min(_PART, place - stream.tell())):
        found.update(part)
    found.update(_ZEROS)
    stream.seek(place + len(_ZEROS))
    while part := stream.read(_PART):
        found.update(part)
    return found.hexdigest().encode()
