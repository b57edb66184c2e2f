"""Sheets of Excel and OpenDocument files as tables: python-calamine reads the cells."""

import contextlib
import datetime
import itertools
import logging
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import archives, extras
from scoredag.intake.delimited import Layout, unique_names

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]
SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read(
    path: PathLike, missing: Sequence[str] = (), layout: Layout | None = None, sheet: str | None = None
) -> pd.DataFrame:
    """One sheet as a data frame; the index is the row in the sheet, counted from 1.

    A column of dates comes as timestamps, one of numbers as float64, any other as text, numbers as Python writes them.
    The first row that is not empty names the columns.

    Args:
        path: .xlsx, .xlsm, .xlsb, .xls or .ods.
        missing: texts that stand for a missing value.
        layout: rows before the names and after the last one, and names where there are none.
        sheet: its name; None takes the first.

    Raises:
        InputError: not such a file, no such sheet, nothing in it, or python-calamine is not installed.
    """
    workbook = _workbook(path)
    names = workbook.sheet_names
    if sheet is not None and sheet not in names:
        raise InputError(f"{path}: there is no sheet '{sheet}'; its sheets are {', '.join(names)}")
    if sheet is None and len(names) > 1:
        log.info("%s: its first sheet, '%s', is read; the key sheet takes another: %s", path, names[0], names[1:])
    return _table(path, workbook.get_sheet_by_name(sheet or names[0]), missing, layout or Layout())


def read_all(path: PathLike) -> dict[str, pd.DataFrame]:
    """{name: data frame} of its sheets, in their order, but for empty ones; see `read`.

    Raises:
        InputError: see `read`; all sheets are empty.
    """
    workbook = _workbook(path)
    sheets = ((name, workbook.get_sheet_by_name(name)) for name in workbook.sheet_names)
    tables = {name: _table(path, sheet, (), Layout()) for name, sheet in sheets if sheet.start is not None}
    if not tables:
        raise InputError(f"{path}: there is nothing in its sheets")
    return tables


def _table(path, sheet, missing, layout):
    """One sheet of a workbook as a data frame."""
    first, rows = (1, []) if sheet.start is None else (sheet.start[0] + 1, sheet.to_python(skip_empty_area=True))
    numbered = [(number, row) for number, row in enumerate(rows, first) if any(cell != "" for cell in row)]
    numbered = [(number, row) for number, row in numbered if number > layout.skip]
    numbered = numbered[: len(numbered) - layout.skip_last]
    if not numbered:
        raise InputError(f"{path}: there is nothing in the sheet{f' below row {layout.skip}' if layout.skip else ''}")
    names = list(map(_text, numbered[0][1]))
    if layout.columns is None:
        numbered = numbered[1:]
    elif len(layout.columns) != len(names):
        raise InputError(f"{path}: {len(layout.columns)} columns are named, but the first row has {len(names)}")
    else:
        names = list(layout.columns)
    numbers, cells = zip(*numbered, strict=True) if numbered else ((), ())
    index = pd.Index(numbers, name="row", dtype="int64")
    columns = list(zip(*cells, strict=True)) if cells else [()] * len(names)
    kept = [i for i, name in enumerate(names) if name.strip() or any(cell != "" for cell in columns[i])]
    names = unique_names(path, [names[i] for i in kept])
    series = [_column(columns[i], set(missing), index) for i in kept]
    return pd.DataFrame(dict(enumerate(series)), index).set_axis(names, axis=1)


def _workbook(path):
    calamine = extras.load(path, "python_calamine")
    _check_expansion(path)
    try:
        return calamine.CalamineWorkbook.from_path(str(path))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (calamine.CalamineError, OSError) as error:
        kind = Path(path).suffix
        raise InputError(f"{path}: cannot be read as {kind} ({str(error).partition(chr(10))[0]})") from error


def _check_expansion(path):
    """Refuse a file that unpacks to much more than its size, as `archives.members` does."""
    with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        archives.check_expansion(path, sum(member.file_size for member in archive.infolist()))


def _column(cells, missing, index):
    """Cells of one column, by what those are that hold something."""
    absent = np.array([isinstance(cell, str) and cell.strip() in missing | {""} for cell in cells], bool)
    kinds = {type(cell) for cell in itertools.compress(cells, ~absent)}
    if kinds and kinds <= {datetime.datetime, datetime.date}:
        times = pd.to_datetime([None if gone else cell for cell, gone in zip(cells, absent, strict=True)])
        return pd.Series(times.as_unit("us").round("ms"), index)  # of days and their fractions, as Excel counts
    if kinds and kinds <= {int, float, bool}:
        return pd.Series([np.nan if gone else float(cell) for cell, gone in zip(cells, absent, strict=True)], index)
    texts = [None if gone else _text(cell) for cell, gone in zip(cells, absent, strict=True)]
    return pd.Series(texts, index, dtype="str")


def _text(cell):
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
