"""Intervals and draws that hold what they say: scaled by how far validation values lie from the median.

Split conformal prediction (Romano, Patterson & Candes, NeurIPS 2019, "Conformalized quantile regression") with the
half-widths of an interval of the draws as the scale. Intervals cover `level` of new values, on average and however
wrong the model is, if these are exchangeable with the validation values of the same kind: of the same pattern of
missing entries, and as far from the nearest given value. Neighbouring steps of a series are not quite that.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import metrics
from scoredag.store import files, tables

Hidden = Callable[[list[int]], tuple[np.ndarray, np.ndarray]]

BASE = 0.8  # level of the interval of the draws whose half-widths are the scale
DISTANCES = (1, 2, 4, 8)  # least distance in steps to the nearest value of each kind of target
N_KINDS = len(DISTANCES) + 2  # with what is given, and targets of a feature without any value
LEAST = 100  # validation targets of a kind; fewer are joined by those of the whole pattern
N_WINDOWS = 5  # a pattern of missing entries with fewer windows is joined by all patterns
FLOOR = 0.001  # standard deviations, added to each half-width: none is 0


class Imputations(NamedTuple):
    """Targets with draws (S, n), truth (n,), and pattern, kind by distance, and window (n,) of each."""

    samples: np.ndarray
    truth: np.ndarray
    pattern: np.ndarray
    kind: np.ndarray
    window: np.ndarray

    def part(self, which: np.ndarray) -> "Imputations":
        """Those of `which` (n,), boolean."""
        return Imputations(self.samples[:, which], *(column[which] for column in self[1:]))


def read(path: files.PathLike, hidden: Hidden, starts: pd.DataFrame, stats: pd.DataFrame) -> Imputations:
    """Imputed targets as z-scores.

    Args:
        path: of the imputed windows of a split.
        hidden: a function of numbers of windows to what is given in them and what is hidden, boolean (N, K, L) each.
        starts: table of the windows' starts and patterns.
        stats: table of the statistics of the features.
    """
    rows, samples = tables.read_imputations(path)
    truth, samples = metrics.z_scores(rows, samples, stats)
    window = rows["window"].to_numpy()
    patterns = starts.set_index("window")["held_out"][window].to_numpy()
    if not len(rows):
        return Imputations(samples, truth, patterns, np.empty(0, np.int64), window)
    given, targets = hidden(np.unique(window).tolist())
    kinds = distance_kinds(given).transpose(0, 2, 1)[targets.transpose(0, 2, 1)]  # the order of the samples
    return Imputations(samples, truth, patterns, kinds, window)


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


def intervals(
    imputed: Imputations, levels: Sequence[float] | np.ndarray, validation: Imputations
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ends (n,) of the central intervals of `imputed` at each of `levels`, by the imputed validation windows.

    The truth of `imputed` is not read.
    """
    middle, below, above = _half_widths(imputed.samples, BASE)
    for factor in _factors(imputed, levels, validation):
        yield middle - factor * below, middle + factor * above


def scaled(imputed: Imputations, validation: Imputations) -> np.ndarray:
    """Draws (S, n) moved away from their median, or towards it, by one factor for each kind of target.

    The factor makes their interval at `BASE` hold that share of the validation values. Draws of a window stay joint
    draws: each entry is moved by the same factor in all of them. The truth of `imputed` is not read.
    """
    return spread(imputed.samples, *_factors(imputed, [BASE], validation))


def independent(samples: np.ndarray, antithetic: bool) -> np.ndarray:
    """Those of `samples` (S, ...) that are independent of each other: of antithetic pairs the first."""
    return samples[:: 2 if antithetic else 1]


def spread(samples: np.ndarray, factors: float | np.ndarray) -> np.ndarray:
    """`samples` (S, ...) moved away from their median by `factors`, of the shape of one, or one number."""
    middle = np.median(samples, axis=0)
    return middle + factors * (samples - middle)


def factors(validation: Imputations, level: float) -> np.ndarray | None:
    """The factor (`N_KINDS`,) of each kind of target by which draws hold `level` with their interval at that level.

    Of gaps, which are of no pattern, all validation windows judge; None where their targets are fewer than `LEAST`.
    """
    if len(validation.truth) < LEAST:
        return None
    errors = _relative_errors(validation, level)
    kinds = [errors[validation.kind == kind] for kind in range(N_KINDS)]
    return np.array([margin(part if len(part) >= LEAST else errors, level) for part in kinds])


def margin(scores: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest of n scores, or the greatest where n is too small for that."""
    # rounding must not turn 95.00000000000001 into 96
    rank = min(math.ceil(round((len(scores) + 1) * level, 9)), len(scores))
    return float(np.partition(scores, rank - 1)[rank - 1])


def _half_widths(samples, level):
    """Median and half-widths below and above it, (n,) each, of the draws' interval at `level`."""
    middle = np.median(samples, axis=0)
    lower, upper = metrics.interval(samples, level)
    return middle, middle - lower + FLOOR, upper - middle + FLOOR


def _relative_errors(validation, base):
    """How far each truth (n,) lies from the median, in half-widths of the draws' interval at the level `base`."""
    middle, below, above = _half_widths(validation.samples, base)
    errors = validation.truth - middle
    return np.where(errors < 0, -errors / below, errors / above)


def _factors(imputed, levels, validation):
    """What the half-widths (n,) at `BASE` are multiplied by, for each of `levels`, to hold it in the validation."""
    errors, kinds = _relative_errors(validation, BASE), list(_kinds(imputed, validation))
    for level in levels:
        factors = np.empty(len(imputed.kind))
        for targets, similar in kinds:
            factors[targets] = margin(errors[similar], level)
        yield factors


def _kinds(imputed, validation):
    """(which targets, which validation targets are of their kind), boolean, for each kind that occurs."""
    for pattern in pd.unique(imputed.pattern):
        here = imputed.pattern == pattern
        like = validation.pattern == pattern
        if len(np.unique(validation.window[like])) < N_WINDOWS:
            like = np.ones(len(like), bool)
        for kind in np.unique(imputed.kind[here]):
            alike = like & (validation.kind == kind)
            yield here & (imputed.kind == kind), alike if alike.sum() >= LEAST else like
