"""Tables in all formats that people bring, told by the ending of the file."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import delimited, netcdf, queries, workbooks

PathLike = str | os.PathLike[str]


def read(
    path: PathLike,
    missing: Sequence[str],
    encoding: str,
    layout: delimited.Layout,
    sheet: str | None = None,
) -> pd.DataFrame:
    """All columns of a table; see `delimited.read`, `workbooks.read` and `netcdf.read`.

    Raises:
        InputError: cannot be read, or a key that a file of that kind does not take.
    """
    suffix = Path(path).suffix.lower()
    if suffix in workbooks.SUFFIXES:
        return workbooks.read(path, missing, layout, sheet).dropna(how="all")
    if sheet is not None:
        raise InputError(f"{path}: has no sheets, as Excel files have; leave 'sheet' out")
    if suffix in netcdf.SUFFIXES:
        return netcdf.read(path)
    if str(path).lower().endswith((*queries.JSON, *queries.DATABASES)):
        name = "the_table" if suffix in queries.DATABASES else delimited.stem(path)
        raise InputError(f'{path}: takes a query, as query: "SELECT * FROM {name}"')
    return delimited.read(path, missing, encoding, layout)
