"""Files written whole or not at all, and checked by content. Standard library alone."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from scoredag.errors import InputError
from scoredag.store import stamp

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
DAMAGED = "{path}: is damaged, its checksum is not that of what was written; delete it and rerun"
PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield a path beside `path`; rename it to `path` at the end, remove it on any error.

    Partial files that killed processes have left there are removed.

    Raises:
        InputError: no room, or no right to write there, or the same job was started again (see `claim`).
    """
    path = Path(path)
    # the suffix stays last, since writers choose the format by it; the process id keeps an orphan
    # job of an earlier run from writing into ours
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_partial_files(path)
        try:
            yield partial
            stamp.check_claim()
            with open(partial, "rb") as stream:
                os.fsync(stream.fileno())  # after a power cut, too, the name stands for the whole file
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in DISK_ERRORS or str(error.filename) in (str(partial), str(path.parent)):
            raise InputError(f"{path}: cannot be written ({os.strerror(error.errno or 0)})") from error
        raise


def _remove_partial_files(path):
    for partial in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        process = partial.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}")
        if process.isdecimal() and not _is_alive(int(process)):
            partial.unlink(missing_ok=True)


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def claim(stream: TextIO) -> Callable[[], None]:
    """Claim a job's outputs by its log file, open as `stream`, which each start of the job creates anew.

    A job that outlives the run that started it must not write over the results of a later run: it
    finds another file where its log was.

    Returns:
        a function that raises InputError once another process has claimed them; `stamp.job` takes it.
    """
    path, identity = stream.name, _identity(os.fstat(stream.fileno()))

    def check() -> None:
        with contextlib.suppress(FileNotFoundError):  # a log that was deleted is no other job's
            if _identity(os.stat(path)) != identity:
                raise InputError(f"{path}: a later run has started this job again; this one wrote nothing")

    return check


def _identity(status):
    return status.st_dev, status.st_ino


def sha256(path: PathLike) -> str:
    """SHA-256 of the file's content, in hexadecimal; InputError where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def combined(parts: Iterable[str]) -> str:
    """SHA-256 of some texts in turn, in hexadecimal; of the checksums of files, say."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def check_sha256(path: PathLike, expected: str | None) -> None:
    """Raise InputError unless the file's SHA-256 is `expected` (None: anything goes)."""
    if expected is None:
        return
    actual = sha256(path)
    if actual != expected:
        raise InputError(f"{path}: sha256 is {actual}, the config says {expected}; the file was changed or damaged")
