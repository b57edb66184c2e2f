"""Forecasts averaged quantile by quantile, with weights that validation windows choose.

Averaged quantiles are those of a distribution as sharp as the ones averaged, where averaged densities are wider
(Lichtendahl, Grushka-Cockayne & Winkler, Management Science 2013, "Is it better to average probabilities or
quantiles?"). Pinball loss is convex in the weights, so that there is one best choice.
"""

import numpy as np
from scipy import optimize

from scoredag import metrics

MOST = 4000  # targets that are enough to choose weights by
PRIOR = 1000  # targets that weigh as much as the assumption that the average holds what it says
SMALL = 0.15  # a smaller weight is none: its method need not be run
EVERY = 2  # of the levels
TINY = 1e-12


def weights(quantiles: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The weights (M,), at least 0 and of sum 1, whose average of quantiles has the lowest CRPS.

    Args:
        quantiles: (M, S, n), of M methods at S levels.
        truth: (n,).
        levels: (S,).
    """
    quantiles, levels = quantiles[:, ::EVERY].astype(np.float64), levels[::EVERY, None]

    def loss(weight):
        errors = truth - np.tensordot(weight, quantiles, axes=1)
        sides = levels - (errors < 0)
        return (errors * sides).mean(), -np.einsum("sn,msn->m", sides, quantiles) / sides.size

    n = len(quantiles)
    losses = [loss(corner)[0] for corner in np.eye(n)]
    # from near the best single method: where nothing is better, it stays
    start = np.where(np.arange(n) == np.argmin(losses), 0.9, 0.1 / max(n - 1, 1)) if n > 1 else np.ones(1)
    total = {"type": "eq", "fun": lambda weight: weight.sum() - 1, "jac": lambda weight: np.ones(n)}
    options = {"maxiter": 100, "ftol": 1e-7}
    found = optimize.minimize(
        loss, start, jac=True, method="SLSQP", bounds=[(0, 1)] * n, constraints=total, options=options
    )
    weight = np.where(found.x < SMALL, 0.0, found.x)
    if not weight.any() or loss(weight / weight.sum())[0] > min(losses):
        weight = np.eye(n)[np.argmin(losses)]
    return weight / weight.sum()


def held_levels(quantiles: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The levels (S,) at which forecasts are to be taken so that shares `levels` of the truth lie below.

    Quantiles of the probability integral transform (Kuleshov, Fenner & Ermon, ICML 2018), shrunk towards `levels` where
    targets are few: an average of forecasts that hold what they say is too wide.

    Args:
        quantiles: (S, n), at `levels`, which are k / (S + 1).
        truth: (n,).
        levels: (S,).
    """
    n = len(levels)
    below, up_to, spread = metrics.ranks(quantiles, truth)
    lower, upper = (
        np.take_along_axis(quantiles, place.clip(0, n - 1)[None], axis=0)[0] for place in (below - 1, below)
    )
    between = np.where((below > 0) & (below < n), (truth - lower) / np.maximum(upper - lower, TINY), 0.5)
    integral = (below + np.where(up_to > below, spread * (up_to - below), between)) / (n + 1)
    share = len(truth) / (len(truth) + PRIOR)
    held = np.quantile(integral, levels, method="weibull")
    return share * held + (1 - share) * levels


def at_levels(quantiles: np.ndarray, levels: np.ndarray, tails: bool = False) -> np.ndarray:
    """Quantiles (R, n) at other levels, between those given; beyond them the outermost, or exponential `tails`.

    Args:
        quantiles: (S, n), at k / (S + 1).
        levels: (R, n) or (R, 1).
        tails: whether each end goes on as an exponential distribution through its two outermost quantiles does.
    """
    n = len(quantiles)
    place = (levels * (n + 1) - 1).clip(0, n - 1)
    below = place.astype(int).clip(max=n - 2)
    part = place - below
    shape = np.broadcast_shapes(below.shape, (1, quantiles.shape[1]))
    lower, upper = (np.take_along_axis(quantiles, np.broadcast_to(k, shape), axis=0) for k in (below, below + 1))
    values = (1 - part) * lower + part * upper
    if tails:
        for end, inner, beyond in ((0, 1, levels), (-1, -2, 1 - levels)):
            doublings = -np.log2((beyond * (n + 1)).clip(TINY, 1))
            values += doublings * (quantiles[end] - quantiles[inner])
    return values
