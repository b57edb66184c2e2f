"""Score models s(x, t) of the plane: exact scores, exact scores with a known error, networks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scoredag.likelihood import mixtures, score_network


class ScoreModel(NamedTuple):
    """s_theta, of points (N, 2) at times (N,) or a number."""

    score: Callable  # (x, t) -> (N, 2)
    divergence: Callable  # (x, t) -> (N,)


def exact(gmm, sde, *, scale=1.0, bias=(0.0, 0.0), variance=1.0):
    """scale * grad log p_t(x) + bias / spread(t): the exact score for the default values.

    Args:
        gmm: the mixture p_0, in the SDE's unit.
        sde: an `SDE`.
        scale: factor on the score.
        bias: (2,), added, in units of one over the deviation of p_t.
        variance: factor on the components' covariances, of which p_t is taken.
    """
    spectrum = mixtures.spectrum(gmm)
    spectrum = spectrum._replace(variances=variance * spectrum.variances)
    shift = np.asarray(bias, dtype=np.float64)

    def score(x, t):
        _, found, _ = mixtures.evaluate(spectrum, x, sde.signal(t), sde.noise(t))
        return scale * found + shift / np.reshape(sde.spread(t), (-1, 1))

    def divergence(x, t):
        return scale * mixtures.evaluate(spectrum, x, sde.signal(t), sde.noise(t))[2]

    return ScoreModel(score, divergence)


def of_network(weights, sde):
    """The score model that a network is, see `network`."""

    def score(x, t):
        spread = np.reshape(sde.spread(t), (-1, 1))
        return score_network.score(weights, x / spread, sde.log_noise_to_signal(t)) / spread

    def divergence(x, t):
        spread = np.reshape(sde.spread(t), (-1, 1))
        return score_network.divergence(weights, x / spread, sde.log_noise_to_signal(t)) / np.square(spread[:, 0])

    return ScoreModel(score, divergence)


def on_clock(model, sde):
    """The score of y = x / spread on the clock B, as (y, B) -> (N, 2)."""

    def score(y, clock):
        t = sde.time_on(clock)
        return sde.spread(t) * model.score(sde.spread(t) * y, t)

    return score
