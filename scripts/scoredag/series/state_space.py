"""State space of a structural model: filtered for the likelihood, smoothed for what is not known.

The model is that of Harvey (1989, chapters 2 to 4), with seasons as harmonics (2.3.4), filter and smoother those of
Durbin and Koopman (2012, chapters 4 and 7). Where a value is not known, the filter has nothing to update by. Several
series stand one below the other, and between two of them the state is drawn anew. Values are z-scores, in float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag
from statsmodels.tsa.statespace.kalman_smoother import SMOOTHER_STATE, SMOOTHER_STATE_COV, KalmanSmoother

from scoredag.series.components import Structural

LEVEL, SLOPE, SEASON = 10.0, 0.01, 0.25  # variances of the state at the start; of harmonic h, SEASON / h^2


class System(NamedTuple):
    """A value is design . state + noise of variance `irregular`; the next state is transition state + other noise.

    design (k,), transition (k, k); noise (k, k), the covariance of the other noise; start (k, k), that of the first
    state, whose mean is 0.
    """

    design: np.ndarray
    transition: np.ndarray
    noise: np.ndarray
    start: np.ndarray
    irregular: float


def system(model: Structural) -> System:
    """The state space of a model. The first state has a proper law, so that likelihoods of all models compare."""
    sloping = model.slope is not None
    blocks = [np.array([[1.0, 1.0], [0.0, 1.0]]) if sloping else np.eye(1)]
    design, noise, start = [1.0], [model.level], [LEVEL]
    if model.slope is not None:
        design, noise, start = [1.0, 0.0], [model.level, model.slope], [LEVEL, SLOPE]
    for season in model.seasons:
        for h in range(1, season.harmonics + 1):
            c, s = np.cos(2 * np.pi * h / season.period), np.sin(2 * np.pi * h / season.period)
            blocks.append(np.array([[c, s], [-s, c]]))
            design += [1.0, 0.0]
            noise += [season.variance] * 2
            start += [SEASON / h**2] * 2
    starts = [np.diag(start)]
    if model.coefficients:
        order = len(model.coefficients)
        design += [1.0, 0.0][:order]
        noise += [model.autoregression, 0.0][:order]
        blocks.append(np.vstack([model.coefficients, np.eye(order)[: order - 1]]))
        starts.append(_stationary(model.coefficients, model.autoregression))
    return System(np.array(design), block_diag(*blocks), np.diag(noise), block_diag(*starts), model.irregular)


class Likelihood:
    """Of models with one number of states, for the same values.

    Args:
        n_states: k.
        values: (T,), NaN where not known.
        lengths: of the series, which sum to T.
    """

    def __init__(self, n_states: int, values: np.ndarray, lengths: Sequence[int]):
        self._filter, self._lengths = _filter(n_states, values), lengths

    def log(self, model: Structural) -> float:
        """The logarithm of the likelihood; minus infinity where it cannot be had."""
        _load(self._filter, system(model), self._lengths)
        try:
            with np.errstate(all="ignore"):
                value = float(self._filter.loglike())
        except (np.linalg.LinAlgError, ValueError):
            return -np.inf
        return value if np.isfinite(value) else -np.inf


def moments(model: Structural, values: np.ndarray, lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (T,) that an unknown value has at each step, given the known ones.

    Args:
        model: with parameters.
        values: (T,), NaN where not known.
        lengths: of the series, which sum to T.
    """
    space = system(model)
    smoother = _filter(len(space.design), values)
    _load(smoother, space, lengths)
    result = smoother.smooth(smoother_output=SMOOTHER_STATE | SMOOTHER_STATE_COV)
    variance = np.einsum("i,ijt,j->t", space.design, result.smoothed_state_cov, space.design)
    return space.design @ result.smoothed_state, np.sqrt(variance.clip(min=0.0) + space.irregular)


def _stationary(coefficients, variance):
    """Covariance of the states of an autoregression: its value, and that of the step before if the order is 2."""
    a, b = (*coefficients, 0.0)[:2]
    at_0 = variance * (1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2))
    at_1 = a * at_0 / (1 - b)
    order = len(coefficients)
    return np.array([[at_0, at_1], [at_1, at_0]])[:order, :order]


def _filter(n_states, values):
    """A filter of `values` (T,) without a system."""
    result = KalmanSmoother(1, n_states, k_posdef=n_states, loglikelihood_burn=0)
    result.bind(np.array(values, dtype=np.float64))
    result["selection"] = np.eye(n_states)
    return result


def _load(smoother, space, lengths):
    """Give a filter its system. The last step of a series carries nothing over: the next state is a first one."""
    transition, noise = space.transition[..., None], space.noise[..., None]
    if len(lengths) > 1:
        shape = (*space.noise.shape, sum(lengths))
        transition, noise = (np.array(np.broadcast_to(array, shape), order="F") for array in (transition, noise))
        lasts = np.cumsum(lengths)[:-1] - 1
        transition[..., lasts], noise[..., lasts] = 0.0, space.start[..., None]
    smoother["transition"], smoother["state_cov"] = transition, noise
    smoother["design"], smoother["obs_cov"] = space.design[None], np.array([[space.irregular]])
    smoother.initialize_known(np.zeros(len(space.design)), space.start)
