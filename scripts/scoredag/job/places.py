"""Where the packages at work keep files of their own, if the home folder cannot be written."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def set_matplotlib_folder() -> None:
    """Name matplotlib's folder where its own cannot be written, so that it does not complain in each job.

    It is beside Snakemake's cache, or else one that is removed at the end.
    """
    if "MPLCONFIGDIR" in os.environ or _is_writable(_folder("XDG_CONFIG_HOME", "~/.config")):
        return
    if not _is_writable(folder := _folder("XDG_CACHE_HOME", "~/.cache")):
        folder = Path(tempfile.mkdtemp(prefix="matplotlib-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = str(folder)


def _folder(variable, default):
    return Path(os.environ.get(variable) or os.path.expanduser(default)) / "matplotlib"


def _is_writable(folder):
    """Whether a file can be made in `folder`, or, where that is not there, in the next one above it that is."""
    try:
        tempfile.TemporaryFile(dir=next(place for place in (folder, *folder.parents) if place.exists())).close()
    except OSError:
        return False
    return True
