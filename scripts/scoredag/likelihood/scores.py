"""Score models s(x, t) of the plane: exact scores, exact scores with a given error, networks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scoredag.likelihood import mixtures, score_network
from scoredag.likelihood.sde import SDE, Numbers


class ScoreModel(NamedTuple):
    """s_theta, of points (N, 2) at times (N,) or a number."""

    score: Callable[[np.ndarray, Numbers], np.ndarray]  # (x, t) -> (N, 2)
    divergence: Callable[[np.ndarray, Numbers], np.ndarray]  # (x, t) -> (N,)


def exact(
    gmm: mixtures.Mixture,
    sde: SDE,
    *,
    scale: float = 1.0,
    bias: Sequence[float] = (0.0, 0.0),
    variance: float = 1.0,
) -> ScoreModel:
    """scale * grad log p_t(x) + bias / spread(t): the exact score for the default values.

    Args:
        gmm: the mixture p_0, in the SDE's unit.
        sde: the forward SDE.
        scale: factor on the score.
        bias: (2,), added, in units of one over the deviation of p_t.
        variance: factor on the components' covariances, before p_t is taken.
    """
    spectrum = mixtures.spectrum(gmm)
    spectrum = spectrum._replace(variances=variance * spectrum.variances)
    shift = np.asarray(bias, dtype=np.float64)

    def score(x, t):
        return scale * mixtures.evaluate(spectrum, x, sde.signal(t), sde.noise(t))[1] + shift / _column(sde.spread(t))

    def divergence(x, t):
        return scale * mixtures.evaluate(spectrum, x, sde.signal(t), sde.noise(t))[2]

    return ScoreModel(score, divergence)


def from_network(weights: score_network.Weights, sde: SDE) -> ScoreModel:
    """The score model of a network, see `score_network`."""

    def score(x, t):
        spread = _column(sde.spread(t))
        return score_network.score(weights, x / spread, sde.log_noise_to_signal(t)) / spread

    def divergence(x, t):
        spread = _column(sde.spread(t))
        return score_network.divergence(weights, x / spread, sde.log_noise_to_signal(t)) / np.square(spread[:, 0])

    return ScoreModel(score, divergence)


def on_clock(model: ScoreModel, sde: SDE) -> Callable[[np.ndarray, Numbers], np.ndarray]:
    """The score of y = x / spread on the clock B, as (y, B) -> (N, 2)."""

    def score(y, clock):
        t = sde.time_on(clock)
        return sde.spread(t) * model.score(sde.spread(t) * y, t)

    return score


def _column(values):
    """Numbers (N,), or one, as (N, 1), or (1, 1)."""
    return np.reshape(values, (-1, 1))
