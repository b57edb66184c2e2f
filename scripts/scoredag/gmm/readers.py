"""Mixtures from files."""

import pandas as pd

from scoredag import tablefiles
from scoredag.errors import InputError
from scoredag.gmm import mixture

COLUMNS = ("weight", "mean_x", "mean_y", "cov_xx", "cov_xy", "cov_yy")


def read(path):
    """The mixture in a CSV (or Parquet) file with the columns of `COLUMNS`, one row a component.

    Raises:
        InputError: no such file, a column or a number missing, or not a mixture.
    """
    text = tablefiles.read(path)
    tablefiles.require(path, text, COLUMNS)
    table = pd.DataFrame({name: tablefiles.numbers(path, text[name]) for name in COLUMNS})
    for name, values in table.items():
        if values.isna().any():
            n_values, line = values.notna().sum(), f"{values.index.name} {values.isna().idxmax()}"
            raise InputError(f"{path}: {n_values} values of '{name}' for {len(table)} components; {line} has none")
    try:
        return mixture.from_table(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
