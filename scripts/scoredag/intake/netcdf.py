"""NetCDF files as tables: xarray reads times, missing values and scaled ones by the CF conventions."""

import collections
import logging
import os
from typing import Any

import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import extras

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]
SUFFIXES = (".nc", ".nc4", ".cdf")
MAX_VALUES = 300_000_000  # of all columns together


def read(path: PathLike) -> pd.DataFrame:
    """Variables of the same dimensions as columns, with a column for each dimension; the index is the row, from 1.

    Of variables with several sets of dimensions those with the commonest are read; the log names the others.

    Raises:
        InputError: not such a file, no variable with a dimension, too large, or a package is not installed.
    """
    extras.load(path, "netCDF4")
    xarray = extras.load(path, "xarray")
    try:
        with xarray.open_dataset(path, engine="netcdf4") as dataset:
            return _table(path, dataset)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF ({str(error).partition(chr(10))[0]})") from error


def _table(path, dataset: Any) -> pd.DataFrame:
    shapes = collections.Counter(variable.dims for variable in dataset.data_vars.values() if variable.dims)
    if not shapes:
        raise InputError(f"{path}: has no variable with a dimension; there is nothing to read")
    dims = max(shapes, key=lambda dims: (shapes[dims], len(dims)))
    kept = [name for name, variable in dataset.data_vars.items() if variable.dims == dims]
    others = [str(name) for name in dataset.data_vars if name not in kept]
    if others:
        log.info("%s: variables of other dimensions than %s are left out: %s", path, dims, ", ".join(others))
    sizes = {str(dim): dataset.sizes[dim] for dim in dims}
    n_values = len(kept)
    for size in sizes.values():
        n_values *= size
    if n_values > MAX_VALUES:
        fault = f"{len(kept)} variables of {sizes} are {n_values:.2g} values"
        raise InputError(f"{path}: {fault}, more than {MAX_VALUES:.2g}; select places and variables first")
    table = dataset[kept].reset_coords(drop=True)
    for name, part in dataset.coords.items():  # names of places, but not where they lie
        if part.dims and {*part.dims} <= {*dims} and part.dtype.kind in "OSU":
            table = table.assign_coords({name: part.variable.astype("str")})
    table = table.to_dataframe().reset_index()
    table.columns = [" ".join(str(name).split()) for name in table.columns]
    table.index = pd.RangeIndex(1, len(table) + 1, name="row")
    return table
