"""Cells of a table as numbers, and what to write about those that are none."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from scoredag.errors import InputError

PathLike = str | os.PathLike[str]
# what pandas takes as missing
MISSING = (
    *("", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
MAX_TEXTS = 12  # texts for missing values that a message lists
MAX_TEXT_LENGTH = 20  # letters, above which a cell is no text for a missing value
POWER = r"([eE][+-]?\d+)?"
POINT = re.compile(rf"[+-]?(\d+\.?\d*|\.\d+){POWER}")
COMMA = re.compile(rf"[+-]?(\d+,?\d*|,\d+){POWER}")
BEFORE_THREE = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")  # a comma that separates thousands
CODED = re.compile(r"[+-]?0\d+,\w+")  # fields of fixed width in one cell, as -0013,1 for -1.3 with quality 1
TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}([:.])\d{2}\1\d{2}(\.\d+)?|\d{1,2}:\d{2}( ?[AaPp][Mm])?")
BLANKS = str.maketrans(dict.fromkeys("\N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}", " "))
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)  # what Python reads as a number, though no finite one
LIMIT = re.compile(r"[<>~≤≥]\s*[+-]?[\d.,]+|[+-]?[\d.,]+\s*[*#†]+")
UNIT = re.compile(r"([+-]?[\d.,]+)\s*([^\d\s.,+-]\S{0,9})")


class Notation(NamedTuple):
    """How numbers are written.

    Attributes:
        decimal: point or comma.
        thousands: what separates groups of three digits; None for nothing.
    """

    decimal: str = "."
    thousands: str | None = None

    def grouped(self) -> re.Pattern[str]:
        """Of a number with groups."""
        mark, decimal = re.escape(self.thousands or ""), re.escape(self.decimal)
        return re.compile(rf"[+-]?[1-9]\d{{0,2}}({mark}\d{{3}})+({decimal}\d*)?")

    def reads(self, cell: str) -> bool:
        """Whether it is a number, with or without groups."""
        plain = COMMA if self.decimal == "," else POINT
        return bool(plain.fullmatch(cell) or (self.thousands and self.grouped().fullmatch(cell)))

    def keys(self) -> str:
        """The keys of a dataset that say so."""
        pairs = {"thousands": self.thousands, "decimal": self.decimal if self.decimal == "," else None}
        return ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value)


NOTATIONS = [Notation(decimal, mark) for mark in (",", ".", " ", "'") for decimal in (".", ",") if mark != decimal]
NOTATIONS.append(Notation(","))


def numbers(
    path: PathLike,
    column: pd.Series,
    decimal: str = ".",
    thousands: str | None = None,
    missing: Iterable[str] = (),
    advise: pd.DataFrame | None = None,
    time: str | Sequence[str] = (),
) -> pd.Series:
    """A column as float64, NaN where missing.

    Args:
        path: for messages.
        column: from `delimited.read`.
        decimal: point or comma, by which text has its decimals.
        thousands: what separates groups of three digits in text; None for nothing.
        missing: texts that stand for a missing value, with blanks around them or without.
        advise: the columns of all features; with them messages name keys of a dataset.
        time: names of the columns that are the time, for messages.

    Raises:
        InputError: a cell that is not a finite number; names column and line.
    """
    if not (pd.api.types.is_string_dtype(column) or pd.api.types.is_numeric_dtype(column)):
        raise InputError(f"{path}: column '{column.name}' holds {kind(column)}, not numbers")
    text, notation = pd.api.types.is_string_dtype(column), Notation(decimal, thousands)
    values = _as_floats(_plain(column, notation) if text and notation != Notation() else column)
    bad = (values.isna() & column.notna()) | np.isinf(values)
    if text and bad.any():
        bad &= ~column.str.strip().isin(set(missing))
    if bad.any():
        more = "" if advise is None or not text else _advice(column, bad, _texts(advise, set(missing)), time)
        raise InputError(f"{path}: {place(column, bad)}: {shown(column[bad].iloc[0])} is not a finite number{more}")
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
    return f"column '{column.name}', {row(column, bad.idxmax())}"


def row(table: pd.DataFrame | pd.Series, label: Any) -> str:
    """The line, or row, of a table that has this label in the index; of several files, in which one."""
    if isinstance(label, tuple):
        return f"{table.index.names[-1]} {label[1]} of {label[0]}"
    return f"{table.index.name} {label}"


def starts_as_number(cell: str) -> bool:
    """Whether a cell is a number or begins with one, as a value with its unit."""
    return re.match(r"[+-]?[.,]?\d", cell) is not None


def is_grouped(column: pd.Series) -> bool:
    """Whether every comma of a column of text stands where one separates thousands."""
    cells = _distinct(column[column.str.contains(",", regex=False).fillna(False)])
    return len(cells) > 1 and all(BEFORE_THREE.fullmatch(cell) for cell in cells)


def _plain(column, notation):
    """Text with numbers as Python writes them; what is none in this notation stays none."""
    column = column.str.strip()
    if notation.thousands:
        column = column.str.translate(BLANKS)
        grouped = column.str.fullmatch(notation.grouped().pattern).fillna(False)
        column = column.mask(grouped, column.str.replace(notation.thousands, "", regex=False))
    if notation.decimal == ",":
        column = column.mask(column.str.fullmatch(CODED.pattern).fillna(False), "coded")
        column = column.str.translate(str.maketrans(".,", ",."))  # points become commas: 1.234,5 is no number
    return column


def _as_floats(column):
    """float64, NaN where missing or no number."""
    try:  # ten times as fast, where all is well
        values = pa.array(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return pd.to_numeric(column, errors="coerce").astype("float64")
    return pd.Series(values, column.index, name=column.name)


def _distinct(column):
    return [cell.strip().translate(BLANKS) for cell in column.dropna().unique()]


def _texts(table, missing):
    """The texts without a digit in any column of text, which no message leaves for the next run."""
    texts = []
    for _, column in table.items():
        if pd.api.types.is_string_dtype(column):
            odd = column[column.str.strip().str.fullmatch(r"\D+").fillna(False)]
            texts += [cell for cell in _distinct(odd) if cell not in missing and not INFINITE.fullmatch(cell)]
    return list(dict.fromkeys(texts))


def _advice(column, bad, texts, time):
    """What to write for the cells of a column of text that are no numbers, tried on all of them.

    `texts` are those without a digit in the whole table.
    """
    odd = _distinct(column[bad])
    with_digits = [cell for cell in odd if any(letter.isdigit() for letter in cell)]
    cells = [cell for cell in _distinct(column) if cell not in texts]
    if not with_digits:
        return _of_texts(texts)
    if all(TIME.fullmatch(cell) for cell in with_digits) and not all(COMMA.fullmatch(cell) for cell in with_digits):
        parts = ", ".join(map(_quoted, [*([time] if isinstance(time, str) else time), column.name]))
        return f"; it looks like a time: if it is a part of it, write time: [{parts}]; or leave it out"
    if any(CODED.fullmatch(cell) for cell in with_digits):
        return "; it looks like several fields in one cell, a value and a code; write them as columns of their own"
    for notation in NOTATIONS:
        marks = (notation.thousands or "") + (notation.decimal if notation.decimal == "," else "")
        if all(any(mark in cell for cell in cells) for mark in marks) and all(map(notation.reads, cells)):
            what = "separates thousands" if notation.thousands else "has a decimal comma"
            return f"; if it {what}, write {notation.keys()}{', ' + _missing(texts) if texts else ''}"
    if any(LIMIT.fullmatch(cell) for cell in with_digits):
        return "; it looks like a limit or a number with a mark; write the number alone, or leave the cell empty"
    units = {match[2] for cell in with_digits if (match := UNIT.fullmatch(cell))}
    if len(units) == 1 and all(UNIT.fullmatch(cell) for cell in with_digits):
        return f"; it has a unit, {_quoted(units.pop())}; write the numbers alone"
    return ""


def _of_texts(texts):
    if len(texts) > MAX_TEXTS or any(len(text) > MAX_TEXT_LENGTH for text in texts):
        return "; if the column is text, name the others in 'features'" if len(texts) > MAX_TEXTS else ""
    return f"; if {'it stands' if len(texts) == 1 else 'they stand'} for a missing value, write {_missing(texts)}"


def _missing(texts):
    return f"missing: [{', '.join(_quoted(text, chr(34)) for text in texts)}]"


def _quoted(text, mark="'"):
    """A text as YAML takes it."""
    return json.dumps(text, ensure_ascii=False) if mark == '"' or "'" in text else f"'{text}'"
