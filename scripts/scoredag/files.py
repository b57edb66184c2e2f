"""Files written whole or not at all, and checked by content."""

import contextlib
import hashlib
import os
from pathlib import Path

from scoredag.errors import InputError


@contextlib.contextmanager
def replacing(path):
    """Yield a path beside `path`; rename it to `path` at the end, remove it on any error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays last, since writers choose the format by it; the number keeps an orphan
    # job of an earlier run from writing into ours
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path):
    """SHA-256 of the file's content, in hexadecimal; InputError where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def check_sha256(path, expected):
    """Raise InputError unless the file's SHA-256 is `expected` (None: anything goes)."""
    if expected is None:
        return
    found = sha256(path)
    if found != expected:
        raise InputError(f"{path}: sha256 is {found}, the config says {expected}; the file was changed or damaged")
