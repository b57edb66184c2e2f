"""A job's output goes to its log file; a user's mistake ends in one line."""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scoredag.errors import UserFacingError
from scoredag.job import plans
from scoredag.store import files, stamp

quiet = ContextVar("quiet", default=False)  # whether no bar is shown, as where a job's function is called as a library


def progress(description: str, total: int, unit: str, **options: Any) -> tqdm:
    """A tqdm bar on the terminal, if there is one; a context manager. `options` are tqdm's."""
    hidden = quiet.get() or None
    return tqdm(desc=description, total=total, unit=unit, file=sys.__stderr__, disable=hidden, leave=False, **options)


def tenths(done: slice, total: int, unit: str) -> None:
    """Log how many of `total` units are done, at every tenth of them; `done` is the slice of the last ones."""
    if 10 * done.stop // total > 10 * done.start // total:
        logging.info("%d of %d %s", done.stop, total, unit)


@contextlib.contextmanager
def to_file(path: str | Path) -> Iterator[None]:
    """Send logging, print and warnings to a new file `path` while the block runs, which is the job's claim.

    Nothing is written any more once another process has the claim, or a later run has begun.

    A UserFacingError ends the process with its one line in the log and status 1; any other
    exception leaves its traceback there. Where the log cannot be written, both go to the terminal.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).unlink(missing_ok=True)
        stream = open(path, "x", encoding="utf-8", buffering=1)  # noqa: SIM115
        claim = files.claim(stream)
    except OSError as error:
        sys.exit(f"error: {path}: cannot be written ({error.strerror})")

    def check():
        claim()
        plans.check()

    with (
        _closing(stream),
        stamp.job(claim=check),
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        root, handler = logging.getLogger(), logging.StreamHandler(stream)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            yield
        except UserFacingError as error:
            _print(f"error: {error}", stream)
        except OSError as error:
            full = error.errno in files.DISK_ERRORS
            _print(f"error: {path}: cannot be written ({error.strerror})" if full else traceback.format_exc(), stream)
        except Exception:
            _print(traceback.format_exc(), stream)
        else:
            return
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
    sys.exit(1)


def _print(text, stream):
    """Write to the log, or to the terminal where there is no room for it."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        print(text, file=sys.__stderr__)


@contextlib.contextmanager
def _closing(stream):
    """Close a file at the end, whatever is left to be written to a full disk."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            stream.close()
