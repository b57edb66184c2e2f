"""Readers: a table of a user's own, as CSV or Parquet, to a wide series on a regular grid.

Wide: a data frame with a UTC time index and one float64 column a feature, NaN = missing. A table of
several series gives an index of two levels, series (text) and time, sorted; each series has a grid
of its own.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scoredag.errors import InputError
from scoredag.intake import delimited
from scoredag.series import angles, physionet, simulated

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]

MAX_LOGGED = 10  # implausible values of a column that the log names one by one
WARN_FEATURES, MAX_FEATURES = 200, 1000
BYTES_A_VALUE = 100  # of memory at its peak, to read a series and write it as a tidy table; measured
ZONED = r"[T ]\S*([Zz]|[+-]\d\d(:?\d\d)?)$"  # a time with its offset from UTC
TOTAL = "all"  # what scores of all features together are called
MAX_SPARSITY = 1000  # times of the grid for one in the file, at most; a wrong year would fill the memory
MAX_SENTINEL_LENGTH = 20  # letters, above which a cell is no text for a missing value
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")  # a number with a decimal comma
MIN_TIMES = 100  # times in a file, below which as many are taken
FIXED_CLOCK = "of a clock that is not moved write the offset, as time_zone: '+01:00'"
OFFSETS = "write times with their offset from UTC, as 2013-11-03T01:00-04:00"


class Options(NamedTuple):
    """How a table is read, by the keys of a dataset.

    Attributes:
        time: name of the time column.
        time_format: how times in text are written, as `strptime` takes it; None is ISO 8601.
        time_zone: of times without an offset from UTC.
        missing: more texts that stand for a missing value.
        decimal: point or comma, by which text has its decimals.
        encoding: of CSV, as Python names it.
        series: name of a column that tells several series apart, as of patients.
        features: columns to keep, in this order; None keeps all that are not named otherwise.
        interval: spacing of the grid, as pandas writes it; absent times become missing.
        resample: None, where all times lie on the grid that starts at the first one; or how all
            values from one time of the grid until before the next become one: mean, median, first
            or sum. The grid then goes through 1970-01-01T00:00Z.
        plausible: {feature: (lowest, highest)} in physical units; values outside become missing.
        circular: {feature: period} of angles and the like; each becomes two features, {feature}_sin
            and {feature}_cos, before anything is averaged.
    """

    time: str = "time"
    time_format: str | None = None
    time_zone: str = "UTC"
    missing: Sequence[str] = ()
    decimal: str = "."
    encoding: str = "utf-8"
    series: str | None = None
    features: Sequence[str] | None = None
    interval: str = "1h"
    resample: str | None = None
    plausible: Mapping[str, Sequence[float]] | None = None
    circular: Mapping[str, float] | None = None


def read_wide(path: PathLike, *, group: str | None = None, **options: Any) -> pd.DataFrame:
    """A wide series from a table with a time column and one column a feature.

    Args:
        path: .parquet, or CSV in which empty cells and NA are missing, as `delimited.read` takes it.
        group: name of a column that tells several places or devices apart: each of its
            values then has its own features, named {group}_{feature}.
        options: see `Options`.

    Raises:
        InputError: the file, a column or a value is not as described; with the first bad row.
    """
    (
        time, time_format, time_zone, missing, decimal, encoding,
        series, features, interval, resample, plausible, circular,
    ) = Options(**options)  # fmt: skip
    table = delimited.read(path, missing, encoding)
    plausible, circular = plausible or {}, circular or {}
    _require_time(path, table, time)
    marks = {mark: column for mark, column in (("series", series), ("group", group)) if column}
    delimited.require(path, table, [*marks.values(), *(features or ()), *plausible, *circular])
    kept = features or [name for name in table.columns if name not in (time, *marks.values())]
    if not kept or table.empty:
        raise InputError(f"{path}: {len(table)} rows of {len(kept)} features; there is nothing to read")
    if "" in kept:
        raise InputError(f"{path}: column {list(table.columns).index('') + 1} has no name; name it, or set 'features'")
    keys = _keys(path, table, time, time_format, time_zone, marks)
    n_groups = keys["group"].nunique() if group else 1
    _check_feature_count(path, len(kept) * n_groups, len(table) // n_groups, named=features is not None)
    values = pd.DataFrame({name: delimited.numbers(path, table[name], decimal, _cure) for name in kept})
    for name, (lowest, highest) in plausible.items():
        if name in values:
            values[name] = _plausible(path, values[name], name, lowest, highest)
    _check(path, keys, time, interval, resample)
    values = angles.split(values, circular)
    values.index = _index(keys)
    if group:
        parts = values.groupby(keys["group"].to_numpy())
        values = pd.concat([rows.add_prefix(f"{key}_") for key, rows in parts], axis=1, sort=True)
    return _on_grid(path, values, interval, resample)


def read_tidy(path: PathLike, *, feature: str = "feature", value: str = "value", **options: Any) -> pd.DataFrame:
    """A wide series from a table with one row a time and feature.

    Args:
        path: as in `read_wide`.
        feature, value: names of these columns.
        options: see `Options`; `features` None keeps all, by name.

    Raises:
        InputError: the file, a column or a value is not as described; with the first bad row.
    """
    (
        time, time_format, time_zone, missing, decimal, encoding,
        series, features, interval, resample, plausible, circular,
    ) = Options(**options)  # fmt: skip
    table = delimited.read(path, missing, encoding)
    plausible, circular = plausible or {}, circular or {}
    _require_time(path, table, time)
    marks = {"feature": feature} | ({"series": series} if series else {})
    delimited.require(path, table, [*marks.values(), value])
    if table.empty:
        raise InputError(f"{path}: 0 rows; there is nothing to read")
    keys = _keys(path, table, time, time_format, time_zone, marks)
    there = sorted(keys["feature"].unique())
    for name in [*(features or ()), *plausible, *circular]:
        if name not in there:
            raise InputError(f"{path}: column '{feature}' names no '{name}'; it names {', '.join(there)}")
    _check_feature_count(path, len(features or there), keys["time"].nunique(), named=features is not None)
    values = delimited.numbers(path, table[value], decimal, _cure)
    for name, (lowest, highest) in plausible.items():
        chosen = keys["feature"] == name
        values[chosen] = _plausible(path, values[chosen], name, lowest, highest)
    _check(path, keys, time, interval, resample)
    index = ["series", "time"] if series else "time"
    wide = keys.assign(value=values).pivot(index=index, columns="feature", values="value").rename_axis(columns=None)
    return _on_grid(path, angles.split(wide[features or there], circular), interval, resample)


class Reader(NamedTuple):
    """A way to read a dataset.

    Attributes:
        read: a function of the file, the dataset's settings and a seed that returns a wide series.
        refuses: keys of the dataset that it does not take.
    """

    read: Callable[[PathLike | None, Mapping[str, Any], int], pd.DataFrame]
    refuses: frozenset[str] = frozenset()


def _options(settings):
    return {key: settings[key] for key in Options._fields}


READERS = {
    "csv": Reader(lambda path, settings, _: read_wide(path or "", group=settings["group"], **_options(settings))),
    "tidy": Reader(
        lambda path, settings, _: read_tidy(path or "", **settings["tidy"], **_options(settings)), frozenset({"group"})
    ),
    "physionet-2012": Reader(
        lambda path, *_: physionet.read(path or ""),
        frozenset({"missing", "group", "series", "features", "resample", "plausible", "circular"}),
    ),
    "simulated": Reader(
        lambda _, settings, seed: simulated.simulate(seed=seed, interval=settings["interval"], **settings["simulation"])
    ),
}


def read(kind: str, path: PathLike | None, settings: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """The wide series of a dataset, by the reader `kind`, one of `READERS`.

    Args:
        kind: of the reader.
        path: the file; None for a simulation.
        settings: of the dataset, as in the config.
        seed: of a simulation.
    """
    return READERS[kind].read(path, settings, seed)


def _require_time(path, table, time):
    if time not in table.columns:
        raise InputError(f"{path}: there is no time column '{time}'; {delimited.listed(table.columns)}")


def _keys(path, table, time, time_format, time_zone, marks):
    """What tells the rows of `table` apart: columns `marks`, as text, and time, UTC; index as there.

    `marks` holds names of columns by "series", "group" or "feature".
    """
    keys = pd.DataFrame({mark: _names(path, table[column]) for mark, column in marks.items()}, table.index)
    keys["time"] = _times(path, table[time], time_format)
    if keys["time"].dt.tz is None:
        keys["time"] = _localise(path, table[time], keys, time_zone)
    keys["time"] = keys["time"].dt.tz_convert("UTC").dt.as_unit("us")
    return keys


def _names(path, column):
    """Text of a column that names something, without blanks around it."""
    names = column.astype("str")
    names = names.map({name: " ".join(name.split()) for name in names.dropna().unique()})
    _refuse_empty(path, names.mask(names == ""))
    return names


def _index(keys):
    """The index of a wide frame."""
    if "series" in keys:
        return pd.MultiIndex.from_frame(keys[["series", "time"]])
    return pd.DatetimeIndex(keys["time"], name="time")


def _times(path, column, time_format):
    """Times of a column; naive where they have no offset from UTC."""
    _refuse_empty(path, column)
    if pd.api.types.is_datetime64_any_dtype(column):
        bad = ~column.dt.year.between(1, 9999)
        if bad.any():
            raise InputError(f"{path}: {delimited.place(column, bad)}: the time is not in the years 1 to 9999")
        return column
    if not pd.api.types.is_string_dtype(column):
        fault = f"column '{column.name}' holds {delimited.kind(column)}, not times"
        raise InputError(f"{path}: {fault}; write timestamps, or text as 2020-01-31T13:00")
    try:
        times = pd.to_datetime(column, errors="coerce", utc=True, format=time_format or "ISO8601")
    except ValueError as error:
        raise InputError(f"{path}: the time_format '{time_format}' will not do: {error}") from error
    bad = times.isna()
    if bad.any():
        wanted = time_format or "ISO 8601, as 2020-01-31T13:00; for others write a time_format, as '%d.%m.%Y %H:%M'"
        fault = f"{delimited.shown(column[bad].iloc[0])} is not a time ({wanted})"
        raise InputError(f"{path}: {delimited.place(column, bad)}: {fault}")
    if time_format:
        return times if "%z" in time_format else times.dt.tz_localize(None)
    zoned = pc.match_substring_regex(pa.array(column), ZONED).to_numpy(zero_copy_only=False)
    if zoned.all():
        return times
    odd = pd.Series(zoned != zoned[0], column.index)
    if odd.any():
        has, before = ("no offset", "one") if zoned[0] else ("an offset", "none")
        fault = f"'{column[odd].iloc[0]}' has {has} from UTC, '{column.iloc[0]}' before it has {before}"
        raise InputError(f"{path}: {delimited.place(column, odd)}: {fault}; write all alike")
    return times.dt.tz_localize(None)


def _localise(path, column, keys, zone):
    """Naive times as times of a zone. The two of an hour that occurs twice, as clocks go back, are told by their order.

    `column` is what messages quote.
    """
    naive = keys["time"]
    try:
        twice = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    except (LookupError, ValueError, OSError) as error:  # zoneinfo's own error is a KeyError
        raise InputError(f"{path}: the time_zone '{zone}' is unknown; write one as Europe/Berlin") from error
    among = keys[twice]
    once = ~among.duplicated(keep=False)
    if once.any():
        fault = f"'{column[twice][once].iloc[0]}' occurs twice in {zone}, as clocks go back, but only once here"
        raise InputError(f"{path}: {delimited.place(column[twice], once)}: {fault}; {FIXED_CLOCK}, or {OFFSETS}")
    summer = np.zeros(len(naive), bool)
    summer[twice] = ~among.duplicated()
    times = naive.dt.tz_localize(zone, ambiguous=summer, nonexistent="NaT")
    bad = times.isna()
    if bad.any():
        fault = f"'{column[bad].iloc[0]}' does not occur in {zone}, as clocks go forward; {FIXED_CLOCK}, or {OFFSETS}"
        raise InputError(f"{path}: {delimited.place(column, bad)}: {fault}")
    return times


def _refuse_empty(path, column):
    if column.isna().any():
        raise InputError(f"{path}: {delimited.place(column, column.isna())}: the cell is empty")


def _check(path, keys, time, interval, resample):
    """Refuse times that are there twice or, unless they are resampled, off the grid; say if they are not in order.

    `time` is the name of their column.
    """
    again = keys.duplicated()
    if again.any():
        key = keys.loc[again.idxmax()]
        of = "".join(f" of '{key[mark]}'" for mark in ("feature", "group", "series") if mark in keys)
        others = [f"'{mark}'" for mark in ("group", "series") if mark not in keys]
        cure = f", or name the column that tells the rows apart as {' or '.join(others)}" if others else ""
        place = delimited.place(keys["time"].rename(time), again)
        raise InputError(f"{path}: {place}: the time {key['time']}{of} occurs twice; remove one{cure}")
    marks = [mark for mark in keys if mark != "time"]
    times = keys.groupby(marks, sort=False)["time"] if marks else keys["time"]
    early = times.diff() < pd.Timedelta(0)
    if early.any():
        log.info("%s: %s %d is earlier than the one before; sorted by time", path, keys.index.name, early.idxmax())
    offset = _offset(path, interval)
    for name, times in keys.groupby("series")["time"] if "series" in keys else [(None, keys["time"])]:
        of = "" if name is None else f" of '{name}'"
        times = times.rename(time)
        _refuse_far(path, times, interval, offset, of)
        if not resample:
            _refuse_strays(path, times, interval, offset, of)


def _refuse_far(path, times, interval, offset, of):
    """Refuse times of a series that make a huge grid of a few, as a wrong year does; name that after the widest gap."""
    once = times.drop_duplicates().sort_values()
    first, last = once.iloc[0], once.iloc[-1]
    n_times = (last - first) / (first + offset - first) + 1
    if n_times > MAX_SPARSITY * max(len(once), MIN_TIMES):
        gaps = once.diff()
        widest = gaps == gaps.max()
        fault = f"the time {once[widest].iloc[0]}{of} is {gaps.max()} after the one before"
        grid = f"the grid of {interval} from {first} to {last} would have {n_times:.2g} times for {len(once)}"
        raise InputError(f"{path}: {delimited.place(once, widest)}: {fault}; {grid}; mend the time, or set 'interval'")


def _refuse_strays(path, times, interval, offset, of):
    """Refuse times of one series that are off the grid."""
    grid = pd.date_range(times.min(), times.max(), freq=offset)
    distances = times.drop_duplicates().sort_values().diff()[1:]
    usual = distances.median()
    step = times.min() + offset - times.min()
    fixed = isinstance(offset, pd.tseries.offsets.Tick)  # as no month is
    if fixed and len(distances) >= 10 and usual != step:  # a few rows have no usual distance
        fault = f"most times{of} are {usual} apart, but the interval is {interval}"
        raise InputError(f"{path}: {fault}; set 'interval', or 'resample' to bring them to it")
    stray = ~times.isin(grid)
    if stray.any():
        fault = f"the time {times[stray].iloc[0]}{of} is not on the grid of {interval} that starts at {times.min()}"
        raise InputError(f"{path}: {delimited.place(times, stray)}: {fault}; set 'resample' to bring all times to it")


def _check_feature_count(path, n_features, n_times, named):
    """Say what very many features cost; refuse them unless they were named one by one."""
    if n_features <= WARN_FEATURES:
        return
    memory = f"{n_features * n_times * BYTES_A_VALUE / 1e9:.2g} GB of memory"
    # by the products in CSDI's network, with 64 channels and 24 steps
    ratio = n_features * (207_000 + 256 * n_features) / (18 * (207_000 + 256 * 18))
    cost = f"{n_features} features take about {memory} to read, and CSDI {ratio:.0f} times as long as 18 features"
    if n_features > MAX_FEATURES and not named:
        raise InputError(f"{path}: {cost}; name those that you need in 'features'")
    log.info("%s: %s", path, cost)


def _cure(cell):
    """What to write in the config for a cell that is no number."""
    if not isinstance(cell, str) or len(cell) > MAX_SENTINEL_LENGTH:
        return ""
    if DECIMAL_COMMA.fullmatch(cell):
        return "; if it has a decimal comma, write decimal: ','"
    return f"; if it stands for a missing value, write missing: [{json.dumps(cell, ensure_ascii=False)}]"


def _plausible(path, values, name, lowest, highest):
    """`values` without those outside the range, of which the log tells."""
    outside = (values < lowest) | (values > highest)
    bad = values[outside]
    for row, value in bad.iloc[:MAX_LOGGED].items():
        log.info(
            "%s: '%s', %s %d: %g is outside the plausible range %g to %g, taken as missing",
            path, name, values.index.name, row, value, lowest, highest,
        )  # fmt: skip
    if len(bad) > MAX_LOGGED:
        log.info("%s: '%s': %d more values are outside the plausible range", path, name, len(bad) - MAX_LOGGED)
    return values.mask(outside)


def _on_grid(path, wide, interval, resample):
    """`wide`, with times in any order, on the full grid from its first to its last time, each series on its own."""
    offset = _offset(path, interval)
    if len(wide) < 2:
        raise InputError(f"{path}: {len(wide)} row{'s' * (len(wide) != 1)}; a series needs at least two")
    if wide.columns.has_duplicates:
        name = wide.columns[wide.columns.duplicated()][0]
        raise InputError(f"{path}: two features would be called '{name}'; rename a column, or leave it out")
    if TOTAL in wide.columns:
        raise InputError(f"{path}: a feature is called '{TOTAL}', as all of them together are in the scores; rename it")
    wide = wide.sort_index()
    if resample:
        levels = [pd.Grouper(level=name) for name in wide.index.names[:-1]]
        origin = "epoch" if isinstance(offset, pd.tseries.offsets.Tick) else "start_day"  # months have their own
        grouper = pd.Grouper(level="time", freq=offset, origin=origin, closed="left", label="left")
        bins = wide.groupby([*levels, grouper])
        wide = bins.sum(min_count=1) if resample == "sum" else bins.agg(resample)
    if wide.index.nlevels == 1:
        regular = _regular(wide, offset)
    else:
        parts = {name: _regular(rows.droplevel(0), offset) for name, rows in wide.groupby(level=0)}
        regular = pd.concat(parts, names=["series"])
        log.info("%s: %d series", path, len(parts))
    empty = regular.columns[regular.isna().all()]
    if len(empty):
        raise InputError(f"{path}: the feature '{empty[0]}' has no value at all; leave its column or its rows out")
    absent = len(regular) - len(wide)
    log.info("%s: %d times x %d features, %d times absent", path, *regular.shape, absent)
    log.info("%s: %.2f %% of the values are missing", path, 100 * regular.isna().to_numpy().mean())
    return regular


def _regular(wide, offset):
    """One series with all times of its grid."""
    return wide.reindex(pd.date_range(wide.index[0], wide.index[-1], freq=offset, name="time"))


def _offset(path, interval):
    try:
        offset = pd.tseries.frequencies.to_offset(interval)
    except ValueError as error:
        raise InputError(
            f"{path}: the interval '{interval}' is not a spacing of time; write 1h, 15min or 1D"
        ) from error
    if offset is None or offset.n < 1:
        raise InputError(f"{path}: the interval '{interval}' is not a positive spacing of time; write 1h, 15min or 1D")
    # times are in UTC, where a day has 24 hours
    return pd.offsets.Hour(24 * offset.n) if isinstance(offset, pd.offsets.Day) else offset
