"""Scores of joint draws of a window's hidden entries: what scores of single entries cannot see.

Energy score (Gneiting & Raftery 2007, equation 22) and variogram score of order 1/2 (Scheuerer & Hamill 2015) of all
hidden entries of a window, and CRPS and coverage of the mean over the hidden entries of a feature in a window.
"""

import functools
from collections.abc import Iterator

import numpy as np

from scoredag import metrics

ORDER = 0.5  # of the variogram
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
    scores = {name: (np.zeros(n), np.zeros(n)) for name in SCORES}
    fast = draws.astype(np.float32)  # for the many roots; squares of stray draws would be infinite
    for here in _runs(window):
        entries = slice(here[0], here[-1] + 1)
        of_truth = truth[entries]
        values = energy_score(draws[:, entries], of_truth), variogram_score(fast[:, entries], of_truth)
        for (top, bottom), value in zip(scores.values(), values, strict=True):
            top[here[0]], bottom[here[0]] = value, 1.0
    firsts, drawn, truths = means(draws, truth, window, feature)
    lower, upper = metrics.interval(drawn, LEVEL)
    percent = round(100 * LEVEL)
    parts = {"crps_of_mean": metrics.terms(drawn, truths)["crps"]}
    parts[f"coverage_{percent}_of_mean"] = metrics.inside(lower, upper, truths).astype(float), np.ones(len(truths))
    for name, columns in parts.items():
        placed = np.zeros((2, n))
        placed[:, firsts] = columns
        scores[name] = placed[0], placed[1]
    return scores


def energy_score(draws: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of draws (S, d) from the truth (d,), less half of that between two draws, over the root of d."""
    n = len(draws)
    apart = np.linalg.norm(draws[:, None] - draws, axis=-1).sum() / max(n * (n - 1), 1)
    return float((np.linalg.norm(draws - truth, axis=-1).mean() - apart / 2) / np.sqrt(len(truth)))


def variogram_score(draws: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error, over pairs of entries, of the mean root of differences of draws (S, d); 0 of one entry."""
    first, second = _pairs(len(truth))
    if not len(first):
        return 0.0
    apart = np.take(draws, first, axis=1)  # in place from here on: twice as fast
    apart -= np.take(draws, second, axis=1)
    np.abs(apart, out=apart)
    apart **= ORDER
    return float(((np.abs(truth[first] - truth[second]) ** ORDER - apart.mean(axis=0)) ** 2).mean(dtype=np.float64))


@functools.lru_cache(maxsize=1024)
def _pairs(n):
    """The places of both entries of each pair of at most `MOST` of n, spread evenly."""
    chosen = np.unique(np.linspace(0, n - 1, MOST).round().astype(int))
    return tuple(chosen[place] for place in np.triu_indices(len(chosen), 1))


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


def _runs(codes) -> Iterator[np.ndarray]:
    """Places of each run of equal codes."""
    yield from np.split(np.arange(len(codes)), np.flatnonzero(np.diff(codes)) + 1) if len(codes) else ()
