"""Draws as distributions that hold what they say: scaled by how far validation values lie from the median.

Split conformal prediction (Romano, Patterson & Candes, NeurIPS 2019, "Conformalized quantile regression") with the
half-widths of an interval of the draws as the scale. Intervals cover `level` of new values, on average and however
wrong the model is, if these are exchangeable with the validation values of the same kind: of the same pattern of
missing entries, and as far from the nearest given value. Neighbouring steps of a series are not quite that.
"""

import math

import numpy as np

from scoredag import metrics
from scoredag.series.dressing import LEVELS

BASE = 0.8  # level of the interval of the draws whose half-widths are the scale
DISTANCES = (1, 2, 4, 8)  # least distance in steps to the nearest value of each kind of target
KINDS = ("0", "1", "2-3", "4-7", "8+", "none")  # 0 is what is given; none, where the feature has no value in the window
N_KINDS = len(KINDS)
LEAST = 100  # validation targets of a kind; fewer are joined by those of the whole pattern
N_WINDOWS = 5  # a pattern of missing entries with fewer windows is joined by all patterns
FLOOR = 0.001  # standard deviations, added to each half-width: none is 0

MIDDLE = len(LEVELS) // 2
INTERVALS = 2 * LEVELS[MIDDLE + 1 :] - 1  # the levels of the central intervals that the quantiles end


def distance_kinds(given: np.ndarray) -> np.ndarray:
    """The kind (N, K, L) of each entry by its distance in steps to the nearest given one of its feature in the window.

    It is the number of `DISTANCES` that are not greater; one more than all of them where the feature has no given one.
    """
    length = given.shape[-1]
    steps = np.arange(length)
    before = np.maximum.accumulate(np.where(given, steps, -2 * length), axis=-1)
    after = np.minimum.accumulate(np.where(given, steps, 3 * length)[..., ::-1], axis=-1)[..., ::-1]
    distance = np.minimum(steps - before, after - steps)
    kinds = np.searchsorted(DISTANCES, distance, side="right")
    return np.where(distance < length, kinds, len(DISTANCES) + 1)


def fit(
    samples: np.ndarray, truth: np.ndarray, pattern: np.ndarray, kind: np.ndarray, window: np.ndarray, n_patterns: int
) -> np.ndarray:
    """What half-widths are multiplied by, (n_patterns, `N_KINDS`, `INTERVALS`), to hold each level in the validation.

    Args:
        samples: draws (S, n) of validation targets.
        truth, pattern, kind, window: (n,) of each; pattern and kind are codes.
        n_patterns: codes run below it.
    """
    middle, below, above = _half_widths(samples)
    errors = truth - middle
    errors = np.where(errors < 0, -errors / below, errors / above)
    factors = np.empty((n_patterns, N_KINDS, len(INTERVALS)))
    for code in range(n_patterns):
        like = pattern == code
        if len(np.unique(window[like])) < N_WINDOWS:
            like = np.ones(len(errors), bool)
        for k in range(N_KINDS):
            alike = like & (kind == k)
            scores = np.sort(errors[alike if alike.sum() >= LEAST else like])
            factors[code, k] = [margin(scores, level) for level in INTERVALS]
    return factors


def quantiles(samples: np.ndarray, pattern: np.ndarray, kind: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Quantiles (`LEVELS`, n) of targets with draws (S, n): their median, and the ends of corrected intervals.

    Args:
        samples: draws (S, n).
        pattern, kind: codes (n,), or one code.
        factors: from `fit`.
    """
    middle, below, above = _half_widths(samples)
    scales = np.moveaxis(factors[pattern, kind], -1, 0)
    lower, upper = middle - scales * below, middle + scales * above
    return np.concatenate([lower[::-1], middle[None], upper])


def independent(samples: np.ndarray, antithetic: bool) -> np.ndarray:
    """Those of `samples` (S, ...) that are independent of each other: of antithetic pairs the first."""
    return samples[:: 2 if antithetic else 1]


def margin(scores: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest of n sorted scores, or the greatest where n is too small for that."""
    # rounding must not turn 95.00000000000001 into 96
    rank = min(math.ceil(round((len(scores) + 1) * level, 9)), len(scores))
    return float(scores[rank - 1])


def _half_widths(samples):
    """Median and half-widths below and above it, (n,) each, of the draws' interval at `BASE`."""
    ascending = metrics.ordered(samples)
    middle = metrics.median(ascending)
    lower, upper = metrics.interval(ascending, BASE)
    return middle, middle - lower + FLOOR, upper - middle + FLOOR
