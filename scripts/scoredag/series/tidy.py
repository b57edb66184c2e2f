"""Readers: a file or a simulation to a wide series on a regular grid, and wide to tidy.

Wide: a data frame with a UTC time index and one float64 column a feature, NaN = missing. Several
series, of patients, say, stand one below the other: the index is then (series, time).
Tidy: one row a time and feature, with columns time, feature, value; of several series, by series
first, with their names in a column series.
"""

import logging

import numpy as np
import pandas as pd

from scoredag import csvfiles
from scoredag.errors import InputError

log = logging.getLogger(__name__)


def read_csv(path, *, time, group=None, features=None, interval="1h", plausible=None):
    """A wide series from a CSV file with a time column and one column a feature.

    Args:
        path: the file; empty cells and NA are missing.
        time: name of the time column; times without a zone are taken as UTC.
        group: name of a column that tells several places or devices apart: each of its
            values then has its own features, named {group}_{feature}.
        features: columns to keep, in this order; None keeps all but `time` and `group`.
        interval: spacing of the grid, as pandas writes it; absent times become missing.
        plausible: {feature: (lowest, highest)} in physical units; values outside become missing.

    Raises:
        InputError: the file, a column or a value is not as described; with the first bad row.
    """
    table = csvfiles.read(path)
    if time not in table.columns:
        raise InputError(f"{path}: there is no time column '{time}'; its columns are {', '.join(table.columns)}")
    csvfiles.require(path, table, [*filter(None, [group]), *(features or ()), *(plausible or ())])
    features = list(features or (name for name in table.columns if name not in (time, group)))
    if not features or table.empty:
        raise InputError(f"{path}: {len(table)} rows of {len(features)} features; there is nothing to read")
    values = pd.DataFrame({name: csvfiles.numbers(path, table[name]) for name in features})
    for name, (lowest, highest) in (plausible or {}).items():
        if name in values:
            values[name] = _plausible(path, values[name], lowest, highest)
    times = _times(path, table[time])
    if group is None:
        return on_grid(path, values.set_index(times), interval)
    _refuse_empty(path, table[group])
    parts = dict(list(values.set_index(times).groupby(table[group].to_numpy())))
    for rows in parts.values():
        _refuse_duplicates(path, rows.index)
    wide = pd.concat([rows.add_prefix(f"{key}_") for key, rows in parts.items()], axis=1, sort=True)
    return on_grid(path, wide, interval)


def on_grid(path, wide, interval):
    """`wide` on the full regular grid from its first to its last time."""
    _refuse_duplicates(path, wide.index)
    if len(wide) < 2:
        raise InputError(f"{path}: {len(wide)} row(s); a series needs at least two")
    grid = pd.date_range(wide.index.min(), wide.index.max(), freq=_offset(path, interval), name="time")
    usual = wide.index.sort_values().diff()[1:].median()
    if len(wide) > 10 and usual != grid[1] - grid[0]:  # a few rows have no usual distance
        raise InputError(f"{path}: most times are {usual} apart, but the interval is {interval}; set 'interval'")
    strays = wide.index.difference(grid)
    if len(strays):
        raise InputError(f"{path}: the time {strays[0]} is not on the grid of {interval} that starts at {grid[0]}")
    empty = wide.columns[wide.isna().all()]
    if len(empty):
        raise InputError(f"{path}: the feature '{empty[0]}' has no value at all; leave its column or its rows out")
    absent = len(grid) - len(wide)
    log.info("%s: %d times x %d features, %d times absent", path, len(grid), wide.shape[1], absent)
    wide = wide.reindex(grid)
    log.info("%s: %.2f %% of the values are missing", path, 100 * wide.isna().to_numpy().mean())
    return wide


def to_tidy(wide):
    """Columns time, feature, value; by time, then in the order of the features. Of several series: see above."""
    n_times, n_features = wide.shape
    names, lengths = series_of(wide)
    several = {}
    if names is not None:
        codes = np.repeat(np.arange(len(names)), lengths * n_features)
        several = {"series": pd.Categorical.from_codes(codes, categories=names)}
    return pd.DataFrame(
        several
        | {
            "time": np.repeat(wide.index.get_level_values(-1), n_features),
            "feature": pd.Categorical.from_codes(np.tile(np.arange(n_features), n_times), categories=wide.columns),
            "value": wide.to_numpy().ravel(),
        }
    )


def from_tidy(tidy):
    """The wide series that `to_tidy` was given."""
    features = list(tidy["feature"].cat.categories)
    rows = tidy.iloc[:: len(features)]
    index = pd.DatetimeIndex(rows["time"], name="time")
    if "series" in tidy:
        index = pd.MultiIndex.from_arrays([rows["series"].astype("str"), index], names=["series", "time"])
    return pd.DataFrame(tidy["value"].to_numpy().reshape(-1, len(features)), index, features)


def series_of(wide):
    """Names of the series in their order, and the length of each; (None, lengths) of an only one without a name."""
    if not isinstance(wide.index, pd.MultiIndex):
        return None, np.array([len(wide)])
    codes = wide.index.codes[0]
    firsts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return wide.index.levels[0][codes[firsts]], np.diff(np.r_[firsts, len(codes)])


def _offset(path, interval):
    try:
        offset = pd.tseries.frequencies.to_offset(interval)
    except ValueError as error:
        raise InputError(
            f"{path}: the interval '{interval}' is not a spacing of time; write 1h, 15min or 1D"
        ) from error
    if offset is None or offset.n < 1:
        raise InputError(f"{path}: the interval '{interval}' is not a positive spacing of time; write 1h, 15min or 1D")
    return offset


def _times(path, text):
    _refuse_empty(path, text)
    times = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    bad = times.isna()
    if bad.any():
        raise InputError(f"{path}: {csvfiles.place(text, bad)}: '{text[bad].iloc[0]}' is not a time (ISO 8601)")
    return pd.DatetimeIndex(times, name="time")


def _refuse_empty(path, text):
    if text.isna().any():
        raise InputError(f"{path}: {csvfiles.place(text, text.isna())}: the cell is empty")


def _refuse_duplicates(path, times):
    if times.has_duplicates:
        raise InputError(
            f"{path}: the time {times[times.duplicated()][0]} occurs twice; "
            "remove one, or name the column that tells the rows apart as 'group'"
        )


def _plausible(path, values, lowest, highest):
    """`values` without those outside the range, each of which the log tells of."""
    outside = (values < lowest) | (values > highest)
    for row, value in values[outside].items():
        log.info(
            "%s: column '%s', line %d: %g is outside the plausible range %g to %g, taken as missing",
            path, values.name, row + 2, value, lowest, highest,
        )  # fmt: skip
    return values.mask(outside)
