"""Files written whole or not at all, and checked by content. Standard library alone."""

import contextlib
import errno
import glob
import hashlib
import os
import platform
import secrets
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

    Partial files that killed processes of this host have left there are removed.

    Raises:
        InputError: no room, or no right to write there, or the same job was started again (see `claim`).
    """
    path = Path(path)
    # the suffix stays last, since writers choose the format by it; host and process id keep an orphan
    # job of an earlier run from writing into ours
    partial = path.with_name(f".{path.stem}.{platform.node()}.{os.getpid()}.part{path.suffix}")
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
    own = f".{path.stem}.{platform.node()}."  # of another host nobody here knows who is alive
    for partial in path.parent.glob(f"{glob.escape(own)}*.part{path.suffix}"):
        process = partial.name.removeprefix(own).removesuffix(f".part{path.suffix}")
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
    """Claim a job's outputs by a first line in its log, open as `stream`, which each start of the job creates anew.

    A job that outlives the run that started it must not write over the results of a later run: it
    finds another line where its own was. A line tells, where NFS gives the number of a deleted file away again.

    Returns:
        a function that raises InputError once another process has claimed them; `stamp.job` takes it.
    """
    path, line = stream.name, f"job {secrets.token_hex(8)}, process {os.getpid()} on {platform.node()}\n"
    stream.write(line)
    stream.flush()

    def check() -> None:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as log:  # a deleted log is no other job's
            if log.readline() != line.encode():
                raise InputError(f"{path}: a later run has started this job again; this one wrote nothing")

    return check


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
