"""The joint Gaussian of a window: mean and covariance of its K L entries, and what they say given some of them.

An entry of feature k at step l has the index k L + l. Values are z-scores, in float64.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from scoredag.errors import InputError

N_PASSES = 3  # of expectation maximisation
SMALLEST = 1e-4  # eigenvalue of a covariance
MIX = 0.7  # of the covariance that depends on the lag alone; the rest is that of each pair of entries
NUGGET = 0.005  # added to variances
MAX_ENTRIES = 4000  # of a window; time grows with the cube


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D) of a window's D = K L entries."""

    mean: np.ndarray
    covariance: np.ndarray


class Conditional(NamedTuple):
    """Mean (n,) and covariance (n, n) of the n entries of a window that are not given, in the order of their index."""

    mean: np.ndarray
    covariance: np.ndarray


def fit(values: np.ndarray, known: np.ndarray, mix: float = MIX, nugget: float = NUGGET) -> Gaussian:
    """Estimate it from windows with missing entries: expectation maximisation, then averaging over lags.

    Args:
        values: (N, K, L); anything where not known.
        known: boolean (N, K, L).
        mix: share of the covariance averaged over all pairs of steps at the same lag, 0 to 1.
        nugget: added to the variances.

    Raises:
        InputError: more entries a window than `MAX_ENTRIES`.
    """
    n, n_features, length = values.shape
    if n_features * length > MAX_ENTRIES:
        fault = f"{n_features} features x {length} steps are more than {MAX_ENTRIES} entries"
        raise InputError(f"the joint Gaussian of a window: {fault}")
    rows, there = values.reshape(n, -1).astype(np.float64), known.reshape(n, -1)
    rows = np.where(there, rows, np.nan)
    mean = _by_feature(rows, n_features)
    covariance = _regular(_pairwise(rows - mean), n_features, mix, nugget)
    for _ in range(N_PASSES if not there.all() else 1):
        mean, covariance = _pass(rows, there, Gaussian(mean, covariance), n_features)
        covariance = _regular(covariance, n_features, mix, nugget)
    return Gaussian(mean, covariance)


def condition(gaussian: Gaussian, values: np.ndarray, known: np.ndarray) -> Conditional:
    """The law of the entries of one window, (K, L), that are not known, given those that are."""
    there = known.ravel()
    centred = values.ravel()[there] - gaussian.mean[there]
    prior = gaussian.covariance[np.ix_(~there, ~there)]
    if not there.any():
        return Conditional(gaussian.mean[~there], prior)
    across = gaussian.covariance[np.ix_(there, ~there)]
    lower = np.linalg.cholesky(gaussian.covariance[np.ix_(there, there)])
    whitened = solve_triangular(lower, np.column_stack([across, centred]), lower=True)
    across, centred = whitened[:, :-1], whitened[:, -1]
    return Conditional(gaussian.mean[~there] + across.T @ centred, prior - across.T @ across)


def fill(gaussian: Gaussian, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Conditional means, and deviations, of the entries of windows (N, K, L); what is known stays, with deviation 0."""
    means, deviations = np.where(known, values, 0.0).astype(np.float64), np.zeros(values.shape)
    for window, given, mean, deviation in zip(values, known, means, deviations, strict=True):
        law = condition(gaussian, window, given)
        mean[~given] = law.mean
        deviation[~given] = np.sqrt(np.diagonal(law.covariance).clip(min=0.0))
    return means, deviations


def log_density(law: Conditional, values: np.ndarray, chosen: np.ndarray) -> float:
    """Logarithm of the density of some of the entries that are not given.

    Args:
        law: of `condition`.
        values: (n,), of the entries that are not given.
        chosen: boolean (n,), which of them count.
    """
    lower = np.linalg.cholesky(law.covariance[np.ix_(chosen, chosen)])
    z = solve_triangular(lower, values[chosen] - law.mean[chosen], lower=True)
    return float(-0.5 * z @ z - np.log(np.diagonal(lower)).sum() - 0.5 * len(z) * np.log(2 * np.pi))


def _by_feature(rows, n_features):
    """The mean of each feature, at each of its entries (D,); 0 of one that is never known."""
    parts = rows.reshape(len(rows), n_features, -1)
    counts = np.isfinite(parts).sum(axis=(0, 2))
    means = np.nansum(parts, axis=(0, 2)) / counts.clip(min=1)
    return np.repeat(means, parts.shape[2])


def _pairwise(centred):
    """Covariances of the pairs of entries that are known together; 0 of others."""
    there = np.isfinite(centred).astype(np.float64)
    filled = np.where(there, centred, 0.0)
    return filled.T @ filled / (there.T @ there).clip(min=1)


def _regular(covariance, n_features, mix, nugget):
    """A covariance, partly averaged over lags, without eigenvalues below `SMALLEST`."""
    covariance = mix * _by_lag(covariance, n_features) + (1 - mix) * covariance
    values, vectors = np.linalg.eigh(covariance)
    covariance = (vectors * values.clip(min=SMALLEST)) @ vectors.T
    return covariance + nugget * np.eye(len(covariance))


def _by_lag(covariance, n_features):
    """The mean over all pairs of steps at the same lag, of each pair of features."""
    length = len(covariance) // n_features
    blocks = covariance.reshape(n_features, length, n_features, length)
    result = np.empty_like(blocks)
    for lag in range(length):
        steps = np.arange(length - lag)
        means = blocks[:, steps, :, steps + lag].mean(axis=0)  # (K, K)
        result[:, steps, :, steps + lag] = means
        result[:, steps + lag, :, steps] = means.T
    return result.reshape(covariance.shape)


def _pass(rows, there, gaussian, n_features):
    """One pass of expectation maximisation: the mean of each feature, and the covariance.

    What a window lacks is solved for by the precision where that is less than what it has.
    """
    mean, covariance = gaussian
    precision = cho_solve(cho_factor(covariance, lower=True), np.eye(len(covariance)))
    filled, uncertain = np.where(there, rows, mean), np.zeros_like(covariance)
    for row, known in zip(filled, there, strict=True):
        lacks = np.flatnonzero(~known)
        if not len(lacks):
            continue
        if 2 * len(lacks) < len(row):
            factor = cho_factor(precision[np.ix_(lacks, lacks)], lower=True)
            row[lacks] -= cho_solve(factor, precision[np.ix_(lacks, known)] @ (row - mean)[known])
            spread = cho_solve(factor, np.eye(len(lacks)))
        else:
            law = condition(gaussian, row, known)
            row[lacks], spread = law
        uncertain[np.ix_(lacks, lacks)] += spread
    mean = _by_feature(filled, n_features)
    centred = filled - mean
    return mean, (centred.T @ centred + uncertain) / len(rows)
