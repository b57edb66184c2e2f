"""Times of a table, as people write them, in UTC."""

import logging
import os
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scoredag.errors import InputError
from scoredag.intake import cells

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]

EPOCHS = ("s", "ms", "us", "ns")
EPOCH_DIGITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}  # of times of this century
ZONED = r"[T ]\S*([Zz]|[+-]\d\d(:?\d\d)?)$"  # a time with its offset from UTC
MIDNIGHT = r"(?<!\d)24[:.]?00(?:[:.]?00)?(?!\d)"  # at the end of a day
PARTS = {1: "%Y", 2: "%Y %m", 3: "%Y %m %d", 4: "%Y %m %d %H", 5: "%Y %m %d %H %M", 6: "%Y %m %d %H %M %S"}
WEEK = r"(\d{4})[- ]?W(\d{2})(?:-?([1-7]))?"  # ISO 8601's, as 2020-W05 and 2020-W05-3
QUARTER = r"(?:(\d{4})[-/: ]?Q([1-4])|Q([1-4])[-/ ]?(\d{4})|([1-4])Q(\d{4}))"
MONTH = r"(\d{4})M(\d{2})"  # as statistical offices write it
PART_NAMES = ("year", "month", "day", "hour", "minute", "second")
RANGE = r"^(.*\d)\s+[-\u2013]\s+\S*\d.*$"  # "a - b"
MAX_LAST = 20  # lines below a table that a message takes for no rows
FIXED_CLOCK = "of a clock that is not moved write the offset, as time_zone: '+01:00'"
OFFSETS = "write times with their offset from UTC, as 2013-11-03T01:00-04:00"
AMBIGUOUS = ("summer", "winter", "missing")  # what an hour is that occurs twice, but is there once
# hours from UTC; those of several meanings are taken from the dataset's time_zone
ZONES = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2,
    "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9,
    "AKDT": -8, "HST": -10, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "AWST": 8, "NZST": 12, "NZDT": 13,
}  # fmt: skip


def joined(table: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Columns that are a time together, as text with a blank between them; missing where one is."""
    parts = [table[name].astype("str").str.strip().str.replace(r"\.0$", "", regex=True) for name in names]
    text = parts[0].str.cat(parts[1:], sep=" ").astype("str") if len(parts) > 1 else parts[0]
    return text.rename(" ".join(names))


def parse(path: PathLike, column: pd.Series, time_format: str | None, zone: str, start: str | None = None) -> pd.Series:
    """Times of a column; naive where they have no offset from UTC.

    Args:
        path: for messages.
        column: timestamps, text or numbers.
        time_format: as `strptime` takes it, or one of `EPOCHS`, the unit of numbers; None is ISO 8601.
        zone: in which abbreviations of zones of several meanings, as CST, are looked up.
        start: from which numbers count; None is 1970-01-01 in UTC.

    Raises:
        InputError: a cell that is no such time.
    """
    refuse_empty(path, column)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _in_range(path, column)
    if time_format in EPOCHS:
        return _in_range(path, _counted(path, column, time_format, start))
    if pd.api.types.is_numeric_dtype(column):
        hint = _epoch_hint(column.iloc[0]) or "write timestamps, or text as 2020-01-31T13:00"
        raise InputError(f"{path}: column '{column.name}' holds {cells.kind(column)}, not times; {hint}")
    if not pd.api.types.is_string_dtype(column):
        fault = f"column '{column.name}' holds {cells.kind(column)}, not times"
        raise InputError(f"{path}: {fault}; write timestamps, or text as 2020-01-31T13:00")
    text, used = column, time_format
    if time_format and "%Z" in time_format:
        text, used = _with_offsets(path, column, zone), time_format.replace("%Z", "%z")
    times = _parsed(path, text, used, time_format)
    if times.isna().any():
        times = times.fillna(_mended(path, text, used, time_format, times.isna()))
    if times.isna().any() and not time_format:
        times = times.fillna(_of_periods(path, text[times.isna()]))
    bad = times.isna()
    if bad.any():
        wanted = time_format or "ISO 8601, as 2020-01-31T13:00; for others write a time_format, as '%d.%m.%Y %H:%M'"
        wanted = _epoch_hint(column[bad].iloc[0]) or wanted
        fault = f"{cells.shown(column[bad].iloc[0])} is not a time ({wanted}){_more_of(column, bad, time_format)}"
        raise InputError(f"{path}: {cells.place(column, bad)}: {fault}")
    if used:
        return times if "%z" in used else times.dt.tz_localize(None)
    zoned = pc.match_substring_regex(pa.array(column), ZONED).to_numpy(zero_copy_only=False)
    if zoned.all():
        return times
    odd = pd.Series(zoned != zoned[0], column.index)
    if odd.any():
        has, before = ("no offset", "one") if zoned[0] else ("an offset", "none")
        fault = f"'{column[odd].iloc[0]}' has {has} from UTC, '{column.iloc[0]}' before it has {before}"
        raise InputError(f"{path}: {cells.place(column, odd)}: {fault}; write all alike")
    return times.dt.tz_localize(None)


def localise(
    path: PathLike, column: pd.Series, keys: pd.DataFrame, zone: str, ambiguous: str | None, empty: pd.Series
) -> pd.Series:
    """Naive times as times of a zone. The two of an hour that occurs twice, as clocks go back, are told by their order.

    Args:
        path: for messages.
        column: what messages quote.
        keys: with a column `time`.
        zone: by its name, or as an offset.
        ambiguous: which of the two an hour is that is there once; `missing` gives NaT. None refuses it.
        empty: rows without a value; where their time does not occur, they become NaT.
    """
    naive = keys["time"]
    try:
        twice = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    except (LookupError, ValueError, OSError) as error:  # zoneinfo's own error is a KeyError
        raise InputError(f"{path}: the time_zone '{zone}' is unknown; write one as Europe/Berlin") from error
    among = keys[twice]
    once = ~among.duplicated(keep=False)
    if once.any() and ambiguous is None:
        fault = f"'{column[twice][once].iloc[0]}' occurs twice in {zone}, as clocks go back, but only once here"
        cure = f"{FIXED_CLOCK}, or {OFFSETS}; or say which it is, as ambiguous: winter (or summer, or missing)"
        raise InputError(f"{path}: {cells.place(column[twice], once)}: {fault}; {cure}")
    summer = np.zeros(len(naive), bool)
    summer[twice] = ~among.duplicated() & ~(once & (ambiguous == "winter"))
    times = naive.dt.tz_localize(zone, ambiguous=summer, nonexistent="NaT")
    bad = times.isna() & ~empty
    if bad.any():
        fault = f"'{column[bad].iloc[0]}' does not occur in {zone}, as clocks go forward; {FIXED_CLOCK}, or {OFFSETS}"
        raise InputError(f"{path}: {cells.place(column, bad)}: {fault}")
    if ambiguous == "missing":
        times = times.mask(naive.index.isin(among.index[once]))
    return times


def refuse_empty(path: PathLike, column: pd.Series) -> None:
    """Raise InputError where a cell of the column is empty."""
    if column.isna().any():
        raise InputError(f"{path}: {cells.place(column, column.isna())}: the cell is empty")


def _in_range(path, column):
    bad = ~column.dt.year.between(1, 9999)
    if bad.any():
        raise InputError(f"{path}: {cells.place(column, bad)}: the time is not in the years 1 to 9999")
    return column


def _counted(path, column, unit, start):
    """Times from numbers, in microseconds."""
    values = cells.numbers(path, column)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    try:
        origin = pd.Timestamp(start) if start else pd.Timestamp(0, tz="UTC")
    except ValueError as error:
        raise InputError(f"{path}: the start '{start}' is not a time; write one as 2020-01-31T13:00") from error
    if pd.api.types.is_string_dtype(column):
        exact = pd.to_numeric(column.str.strip(), errors="coerce")
        values = exact if pd.api.types.is_integer_dtype(exact) else values
    elif pd.api.types.is_integer_dtype(column):
        values = column
    micros = values * (10**6 // per_second) if per_second <= 10**6 else values // 1000
    limit = 2.5e17  # nearly the year 9999
    bad = ~(micros.abs() < limit)
    if bad.any():
        raise InputError(
            f"{path}: {cells.place(column, bad)}: {cells.shown(column[bad].iloc[0])} {unit} are no time of the years "
            f"1 to 9999; {_epoch_hint(column[bad].iloc[0]) or 'set another time_format'}"
        )
    return origin.as_unit("us") + pd.to_timedelta(micros.round().astype("int64"), unit="us")


def _epoch_hint(cell):
    """What to write for a whole number that seems to count from 1970."""
    match = re.fullmatch(r"(\d{10}|\d{13}|\d{16}|\d{19})(\.\d+)?", str(cell))
    return f"if it counts from 1970, write time_format: {EPOCH_DIGITS[len(match[1])]}" if match else None


def _more_of(column, bad, time_format):
    """What to write where all cells count from a start, or where none but the last are no times."""
    if not time_format and pd.to_numeric(column, errors="coerce").notna().all():
        if _epoch_hint(column[bad].iloc[0]):
            return ""
        return "; if it counts from a start, write time_format: s (or ms, us, ns), and start: 2020-01-31T13:00"
    is_last = not bad.iloc[0] and bad[bad.idxmax() :].all() and bad.sum() <= MAX_LAST
    return (
        f"; if the table ends before, write skip_last: {bad.sum()}" if is_last and column.index.name == "line" else ""
    )


def _parsed(path, text, used, time_format):
    """Times in UTC, NaT where the text is none."""
    try:
        return pd.to_datetime(text, errors="coerce", utc=True, format=used or "ISO8601")
    except ValueError as error:
        raise InputError(f"{path}: the time_format '{time_format}' will not do: {error}") from error


def _mended(path, text, used, time_format, bad):
    """Times of those that are `bad`: the start of a range, and 24:00 as the end of its day; blanks do not count."""
    cut = text[bad].str.strip().str.replace(RANGE, r"\1", regex=True)
    late = cut.str.contains(MIDNIGHT, regex=True)
    cut = cut.mask(late, cut.str.replace(MIDNIGHT, lambda match: match[0].replace("24", "00", 1), regex=True))
    return _parsed(path, cut, used, time_format) + pd.to_timedelta(late.astype("int64"), unit="D")


def _of_periods(path, text):
    """The first day of weeks, quarters and months; NaT of other text."""
    text = text.str.strip().str.upper()
    weeks, quarters, months = (text.str.extract(f"^{pattern}$") for pattern in (WEEK, QUARTER, MONTH))
    days = weeks[0] + "-" + weeks[1] + "-" + weeks[2].fillna("1").where(weeks[0].notna())
    times = pd.to_datetime(days, format="%G-%V-%u", errors="coerce", utc=True)
    if times.notna().any():
        week, monday = text[times.notna()].iloc[0], times[times.notna()].iloc[0].date()
        log.info("%s: %s is taken as a week of ISO 8601, from %s", path, cells.shown(week), monday)
    year = quarters[0].fillna(quarters[3]).fillna(quarters[5]).fillna(months[0])
    quarter = pd.to_numeric(quarters[1].fillna(quarters[2]).fillna(quarters[4]))
    month = (3 * quarter - 2).fillna(pd.to_numeric(months[1]))
    firsts = year + "-" + month.astype("Int64").astype("str")
    return times.fillna(pd.to_datetime(firsts.where(year.notna()), format="%Y-%m", errors="coerce", utc=True))


def _with_offsets(path, column, zone):
    """Text with the abbreviation of a zone at its end, or within it, as an offset."""
    words = column.str.extract(r"^.*(?<![A-Za-z])((?!AM|PM)[A-Z]{2,5}|Z)(?![A-Za-z])", expand=False)
    known = ZONES | _abbreviations(zone)
    bad = ~words.isin(list(known))
    if bad.any():
        word = words[bad].iloc[0]
        fault = f"{cells.shown(word)} is no zone that has one meaning" if pd.notna(word) else "there is no zone"
        raise InputError(
            f"{path}: {cells.place(column, bad)}: {cells.shown(column[bad].iloc[0])}: {fault}; {OFFSETS}, or set the "
            "time_zone where the abbreviation is that of its clocks"
        )
    result = column
    for word in words.unique():
        hours = known[word]
        offset = f"{'-' if hours < 0 else '+'}{int(abs(hours)):02d}{int(abs(hours) * 60 % 60):02d}"
        chosen = words == word
        result = result.mask(chosen, column.str.replace(rf"(?<![A-Za-z]){word}(?![A-Za-z])", offset, regex=True))
    return result


def _abbreviations(zone):
    """Those of a zone's clocks in winter and in summer, in hours from UTC."""
    try:
        moments = [pd.Timestamp(f"2020-{month}-01", tz=zone) for month in ("01", "07")]
    except (LookupError, ValueError, OSError):
        return {}
    return {moment.tzname(): moment.utcoffset().total_seconds() / 3600 for moment in moments}
