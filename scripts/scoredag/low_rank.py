"""Estimate a normal law of very many entries from windows with gaps: low rank plus diagonal.

Factor analysis by expectation maximisation (Rubin & Thayer 1982, EM algorithms for ML factor analysis), from the
principal components (Tipping & Bishop 1999, Probabilistic principal component analysis). What a window lacks is latent,
too: a pass takes of each window one Cholesky factor (r, r), and of all together no more than memory D r.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

from scoredag.laws import LowRank

N_PASSES = 3  # of expectation maximisation
SMALLEST = 1e-4  # noise


def fit(rows: np.ndarray, known: np.ndarray, n_features: int, rank: int, n_passes: int = N_PASSES) -> LowRank:
    """Estimate it.

    Args:
        rows: (N, D), the entries of a window feature by feature; anything where not known.
        known: boolean (N, D).
        n_features: the mean is that of each feature.
        rank: r, factors; fewer where there are no more windows than that.
        n_passes: of expectation maximisation.
    """
    mean = by_feature(np.where(known, rows, np.nan), n_features)
    law = _principal(np.where(known, rows - mean, 0.0), mean, min(rank, rows.shape[1], max(len(rows) - 1, 1)))
    for _ in range(n_passes):
        law = _pass(rows, known, law, n_features)
    return law


def by_feature(rows: np.ndarray, n_features: int) -> np.ndarray:
    """The mean of each feature, at each of its entries (D,), of rows (N, D) with NaN where unknown; 0 of none known."""
    parts = rows.reshape(len(rows), n_features, -1)
    counts = np.isfinite(parts).sum(axis=(0, 2))
    means = np.nansum(parts, axis=(0, 2)) / counts.clip(min=1)
    return np.repeat(means, parts.shape[2])


def _principal(centred, mean, rank):
    """The law by the largest principal components of filled windows (N, D), less the mean of what they leave out."""
    n, size = centred.shape
    gram = (centred @ centred.T if n <= size else centred.T @ centred) / n  # the smaller one has the same eigenvalues
    squares, vectors = eigh(gram, subset_by_index=[len(gram) - rank, len(gram) - 1])
    squares = squares.clip(min=1e-12)
    axes = centred.T @ vectors / np.sqrt(n * squares) if n <= size else vectors
    left_out = (np.trace(gram) - squares.sum()) / max(size - rank, 1)
    factors = axes * np.sqrt((squares - left_out).clip(min=0.0))
    noise = (centred**2).mean(axis=0) - (factors**2).sum(axis=1)
    return LowRank(mean, factors, noise.clip(min=SMALLEST))


def _pass(rows, known, law, n_features):
    """One pass of expectation maximisation."""
    n, rank = len(rows), law.factors.shape[1]
    filled = np.where(known, rows - law.mean, 0.0)
    weighted = law.factors / law.noise[:, None]
    every = np.eye(rank) + law.factors.T @ weighted
    spread_of_all = cho_solve(cho_factor(every), np.eye(rank))
    means = filled @ weighted  # (N, r)
    of_z, with_x, of_x = np.zeros((rank, rank)), np.zeros(law.factors.shape), np.zeros(len(law.mean))
    for row, there, mean in zip(filled, known, means, strict=True):
        lacks = np.flatnonzero(~there)
        spread = spread_of_all
        if len(lacks):
            factors = law.factors[lacks]
            if 2 * len(lacks) < len(row):
                precision = every - factors.T @ weighted[lacks]
            else:
                precision = np.eye(rank) + law.factors[there].T @ weighted[there]
            spread = cho_solve(cho_factor(precision), np.eye(rank))
        mean[:] = spread @ mean
        of_z += spread
        if len(lacks):
            row[lacks] = factors @ mean
            across = factors @ spread
            with_x[lacks] += across
            of_x[lacks] += (across * factors).sum(axis=1) + law.noise[lacks]
    shift = by_feature(filled, n_features)
    filled -= shift
    of_z += means.T @ means
    with_x += filled.T @ means
    of_x += (filled**2).sum(axis=0)
    factors = cho_solve(cho_factor(of_z), with_x.T).T
    noise = (of_x - (factors * with_x).sum(axis=1)) / n
    return LowRank(law.mean + shift, factors, noise.clip(min=SMALLEST))
