"""CSV files that people write: read as text, so that what is wrong can be named by its line."""

import numpy as np
import pandas as pd

from scoredag.errors import InputError


def read(path):
    """All columns as text; empty cells and NA are missing.

    Raises:
        InputError: no such file, not UTF-8, or not CSV.
    """
    try:
        return pd.read_csv(path, dtype=str, na_values=["NA", ""], keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it in that encoding") from error
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({str(error).strip()})") from error


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
        row = int(np.argmax(bad))
        raise InputError(f"{path}: column '{text.name}', line {row + 2}: '{text.iloc[row]}' is not a finite number")
    return values
