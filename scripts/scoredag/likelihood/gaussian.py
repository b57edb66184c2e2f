"""Closed forms for data of one Gaussian and an affine score model: p_theta is Gaussian, too.

Means and covariances are (2,) and (2, 2); what has no formula is an ordinary integral, taken to `_TOLERANCE`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad, solve_ivp

from scoredag.likelihood.scores import ScoreModel
from scoredag.likelihood.sde import HORIZON, SDE, Numbers

_TOLERANCE = 1e-10
Moments = tuple[np.ndarray, np.ndarray]  # mean and covariance


class Affine(NamedTuple):
    """s(x, t) = K(t) x + k(t)."""

    slope: Callable[[Numbers], np.ndarray]  # K(t), (2, 2)
    shift: Callable[[Numbers], np.ndarray]  # k(t), (2,)


def marginal(mean: np.ndarray, covariance: np.ndarray, sde: SDE, t: Numbers) -> Moments:
    """Mean and covariance of p_t."""
    alpha, sigma = float(sde.signal(t)), float(sde.noise(t))
    return alpha * np.asarray(mean), alpha**2 * np.asarray(covariance) + sigma**2 * np.eye(2)


def affine(
    mean: np.ndarray,
    covariance: np.ndarray,
    sde: SDE,
    *,
    scale: float = 1.0,
    bias: Sequence[float] = (0.0, 0.0),
    variance: float = 1.0,
) -> Affine:
    """The score of one Gaussian with the errors of `scores.exact`, as an `Affine`."""

    def parts(t):
        centre, spread = marginal(mean, variance * np.asarray(covariance), sde, t)
        precision = np.linalg.inv(spread)
        return -scale * precision, scale * precision @ centre + np.asarray(bias) / float(sde.spread(t))

    return Affine(lambda t: parts(t)[0], lambda t: parts(t)[1])


def as_model(affine_score: Affine) -> ScoreModel:
    """The `ScoreModel` of an `Affine`, at one time for all points."""
    return ScoreModel(
        lambda x, t: x @ affine_score.slope(t).T + affine_score.shift(t),
        lambda x, t: np.full(len(x), np.trace(affine_score.slope(t))),
    )


def reverse_law(model: Affine, sde: SDE, smallest_time: float) -> Moments:
    """Mean and covariance of p_theta at the smallest time.

    Against time, dm/dt = (a - g^2 K) m - g^2 k and dC/dt = 2 sym((a - g^2 K) C) - g^2 I, from N(0, prior) at T.
    """
    return _moments(_evolved(model, sde, smallest_time, share=1.0, noise=1.0)(smallest_time))


def flow_law(model: Affine, sde: SDE, smallest_time: float) -> Moments:
    """Mean and covariance of the probability flow ODE at the smallest time: half the score, and no noise."""
    return _moments(_evolved(model, sde, smallest_time, share=0.5, noise=0.0)(smallest_time))


def _evolved(model, sde, smallest_time, share, noise):
    """The state of the moments from T to the smallest time, as a function of time; see `_moments`."""

    def slopes(t, state):
        rate = sde.squared_diffusion(t)
        pull = sde.drift_rate(t) * np.eye(2) - share * rate * model.slope(t)
        mean, covariance = state[:2], state[2:].reshape(2, 2)
        product = pull @ covariance
        change = product + product.T - noise * rate * np.eye(2)
        return np.concatenate([pull @ mean - share * rate * model.shift(t), change.ravel()])

    start = np.concatenate([np.zeros(2), sde.prior_variance * np.eye(2).ravel()])
    return solve_ivp(
        slopes, (HORIZON, smallest_time), start, method="DOP853", dense_output=True,
        rtol=_TOLERANCE, atol=_TOLERANCE * sde.prior_variance,
    ).sol  # fmt: skip


def _moments(state):
    return state[:2], state[2:].reshape(2, 2)


def divergence(mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray) -> float:
    """D_KL(N(mean, covariance) || N(other_mean, other_covariance)) in nats."""
    return cross_entropy(mean, covariance, other_mean, other_covariance) - entropy(covariance)


def entropy(covariance: np.ndarray) -> float:
    """H(N(., covariance)) in nats."""
    return float(1 + np.log(2 * np.pi) + np.log(np.linalg.det(covariance)) / 2)


def cross_entropy(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """-E[log N(x; other_mean, other_covariance)] over x ~ N(mean, covariance), in nats."""
    precision = np.linalg.inv(other_covariance)
    difference = np.asarray(mean) - other_mean
    square = np.trace(precision @ covariance) + difference @ precision @ difference
    return float(np.log(2 * np.pi) + (np.log(np.linalg.det(other_covariance)) + square) / 2)


def score_matching(mean: np.ndarray, covariance: np.ndarray, model: Affine, sde: SDE, smallest_time: float) -> float:
    """J_SM(theta; g^2) = int g^2 E|grad log p_t - s|^2 dt / 2."""

    def integrand(t):
        centre, spread = marginal(mean, covariance, sde, t)
        precision = np.linalg.inv(spread)
        return _mean_square(model.slope(t) + precision, model.shift(t) - precision @ centre, centre, spread)

    return _integral(integrand, sde, smallest_time) / 2


def gap(mean: np.ndarray, covariance: np.ndarray, model: Affine, sde: SDE, smallest_time: float) -> float:
    """int g^2 E|s - grad log q_t|^2 dt / 2 over x ~ p_t, q_t the law of the reverse SDE: the slack of statement 1."""
    moments = _evolved(model, sde, smallest_time, share=1.0, noise=1.0)

    def integrand(t):
        law_mean, law_covariance = _moments(moments(t))
        precision = np.linalg.inv(law_covariance)
        slope, shift = model.slope(t) + precision, model.shift(t) - precision @ law_mean
        return _mean_square(slope, shift, *marginal(mean, covariance, sde, t))

    return _integral(integrand, sde, smallest_time) / 2


def information(mean: np.ndarray, covariance: np.ndarray, sde: SDE, smallest_time: float) -> float:
    """int (2 div f + g^2 E|grad log p_t|^2) dt / 2."""

    def integrand(t):
        return np.trace(np.linalg.inv(marginal(mean, covariance, sde, t)[1]))

    drift = 2 * np.log(sde.signal(HORIZON) / sde.signal(smallest_time))
    return _integral(integrand, sde, smallest_time) / 2 + float(drift)


def bound(mean: np.ndarray, covariance: np.ndarray, model: Affine, sde: SDE, smallest_time: float) -> float:
    """E[L(x)] over x ~ N(mean, covariance); a single point has the covariance 0.

    By parts, E[g^2 (|s - grad log p_0t|^2 - |grad log p_0t|^2)] = E[g^2 (|s|^2 + 2 div s)] over the kernel.
    """

    def integrand(t):
        square = _mean_square(model.slope(t), model.shift(t), *marginal(mean, covariance, sde, t))
        return square + 2 * np.trace(model.slope(t))

    last = marginal(mean, covariance, sde, HORIZON)
    prior = cross_entropy(*last, np.zeros(2), sde.prior_variance * np.eye(2))
    drift = 2 * np.log(sde.signal(HORIZON) / sde.signal(smallest_time))
    return prior + _integral(integrand, sde, smallest_time) / 2 - float(drift)


def _mean_square(slope, shift, mean, covariance):
    """E|slope x + shift|^2 over x ~ N(mean, covariance)."""
    return float(np.trace(slope @ covariance @ slope.T) + np.square(slope @ mean + shift).sum())


def _integral(integrand, sde, smallest_time):
    """int g^2 integrand dt, as an integral of alpha^2 + sigma^2 over the clock."""
    ends = [float(sde.clock(t)) for t in (smallest_time, HORIZON)]

    def on_clock(clock):
        t = float(sde.time_on(clock))
        return float(sde.spread(t)) ** 2 * integrand(t)  # g^2 dt = spread^2 dB

    return quad(on_clock, *ends, epsabs=_TOLERANCE, epsrel=_TOLERANCE, limit=500, points=np.geomspace(1e-3, 1, 7))[0]
