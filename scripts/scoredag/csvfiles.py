"""CSV files that people write: read as text, so that what is wrong can be named by its line."""

import numpy as np
import pandas as pd

from scoredag.errors import InputError


def read(path):
    """All columns as text; empty cells and NA are missing. The index plus 2 is the line in the file.

    Raises:
        InputError: no such file, not UTF-8, or not CSV.
    """
    try:
        table = pd.read_csv(
            path, dtype=str, na_values=["NA", ""], keep_default_na=False, encoding="utf-8", skip_blank_lines=False
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it in that encoding") from error
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({str(error).strip()})") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for an index
        raise InputError(
            f"{path}: rows have more fields than the header, {len(table.columns)}; is there a comma too many?"
        )
    return table.dropna(how="all")


def require(path, table, names):
    """Raise InputError unless `table`, read from `path`, has all the columns `names`."""
    for name in names:
        if name not in table.columns:
            raise InputError(f"{path}: there is no column '{name}'; its columns are {', '.join(table.columns)}")


def numbers(path, text):
    """A column of text as float64, NaN where missing.

    Raises:
        InputError: a cell that is not a finite number; names column and line.
    """
    values = pd.to_numeric(text, errors="coerce").astype("float64")
    bad = (values.isna() & text.notna()) | np.isinf(values)
    if bad.any():
        raise InputError(f"{path}: {place(text, bad)}: '{text[bad].iloc[0]}' is not a finite number")
    return values


def place(column, bad):
    """Column and line of the first entry of `column` where `bad` is true."""
    return f"column '{column.name}', line {bad.idxmax() + 2}"
