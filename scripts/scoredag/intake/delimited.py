"""Tables that people write, CSV or Parquet: read so that what is wrong can be named by its line."""

import codecs
import contextlib
import csv
import io
import itertools
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from scoredag.errors import InputError
from scoredag.intake import archives, cells

PathLike = str | os.PathLike[str]
MISSING = ("", "NA")
PARQUET = (".parquet", ".pq")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
SEPARATOR_LINE = r"sep=.\s*"  # as Excel reads it
UTF_8 = "utf-8"
SIGNATURES = {  # first bytes of what is no text, and what to do about it
    b"\x1f\x8b": "is gzipped; name it .csv.gz",
    b"PK\x03\x04": "is a zip archive or an Excel file; unpack it, or save the sheet as CSV",
    b"PAR1": "is a Parquet file; name it .parquet",
    b"BZh": "is packed by bzip2; unpack it, or pack it by gzip and name it .csv.gz",
    b"\xfd7zXZ": "is packed by xz; unpack it, or pack it by gzip and name it .csv.gz",
    b"\x28\xb5\x2f\xfd": "is packed by Zstandard; unpack it, or pack it by gzip and name it .csv.gz",
    b"7z\xbc\xaf": "is a 7-Zip archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
    b"\xd0\xcf\x11\xe0": "is an Excel file of the old kind; name it .xls, and it is read; or save the sheet as CSV",
    b"\x89HDF": "is an HDF5 or NetCDF file; NetCDF is read by the ending .nc; save another table as CSV or Parquet",
    b"CDF": "is a NetCDF file; name it .nc, and it is read; or save its table as CSV or Parquet",
    b"ARROW1": "is a Feather file; save it as Parquet: pyarrow.feather.read_feather(..).to_parquet(..)",
    b"FEA1": "is a Feather file; save it as Parquet: pyarrow.feather.read_feather(..).to_parquet(..)",
    b"SQLite": 'is an SQLite database; name it .db, and write a query, as query: "SELECT * FROM the_table"',
    b"\x80\x03": "is a pickle; save the table as Parquet: pandas.read_pickle(..).to_parquet(..)",
    b"\x80\x04": "is a pickle; save the table as Parquet: pandas.read_pickle(..).to_parquet(..)",
    b"\x80\x05": "is a pickle; save the table as Parquet: pandas.read_pickle(..).to_parquet(..)",
    b"%PDF": "is a PDF document; save its table as CSV",
}
N_LOOKED_AT = 20  # rows by which the separator is found
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # with which UTF-16 begins
CURE = "save it as UTF-8 (or say in the dataset what it is, as encoding: cp1252)"
MAX_LISTED = 20  # names of columns that a message lists
numbers = cells.numbers  # of the columns that `read` gives
# one line of a CSV file has to fit
_BLOCK = 1 << 24  # bytes


class Layout(NamedTuple):
    """What stands around the rows of a CSV file.

    Attributes:
        skip: lines before the names of the columns; those that begin with # need not be counted.
        skip_last: lines after the last row, empty ones not counted.
        columns: names of the columns where no line has them.
    """

    skip: int = 0
    skip_last: int = 0
    columns: Sequence[str] | None = None


def read(
    path: PathLike,
    missing: Iterable[str] = (),
    encoding: str = UTF_8,
    layout: Layout = Layout(),  # noqa: B008
) -> pd.DataFrame:
    """All columns of a table, by the file's suffix: Parquet (.parquet, .pq), or else CSV, perhaps gzipped (.gz).

    CSV has one line of column names; comma, semicolon or tab separates its fields, by what the first rows have and an
    Excel's `sep=;` says. A zip archive may hold one CSV file. All of it comes as text, empty cells and NA as
    missing. Columns of Parquet keep their type, but for decimals and booleans, which come as numbers. The index is the
    line in a CSV file, on which a row begins, or the row, from 1, in a Parquet file; its name says which. Lines without
    any value, and columns without name and value, are left out.

    Args:
        path: the file.
        missing: more texts that stand for a missing value.
        encoding: of CSV, as Python names it: utf-8, cp1252, utf-16.
        layout: of CSV.

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
            content, places, what = _read_csv(path, missing, _codec(path, encoding), layout)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    # the first of these is what a folder, or a file that may not be read, gives
    except (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException, csv.Error) as error:
        kind = "Parquet" if Path(path).suffix in PARQUET else "CSV"
        reason = str(error).partition("\n")[0].strip()
        raise InputError(f"{path}: cannot be read as {kind} ({reason})") from error
    return of_arrow(path, content, places, what)


def of_arrow(path: PathLike, content: pa.Table, places: Iterable[int], what: str) -> pd.DataFrame:
    """A data frame of an Arrow table without its empty rows; the index, named `what`, holds the `places` of the rows.

    Raises:
        InputError: a column that is there twice.
    """
    names = unique_names(path, content.column_names)
    table = content.to_pandas(ignore_metadata=True)
    table.columns = names
    table.index = pd.Index(places, name=what)
    return table.dropna(how="all")


def stem(path: PathLike) -> str:
    """The name of a file without folder and ending, of which .csv.gz is one."""
    name = Path(path).name
    return name.removesuffix(".gz").rpartition(".")[0] or name


def unique_names(path: PathLike, names: Iterable[str]) -> pd.Index:
    """Names of columns without blanks around them.

    Raises:
        InputError: one that is there twice.
    """
    index = pd.Index([" ".join(name.split()) for name in names], dtype="str")
    if index.has_duplicates:
        raise InputError(f"{path}: there are two columns '{index[index.duplicated()][0]}'; rename or remove one")
    return index


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


def _codec(path, encoding):
    """Python's own name of an encoding of text."""
    try:
        with contextlib.suppress(UnicodeError):
            b"a".decode(encoding)
    except LookupError as error:  # not known, or none of text, as bz2
        raise InputError(f"{path}: the encoding '{encoding}' is unknown; write one as cp1252 or utf-16") from error
    return codecs.lookup(encoding).name


def _read_csv(path, missing, encoding, layout):
    """All columns as an Arrow table of text, the line on which each row begins, and what these numbers are."""
    _refuse_binary(path, encoding)
    separator, names, n_lines = _header(path, encoding, layout)
    odd = []

    def note(row):
        odd.append(row)
        return "error"

    try:
        with _bytes(path) as stream:
            table = pa.csv.read_csv(
                _without_last(stream, layout.skip_last),
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
            line = _line(path, separator, encoding, n_lines, odd[0].number - n_lines)
            hint = f"is there a {SEPARATORS[separator]} too many?" if has > wanted else "was the file cut off?"
            if wanted == 1:
                hint = "the first line has to name the columns"
            hint += _where_the_table_begins(path, separator, encoding, line)
            raise InputError(f"{path}: line {line} has {has} fields, the header has {wanted}; {hint}") from error
        _require_encoding(path, encoding)
        raise
    unnamed = [i for i, name in enumerate(names) if not name and table.column(i).null_count == len(table)]
    for i in reversed(unnamed):  # a comma at the end of every line
        table = table.remove_column(i)
    return table, _lines(table, n_lines + 1), "line"


def _office(path):
    """What to do about a file of an office, or None."""
    with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "xl/workbook.xml" in names or "mimetype" in names:
            ending = ".ods" if "mimetype" in names else ".xlsx"
            return f"is a spreadsheet; name it {ending}, and it is read; or save the sheet as CSV"
        if sum(not name.endswith("/") for name in names) == 1:
            return "is a zip archive; name it .zip, and its one file is read"
    return None


def _lines(table, first):
    """The line on which each row of text begins, the first one's being `first`: cells may hold line breaks."""
    lines = np.arange(first, first + len(table))
    for column in table.columns:
        if pc.any(pc.match_substring(column, "\n")).as_py():
            breaks = pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy()
            lines[1:] += np.cumsum(breaks)[:-1]
    return lines


def _line(path, separator, encoding, n_lines, row):
    """The line on which row number `row` of a CSV file begins, of those after its first `n_lines` lines."""
    with _text(path, encoding, errors="surrogateescape") as stream:  # what cannot be read may come after it
        reader = csv.reader(itertools.islice(stream, n_lines, None), delimiter=separator)
        for _ in itertools.islice(reader, row - 1):
            pass
        return n_lines + reader.line_num + 1


def _refuse_binary(path, encoding):
    """Refuse what its first bytes say is no such text."""
    with _bytes(path) as stream:
        start = stream.read(8)
    for sign, what in SIGNATURES.items():
        if start.startswith(sign):
            raise InputError(f"{path}: {_office(path) or what}")
    if encoding == UTF_8 and start.startswith(UTF_16_MARKS):
        raise InputError(f"{path}: is not UTF-8 text but UTF-16; {CURE.replace('cp1252', 'utf-16')}")


def _header(path, encoding, layout):
    """Separator and names of the columns of a CSV file, and how many lines come before its first row."""
    try:
        with _text(path, encoding) as stream:
            n_before, given = len(list(itertools.islice(stream, layout.skip))), None
            line = next(stream, "")
            while line.startswith("#") or re.fullmatch(SEPARATOR_LINE, line):
                given = given if line.startswith("#") else line[4]
                n_before, line = n_before + 1, next(stream, "")
            first = [line, *itertools.islice(stream, N_LOOKED_AT)]
    except UnicodeError:
        _require_encoding(path, encoding)
        raise
    separator = given if given in SEPARATORS else _separator(first)
    reader = csv.reader(first, delimiter=separator)
    names = [name.strip() for name in next(reader, [])]
    if any("\0" in name for name in names):
        raise InputError(f"{path}: is not {encoding.upper()} text (UTF-16, perhaps); {CURE}")
    if not any(names):
        raise InputError(f"{path}: cannot be read as CSV (there is nothing on its first line); name the columns there")
    if layout.columns is None:
        return separator, names, n_before + reader.line_num
    if len(layout.columns) != len(names):
        n = f"{len(layout.columns)} columns are named, but the first row has {len(names)}"
        raise InputError(f"{path}: {n} ({SEPARATORS[separator]}s separate them)")
    return separator, list(layout.columns), n_before


def _separator(lines):
    """The separator by which most rows have as many fields as the first, or else that which finds most there."""

    def judge(separator):
        with contextlib.suppress(csv.Error):
            counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
            if counts:
                alike = sum(count == counts[0] for count in counts) / len(counts)
                return counts[0] > 1 and alike > 0.9, counts[0]
        return False, 0

    return max(SEPARATORS, key=judge)


def _where_the_table_begins(path, separator, encoding, line):
    """What to write where rows of one length begin at a line after what seemed the names, to the end of the file."""
    with _text(path, encoding, errors="surrogateescape") as stream:
        counts = [
            len(row) for row in csv.reader(itertools.islice(stream, line - 1, line + 10_000), delimiter=separator)
        ]
    counts = [count for count in counts if count]
    if len(counts) > 3 and counts[0] > 1 and len(set(counts)) == 1:
        return f"; if the table of a dataset begins at line {line}, write skip: {line - 1}"
    return ""


def _without_last(stream, n):
    """The stream of a CSV file without its last `n` lines, empty ones not counted."""
    if not n:
        return stream
    lines = stream.read().rstrip().splitlines(keepends=True)
    return io.BytesIO(b"".join(lines[:-n]))


def _bytes(path):
    """A stream of the bytes of a file, unpacked where it is gzipped, or the one file of a zip archive."""
    if Path(path).suffix == ".gz":
        return archives.gunzip(path)
    if Path(path).suffix == ".zip":
        contents = [content for _, content in archives.members(path)]
        if len(contents) > 1:
            raise InputError(f"{path}: holds {len(contents)} files; unpack it, and name one of them")
        return io.BytesIO(contents[0])
    return open(path, "rb")


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
        table = simplified(stream.read(), missing)
    return table, range(1, len(table) + 1), "row"


def simplified(table: pa.Table, missing: Sequence[str] = ()) -> pa.Table:
    """An Arrow table with the texts `missing` as null, decimals and booleans as numbers, and dates as timestamps."""
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
    return table


def _check_expansion(path, metadata):
    """Refuse a table that is much larger than its file, as `archives.members` does."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    n_bytes = max(8 * metadata.num_rows * metadata.num_columns, sum(group.total_byte_size for group in groups))
    shape = f"{metadata.num_rows:,} rows of {metadata.num_columns:,} columns"
    archives.check_expansion(path, n_bytes, f"{shape}, ")


def _cast(column, kind):
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(kind)
