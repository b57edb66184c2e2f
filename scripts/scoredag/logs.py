"""What a job says goes to its log file; a mistake of the user's ends in one line."""

import contextlib
import logging
import sys
import traceback
from pathlib import Path

from tqdm import tqdm

from scoredag.errors import InputError


def progress(description, total, unit, **options):
    """A tqdm bar on the terminal, if there is one; a context manager. `options` are tqdm's."""
    return tqdm(desc=description, total=total, unit=unit, file=sys.__stderr__, disable=None, leave=False, **options)


def tenths(done, total, unit):
    """Log how many of `total` units are done, at every tenth of them; `done` is the slice of the last ones."""
    if 10 * done.stop // total > 10 * done.start // total:
        logging.info("%d of %d %s", done.stop, total, unit)


@contextlib.contextmanager
def to_file(path):
    """Send logging, print and warnings to the file `path` while the block runs.

    An InputError ends the process with its one line in the log and status 1; any other
    exception leaves its traceback there.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with (
        open(path, "w", encoding="utf-8", buffering=1) as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s", force=True)
        logging.captureWarnings(True)
        try:
            yield
        except InputError as error:
            print(f"error: {error}")
        except Exception:
            traceback.print_exc()
        else:
            return
        finally:
            logging.captureWarnings(False)
    sys.exit(1)
