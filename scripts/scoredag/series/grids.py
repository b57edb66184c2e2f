"""Series on a regular grid of times: what does not fit is refused, resampled, or told."""

import calendar
import logging
import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from scoredag.errors import InputError
from scoredag.intake import cells

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]

TOTAL = "all"  # what scores of all features together are called
KEYS = ("time", "series")  # names that tables have already
MAX_SPARSITY = 1000  # times of the grid for one in the file, at most; a wrong year would fill the memory
MIN_TIMES = 100  # times in a file, below which as many are taken
MIN_DAYS = 20  # rows, below which nothing is said about absent days of the week
NEAR = 0.1  # of the interval: a stamp this far from the grid is a little early or late
COMPLETE = 0.9  # of the values of an interval have to be there for a sum
HOUR = "1h"
DAY, WEEKS = pd.Timedelta("1D"), pd.Timedelta("21D")  # so long without a Saturday or Sunday has none
# distances that times are taken for which are a little early or late
EVEN = (
    "1s",
    "10s",
    "30s",
    "1min",
    "5min",
    "10min",
    "15min",
    "20min",
    "30min",
    HOUR,
    "2h",
    "3h",
    "6h",
    "12h",
    "1D",
    "7D",
)
MOST_ABSENT = 3  # times of the grid for one in the file, where distances of times suggest it
AUTO = "auto"  # the interval is that of the times
CALENDAR = ("MS", "ME", "QS", "QE", "YS", "YE", "B", "7D")  # intervals of other lengths, from short to long, and weeks
USUAL = 0.4  # of the distances of times are alike, where they have a usual one


def offset_of(path: PathLike, interval: str) -> pd.DateOffset:
    """The spacing of a grid by pandas' name. Times are in UTC, where a day has 24 hours."""
    cure = (
        "write 1h, 15min, 1D or 7D; MS, QS or YS for times on the first of a month, a quarter or a year; "
        "ME, QE or YE for the last; B for business days"
    )
    try:
        offset = to_offset(interval)
    except ValueError as error:
        raise InputError(f"{path}: the interval '{interval}' is not a spacing of time; {cure}") from error
    if offset is None or offset.n < 1:
        raise InputError(f"{path}: the interval '{interval}' is not a positive spacing of time; {cure}")
    return pd.offsets.Hour(24 * offset.n) if isinstance(offset, pd.offsets.Day) else offset


def spacing(path: PathLike, keys: pd.DataFrame, interval: str, resample: str | None) -> str:
    """The interval of a grid; `AUTO` is the distance of times, or months and the like; an hour where it is resampled.

    Args:
        path: for messages.
        keys: what tells rows apart: `time`, and `series`, where there are several.
        interval: as the config has it.
        resample: how times off the grid are brought to it, or None.
    """
    if interval != AUTO:
        return interval
    parts = [times for _, times in keys.groupby("series")["time"]] if "series" in keys else [keys["time"]]
    once = [times.drop_duplicates().sort_values() for times in parts]
    distances = pd.concat([times.diff()[1:] for times in once])
    if resample or distances.empty:
        return HOUR
    name = next(_fitting(once, distances), HOUR)  # an hour that does not fit is refused with what would
    if name != HOUR:
        log.info("%s: the times are %s apart (interval: auto)", path, name)
    return name


def _fitting(once, distances) -> Iterator[str]:
    """Names of intervals that suit times `once` of each series, best first."""
    usual = distances.mode().min()
    regular = [usual] if (distances == usual).mean() > 0.5 else []
    if regular == [DAY] and all(times.iloc[-1] - times.iloc[0] > WEEKS and _fits(times, "B") for times in once):
        yield "B"
    for span in [*regular, _divisor(distances)]:
        n_times = sum((times.iloc[-1] - times.iloc[0]) / span + 1 for times in once)
        if not (distances % span).any() and n_times <= MOST_ABSENT * sum(map(len, once)):
            yield _named(span)
    yield from (name for name in CALENDAR if all(_fits(times, name) for times in once))
    for span in regular:
        yield next((name for name in EVEN if abs(pd.Timedelta(name) / span - 1) <= NEAR), _named(span))


def _named(span):
    """A span as pandas writes an interval, with its number."""
    days = span / pd.Timedelta("1D")
    name = f"{days:.0f}D" if days >= 1 and days % 1 == 0 else to_offset(span).freqstr
    return name if name[0].isdigit() else f"1{name}"


def check(path: PathLike, keys: pd.DataFrame, time: str, interval: str, resample: str | None) -> None:
    """Refuse times that are there twice or, unless they are resampled, off the grid; say if they are not in order.

    Args:
        path: for messages.
        keys: what tells rows apart: `time`, and `series`, `group` or `feature`.
        time: name of the column of times in the file.
        interval: of the grid.
        resample: how times off the grid are brought to it, or None.
    """
    again = keys.duplicated()
    if again.any():
        _refuse_again(path, keys, time, again)
    marks = [mark for mark in keys if mark != "time"]
    times = keys.groupby(marks, sort=False)["time"] if marks else keys["time"]
    early = times.diff() < pd.Timedelta(0)
    if early.any():
        log.info("%s: %s is earlier than the one before; sorted by time", path, cells.row(keys, early.idxmax()))
    offset = offset_of(path, interval)
    for name, times in keys.groupby("series")["time"] if "series" in keys else [(None, keys["time"])]:
        of = "" if name is None else f" of '{name}'"
        times = times.rename(time)
        _refuse_far(path, times, interval, offset, of)
        if not resample:
            _refuse_strays(path, times, interval, offset, of)


def place(
    path: PathLike, wide: pd.DataFrame, interval: str, resample: str | None, label: str = "start"
) -> pd.DataFrame:
    """`wide`, with times in any order, on the full grid from its first to its last time, each series on its own.

    Args:
        path: for messages.
        wide: with an index of times, or of series and times.
        interval: of the grid.
        resample: see `readers.Options`.
        label: what a time is of its interval, start or end.

    Raises:
        InputError: fewer than two rows, a feature without value, or a name that cannot be.
    """
    offset = offset_of(path, interval)
    if len(wide) < 2:
        raise InputError(f"{path}: {len(wide)} row{'s' * (len(wide) != 1)}; a series needs at least two")
    if wide.columns.has_duplicates:
        name = wide.columns[wide.columns.duplicated()][0]
        raise InputError(f"{path}: two features would be called '{name}'; rename a column, or leave it out")
    for name in KEYS:
        if name in wide.columns:
            raise InputError(
                f"{path}: a feature is called '{name}', as a column of every table is; rename or leave it out"
            )
    if TOTAL in wide.columns:
        raise InputError(f"{path}: a feature is called '{TOTAL}', as all of them together are in the scores; rename it")
    wide = wide.sort_index()
    if resample:
        wide = _resampled(path, wide, offset, resample, label)
    elif label == "end":
        wide = wide.set_axis(_moved(wide.index, -offset))
    if wide.index.nlevels == 1:
        regular = _regular(wide, offset)
    else:
        parts = {name: _regular(rows.droplevel(0), offset) for name, rows in wide.groupby(level=0)}
        regular = pd.concat(parts, names=["series"])
        log.info("%s: %d series", path, len(parts))
    empty = regular.columns[regular.isna().all()]
    if len(empty):
        names = ", ".join(f"'{name}'" for name in empty)
        what, whose = (
            (f"the feature {names} has", "its") if len(empty) == 1 else (f"the features {names} have", "their")
        )
        raise InputError(f"{path}: {what} no value at all; leave {whose} column or {whose} rows out")
    absent = len(regular) - len(wide)
    log.info("%s: %d times x %d features, %d times absent", path, *regular.shape, absent)
    log.info("%s: %.2f %% of the values are missing", path, 100 * regular.isna().to_numpy().mean())
    _tell_absent_weekdays(path, wide, offset)
    return regular


def _refuse_again(path, keys, time, again):
    key = keys.loc[again.idxmax()]
    of = "".join(f" of '{key[mark]}'" for mark in ("feature", "group", "series") if mark in keys)
    others = [f"'{mark}'" for mark in ("group", "series") if mark not in keys]
    cure = f", or name the column that tells the rows apart as {' or '.join(others)}" if others else ""
    count = f", as {again.sum() - 1} more do" if again.sum() > 1 else ""
    cure += "; if each file is of one station, write group: file" if keys.index.nlevels > 1 and others else ""
    more = "; or say which row counts, as duplicates: first (or last, or mean)"
    twice = keys.loc[again, "time"]
    if ((twice.dt.day_of_week == 6) & (twice.dt.hour < 4)).all():
        more = f"; if local clocks went back then, write time_zone, as Europe/Berlin{more}"
    where = cells.place(keys["time"].rename(time), again)
    raise InputError(f"{path}: {where}: the time {key['time']}{of} occurs twice{count}; remove one{cure}{more}")


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
        raise InputError(f"{path}: {cells.place(once, widest)}: {fault}; {grid}; mend the time, or set 'interval'")


def _refuse_strays(path, times, interval, offset, of):
    """Refuse times of one series that are off the grid, or all on a coarser one."""
    once = times.drop_duplicates().sort_values()
    distances = once.diff()[1:]
    usual = distances.median()
    step = times.min() + offset - times.min()
    fixed = isinstance(offset, pd.tseries.offsets.Tick)  # as no month is
    stray = ~times.isin(pd.date_range(times.min(), times.max(), freq=offset))
    # a few rows have no usual distance
    if fixed and len(distances) >= 10 and usual != step and (stray.any() or _divisor(distances) > step):
        fault = f"most times{of} are {usual} apart, but the interval is {interval}"
        raise InputError(f"{path}: {fault}; set 'interval', or 'resample' to bring them to it")
    if stray.any():
        fault = f"the time {times[stray].iloc[0]}{of} is not on the grid of {interval} that starts at {times.min()}"
        cure = "set 'resample' to bring all times to it"
        if fixed and (abs(_from_grid(once, step)) <= NEAR).all():
            cure += "; nearest suits, as all are within a tenth of the interval"
        elif not fixed:
            better = next((name for name in CALENDAR if _fits(once, name)), None)
            cure = f"write interval: {better}" if better and better != interval else cure
        raise InputError(f"{path}: {cells.place(times, stray)}: {fault}; {cure}")


def _divisor(distances):
    """The greatest span of which all distances are multiples."""
    return pd.Timedelta(int(np.gcd.reduce(distances.astype("timedelta64[us]").astype("int64"))), "us")


def _fits(once, interval):
    grid = pd.date_range(once.iloc[0], once.iloc[-1], freq=interval)
    return len(grid) <= 2 * len(once) and once.isin(grid).all()


def _from_grid(times, step):
    """How far times are from the grid through 1970, in intervals: below 0 for early ones."""
    share = (
        times.dt.tz_localize(None).astype("datetime64[us]").astype("int64") / (step // pd.Timedelta("1us"))
    ).to_numpy()
    return share - np.round(share)


def _resampled(path, wide, offset, resample, label):
    levels = [pd.Grouper(level=name) for name in wide.index.names[:-1]]
    fixed = isinstance(offset, pd.tseries.offsets.Tick)
    if resample == "nearest":
        return _nearest(path, wide, offset)
    origin = "epoch" if fixed else "start_day"  # months have their own
    closed = "right" if label == "end" else "left"
    grouper = pd.Grouper(level="time", freq=offset, origin=origin, closed=closed, label="left")
    bins = wide.groupby([*levels, grouper])
    if fixed and label == "start":
        _tell_early(path, wide, offset)
    if resample == "sum":
        return _sums(path, wide, bins, offset)
    return bins.agg(resample)


def _nearest(path, wide, offset):
    """Each row at the nearest time of the grid; of several the one that is nearest."""
    if not isinstance(offset, pd.tseries.offsets.Tick):
        raise InputError(f"{path}: resample: nearest needs an interval of one length, as 1h, not months; write first")
    times = wide.index.get_level_values("time")
    distance = abs(_from_grid(times.to_series(), pd.Timedelta(offset)))
    nearest = pd.Series(times).dt.round(pd.Timedelta(offset)).to_numpy()
    levels = [wide.index.get_level_values(name) for name in wide.index.names[:-1]]
    index = pd.MultiIndex.from_arrays([*levels, pd.DatetimeIndex(nearest, tz="UTC")], names=wide.index.names)
    moved = wide.set_axis(index if levels else index.get_level_values(0)).iloc[np.argsort(distance, kind="stable")]
    once = moved[~moved.index.duplicated()].sort_index()
    left_out = len(wide) - len(once)
    log.info("%s: times are moved to the grid by up to %s", path, pd.Timedelta(offset) * float(distance.max()))
    if left_out:
        log.info("%s: %d rows are left out, as another one is nearer to the same time of the grid", path, left_out)
    return once


def _tell_early(path, wide, offset):
    """Say how many times lie a little before one of the grid, and so count to the interval before."""
    times = wide.index.get_level_values("time").to_series()
    shares = _from_grid(times, pd.Timedelta(offset))
    early = ((shares < 0) & (shares >= -NEAR)).sum()
    spacing = times.drop_duplicates().diff().median()
    if early and spacing > pd.Timedelta(offset) / 2:
        log.warning(
            "%s: %d of %d times lie shortly before one of the grid, and count to the interval before; "
            "if they are a little early, write resample: nearest", path, early, len(times),
        )  # fmt: skip


def _sums(path, wide, bins, offset):
    """Sums of intervals; missing where more than a tenth of the usual number of values is."""
    totals = bins.sum(min_count=1)
    times = wide.index.get_level_values("time")
    distances = pd.Series(times.unique().sort_values()).diff()[1:]
    usual, step = distances.mode().min(), times.min() + offset - times.min()
    on_grid = ((times - times.min()) % usual == pd.Timedelta(0)).mean() > COMPLETE
    regular = step > usual and on_grid and (distances == usual).mean() > USUAL
    if not regular:
        log.info("%s: its times have no usual distance: each sum is of the values that are there", path)
        return totals
    partial = (bins.count() < COMPLETE * (step / usual)) & totals.notna()
    if partial.to_numpy().any():
        log.warning(
            "%s: %d of %d sums are missing, as more than a tenth of the values of their interval is",
            path, partial.to_numpy().sum(), totals.notna().to_numpy().sum(),
        )  # fmt: skip
    return totals.mask(partial)


def _moved(index, offset):
    """An index with its times moved by an offset."""
    times = pd.DatetimeIndex(index.get_level_values("time")) + offset
    if index.nlevels == 1:
        return times.rename("time")
    return pd.MultiIndex.from_arrays([index.get_level_values(0), times], names=index.names)


def _regular(wide, offset):
    """One series with all times of its grid."""
    return wide.reindex(pd.date_range(wide.index[0], wide.index[-1], freq=offset, name="time"))


def _tell_absent_weekdays(path, wide, offset):
    """Say where a daily series of several weeks has no value on some days of the week."""
    fixed = isinstance(offset, pd.tseries.offsets.Tick)
    if not fixed or pd.Timedelta(offset) > pd.Timedelta("1D") or len(wide) < MIN_DAYS or wide.index.nlevels > 1:
        return
    times = wide.index[wide.notna().to_numpy().any(axis=1)]
    counts = np.bincount(times.day_of_week, minlength=7)
    days = [f"{day}s" for day, count in zip(calendar.day_name, counts, strict=True) if not count]
    if days and times[-1] - times[0] > WEEKS:
        cure = "; interval: B leaves Saturdays and Sundays out" if days == ["Saturdays", "Sundays"] else ""
        log.warning("%s: no value is on %s, which are all to be imputed%s", path, " and ".join(days), cure)
