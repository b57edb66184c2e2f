"""What a job says goes to its log file; a mistake of the user's ends in one line."""

import contextlib
import logging
import sys
import traceback
from pathlib import Path

from tqdm import tqdm

from scoredag.errors import InputError
from scoredag.store import files


def progress(description, total, unit, **options):
    """A tqdm bar on the terminal, if there is one; a context manager. `options` are tqdm's."""
    return tqdm(desc=description, total=total, unit=unit, file=sys.__stderr__, disable=None, leave=False, **options)


def tenths(done, total, unit):
    """Log how many of `total` units are done, at every tenth of them; `done` is the slice of the last ones."""
    if 10 * done.stop // total > 10 * done.start // total:
        logging.info("%d of %d %s", done.stop, total, unit)


@contextlib.contextmanager
def of(job):
    """As `to_file` with the log of a Snakemake job, if its code and data are what they were when the run was planned.

    What they were then is what Snakemake records with the results, and compares when it is asked again.
    """
    with to_file(job.log[0]):
        data = [path for name, paths in job.input.items() if name != "code" for path in files.listed(paths)]
        planned = job.params.get("content")
        same_code = files.digest(job.input.get("code")) == job.params.get("code")
        if not same_code or (planned and planned not in map(files.sha256, data)):
            raise InputError("its code or data were edited after the run had been planned; run again")
        yield


@contextlib.contextmanager
def to_file(path):
    """Send logging, print and warnings to a new file `path` while the block runs, which is the job's claim.

    An InputError ends the process with its one line in the log and status 1; any other
    exception leaves its traceback there. Where the log cannot be written, both go to the terminal.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).unlink(missing_ok=True)
        stream = open(path, "x", encoding="utf-8", buffering=1)  # noqa: SIM115
    except OSError as error:
        sys.exit(f"error: {path}: cannot be written ({error.strerror})")
    with (
        _closing(stream),
        files.claim(stream),
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        root, handler = logging.getLogger(), logging.StreamHandler(stream)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            yield
        except InputError as error:
            _say(f"error: {error}", stream)
        except OSError as error:
            full = error.errno in files.NO_ROOM
            _say(f"error: {path}: cannot be written ({error.strerror})" if full else traceback.format_exc(), stream)
        except Exception:
            _say(traceback.format_exc(), stream)
        else:
            return
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
    sys.exit(1)


def _say(text, stream):
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
