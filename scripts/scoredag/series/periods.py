"""Sums, means, least and greatest values of a series by day, week, month or year, in UTC."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.series import tidy

PERIODS = {"day": ("D", 1), "week": ("W", 7), "month": ("M", 28), "year": ("Y", 365)}  # as pandas has it, least days
AUTO = "auto"
LEAST = 12  # steps of a period that `AUTO` takes
STATISTICS = ("sum", "mean", "min", "max")


class Groups(NamedTuple):
    """P periods of one or several series: where each begins among the steps (P,), how many steps it has, its start."""

    firsts: np.ndarray
    counts: np.ndarray
    starts: pd.DatetimeIndex


def groups(wide: pd.DataFrame, period: str) -> tuple[str, Groups]:
    """The period that is taken, and where the periods of the series begin; a week begins on Monday.

    Args:
        wide: (T, K), see `tidy`.
        period: one of `PERIODS`; `AUTO` takes the shortest in which `LEAST` steps fit, and which fits into the series.

    Raises:
        InputError: the period is longer than the series, or there is none to take.
    """
    days = _days(wide)
    if period != AUTO and days < PERIODS[period][1]:
        raise InputError(f"'{period}' is longer than the series, which has {days:g} days; write a shorter one")
    for name, (_, least) in PERIODS.items():
        if name == period or (period == AUTO and days >= least):
            found = _groups(wide, name)
            if name == period or found.counts.max() >= LEAST:
                return name, found
    raise InputError(f"no period of the series, which has {days:g} days, has {LEAST} steps; write day, week, ..")


def aggregates(values: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """`STATISTICS` of each period, (4, P, K), of values (T, K), periods beginning at the steps `firsts` (P,)."""
    sums = np.add.reduceat(values, firsts, axis=0)
    counts = np.diff(np.r_[firsts, len(values)])
    ends = (extreme.reduceat(values, firsts, axis=0) for extreme in (np.minimum, np.maximum))
    return np.stack([sums, sums / counts[:, None], *ends])


def _groups(wide, period):
    """`Groups` of a period."""
    times, series = wide.index.get_level_values(-1), 0 if wide.index.nlevels == 1 else wide.index.codes[0]
    starts = times.tz_localize(None).to_period(PERIODS[period][0]).start_time
    changes = (starts[1:] != starts[:-1]) | (np.diff(np.broadcast_to(series, len(times))) != 0)
    firsts = np.flatnonzero(np.r_[True, changes])
    return Groups(firsts, np.diff(np.r_[firsts, len(times)]), starts[firsts].tz_localize("UTC"))


def _days(wide):
    """How long the longest series is, in days."""
    _, lengths = tidy.series_of(wide)
    last = np.cumsum(lengths) - 1
    times = wide.index.get_level_values(-1)
    spans = times[last] - times[last - lengths + 1]
    longest = int(np.argmax(spans))
    return spans[longest] / pd.Timedelta("1D") * lengths[longest] / max(lengths[longest] - 1, 1)
