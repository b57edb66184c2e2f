"""The joint Gaussian of a window: the normal law of its K L entries, and what it says given some of them.

An entry of feature k at step l has the index k L + l. Values are z-scores, in float64. Up to `DENSE.entries` entries
the law has a full covariance, partly averaged over lags; above, low rank plus diagonal, which cannot be averaged.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from scipy import special
from scipy.linalg import cho_factor, cho_solve

from scoredag import low_rank
from scoredag.errors import InputError
from scoredag.laws import Gaussian, Law, LowRank
from scoredag.store import files, stamp, weights

N_PASSES = 3  # of expectation maximisation
SMALLEST = 1e-4  # eigenvalue of a covariance
MIX = 0.7  # of the covariance that depends on the lag alone; the rest is that of each pair of entries
NUGGET = 0.005  # added to variances
MIXES, NUGGETS = (0.1, 0.4, 0.7, 1.0), (0.002, 0.005, 0.01, 0.02, 0.05)  # tried on validation windows
RANKS, LOW_RANK_NUGGETS = (16, 64, 256), (0.005, 0.02, 0.05, 0.1, 0.2)  # tried where the covariance is of low rank


class Limits(NamedTuple):
    """The most entries of a window, and values, in windows spread evenly, to estimate from and to choose by."""

    entries: int
    values: int
    judged: int


DENSE = Limits(4000, 432_000, 35_000)  # 1,000 windows of 18 x 24; time grows with the cube of the entries
LOW_RANK = Limits(100_000, 10_000_000, 175_000)  # 2,000 windows of 100 x 48; time grows with the entries


class Estimate(NamedTuple):
    """The law, and how it was made.

    Attributes:
        gaussian: the law.
        mix: share of its covariance that depends on the lag alone; 0 of one of low rank.
        nugget: added to variances.
    """

    gaussian: Law
    mix: float
    nugget: float


def choose(
    values: np.ndarray, known: np.ndarray, valid_values: np.ndarray, given: np.ndarray, targets: np.ndarray
) -> Estimate:
    """`fit`, with the mix (or else the rank) and the nugget that give targets of validation windows the lowest CRPS.

    Args:
        values, known: of the training windows, as `fit` takes them.
        valid_values: (M, K, L).
        given, targets: boolean (M, K, L), what is given and what is judged.

    Raises:
        InputError: see `fit`; or no target.
    """
    if not targets.any():
        raise InputError("the joint Gaussian of a window: the validation windows have no target")
    limits = _limits(*values.shape[1:])
    every = _thinned(given.shape, limits.judged)
    valid_values, given, targets = valid_values[every], given[every], targets[every]

    def crps_of(candidate):
        means, deviations = fill(candidate.gaussian, valid_values, given)
        return crps(means[targets], deviations[targets], valid_values[targets]).mean()

    return min((_candidates if limits is DENSE else _low_rank_candidates)(values, known), key=crps_of)


def fit(values: np.ndarray, known: np.ndarray, mix: float = MIX, nugget: float = NUGGET, rank: int = RANKS[-1]) -> Law:
    """Estimate it from windows with missing entries: expectation maximisation, then averaging over lags.

    Args:
        values: (N, K, L); anything where not known.
        known: boolean (N, K, L).
        mix: share of the covariance averaged over all pairs of steps at the same lag, 0 to 1; of a dense law alone.
        nugget: added to the variances.
        rank: factors, where the covariance is of low rank; at most N - 1.

    Raises:
        InputError: more entries a window than `LOW_RANK.entries`.
    """
    if _limits(*values.shape[1:]) is LOW_RANK:
        return _with_noise(_estimate_low_rank(values, known, rank), nugget)
    mean, covariance = _estimate(values, known)
    return Gaussian(mean, _regular(covariance, values.shape[1], mix, nugget))


def save(estimate: Estimate | None, path: files.PathLike, metadata: dict[str, Any]) -> None:
    """Write an estimate to a .safetensors file, in float32; None, where there is none, leaves it empty."""
    tensors = {} if estimate is None else {k: v.astype(np.float32) for k, v in estimate.gaussian._asdict().items()}
    chosen = {} if estimate is None else {"mix": estimate.mix, "nugget": estimate.nugget}
    serialise = functools.partial(safetensors.numpy.save, tensors)
    weights.write(path, metadata | chosen | stamp.record(), serialise)


def load(path: files.PathLike) -> Law | None:
    """The law of a file, of the class whose fields the tensors are; None where there was none to estimate.

    Raises:
        InputError: the file cannot be read, or is damaged.
    """
    try:
        weights.check(path)
        tensors = safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it, and it is made again") from error
    if not tensors:
        return None
    law = LowRank if "factors" in tensors else Gaussian
    return law(**{name: tensor.astype(np.float64) for name, tensor in tensors.items()})


def _limits(n_features, length):
    """The limits of the kind of law that windows of this size have: the smaller ones where they hold it."""
    for limits in (DENSE, LOW_RANK):
        if n_features * length <= limits.entries:
            return limits
    fault = f"{n_features} features x {length} steps are more than {LOW_RANK.entries:,} entries"
    raise InputError(f"the joint Gaussian of a window: {fault}")


def thinned(shape: tuple[int, ...]) -> slice:
    """Those of windows (N, K, L), every n-th, that the law is estimated from.

    Raises:
        InputError: see `fit`.
    """
    return _thinned(shape, _limits(*shape[1:]).values)


def _thinned(shape, most):
    """Those of windows (N, K, L), every n-th, that have no more values than `most` together, but two windows."""
    n, n_features, length = shape
    return slice(None, None, min(-(-n * n_features * length // most), max(n - 1, 1)))


def _candidates(values: np.ndarray, known: np.ndarray) -> Iterator[Estimate]:
    """Dense laws of each mix and nugget."""
    mean, covariance = _estimate(values, known)
    for mix in MIXES:
        averaged = _smooth(covariance, values.shape[1], mix)
        for nugget in NUGGETS:
            yield Estimate(Gaussian(mean, averaged + nugget * np.eye(len(mean))), mix, nugget)


def _low_rank_candidates(values: np.ndarray, known: np.ndarray) -> Iterator[Estimate]:
    """Laws of each rank and nugget; no two ranks above what the number of windows allows."""
    for rank in sorted({min(rank, max(len(values) - 1, 1)) for rank in RANKS}):
        law = _estimate_low_rank(values, known, rank)
        for nugget in LOW_RANK_NUGGETS:
            yield Estimate(_with_noise(law, nugget), 0.0, nugget)


def _estimate_low_rank(values, known, rank):
    """A law of low rank, without a nugget yet."""
    every = _thinned(known.shape, LOW_RANK.values)
    values, known = values[every], known[every]
    n, n_features, _ = values.shape
    return low_rank.fit(values.reshape(n, -1).astype(np.float64), known.reshape(n, -1), n_features, rank)


def _with_noise(law, nugget):
    """A law of low rank with larger variances."""
    return law._replace(noise=law.noise + nugget)


def _estimate(values, known):
    """Mean and covariance by expectation maximisation, the covariance not regular yet."""
    every = _thinned(known.shape, DENSE.values)
    values, known = values[every], known[every]
    n, n_features, _ = values.shape
    rows, there = values.reshape(n, -1).astype(np.float64), known.reshape(n, -1)
    rows = np.where(there, rows, np.nan)
    mean = low_rank.by_feature(rows, n_features)
    covariance = _pairwise(rows - mean)
    for _ in range(N_PASSES if not there.all() else 0):
        before = Gaussian(mean, _regular(covariance, n_features, MIX, NUGGET))
        mean, covariance = _pass(rows, there, before, n_features)
    return mean, covariance


def condition(law: Law, values: np.ndarray, known: np.ndarray) -> Law:
    """The law of the entries of one window, (K, L), that are not known, given those that are, in their order."""
    there = known.ravel()
    return law.given(there, values.ravel()[there].astype(np.float64))


def surprises(law: Law, values: np.ndarray, known: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """-log p(targets | what is known) of windows, nats, in parts of their features by the chain rule.

    A feature's part is that of its targets, given what is known and the targets of the features before it. Entries
    that are neither are left out.

    Args:
        law: of a window's entries.
        values: (N, K, L); anything where neither known nor target.
        known, targets: boolean (N, K, L), disjoint.

    Returns:
        (N, K), 0 for a feature without targets.
    """
    result = np.zeros(values.shape[:2])
    for parts, window, given, target in zip(result, values, known, targets, strict=True):
        if target.any():
            rest = condition(law, window, given).marginal(target[~given])
            parts[:] = rest.surprises(window[target].astype(np.float64), target.sum(axis=1))
    return result


def fill(law: Law, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Conditional means, and deviations, of the entries of windows (N, K, L); what is known stays, with deviation 0."""
    means, deviations = np.where(known, values, 0.0).astype(np.float64), np.zeros(values.shape)
    for window, given, mean, deviation in zip(values, known, means, deviations, strict=True):
        rest = condition(law, window, given)
        mean[~given] = rest.mean
        deviation[~given] = np.sqrt(rest.variances().clip(min=0.0))
    return means, deviations


def crps(mean: np.ndarray, deviation: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """CRPS (n,) of normal distributions (Gneiting et al. 2005, equation 5)."""
    z = (truth - mean) / deviation
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return deviation * (z * (2 * special.ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))


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
            row[lacks], spread = gaussian.given(known, row[known])
        uncertain[np.ix_(lacks, lacks)] += spread
    mean = low_rank.by_feature(filled, n_features)
    centred = filled - mean
    return mean, (centred.T @ centred + uncertain) / len(rows)
