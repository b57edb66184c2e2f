"""SIMD: where compiled code is kept, and vectors in float32 and float64."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from scoredag.simd import compiling, lanes, maths

PRINT = "from scoredag.simd import compiling; print(compiling.CACHE)"


@numba.njit
def exponentials(x, y):
    for i in range(0, x.size, lanes.LANES):
        lanes.store(y, i, maths.exp2(lanes.load(x, i)))


@numba.njit
def totals(x):
    values = lanes.load(x, 0)
    return lanes.total(values), lanes.highest(values), lanes.total(values * values + values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponentials_of_either_width(dtype):
    x = np.linspace(-125, 126, 4000).astype(dtype)
    y = np.empty_like(x)
    exponentials(x, y)
    exact = np.exp2(x.astype(np.longdouble))
    assert (np.abs(y - exact) / exact).max() < (3e-7 if dtype is np.float32 else 1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_of_either_width_are_summed(dtype):
    x = np.array([3, -1, 4, 1, -5, 9, 2, 6], dtype)
    found = totals(x)
    assert found == (19, 9, 192)


def test_all_sources_of_compiled_code_are_in_the_digest(root):
    """A source that is compiled but not in it could run as it was before an edit of another."""
    names = ("import compiled", "import compiling", "simd.lanes", "simd.maths", "simd.random")
    library = root / "scripts/scoredag"
    users = {path for path in library.rglob("*.py") if any(name in path.read_text(encoding="utf-8") for name in names)}
    assert users <= set(compiling.SOURCES) and all(path.is_file() for path in compiling.SOURCES)


def cache(scripts, **environment):
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"} | environment
    environment["PYTHONPATH"] = str(scripts)
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_cache_is_named_by_all_sources(root, tmp_path):
    for path in [*compiling.SOURCES, *(root / "scripts/scoredag").glob("*/__init__.py")]:
        copy = tmp_path / path.relative_to(root / "scripts")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "scoredag/__init__.py").touch()
    before = cache(tmp_path)
    assert before == cache(tmp_path)
    assert os.path.dirname(before) == str(tmp_path / "scoredag/simd/__pycache__")
    given = cache(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert given == str(tmp_path / "mine" / os.path.basename(before))
    with open(tmp_path / "scoredag/gmm/fields.py", "a", encoding="utf-8") as source:
        source.write("#\n")
    assert cache(tmp_path) != before


def test_compiled_functions_are_kept_there_and_others_where_numba_puts_them():
    from scoredag.gmm import fields

    assert fields._scores.stats.cache_path.startswith(compiling.CACHE)
    assert numba.config.CACHE_DIR != compiling.CACHE
