"""Tables that people write, CSV or Parquet: read so that what is wrong can be named by its line."""

import codecs
import contextlib
import csv
import io
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from scoredag.errors import InputError
from scoredag.intake import archives

PathLike = str | os.PathLike[str]
MISSING = ("", "NA")
PARQUET = (".parquet", ".pq")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
UTF_8 = "utf-8"
SIGNATURES = {  # first bytes of what is no text, and what to do about it
    b"\x1f\x8b": "is gzipped; name it .csv.gz",
    b"PK\x03\x04": "is a zip archive or an Excel file; unpack it, or save the sheet as CSV",
    b"PAR1": "is a Parquet file; name it .parquet",
}
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # with which UTF-16 begins
CURE = "save it as UTF-8 (or say in the dataset what it is, as encoding: cp1252)"
MAX_LISTED = 20  # names of columns that a message lists
# one line of a CSV file has to fit
_BLOCK = 1 << 24  # bytes


def read(path: PathLike, missing: Iterable[str] = (), encoding: str = UTF_8) -> pd.DataFrame:
    """All columns of a table, by the file's suffix: Parquet (.parquet, .pq), or else CSV, perhaps gzipped (.gz).

    CSV has one line of column names; of comma, semicolon and tab the one that finds most names there separates its
    fields. All of it comes as text, empty cells and NA as missing. Columns of Parquet keep their type,
    but for decimals and booleans, which come as numbers. The index is the line in a CSV file, on which a row begins,
    or the row, from 1, in a Parquet file; its name says which. Lines without any value, and columns without name and
    value, are left out.

    Args:
        path: the file.
        missing: more texts that stand for a missing value.
        encoding: of CSV, as Python names it: utf-8, cp1252, utf-16.

    Raises:
        InputError: no such file, not of that format, not of that encoding (with the line), rows longer or
            shorter than the header (with the line), a column that is there twice, or a small file that would
            become a huge table.
    """
    missing = [*MISSING, *missing]
    try:
        if Path(path).suffix in PARQUET:
            content, places, what = _read_parquet(path, missing)
        else:
            content, places, what = _read_csv(path, missing, _codec(path, encoding))
        names = pd.Index([" ".join(name.split()) for name in content.column_names])
        table = content.to_pandas(ignore_metadata=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    # the first of these is what a folder, or a file that may not be read, gives
    except (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException, csv.Error) as error:
        kind = "Parquet" if Path(path).suffix in PARQUET else "CSV"
        reason = str(error).partition("\n")[0].strip()
        raise InputError(f"{path}: cannot be read as {kind} ({reason})") from error
    if names.has_duplicates:
        raise InputError(f"{path}: there are two columns '{names[names.duplicated()][0]}'; rename or remove one")
    table.columns = names
    table.index = pd.Index(places, name=what)
    return table.dropna(how="all")


def require(path: PathLike, table: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise InputError unless `table`, read from `path`, has all the columns `names`."""
    for name in names:
        if name not in table.columns:
            raise InputError(f"{path}: there is no column '{name}'; {listed(table.columns)}")


def listed(columns: Sequence[str] | pd.Index) -> str:
    """What a message says of the columns that there are."""
    more = f" and {len(columns) - MAX_LISTED} more" if len(columns) > MAX_LISTED else ""
    hint = "; commas, semicolons or tabs separate them" if len(columns) == 1 else ""
    return f"its columns are {', '.join(name[:100] for name in columns[:MAX_LISTED])}{more}{hint}"


def numbers(
    path: PathLike, column: pd.Series, decimal: str = ".", cure: Callable[[Any], str] | None = None
) -> pd.Series:
    """A column as float64, NaN where missing.

    Args:
        path: for messages.
        column: from `read`.
        decimal: point or comma, by which text has its decimals.
        cure: function of a cell to what its message adds.

    Raises:
        InputError: a cell that is not a finite number; names column and line.
    """
    if not (pd.api.types.is_string_dtype(column) or pd.api.types.is_numeric_dtype(column)):
        raise InputError(f"{path}: column '{column.name}' holds {kind(column)}, not numbers")
    text = decimal == "," and pd.api.types.is_string_dtype(column)
    # points become commas, so that 1.234,5 is no number
    values = _as_floats(column.str.translate(str.maketrans(".,", ",.")) if text else column)
    bad = (values.isna() & column.notna()) | np.isinf(values)
    if bad.any():
        cell = column[bad].iloc[0]
        more = cure(cell) if cure else ""
        raise InputError(f"{path}: {place(column, bad)}: {shown(cell)} is not a finite number{more}")
    return values


def kind(column: pd.Series) -> str:
    """What a column holds, in a word."""
    return type(column.dropna().iloc[0]).__name__ if column.dtype == object else str(column.dtype)


def shown(cell: Any) -> str:
    """A cell in quotes, on one line and not too long."""
    text = str(cell)
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def place(column: pd.Series, bad: pd.Series) -> str:
    """Column and line, or row, of the first entry of `column` where `bad` is true."""
    return f"column '{column.name}', {column.index.name} {bad.idxmax()}"


def _as_floats(column):
    """float64, NaN where missing or no number."""
    try:  # ten times as fast, where all is well
        values = pa.array(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return pd.to_numeric(column, errors="coerce").astype("float64")
    return pd.Series(values, column.index, name=column.name)


def _codec(path, encoding):
    """Python's own name of an encoding of text."""
    try:
        with contextlib.suppress(UnicodeError):
            b"a".decode(encoding)
    except LookupError as error:  # not known, or none of text, as bz2
        raise InputError(f"{path}: the encoding '{encoding}' is unknown; write one as cp1252 or utf-16") from error
    return codecs.lookup(encoding).name


def _read_csv(path, missing, encoding):
    """All columns as an Arrow table of text, the line on which each row begins, and what these numbers are."""
    _refuse_binary(path, encoding)
    headers = {separator: _header(path, separator, encoding) for separator in SEPARATORS}
    separator, (names, n_lines) = max(headers.items(), key=lambda item: len(item[1][0]))
    odd = []

    def note(row):
        odd.append(row)
        return "error"

    try:
        with _bytes(path) as stream:
            table = pa.csv.read_csv(
                stream,
                # in one thread rows have numbers
                pa.csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=n_lines, encoding=encoding
                ),
                pa.csv.ParseOptions(
                    delimiter=separator,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=note,
                ),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=missing, strings_can_be_null=True
                ),
            )
    except (pa.ArrowInvalid, UnicodeError) as error:
        if odd:
            has, wanted = odd[0].actual_columns, odd[0].expected_columns
            line = _line(path, separator, encoding, odd[0].number - n_lines)
            hint = f"is there a {SEPARATORS[separator]} too many?" if has > wanted else "was the file cut off?"
            if wanted == 1:
                hint = "the first line has to name the columns"
            raise InputError(f"{path}: line {line} has {has} fields, the header has {wanted}; {hint}") from error
        _require_encoding(path, encoding)
        raise
    unnamed = [i for i, name in enumerate(names) if not name and table.column(i).null_count == len(table)]
    for i in reversed(unnamed):  # a comma at the end of every line
        table = table.remove_column(i)
    return table, _lines(table, n_lines + 1), "line"


def _lines(table, first):
    """The line on which each row of text begins, the first one's being `first`: cells may hold line breaks."""
    lines = np.arange(first, first + len(table))
    for column in table.columns:
        if pc.any(pc.match_substring(column, "\n")).as_py():
            breaks = pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy()
            lines[1:] += np.cumsum(breaks)[:-1]
    return lines


def _line(path, separator, encoding, row):
    """The line on which the row of a CSV file begins that is number `row` after the header."""
    with _text(path, encoding, errors="surrogateescape") as stream:  # what cannot be read may come after it
        reader = csv.reader(stream, delimiter=separator)
        for _ in itertools.islice(reader, row):
            pass
        return reader.line_num + 1


def _refuse_binary(path, encoding):
    """Refuse what its first bytes say is no such text."""
    with _bytes(path) as stream:
        start = stream.read(4)
    for sign, what in SIGNATURES.items():
        if start.startswith(sign):
            raise InputError(f"{path}: {what}")
    if encoding == UTF_8 and start.startswith(UTF_16_MARKS):
        raise InputError(f"{path}: is not UTF-8 text but UTF-16; {CURE.replace('cp1252', 'utf-16')}")


def _header(path, separator, encoding):
    """Names of the columns of a CSV file, and how many lines they take."""
    try:
        with _text(path, encoding) as stream:
            reader = csv.reader(stream, delimiter=separator)
            names = [name.strip() for name in next(reader, [])]
    except UnicodeError:
        _require_encoding(path, encoding)
        raise
    if any("\0" in name for name in names):
        raise InputError(f"{path}: is not {encoding.upper()} text (UTF-16, perhaps); {CURE}")
    if not any(names):
        raise InputError(f"{path}: cannot be read as CSV (there is nothing on its first line); name the columns there")
    return names, reader.line_num


def _bytes(path):
    """A stream of the bytes of a file, unpacked where it is gzipped."""
    return archives.gunzip(path) if Path(path).suffix == ".gz" else open(path, "rb")


@contextlib.contextmanager
def _text(path, encoding, errors="strict"):
    with _bytes(path) as stream:
        # a byte order mark, as Excel writes it, is no part of the first name
        name = "utf-8-sig" if encoding == UTF_8 else encoding
        yield io.TextIOWrapper(stream, encoding=name, errors=errors, newline="")


def _require_encoding(path, encoding):
    """Raise InputError where a line is not of that encoding."""
    try:
        with _text(path, encoding, errors="surrogateescape") as stream:
            for number, line in enumerate(stream, 1):
                if any("\udc80" <= letter <= "\udcff" for letter in line):
                    raise InputError(f"{path}: line {number} is not {encoding.upper()} text; {CURE}")
    except UnicodeError as error:  # where not even that helps
        raise InputError(f"{path}: is not {encoding.upper()} text; {CURE}") from error


def _read_parquet(path, missing):
    """All columns as an Arrow table, the number of each row, and what these numbers are."""
    with pa.parquet.ParquetFile(path) as stream:
        _check_expansion(path, stream.metadata)
        table = stream.read()
    for i, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = table.column(i).cast(kind)
            table = table.set_column(i, field.name, pc.if_else(pc.is_in(text, pa.array(missing, kind)), None, text))
            continue
        if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            kind = pa.float64()
        elif pa.types.is_date(kind):
            kind = pa.timestamp("us")
        if kind != field.type:
            # decimals and booleans alike, whatever cast there is between the two
            table = table.set_column(i, field.name, _cast(table.column(i), kind))
    return table, range(1, len(table) + 1), "row"


def _check_expansion(path, metadata):
    """Refuse a table that is much larger than its file, as `archives.members` does."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    n_bytes = max(8 * metadata.num_rows * metadata.num_columns, sum(group.total_byte_size for group in groups))
    if n_bytes > archives.RATIO * Path(path).stat().st_size + archives.SLACK:
        shape = f"{metadata.num_rows:,} rows of {metadata.num_columns:,} columns"
        raise InputError(f"{path}: unpacks to {shape}, more than {archives.RATIO} times its size, as a zip bomb does")


def _cast(column, kind):
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(kind)
