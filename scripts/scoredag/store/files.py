"""Files written whole or not at all, and checked by content."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from scoredag.errors import InputError
from scoredag.store import stamp

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextlib.contextmanager
def replacing(path):
    """Yield a path beside `path`; rename it to `path` at the end, remove it on any error.

    What killed processes have left of such paths is removed.

    Raises:
        InputError: no room, or no right to write there, or the same job was started again (see `claim`).
    """
    path = Path(path)
    # the suffix stays last, since writers choose the format by it; the number keeps an orphan
    # job of an earlier run from writing into ours
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_remains(path)
        try:
            yield partial
            stamp.check_claim()
            with open(partial, "rb") as stream:
                os.fsync(stream.fileno())  # after a power cut, too, the name stands for the whole file
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in NO_ROOM or str(error.filename) in (str(partial), str(path.parent)):
            raise InputError(f"{path}: cannot be written ({os.strerror(error.errno)})") from error
        raise


def _remove_remains(path):
    for partial in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        number = partial.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}")
        if number.isdecimal() and not _lives(int(number)):
            partial.unlink(missing_ok=True)


def _lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@contextlib.contextmanager
def claim(stream):
    """Claim a job's outputs while the block runs: by its log file, open as `stream`, which each start makes anew.

    A job that outlives the run that started it must not write over the results of a later run: it
    finds another file where its log was.
    """
    path, identity = stream.name, _identity(os.fstat(stream.fileno()))

    def check():
        with contextlib.suppress(FileNotFoundError):  # a log that was deleted is no other job's
            if _identity(os.stat(path)) != identity:
                raise InputError(f"{path}: a later run has started this job again; this one wrote nothing")

    with stamp.setting(claim=check):
        yield


def _identity(status):
    return status.st_dev, status.st_ino


def sha256(path):
    """SHA-256 of the file's content, in hexadecimal; InputError where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def listed(paths):
    """A path, or several, as a list."""
    return [paths] if isinstance(paths, str) else list(paths)


def digest(paths):
    """SHA-256 of the contents of some files in turn, in hexadecimal; InputError where one cannot be read."""
    return hashlib.sha256("\n".join(map(sha256, paths)).encode()).hexdigest()


def check_sha256(path, expected):
    """Raise InputError unless the file's SHA-256 is `expected` (None: anything goes)."""
    if expected is None:
        return
    found = sha256(path)
    if found != expected:
        raise InputError(f"{path}: sha256 is {found}, the config says {expected}; the file was changed or damaged")
