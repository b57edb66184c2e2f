"""Intervals corrected by their coverage of validation values: conformalized quantile regression.

Romano, Patterson & Candes, NeurIPS 2019, "Conformalized quantile regression". Corrected intervals
cover `level` of new values, on average and however wrong the model is, if these are exchangeable with
the validation values. Neighbouring steps of a series are not quite that.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import metrics
from scoredag.store import files, tables

N_WINDOWS = 5  # a pattern of missing entries with fewer windows is corrected by all patterns together


class Calibration(NamedTuple):
    """Validation values: samples (S, n), truth (n,), and window and pattern (n,) of each entry."""

    samples: np.ndarray
    truth: np.ndarray
    window: np.ndarray
    pattern: np.ndarray

    def of_pattern(self, pattern: str) -> "Calibration":
        """The part of it with one pattern of missing entries; all of it where that has too few windows."""
        chosen = self.pattern == pattern
        if len(np.unique(self.window[chosen])) < N_WINDOWS:
            return self
        return Calibration(self.samples[:, chosen], self.truth[chosen], self.window[chosen], self.pattern[chosen])


def read(path: files.PathLike, starts: pd.DataFrame, stats: pd.DataFrame) -> Calibration:
    """A `Calibration` from the imputed validation windows at `path`.

    Args:
        starts: table of the windows' starts and patterns.
        stats: table of the statistics of the features.
    """
    targets, samples = tables.read_imputations(path)
    truth, samples = metrics.z_scores(targets, samples, stats)
    window = targets["window"].to_numpy()
    return Calibration(samples, truth, window, starts.set_index("window")["held_out"][window].to_numpy())


def intervals(samples: np.ndarray, level: float, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Ends (n,) of the central intervals of `samples` (S, n) at `level`, corrected on a `Calibration`."""
    correction = margin(*metrics.interval(calibration.samples, level), calibration.truth, level)
    lower, upper = metrics.interval(samples, level)
    return widen(lower, upper, correction)


def margin(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, level: float) -> float:
    """How far to move both ends of the intervals outwards so that they cover `level`; negative for inwards.

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


def widen(lower: np.ndarray, upper: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of intervals moved outwards by `margin`; ends that would cross both become the middle."""
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    half = np.maximum(half + margin, 0.0)
    return middle - half, middle + half
