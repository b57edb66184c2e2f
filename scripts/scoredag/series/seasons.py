"""Cycles of a series that are longer than a window: days, weeks and years, found by its autocorrelation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import fft

CALENDAR = {"day": 86400.0, "week": 7 * 86400.0, "year": 365.25 * 86400.0}  # seconds
MOST_STEPS = 1 << 17  # of a series that are looked at, its first
CYCLES = 3  # that a series has to hold
REACH = 4  # periods up to which a cycle has to go on, if the series is as long
NEAR = 0.25  # of a lag: how far around it no other one may have a larger correlation
LEAST_PAIRS = 20  # of values, below which a lag does not count
FINE, TRIES = 0.05, 5  # how far from the best lag, on either side, the period is sought, and by how many trials
# Share of the variance that a clear cycle needs: three periods show it less than many do, few values less than many.
# Of 114,000 series of white noise, AR(1) and random walks, of 60 to 5,000 steps, 9 reach it.
SHARE, SHARE_OF_FEW = 0.05, 1.2


def calendar(times: pd.DatetimeIndex) -> dict[str, float]:
    """The steps of a day, a week and a year on a grid of `times`, by their mean distance; none of a single time."""
    distance = (times[-1] - times[0]).total_seconds() / max(len(times) - 1, 1)
    return {name: seconds / distance for name, seconds in CALENDAR.items()} if distance else {}


def longer_than(length: int, values: np.ndarray, lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """The period (K,) in steps of each feature's clearest cycle that is longer than `length` steps; 0 without one.

    A cycle of period P shows as a cosine in the autocorrelation from lag P to 2 P, or to 4 P in a long series; its
    amplitude there is the cycle's share in the variance. Shorter cycles that fit into P have none over whole periods,
    and what wanders, as a random walk does, has little.

    Args:
        length: L, steps of a window.
        values: series (n_steps, K), or several one below the other; NaN where a value is missing.
        lengths: of the series, which sum to n_steps.
    """
    ends = np.cumsum(lengths)
    long = [(end - n, end) for end, n in zip(ends, lengths, strict=True) if n >= CYCLES * (length + 1)]
    spans = [(first, min(end, first + MOST_STEPS)) for first, end in long]
    if not spans:
        return np.zeros(values.shape[1], dtype=np.int64)
    periods = (_period(length, [column[first:end] for first, end in spans]) for column in values.T)
    return np.fromiter(periods, dtype=np.int64)


def _period(length, parts):
    """The period of one feature, which has `parts` in several series."""
    longest = max(map(len, parts))
    correlations, pairs = _autocorrelation(parts, (CYCLES - 1) * longest // CYCLES)
    peaks = _peaks(np.where(pairs > 0, correlations, -1.0), length + 1, longest // CYCLES)
    clear = [lag for lag in peaks if _is_clear(lag, correlations, pairs, longest)]
    # two peaks a day are a cycle of 12 hours, too; the day repeats better
    best = max(clear, key=lambda lag: correlations[lag], default=0)
    around = np.unique(np.linspace((1 - FINE) * best, (1 + FINE) * best, 2 * TRIES + 1).round().astype(int))
    around = around[(around > 0) & (around <= longest // CYCLES)]
    period = max(around.tolist(), key=lambda lag: _share(correlations, pairs > 0, lag), default=0)
    return period if period > (1 + FINE) * length else 0  # noise moves the best lag: a window of 168 steps sees a week


def _autocorrelation(parts, last):
    """Correlation of values at each distance in steps up to `last`, and the number of pairs, 0 for too few."""
    sums = np.zeros((4, last + 1))
    for part in parts:
        values, known = _without_trend(part)
        size = fft.next_fast_len(len(part) + last + 1, real=True)
        value, square, mask = (fft.rfft(array, size) for array in (values, values**2, known.astype(float)))
        sums[0] += fft.irfft(np.abs(value) ** 2, size)[: last + 1]
        sums[1] += fft.irfft(np.abs(mask) ** 2, size)[: last + 1]
        squares = fft.irfft(square * mask.conj(), size)  # of the later values of pairs; backwards, of the earlier ones
        sums[2] += squares[: last + 1]
        sums[3] += np.roll(squares[::-1], 1)[: last + 1]
    products, pairs, later, earlier = sums
    scale = np.sqrt((later * earlier).clip(0))
    pairs = np.where((scale > 1e-12 * scale[0]) & (pairs > LEAST_PAIRS - 0.5), pairs, 0.0)
    return np.divide(products, scale, out=np.zeros(last + 1), where=pairs > 0), pairs


def _without_trend(values):
    """`values` (n,) less a straight line, 0 where missing; and where they are not."""
    known = ~np.isnan(values)
    steps = np.flatnonzero(known)
    rest = np.zeros(len(values))
    if len(steps) > 1:
        steps = steps - steps.mean()
        centred = values[known] - values[known].mean()
        rest[known] = centred - steps * (steps @ centred) / (steps @ steps)
    return rest, known


def _peaks(correlations, first, last):
    """Lags from `first` to `last` around which no other one has a larger correlation."""
    while first <= last:
        stop = min(max(int(first * (1 + NEAR)), first + 1), last + 1)
        lag = first + int(np.argmax(correlations[first:stop]))
        reach = max(int(NEAR * lag), 1)
        if correlations[lag] >= correlations[lag - reach : lag + reach + 1].max():
            yield lag
        first = stop


def _is_clear(lag, correlations, pairs, longest):
    """Whether a cycle of `lag` steps has enough of the variance of a series of `longest` steps."""
    if not pairs[lag]:
        return False
    least = SHARE + SHARE_OF_FEW * np.sqrt(lag / longest) + 1 / np.sqrt(pairs[lag])
    return correlations[lag] > least / 2 and _share(correlations, pairs > 0, lag) > least


def _share(correlations, is_known, lag):
    """The share of a cycle of `lag` steps in the variance; 0 where half of the correlations or more are not known."""
    n_periods = min(REACH, (len(correlations) - 1) // lag) - 1
    lags = slice(lag, (n_periods + 1) * lag)
    n_known = is_known[lags].sum()
    if 2 * n_known <= n_periods * lag:
        return 0.0
    folded = correlations[lags].reshape(n_periods, lag).sum(axis=0)  # 0 where not known
    return 2 * folded @ np.cos(2 * np.pi / lag * np.arange(lag)) / n_known
