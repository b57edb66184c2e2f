"""The Gaussian mixture: log-density, score and exact samples, all in float64."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scoredag import streams
from scoredag.errors import InputError


class GaussianMixture:
    """p(x) = sum_k w_k N(x; mu_k, Sigma_k) in the plane.

    Args:
        weights: (K,), positive, sum 1 within 1e-6 (then normalised exactly).
        means: (K, 2).
        covariances: (K, 2, 2), positive definite, symmetric within 1e-6 of the largest entry (then averaged).

    Raises:
        InputError: the arrays are not of these shapes, or not a mixture.
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike):
        try:
            weights, means, covariances = (np.asarray(a, dtype=np.float64) for a in (weights, means, covariances))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"mixture: weights, means and covariances have to be arrays of numbers ({error})"
            ) from error
        _check(weights, means, covariances)
        covariances = 0.5 * covariances + 0.5 * covariances.swapaxes(1, 2)
        _check_definite(covariances)
        self.weights = weights / weights.sum()
        self.means = means
        self.covariances = covariances
        self.factors = _cholesky(covariances)  # Sigma = factor factor^T
        self.precisions = _symmetric_inverse(covariances)
        self.whiteners = _whiteners(covariances)  # Sigma^-1 = whitener^T whitener
        self.log_scales = np.log(self.weights) - 0.5 * np.log(_determinant(covariances)) - math.log(2 * math.pi)

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats; `x` (N, 2) to (N,)."""
        terms, _, _ = self._terms(x)
        peak = terms.max(axis=1)
        return peak + np.log(np.exp(terms - peak[:, None]).sum(axis=1))

    def score(self, x: np.ndarray) -> np.ndarray:
        """grad log p(x) = sum_k r_k(x) Sigma_k^{-1} (mu_k - x); `x` (N, 2) to (N, 2).

        The responsibilities r_k come from log-sum-exp, so that the score is finite far from
        every component.
        """
        terms, pull_x, pull_y = self._terms(x)
        shares = _softmax(terms)
        return np.stack([(shares * pull_x).sum(axis=1), (shares * pull_y).sum(axis=1)], axis=1)

    def responsibilities(self, x: np.ndarray) -> np.ndarray:
        """The share r_k(x) of each component in the density; `x` (N, 2) to (N, K), rows sum to 1."""
        return _softmax(self._terms(x)[0])

    def sample(self, n: int, seed: int) -> np.ndarray:
        """`n` exact samples (n, 2) for an integer seed: a component by weight, then its Gaussian."""
        rng = streams.generator(seed, "exact samples")
        chosen = rng.choice(self.n_components, size=n, p=self.weights)
        normal = rng.standard_normal((n, 2))
        return self.means[chosen] + np.einsum("nij,nj->ni", self.factors[chosen], normal)

    def diffused(self, level: float) -> "GaussianMixture":
        """The mixture after noise of deviation `level` was added: covariances Sigma_k + level^2 I."""
        return GaussianMixture(self.weights, self.means, self.covariances + level**2 * np.eye(2))

    def scaled(self, factor: float) -> "GaussianMixture":
        """The mixture of `factor` x, for a factor > 0."""
        return GaussianMixture(self.weights, factor * self.means, factor**2 * self.covariances)

    def moved(self, by: np.ndarray) -> "GaussianMixture":
        """The mixture of x + `by`, (2,)."""
        return GaussianMixture(self.weights, self.means + by, self.covariances)

    def _terms(self, x):
        """log w_k N(x; mu_k, Sigma_k), and both components of Sigma_k^{-1} (mu_k - x); each (N, K)."""
        dx, dy = (self.means[:, i] - np.asarray(x, dtype=np.float64)[:, i, None] for i in range(2))
        # whitened, where a quadratic form in the precision would lose as many digits as its condition number has
        a, b, c = self.whiteners[:, 0, 0], self.whiteners[:, 0, 1], self.whiteners[:, 1, 1]
        u, v = a * dx + b * dy, c * dy
        return self.log_scales - 0.5 * (u * u + v * v), a * u, b * u + c * v


def normalised(weights: ArrayLike) -> np.ndarray:
    """Weights (K,) over their sum, where they have one; `GaussianMixture` judges the rest."""
    weights = np.asarray(weights, dtype=np.float64)
    total = weights.sum()
    return weights / total if np.isfinite(total) and total > 0 else weights


def _softmax(terms):
    shares = np.exp(terms - terms.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def from_table(table: pd.DataFrame) -> GaussianMixture:
    """The mixture in a data frame with the columns of results/gmm/parameters.parquet."""
    covariances = table[["cov_xx", "cov_xy", "cov_xy", "cov_yy"]].to_numpy(np.float64).reshape(-1, 2, 2)
    return GaussianMixture(table["weight"], table[["mean_x", "mean_y"]], covariances)


def to_table(gmm: GaussianMixture) -> pd.DataFrame:
    """The columns of results/gmm/parameters.parquet."""
    return pd.DataFrame(
        {
            "component": np.arange(gmm.n_components),
            "weight": gmm.weights,
            "mean_x": gmm.means[:, 0],
            "mean_y": gmm.means[:, 1],
            "cov_xx": gmm.covariances[:, 0, 0],
            "cov_xy": gmm.covariances[:, 0, 1],
            "cov_yy": gmm.covariances[:, 1, 1],
        }
    )


def _symmetric_inverse(covariances):
    xx, xy, yy = _entries(covariances)
    adjugate = np.stack([np.stack([yy, -xy], -1), np.stack([-xy, xx], -1)], -2)
    return adjugate / _determinant(covariances)[:, None, None]


def _whiteners(covariances):
    """Upper triangular factors (K, 2, 2) of the precisions."""
    _, xy, yy = _entries(covariances)
    across = np.sqrt(yy / _determinant(covariances))
    return np.stack([np.stack([across, -across * xy / yy], -1), np.stack([0 * yy, 1 / np.sqrt(yy)], -1)], -2)


def _determinant(covariances):
    """xx yy - xy^2 as if in twice the precision: the products' rounding errors are known exactly (Dekker 1971)."""
    xx, xy, yy = _entries(covariances)
    return (xx * yy - xy * xy) + (_product_error(xx, yy) - _product_error(xy, xy))


def _product_error(a, b):
    """a b less its rounded value."""
    a_high, b_high = (factor * 134217729 - (factor * 134217729 - factor) for factor in (a, b))  # 2^27 + 1
    a_low, b_low = a - a_high, b - b_high
    return a_low * b_low - (a * b - a_high * b_high - a_low * b_high - a_high * b_low)


def _cholesky(covariances):
    """Lower triangular factors (K, 2, 2); NaN or 0 on the diagonal where not positive definite."""
    xx, xy, yy = _entries(covariances)
    first = np.sqrt(xx)
    below = xy / first
    return np.stack([np.stack([first, 0 * first], -1), np.stack([below, np.sqrt(yy - below**2)], -1)], -2)


def _entries(covariances):
    return covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]


def _check(weights, means, covariances):
    if weights.ndim != 1 or weights.size == 0:
        raise InputError(f"mixture: the weights have shape {weights.shape}; expected (K,) with K > 0")
    n = len(weights)
    if means.shape != (n, 2):
        raise InputError(f"mixture: {n} weights, but the means have shape {means.shape}; expected ({n}, 2)")
    if covariances.shape != (n, 2, 2):
        raise InputError(
            f"mixture: {n} weights, but the covariances have shape {covariances.shape}; expected ({n}, 2, 2)"
        )
    _refuse(~(weights > 0) | np.isinf(weights), "weight", weights, "a positive number")
    if abs(weights.sum() - 1) > 1e-6:
        raise InputError(
            f"mixture: the weights sum to {weights.sum():.9g}, not 1; divide them by their sum, or set normalise: true"
        )
    _refuse(~np.isfinite(means).all(axis=1), "mean", means, "two finite numbers")
    _refuse(~np.isfinite(covariances).all(axis=(1, 2)), "covariance", covariances, "finite")
    _refuse(asymmetric(covariances), "covariance", covariances, "symmetric")


def asymmetric(covariances: np.ndarray) -> np.ndarray:
    """Which of the matrices (K, 2, 2) are asymmetric beyond what arithmetic in single precision leaves; (K,)."""
    return np.abs(covariances[:, 0, 1] - covariances[:, 1, 0]) > 1e-6 * np.abs(covariances).max(axis=(1, 2))


def _check_definite(covariances):
    determined = _determinant(covariances) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        diagonals = np.diagonal(_cholesky(covariances), axis1=1, axis2=2)
    _refuse(~((diagonals > 0).all(axis=1) & determined), "covariance", covariances, "positive definite")


def _refuse(bad, what, values, wanted):
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(f"mixture: the {what} of component {k} is {values[k].tolist()}; it has to be {wanted}")
