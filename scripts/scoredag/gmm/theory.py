"""What theory says of overdamped Langevin steps of a finite size: their bias, and their law on one Gaussian."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_discrete_lyapunov

from scoredag.gmm.kernels import stiffness
from scoredag.gmm.mixture import GaussianMixture


def bias_slope(log_densities: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The bias of E log p in nats per unit of the step size tau, as tau -> 0, and its standard error.

    The law of x + tau score(x) + sqrt(2 tau) zeta has, to first order, the density of the mixture times
    1 + tau (rho - E rho) with rho = |score|^2 / 4 + (lap log p) / 2 (Talay & Tubaro 1990; derived in docs/langevin.md).
    So the slope is Cov(log p, rho) = -(I - Cov(V, lap V)) / 4 with V = -log p and I = E |score|^2. As
    Cov(V, lap V) = Cov(V, |score|^2) - I, no second derivative is needed.

    Args:
        log_densities: log p (N,), in nats, at exact samples.
        scores: grad log p (N, 2) there.
    """
    potential = log_densities.mean() - log_densities
    squares = (scores**2).sum(axis=1)
    terms = potential * (squares - squares.mean()) / 4 - squares / 2
    return float(terms.mean()), float(terms.std() / math.sqrt(len(terms)))


def stationary_covariance(
    covariance: ArrayLike, step_size: float, noise_covariance: ArrayLike, preconditioner: ArrayLike | None = None
) -> np.ndarray | None:
    """The covariance P (2, 2) that steps x + tau M score(x) + sqrt(2 tau) zeta, zeta ~ N(0, C), keep on N(mu, Sigma).

    P = A P A' + 2 tau C with A = I - tau M Sigma^-1. None where the steps grow without bound.

    Args:
        covariance: Sigma, (2, 2), positive definite.
        step_size: tau > 0.
        noise_covariance: C, (2, 2), positive semidefinite.
        preconditioner: M, (2, 2), positive definite; None is I.
    """
    contraction = _contraction(covariance, step_size, preconditioner)
    if np.abs(np.linalg.eigvals(contraction)).max() >= 1:
        return None
    return solve_discrete_lyapunov(contraction, 2 * step_size * np.asarray(noise_covariance, dtype=np.float64))


def circulation(
    covariance: ArrayLike, step_size: float, law: np.ndarray, preconditioner: ArrayLike | None = None
) -> float:
    """E[x y' - y x'] / tau of a step from (x, y), about the mean, to (x', y') in the stationary `law` (2, 2).

    Twice the area that the line from the mean to the particle sweeps in a unit of time, counter-clockwise: the unit of
    x squared over that of tau. It is 0 where detailed balance holds. The other arguments are as above.
    """
    moved = _contraction(covariance, step_size, preconditioner) @ law
    return float((moved[1, 0] - moved[0, 1]) / step_size)


def multipliers(gmm: GaussianMixture, step_size: float, preconditioner: ArrayLike | None = None) -> np.ndarray:
    """1 - tau / variance across and along each component, without preconditioner; (K, 2).

    By what a step multiplies the distance from a component's mean, left alone with it; it grows where the size is
    above 1. With a preconditioner M, the eigenvalues of I - tau M Sigma^-1.
    """
    return 1 - step_size * stiffness(gmm, preconditioner)[:, ::-1]


def _contraction(covariance, step_size, preconditioner):
    matrix = np.eye(2) if preconditioner is None else np.asarray(preconditioner, dtype=np.float64)
    return np.eye(2) - step_size * matrix @ np.linalg.inv(np.asarray(covariance, dtype=np.float64))
