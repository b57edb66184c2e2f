"""Files written whole or not at all, and checked by content."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from scoredag.errors import InputError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextlib.contextmanager
def replacing(path):
    """Yield a path beside `path`; rename it to `path` at the end, remove it on any error.

    What killed processes have left of such paths is removed.

    Raises:
        InputError: no room, or no right to write there, or the same job was started again (see `Claim`).
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
            Claim.check()
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


class Claim:
    """The claim of a job to its outputs: its log file, which every start of the job makes anew.

    A job that outlives the run that started it must not write over the results of a later run. It
    finds another file where its log was.
    """

    _held = None

    def __init__(self, stream):
        """Hold the claim of the log file that is open as `stream`."""
        self.path, self.identity = stream.name, _identity(os.fstat(stream.fileno()))

    def __enter__(self):
        Claim._held = self

    def __exit__(self, *_):
        Claim._held = None

    @staticmethod
    def check():
        """Raise InputError if another process has taken the claim of this one."""
        held = Claim._held
        if held is not None:
            with contextlib.suppress(FileNotFoundError):  # a log that was deleted is no other job's
                if _identity(os.stat(held.path)) != held.identity:
                    raise InputError(f"{held.path}: a later run has started this job again; this one wrote nothing")


def _identity(status):
    return status.st_dev, status.st_ino


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
