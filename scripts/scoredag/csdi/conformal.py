"""Intervals corrected by what they held of other values: conformalized quantile regression.

Romano, Patterson & Candes, NeurIPS 2019, "Conformalized quantile regression". Corrected intervals
hold `level` of new values, on average and however wrong the model is, if these are exchangeable with the
values that the correction was found on. Neighbouring steps of a series are not quite that.
"""

import math
from typing import NamedTuple

import numpy as np

from scoredag import metrics
from scoredag.store import tables

N_WINDOWS = 5  # of a pattern of missing entries, below which it is corrected by all patterns together


class Calibration(NamedTuple):
    """What corrections are found on: samples (S, n), truth (n,), and window and pattern (n,) of each entry."""

    samples: np.ndarray
    truth: np.ndarray
    window: np.ndarray
    pattern: np.ndarray

    def of_pattern(self, pattern):
        """The part of it with one pattern of missing entries; all of it where that has too few windows."""
        chosen = self.pattern == pattern
        if len(np.unique(self.window[chosen])) < N_WINDOWS:
            return self
        return Calibration(self.samples[:, chosen], self.truth[chosen], self.window[chosen], self.pattern[chosen])


def read(path, starts, stats):
    """A `Calibration` from the imputed validation windows at `path`.

    Args:
        starts: table of the windows' starts and patterns.
        stats: table of the statistics of the features.
    """
    targets, samples = tables.read_imputations(path)
    truth, samples = metrics.z_scores(targets, samples, stats)
    window = targets["window"].to_numpy()
    return Calibration(samples, truth, window, starts.set_index("window")["held_out"][window].to_numpy())


def intervals(samples, level, calibration):
    """Ends (n,) of the central intervals of `samples` (S, n) at `level`, corrected on a `Calibration`."""
    lower, upper = metrics.interval(calibration.samples, level)
    return widen(*metrics.interval(samples, level), margin(lower, upper, calibration.truth, level))


def margin(lower, upper, truth, level):
    """By how much intervals have to be moved outwards at either end to hold `level`; negative for inwards.

    Args:
        lower, upper: (n,), the intervals' ends.
        truth: (n,).
        level: in (0, 1).

    Returns:
        The ceil((n + 1) level)-th smallest of max(lower - truth, truth - upper); the greatest where
        n is too small for that.
    """
    scores = np.maximum(lower - truth, truth - upper)
    # rounding must not turn 95.00000000000001 into 96
    rank = min(math.ceil(round((len(scores) + 1) * level, 9)), len(scores))
    return float(np.partition(scores, rank - 1)[rank - 1])


def widen(lower, upper, margin):
    """The ends of intervals moved outwards by `margin`; ends that would cross both become the middle."""
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    half = np.maximum(half + margin, 0.0)
    return middle - half, middle + half
