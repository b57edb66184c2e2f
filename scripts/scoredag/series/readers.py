"""Readers: a table of a user's own, as CSV or Parquet, to a wide series on a regular grid.

Wide: a data frame with a UTC time index and one float64 column a feature, NaN = missing. A table of
several series gives an index of two levels, series (text) and time, sorted; each series has a grid
of its own.
"""

import itertools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import cells, delimited, formats, queries
from scoredag.series import angles, calendar, grids, physionet, times

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]

FILE = "file"  # as `group` or `series`: each file is one
MAX_LOGGED = 10  # implausible values of a column that the log names one by one
WARN_FEATURES, MAX_FEATURES = 200, 1000
BYTES_A_VALUE = 100  # of memory at its peak, to read a series and write it as a tidy table; measured
UNNAMED = ("", "__index_level_0__")  # an index that was written without a name, as CSV and as Parquet
FAR = 10  # interquartile ranges from the quartiles, beyond which a value that recurs is told
MIN_VALUES = 20  # in a column, below which only usual codes are told
CODES = (-99, -99.9, -200, -999, -999.9, -9999, -99999, 999, 999.9, 9999, 9999.9, 99999, 1e20)  # usual for missing


class Options(NamedTuple):
    """How a table is read, by the keys of a dataset.

    Attributes:
        time: name of the time column, or of the columns that are the time together.
        time_format: how times in text are written, as `strptime` takes it; None is ISO 8601. Of numbers, their
            unit: s, ms, us or ns.
        start: the time from which numbers count; None is 1970-01-01 in UTC.
        time_zone: of times without an offset from UTC.
        ambiguous: which of the two an hour is that occurs twice as clocks go back, but is there once: summer, winter,
            or missing; None refuses it.
        label: whether a time is the start or the end of the interval that its values are of.
        missing: more texts that stand for a missing value.
        decimal: point or comma, by which text has its decimals.
        thousands: what separates groups of three digits in text.
        encoding: of CSV, as Python names it.
        skip: lines of CSV before the names of the columns.
        skip_last: lines of CSV after the last row.
        columns: names of the columns of CSV that has none.
        sheet: of an Excel file; None is the first.
        query: DuckDB's SQL, whose result is read instead of the files, which are its tables.
        duplicates: what becomes of rows with the same time: first, last or mean; None refuses them, unless they are
            equal in every cell.
        series: name of a column that tells several series apart, as of patients; `file` takes each file as one.
        features: columns to keep, in this order; None keeps all that are not named otherwise.
        interval: spacing of the grid, as pandas writes it, or `auto`; absent times become missing.
        resample: None, where all times lie on the grid that starts at the first one; or how all
            values from one time of the grid until before the next become one: mean, median, first
            or sum; or nearest, by which each row goes to the nearest time of the grid. The grid then goes through
            1970-01-01T00:00Z.
        plausible: {feature: (lowest, highest)} in physical units; values outside become missing.
        circular: {feature: period} of angles and the like; each becomes two features, {feature}_sin
            and {feature}_cos, before anything is averaged.
    """

    time: str | Sequence[str] = "time"
    time_format: str | None = None
    start: str | None = None
    time_zone: str = "UTC"
    ambiguous: str | None = None
    label: str = "start"
    missing: Sequence[str] = ()
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    skip: int = 0
    skip_last: int = 0
    columns: Sequence[str] | None = None
    sheet: str | None = None
    query: str | None = None
    duplicates: str | None = None
    series: str | None = None
    features: Sequence[str] | None = None
    interval: str = grids.AUTO
    resample: str | None = None
    plausible: Mapping[str, Sequence[float]] | None = None
    circular: Mapping[str, float] | None = None


def read_wide(paths: Paths, *, group: str | None = None, **options: Any) -> pd.DataFrame:
    """A wide series from a table with a time column and one column a feature.

    Args:
        paths: one file, or several that are read as one table, as `formats.read` takes them.
        group: name of a column that tells several places or devices apart: each of its
            values then has its own features, named {group}_{feature}; `file` takes each file as one.
        options: see `Options`.

    Raises:
        InputError: the file, a column or a value is not as described; with the first bad row.
    """
    chosen = Options(**options)
    plausible, circular, features = chosen.plausible or {}, chosen.circular or {}, chosen.features
    marks = {mark: column for mark, column in (("series", chosen.series), ("group", group)) if column}
    path, table, time = _table(paths, chosen, marks)
    delimited.require(path, table, [*marks.values(), *(features or ()), *plausible, *circular])
    kept = features or [name for name in table.columns if name not in (*time, *marks.values())]
    if not kept or table.empty:
        raise InputError(f"{path}: {len(table)} rows of {len(kept)} features; there is nothing to read")
    if "" in kept:
        raise InputError(f"{path}: column {list(table.columns).index('') + 1} has no name; name it, or set 'features'")
    table = _without_units(path, table, time, kept)
    table, keys = _keys(path, table, time, chosen, marks, kept)
    n_groups = keys["group"].nunique() if group else 1
    _check_feature_count(path, len(kept) * n_groups, len(table) // n_groups, named=features is not None)
    columns = table[kept]
    values = pd.DataFrame({name: _numbers(path, columns[name], chosen, columns) for name in kept})
    for name in values:
        if name in plausible:
            values[name] = _plausible(path, values[name], name, *plausible[name])
        _tell_sentinels(path, values[name], name)
    values = angles.split(values, circular)
    values, keys = _merged(path, values, keys, chosen)
    interval = grids.spacing(path, keys, chosen.interval, chosen.resample)
    grids.check(path, keys, " ".join(time), interval, chosen.resample)
    values.index = _index(keys)
    if group:
        parts = values.groupby(keys["group"].to_numpy())
        values = pd.concat([rows.add_prefix(f"{key}_") for key, rows in parts], axis=1, sort=True)
    return grids.place(path, values, interval, chosen.resample, chosen.label)


def read_tidy(paths: Paths, *, feature: str = "feature", value: str = "value", **options: Any) -> pd.DataFrame:
    """A wide series from a table with one row a time and feature.

    Args:
        paths: as in `read_wide`.
        feature, value: names of these columns.
        options: see `Options`; `features` None keeps all, by name.

    Raises:
        InputError: the file, a column or a value is not as described; with the first bad row.
    """
    chosen = Options(**options)
    plausible, circular, features = chosen.plausible or {}, chosen.circular or {}, chosen.features
    marks = {"feature": feature} | ({"series": chosen.series} if chosen.series else {})
    path, table, time = _table(paths, chosen, marks)
    delimited.require(path, table, [*marks.values(), value])
    if table.empty:
        raise InputError(f"{path}: 0 rows; there is nothing to read")
    table, keys = _keys(path, table, time, chosen, marks, [value])
    names = sorted(keys["feature"].unique())
    for name in [*(features or ()), *plausible, *circular]:
        if name not in names:
            raise InputError(f"{path}: column '{feature}' names no '{name}'; it names {', '.join(names)}")
    _check_feature_count(path, len(features or names), keys["time"].nunique(), named=features is not None)
    values = _numbers(path, table[value], chosen, table[[value]])
    for name in names:
        rows = keys["feature"] == name
        if name in plausible:
            values[rows] = _plausible(path, values[rows], name, *plausible[name])
        _tell_sentinels(path, values[rows], name)
    table, keys = _merged(path, values.to_frame("value"), keys, chosen)
    interval = grids.spacing(path, keys, chosen.interval, chosen.resample)
    grids.check(path, keys, " ".join(time), interval, chosen.resample)
    index = ["series", "time"] if chosen.series else "time"
    rows = keys.assign(value=table["value"])
    wide = rows.pivot(index=index, columns="feature", values="value").rename_axis(columns=None)
    wide = angles.split(wide[features or names], circular)
    return grids.place(path, wide, interval, chosen.resample, chosen.label)


class Reader(NamedTuple):
    """A way to read a dataset.

    Attributes:
        read: a function of the files, the dataset's settings and a seed that returns a wide series.
        refuses: keys of the dataset that it does not take.
    """

    read: Callable[[Sequence[PathLike], Mapping[str, Any], int], pd.DataFrame]
    refuses: frozenset[str] = frozenset()


def _options(settings):
    return {key: settings[key] for key in Options._fields}


def _simulated(settings, seed):
    from scoredag.series import simulated  # with SciPy's signals, half of what reading imports

    interval = grids.HOUR if settings["interval"] == grids.AUTO else settings["interval"]
    return simulated.simulate(seed=seed, interval=interval, **settings["simulation"])


READERS = {
    "csv": Reader(lambda paths, settings, _: read_wide(paths, group=settings["group"], **_options(settings))),
    "tidy": Reader(
        lambda paths, settings, _: read_tidy(paths, **settings["tidy"], **_options(settings)), frozenset({"group"})
    ),
    "physionet-2012": Reader(
        lambda paths, *_: physionet.read(paths[0]),
        frozenset(Options._fields) - {"time", "time_format", "start", "time_zone", "decimal", "encoding", "interval"}
        | {"covariates", "group", "round", "transform"},
    ),
    "simulated": Reader(lambda _, settings, seed: _simulated(settings, seed)),
}


def read(kind: str, paths: Sequence[PathLike], settings: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """The wide series of a dataset, by the reader `kind`, one of `READERS`, with the calendar's covariates.

    Args:
        kind: of the reader.
        paths: the files; none for a simulation.
        settings: of the dataset, as in the config.
        seed: of a simulation.
    """
    wide = READERS[kind].read(paths, settings, seed)
    return calendar.add(wide, settings["covariates"], settings["group"] is not None)


def _table(paths, options, marks):
    """What messages call the files; their table; and the names of the columns that are its time."""
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if options.query:
        path, table = "query", queries.read(paths, options.query)
    else:
        path, table = _of_files(paths, options, FILE in marks.values())
    time = [options.time] if isinstance(options.time, str) else list(options.time)
    first = table.columns[0]
    if time in (["time"], ["Unnamed: 0"]) and time[0] not in table.columns and first in UNNAMED:
        log.info("%s: the first column, which has no name, is taken as the time", path)
        time = [first]
    for name in time:
        if name not in table.columns:
            raise InputError(f"{path}: there is no time column '{name}'; {delimited.listed(table.columns)}")
    return path, table, time


def _of_files(paths, options, told_apart):
    """What messages call the files, and their rows as one table, with a column `FILE` where that tells them apart."""
    head = delimited.Layout(options.skip, options.skip_last, options.columns)
    missing = [*cells.MISSING, *options.missing]
    tables = {str(path): formats.read(path, missing, options.encoding, head, options.sheet) for path in paths}
    for path, table in tables.items():
        if told_apart and FILE not in table.columns:
            table[FILE] = pd.Series(delimited.stem(path), table.index, dtype="str")
    path, first = next(iter(tables.items()))
    if len(tables) == 1:
        return path, first
    columns = list(dict.fromkeys(itertools.chain(*(table.columns for table in tables.values()))))
    for other, table in tables.items():
        if absent := [name for name in columns if name not in table.columns]:
            log.info("%s: has no column %s, which others have", other, ", ".join(f"'{name}'" for name in absent))
    for name in columns:
        with_it = [table for table in tables.values() if name in table.columns]
        if len({pd.api.types.is_string_dtype(table[name]) for table in with_it}) > 1:  # as of Excel files
            for table in with_it:
                table[name] = table[name].astype("str")
    row = "line" if {table.index.name for table in tables.values()} == {"line"} else "row"
    return f"{path} and {len(tables) - 1} more", pd.concat(tables, names=["file", row])


def _without_units(path, table, time, kept):
    """The table without a first row of units: it has neither a time nor a number, and those below have."""
    text = [name for name in dict.fromkeys([*time, *kept]) if pd.api.types.is_string_dtype(table[name])]
    if len(table) < 2 or not set(time) <= set(text):
        return table
    first, second = (table[text].iloc[i].fillna("").astype("str").str.strip() for i in (0, 1))
    units = [cell for name, cell in first.items() if cell and name not in time]
    is_time = [any(letter.isdigit() for letter in "".join(row[time])) for row in (first, second)]
    if is_time != [False, True] or not units or any(cells.starts_as_number(cell) for cell in units):
        return table
    log.info("%s: %s is taken as units: %s", path, cells.row(table, table.index[0]), ", ".join(units))
    return table.iloc[1:]


def _keys(path, table, time, options, marks, kept):
    """`table` less rows that say nothing new, and what tells its rows apart: columns `marks`, as text, and time, UTC.

    `marks` holds names of columns by "series", "group" or "feature"; `kept` those of values.
    """
    keys = pd.DataFrame({mark: _names(path, table[column]) for mark, column in marks.items()}, table.index)
    column = times.joined(table, time) if len(time) > 1 else table[time[0]]
    time_format = options.time_format or (times.PARTS.get(len(time)) if _are_parts(table, time) else None)
    try:
        keys["time"] = times.parse(path, column, time_format, options.time_zone, options.start)
    except InputError as error:
        parts = _parts_among(table.columns)
        if not set(time) < set(parts):
            raise
        raise InputError(
            f"{error}; if these columns are the time together, write time: [{', '.join(parts)}]"
        ) from error
    if keys["time"].dt.tz is None:
        empty = table[kept].isna().all(axis=1)
        keys["time"] = times.localise(path, column, keys, options.time_zone, options.ambiguous, empty)
        dropped = keys["time"].isna()
        if dropped.any():
            log.info("%s: %d rows at times that clocks skip or have twice are left out", path, dropped.sum())
            table, keys = table[~dropped], keys[~dropped]
    keys["time"] = keys["time"].dt.tz_convert("UTC").dt.as_unit("us")
    return _without_repeats(path, table, keys, options)


def _are_parts(table, time):
    """Whether columns are numbers, as year, month and day."""
    return len(time) > 1 and all(
        pd.api.types.is_numeric_dtype(table[name])
        or (pd.api.types.is_string_dtype(table[name]) and table[name].str.strip().str.fullmatch(r"\d{1,4}(\.0)?").all())
        for name in time
    )


def _parts_among(columns):
    """The columns that seem to be year, month, day and so on by their names."""
    by_name = {name.lower(): name for name in columns}
    return [by_name[part] for part in itertools.takewhile(by_name.__contains__, times.PART_NAMES)]


def _without_repeats(path, table, keys, options):
    """Rows equal in every cell are one; of others with the same time the first or last, where that is asked for."""
    again = keys.duplicated(keep=False)
    if not again.any():
        return table, keys
    cells_too = pd.concat([keys[again], table[again]], axis=1)
    cells_too.columns = range(cells_too.shape[1])
    equal = again.copy()
    equal[again] = cells_too.duplicated().to_numpy()
    if equal.any():
        log.info("%s: %d rows are equal to another one in every cell; one of each counts", path, equal.sum())
    table, keys = table[~equal], keys[~equal]
    repeated = keys.duplicated(keep=options.duplicates if options.duplicates in ("first", "last") else "first")
    if options.duplicates in ("first", "last") and repeated.any():
        log.info("%s: %d rows have the time of another one: the %s counts", path, repeated.sum(), options.duplicates)
        table, keys = table[~repeated], keys[~repeated]
    return table, keys


def _merged(path, values, keys, options):
    """The means of rows with the same time, where they are asked for."""
    if options.duplicates != "mean" or not keys.duplicated().any():
        return values, keys
    log.info("%s: %d rows have the time of another one: their mean counts", path, keys.duplicated().sum())
    index = values.index[~keys.duplicated()]
    merged = values.groupby([keys[name] for name in keys], sort=False).mean()
    keys = merged.index.to_frame(index=False)
    keys.index = merged.index = index
    return merged, keys


def _numbers(path, column, options, features):
    """A column of values; of all columns `features` messages list the texts."""
    missing = [*cells.MISSING, *options.missing]
    values = cells.numbers(path, column, options.decimal, options.thousands, missing, features, options.time)
    if (
        options.decimal == ","
        and not options.thousands
        and pd.api.types.is_string_dtype(column)
        and cells.is_grouped(column)
    ):
        log.warning(
            "%s: every comma of '%s' stands before three digits, as one that separates thousands does; "
            "it is taken as a decimal comma: if it separates thousands, write thousands: ','", path, column.name,
        )  # fmt: skip
    return values


def _tell_sentinels(path, values, name):
    """Say where a value recurs far from all others, as one does that stands for a missing value."""
    present = values.to_numpy()[values.notna().to_numpy()]
    for extreme in (np.min, np.max):
        while len(present) > 3:
            value = extreme(present)
            rest = present[present != value]
            count = len(present) - len(rest)
            if count < 2 or len(rest) < (3 if value in CODES else MIN_VALUES):
                break
            low, high = np.quantile(rest, [0.25, 0.75])
            reach = FAR * (high - low) if high > low else 3 * np.ptp(rest)
            if not (value < low - reach or value > high + reach) or not (reach or value in CODES):
                break
            log.warning(
                "%s: %g occurs %d times in '%s', far from all else (%g to %g); if it stands for a missing value, "
                "write plausible: {%s: [%g, %g]}", path, value, count, name, *(rest.min(), rest.max()),
                name, *(rest.min(), rest.max()),
            )  # fmt: skip
            present = rest


def _names(path, column):
    """Text of a column that names something, without blanks around it."""
    names = column.astype("str")
    names = names.map({name: " ".join(name.split()) for name in names.dropna().unique()})
    times.refuse_empty(path, names.mask(names == ""))
    return names


def _index(keys):
    """The index of a wide frame."""
    if "series" in keys:
        return pd.MultiIndex.from_frame(keys[["series", "time"]])
    return pd.DatetimeIndex(keys["time"], name="time")


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


def _plausible(path, values, name, lowest, highest):
    """`values` without those outside the range, of which the log tells."""
    outside = (values < lowest) | (values > highest)
    bad = values[outside]
    for row, value in bad.iloc[:MAX_LOGGED].items():
        log.info(
            "%s: '%s', %s: %g is outside the plausible range %g to %g, taken as missing",
            path, name, cells.row(values, row), value, lowest, highest,
        )  # fmt: skip
    if len(bad) > MAX_LOGGED:
        log.info("%s: '%s': %d more values are outside the plausible range", path, name, len(bad) - MAX_LOGGED)
    return values.mask(outside)
