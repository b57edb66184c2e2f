"""Tables in all formats that people bring, told by the ending of the file."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import delimited, netcdf, workbooks

PathLike = str | os.PathLike[str]
BY_QUERY = {  # endings of files that are no table by themselves, and the query that makes one
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "SELECT * FROM {name}"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "SELECT * FROM the_table"),
}


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
    if suffix in BY_QUERY:
        query = BY_QUERY[suffix].format(name=Path(path).stem)
        raise InputError(f'{path}: takes a query, as query: "{query}"')
    return delimited.read(path, missing, encoding, layout)
