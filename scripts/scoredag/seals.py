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
BLANK = (_MARK + _ZEROS).decode()


def seal(path):
    """Replace the zeros of `BLANK` in the file by the checksum of the file as it is with them."""
    with open(path, "r+b") as stream:
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.rfind(BLANK.encode()) + len(_MARK)
            found = _sum(content, start)
        stream.seek(start)
        stream.write(found)


def check(path):
    """Raise InputError if a sealed file is not what it was when it was sealed; a file without a seal passes."""
    status = os.stat(path)
    if not _whole(str(path), status.st_ino, status.st_size, status.st_mtime_ns):
        raise InputError(f"{path}: is damaged, its checksum is not that of what was written; delete it and rerun")


@functools.cache  # a table may be read a step at a time
def _whole(path, _inode, size, _time):
    if not size:
        return True
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.rfind(_MARK) + len(_MARK)
        return start < len(_MARK) or content[start : start + len(_ZEROS)] == _sum(content, start)


def _sum(content, start):
    """SHA-256 of a file, as hexadecimal bytes, with zeros for the checksum at `start`."""
    found = hashlib.sha256()
    with memoryview(content) as view, view[:start] as before, view[start + len(_ZEROS) :] as after:
        found.update(before)
        found.update(_ZEROS)
        found.update(after)
    return found.hexdigest().encode()
