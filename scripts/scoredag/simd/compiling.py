"""How functions are compiled, and where what is compiled is kept."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from numba import config, njit
from numba.misc.appdirs import AppDirs

_LIBRARY = Path(__file__).resolve().parents[1]
# every source of code under `compiled` or `inner`, and of what is emitted into it
SOURCES = [*sorted(Path(__file__).parent.glob("*.py"))]
SOURCES += [_LIBRARY / name for name in ("gmm/fields.py", "gmm/kernels.py", "csdi/layers.py")]


def compiled(function: Callable) -> Callable:
    """Compile `function` when it is first called, and keep the result on disk.

    Numba sees an edit of the file in which the function stands, but not of others whose functions it calls. So
    the folder is named by a digest of all their sources.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, CACHE
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
    finally:
        config.CACHE_DIR = before


def inner(function: Callable) -> Callable:
    """Compile `function` as a part of compiled functions that call it."""
    return njit(function, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)


def _folder():
    """Below NUMBA_CACHE_DIR where that is set, else beside the sources, or in the user's cache."""
    digest = hashlib.sha256()
    for path in SOURCES:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    name = f"scoredag-{digest.hexdigest()[:16]}"
    if config.CACHE_DIR:
        return os.path.join(config.CACHE_DIR, name)
    beside = _LIBRARY / "simd" / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=beside).close()
    except OSError:
        beside = AppDirs(appname="numba", appauthor=False).user_cache_dir
    return os.path.join(beside, name)


CACHE = _folder()
