"""Scores of joint draws of a window's hidden entries: what scores of single entries cannot see.

Energy score (Gneiting & Raftery 2007, equation 22) and variogram score of order 1/2 (Scheuerer & Hamill 2015) of all
hidden entries of a window, and CRPS and coverage of the mean over the hidden entries of a feature in a window.
"""

import math

import numpy as np
from numba import njit

from scoredag import metrics

MOST = 100  # entries of a window whose pairs the variogram takes, spread evenly
LEVEL = 0.8  # of the interval of a mean
SCORES = ("energy_score", "variogram_score")  # of a whole window, of no single feature


def terms(draws: np.ndarray, truth: np.ndarray, window: np.ndarray, feature: np.ndarray) -> metrics.Terms:
    """Terms of the joint scores as `metrics.terms` has them: those of a window, or of a mean, stand at its first entry.

    Args:
        draws: joint draws (S, n), independent of each other.
        truth: (n,).
        window, feature: codes (n,); entries of a window are together.
    """
    n = len(truth)
    firsts = np.flatnonzero(np.diff(window, prepend=-1))
    values = np.empty((len(SCORES), len(firsts)))
    _of_windows(draws, truth, np.append(firsts, n), *values)
    scores = {name: _placed(firsts, (row, 1.0), n) for name, row in zip(SCORES, values, strict=True)}
    firsts, drawn, truths = means(draws, truth, window, feature)
    lower, upper = metrics.interval(drawn, LEVEL)
    percent = round(100 * LEVEL)
    parts = {"crps_of_mean": metrics.terms(drawn, truths)["crps"]}
    parts[f"coverage_{percent}_of_mean"] = metrics.inside(lower, upper, truths).astype(float), np.ones(len(truths))
    return scores | {name: _placed(firsts, columns, n) for name, columns in parts.items()}


def _placed(places, columns, n):
    """Two columns (n,) that hold the values of `columns` at some places, and 0 elsewhere."""
    placed = np.zeros((2, n))
    for row, values in zip(placed, columns, strict=True):
        row[places] = values
    return placed[0], placed[1]


# the innermost loops add to many sums, not to one: the compiler vectorises these


@njit(error_model="numpy")
def energy_score(draws: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of draws (S, d) from the truth (d,), less half of that between two draws, over the root of d."""
    n, d = draws.shape
    away, apart = 0.0, 0.0
    squares = np.empty(n)  # of the distances of one draw from those before it, and from the truth
    for s in range(n):
        squares[:] = 0.0
        for k in range(d):
            squares[s] += (draws[s, k] - truth[k]) ** 2
            for t in range(s):
                squares[t] += (draws[s, k] - draws[t, k]) ** 2
        away += math.sqrt(squares[s])
        for t in range(s):
            apart += math.sqrt(squares[t])
    return (away / n - apart / max(n * (n - 1), 1)) / math.sqrt(d)


@njit(error_model="numpy")
def variogram_score(draws: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error, over pairs of entries, of the mean root of differences of draws (S, d); 0 of one entry."""
    n, d = draws.shape
    m = min(d, MOST)
    chosen = np.empty((n + 1, m), np.float32)  # of the truth, too
    for j in range(m):
        place = int(np.round(j * ((d - 1) / max(m - 1, 1))))
        chosen[n, j] = truth[place]
        for s in range(n):
            chosen[s, j] = draws[s, place]
    total = 0.0
    roots = np.empty(m, np.float32)
    for i in range(m - 1):
        roots[:] = 0.0
        for s in range(n):
            _add_roots(chosen[s, i], chosen[s], roots)
        for j in range(i + 1, m):
            error = math.sqrt(abs(chosen[n, i] - chosen[n, j])) - roots[j] / n
            total += error * error
    return total / max(m * (m - 1) // 2, 1)


@njit(error_model="numpy")
def _add_roots(value, others, sums):
    for j in range(len(sums)):
        sums[j] += np.sqrt(np.abs(value - others[j]))


@njit(cache=True, nogil=True, error_model="numpy")
def _of_windows(draws, truth, edges, energy, variogram):
    """Both scores of each window, whose entries lie between two `edges`."""
    for i in range(len(edges) - 1):
        entries = slice(edges[i], edges[i + 1])
        energy[i] = energy_score(draws[:, entries], truth[entries])
        variogram[i] = variogram_score(draws[:, entries], truth[entries])


def means(
    draws: np.ndarray, truth: np.ndarray, window: np.ndarray, feature: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each feature in each window: its first entry (m,), the mean of its draws (S, m), and that of its truth (m,).

    Arguments are as in `terms`.
    """
    codes = window.astype(np.int64) * (feature.max(initial=0) + 1) + feature
    _, first, group, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    drawn = np.stack([np.bincount(group, draw, minlength=len(first)) for draw in draws]) / counts
    return first, drawn, np.bincount(group, truth, minlength=len(first)) / counts
