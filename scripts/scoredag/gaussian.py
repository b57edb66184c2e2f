"""The joint Gaussian of a window: mean and covariance of its K L entries, and what they say given some of them.

An entry of feature k at step l has the index k L + l. Values are z-scores, in float64.
"""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from scipy import stats
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from scoredag.errors import InputError
from scoredag.store import files, stamp, weights

N_PASSES = 3  # of expectation maximisation
SMALLEST = 1e-4  # eigenvalue of a covariance
MIX = 0.7  # of the covariance that depends on the lag alone; the rest is that of each pair of entries
NUGGET = 0.005  # added to variances
MIXES, NUGGETS = (0.1, 0.4, 0.7, 1.0), (0.002, 0.005, 0.01, 0.02, 0.05)  # tried on validation windows
MAX_VALUES = 432_000  # in the windows that it is estimated from, spread evenly: 1,000 windows of 18 x 24
MAX_JUDGED = 35_000  # in the validation windows by which mix and nugget are chosen, spread evenly
MAX_ENTRIES = 4000  # of a window; time grows with the cube


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D) of a window's D = K L entries."""

    mean: np.ndarray
    covariance: np.ndarray


class Conditional(NamedTuple):
    """Mean (n,) and covariance (n, n) of the n entries of a window that are not given, in the order of their index."""

    mean: np.ndarray
    covariance: np.ndarray


class Estimate(NamedTuple):
    """A Gaussian, and the share of its covariance that depends on the lag alone and what was added to variances."""

    gaussian: Gaussian
    mix: float
    nugget: float


def choose(
    values: np.ndarray, known: np.ndarray, valid_values: np.ndarray, given: np.ndarray, targets: np.ndarray
) -> Estimate:
    """`fit`, with the mix and the nugget under which the targets of validation windows have the lowest CRPS.

    Args:
        values, known: of the training windows, as `fit` takes them.
        valid_values: (M, K, L).
        given, targets: boolean (M, K, L), what is given and what is judged.

    Raises:
        InputError: see `fit`; or no target.
    """
    if not targets.any():
        raise InputError("the joint Gaussian of a window: the validation windows have no target")
    every = _thinned(given, MAX_JUDGED)
    valid_values, given, targets = valid_values[every], given[every], targets[every]
    mean, covariance = _estimate(values, known)

    smooth = [(mix, _smooth(covariance, values.shape[1], mix)) for mix in MIXES]
    candidates = (
        Estimate(Gaussian(mean, averaged + nugget * np.eye(len(mean))), mix, nugget)
        for (mix, averaged), nugget in itertools.product(smooth, NUGGETS)
    )

    def crps_of(candidate):
        means, deviations = fill(candidate.gaussian, valid_values, given)
        return crps(means[targets], deviations[targets], valid_values[targets]).mean()

    return min(candidates, key=crps_of)


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
    mean, covariance = _estimate(values, known)
    return Gaussian(mean, _regular(covariance, values.shape[1], mix, nugget))


def save(estimate: Estimate | None, path: files.PathLike, metadata: dict[str, Any]) -> None:
    """Write an estimate to a .safetensors file, in float32; None, where there is none, leaves it empty."""
    tensors = {} if estimate is None else {k: v.astype(np.float32) for k, v in estimate.gaussian._asdict().items()}
    chosen = {} if estimate is None else {"mix": estimate.mix, "nugget": estimate.nugget}
    serialise = functools.partial(safetensors.numpy.save, tensors)
    weights.write(path, metadata | chosen | stamp.record(), serialise)


def load(path: files.PathLike) -> Gaussian | None:
    """The Gaussian of a file; None where there was none to estimate.

    Raises:
        InputError: the file cannot be read, or is damaged.
    """
    try:
        weights.check(path)
        tensors = safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it, and it is made again") from error
    return Gaussian(**{name: tensor.astype(np.float64) for name, tensor in tensors.items()}) if tensors else None


def _thinned(windows, most):
    """A slice of windows (N, K, L), every n-th, that have no more values than `most` together, but two windows."""
    return slice(None, None, min(-(-windows.size // most), max(len(windows) - 1, 1)))


def _estimate(values, known):
    """Mean and covariance by expectation maximisation, the covariance not regular yet."""
    every = _thinned(known, MAX_VALUES)
    values, known = values[every], known[every]
    n, n_features, length = values.shape
    if n_features * length > MAX_ENTRIES:
        fault = f"{n_features} features x {length} steps are more than {MAX_ENTRIES} entries"
        raise InputError(f"the joint Gaussian of a window: {fault}")
    rows, there = values.reshape(n, -1).astype(np.float64), known.reshape(n, -1)
    rows = np.where(there, rows, np.nan)
    mean = _by_feature(rows, n_features)
    covariance = _pairwise(rows - mean)
    for _ in range(N_PASSES if not there.all() else 0):
        before = Gaussian(mean, _regular(covariance, n_features, MIX, NUGGET))
        mean, covariance = _pass(rows, there, before, n_features)
    return mean, covariance


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


def crps(mean: np.ndarray, deviation: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """CRPS (n,) of normal distributions (Gneiting et al. 2005, equation 5)."""
    z = (truth - mean) / deviation
    return deviation * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


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
    """A covariance, partly averaged over lags, with larger variances."""
    return _smooth(covariance, n_features, mix) + nugget * np.eye(len(covariance))


def _smooth(covariance, n_features, mix):
    """A covariance, partly averaged over lags, without eigenvalues below `SMALLEST`."""
    covariance = mix * _by_lag(covariance, n_features) + (1 - mix) * covariance
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * values.clip(min=SMALLEST)) @ vectors.T


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
