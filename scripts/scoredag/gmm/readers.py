"""Mixtures from files."""

import pandas as pd

from scoredag.errors import InputError
from scoredag.gmm import mixture

COLUMNS = ("weight", "mean_x", "mean_y", "cov_xx", "cov_xy", "cov_yy")


def read(path):
    """The mixture in a CSV file with the columns of `COLUMNS`, one row a component.

    Raises:
        InputError: no such file, a column or a number missing, or not a mixture.
    """
    try:
        table = pd.read_csv(path, comment="#")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise InputError(f"{path}: column '{absent[0]}' is missing; a mixture has {', '.join(COLUMNS)}")
    _refuse_ragged(path, table)
    try:
        return mixture.from_table(table[list(COLUMNS)].astype("float64"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _refuse_ragged(path, table):
    """Name the column that is shorter than the weights: 149 means for 150 weights."""
    n_weights = table["weight"].notna().sum()
    for name in COLUMNS[1:]:
        n = table[name].notna().sum()
        if n < n_weights:
            row = int(table[name].isna().argmax())
            raise InputError(
                f"{path}: {n} values of '{name}' for {n_weights} weights; the first is missing in component {row}"
            )
