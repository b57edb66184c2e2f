"""Packages that only some formats need, and that a plain set-up leaves out."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from scoredag.errors import InputError

PathLike = str | os.PathLike[str]
REQUIREMENTS = Path(__file__).parents[3] / "envs" / "requirements-tables.txt"
PACKAGES = {"duckdb": "DuckDB", "netCDF4": "netCDF4", "python_calamine": "python-calamine", "xarray": "xarray"}


def load(path: PathLike, module: str) -> ModuleType:
    """The module, one of `PACKAGES`, that it takes to read `path`.

    Raises:
        InputError: it is not installed; names the command that does it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        command = f"{sys.executable} -m pip install --requirement {REQUIREMENTS}"
        raise InputError(f"{path}: {PACKAGES[module]} is needed, but not installed; run {command}") from error
