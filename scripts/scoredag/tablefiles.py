"""Tables that people write, CSV or Parquet: read so that what is wrong can be named by its line."""

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from scoredag.errors import InputError

MISSING = ("", "NA")
PARQUET = (".parquet", ".pq")
# one line of a CSV file has to fit
_BLOCK = 1 << 24  # bytes


def read(path):
    """All columns of a table, by the file's suffix: Parquet (.parquet, .pq), or else CSV, perhaps gzipped (.gz).

    CSV is UTF-8, with commas and one line of column names; all of it comes as text, empty cells and NA
    as missing. Columns of Parquet keep their type, but for decimals and booleans, which come as numbers.
    The index is the line in a CSV file or the row, from 1, in a Parquet file; its name says which.
    Lines without any value, and columns without name and value, are left out.

    Raises:
        InputError: no such file, not of that format, not UTF-8 (with the line), rows longer or
            shorter than the header (with the line), a column that is there twice.
    """
    try:
        found, first, what = _read_parquet(path) if Path(path).suffix in PARQUET else _read_csv(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    # the first of these is what a folder, or a file that may not be read, gives
    except (OSError, EOFError, zlib.error, pa.ArrowException, csv.Error) as error:
        kind = "Parquet" if Path(path).suffix in PARQUET else "CSV"
        reason = str(error).partition("\n")[0].strip()
        raise InputError(f"{path}: cannot be read as {kind} ({reason})") from error
    names = pd.Index(found.column_names)
    if names.has_duplicates:
        raise InputError(f"{path}: there are two columns '{names[names.duplicated()][0]}'; rename or remove one")
    table = found.to_pandas(ignore_metadata=True)
    table.index = pd.RangeIndex(first, first + len(table), name=what)
    return table.dropna(how="all")


def require(path, table, names):
    """Raise InputError unless `table`, read from `path`, has all the columns `names`."""
    for name in names:
        if name not in table.columns:
            there = ", ".join(table.columns)
            hint = "; write commas between the fields" if len(table.columns) == 1 and ";" in there else ""
            raise InputError(f"{path}: there is no column '{name}'; its columns are {there}{hint}")


def numbers(path, column):
    """A column as float64, NaN where missing.

    Raises:
        InputError: a cell that is not a finite number; names column and line.
    """
    if not (pd.api.types.is_string_dtype(column) or pd.api.types.is_numeric_dtype(column)):
        raise InputError(f"{path}: column '{column.name}' holds {column.dtype}, not numbers")
    values = _as_floats(column)
    bad = (values.isna() & column.notna()) | np.isinf(values)
    if bad.any():
        raise InputError(f"{path}: {place(column, bad)}: '{column[bad].iloc[0]}' is not a finite number")
    return values


def place(column, bad):
    """Column and line, or row, of the first entry of `column` where `bad` is true."""
    return f"column '{column.name}', {column.index.name} {bad.idxmax()}"


def _as_floats(column):
    """float64, NaN where missing or no number."""
    try:  # ten times as fast, where all is well
        values = pa.array(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return pd.to_numeric(column, errors="coerce").astype("float64")
    return pd.Series(values, column.index, name=column.name)


def _read_csv(path):
    """All columns as an Arrow table of text, the line of its first row, and what rows are called."""
    names, n_lines = _header(path)
    odd = []

    def note(row):
        odd.append(row)
        return "error"

    try:
        table = pa.csv.read_csv(
            path,
            # in one thread rows have numbers
            pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=n_lines),
            pa.csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False, invalid_row_handler=note),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=MISSING, strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        if odd:
            has, wanted = odd[0].actual_columns, odd[0].expected_columns
            what = f"line {odd[0].number} has {has} fields, the header has {wanted}"
            hint = "; is there a comma too many?" if has > wanted else "; was the file cut off?"
            raise InputError(f"{path}: {what}{hint}") from error
        _require_utf8(path)
        raise
    unnamed = [i for i, name in enumerate(names) if not name and table.column(i).null_count == len(table)]
    for i in reversed(unnamed):  # a comma at the end of every line
        table = table.remove_column(i)
    return table, n_lines + 1, "line"


def _header(path):
    """Names of the columns of a CSV file, and how many lines they take."""
    try:
        with _text(path) as stream:
            reader = csv.reader(stream)
            names = [name.strip() for name in next(reader, [])]
    except UnicodeDecodeError:
        _require_utf8(path)
        raise
    if any("\0" in name for name in names):
        raise InputError(f"{path}: not UTF-8 text (UTF-16, perhaps); save it in that encoding")
    if not any(names):
        raise InputError(f"{path}: cannot be read as CSV (there is nothing on its first line); name the columns there")
    return names, reader.line_num


def _text(path, errors="strict"):
    opener = gzip.open if Path(path).suffix == ".gz" else open
    # a byte order mark, as Excel writes it, is no part of the first name
    return opener(path, "rt", encoding="utf-8-sig", errors=errors, newline="")


def _require_utf8(path):
    """Raise InputError where a line is not UTF-8."""
    with _text(path, errors="surrogateescape") as stream:
        for number, line in enumerate(stream, 1):
            if any("\udc80" <= letter <= "\udcff" for letter in line):
                raise InputError(f"{path}: line {number} is not UTF-8 text; save the file in that encoding")


def _read_parquet(path):
    """All columns as an Arrow table, the number of its first row, and what rows are called."""
    with pa.parquet.ParquetFile(path) as stream:
        table = stream.read()
    for i, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            kind = pa.float64()
        elif pa.types.is_date(kind):
            kind = pa.timestamp("us")
        if kind != field.type:
            # decimals and booleans alike, whatever cast there is between the two
            table = table.set_column(i, field.name, _cast(table.column(i), kind))
    return table, 1, "row"


def _cast(column, kind):
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(kind)
