"""How far samples are from the mixture: distances between point clouds and to the weights."""

import numpy as np
from scipy.spatial.distance import cdist

from scoredag import streams


def sliced_wasserstein2(x, y, n_projections, seed):
    """Sliced Wasserstein-2 distance between samples `x` (N, 2) and `y` (M, 2).

    The root of the mean, over random directions, of the squared one-dimensional W2 of the
    projections (Bonneel et al. 2015, equation 8). Same unit as `x`; `seed` is an integer.
    """
    rng = streams.generator(seed, "directions")
    angles = np.pi * rng.random(n_projections)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    n = max(len(x), len(y))
    levels = (np.arange(n) + 0.5) / n
    squares = [
        np.mean((_quantiles(x @ direction, levels) - _quantiles(y @ direction, levels)) ** 2)
        for direction in directions.T
    ]
    return float(np.sqrt(np.mean(squares)))


def energy_distance(x, y):
    """Energy distance sqrt(2 E|X-Y| - E|X-X'| - E|Y-Y'|) (Szekely & Rizzo 2013, equation 1).

    Between samples `x` (N, 2) and `y` (M, 2), as V-statistics; unit: root of that of `x`.
    """
    square = 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)
    return float(np.sqrt(max(square, 0.0)))


def occupancy_total_variation(gmm, x):
    """Total variation in [0, 1] between the mixture's weights and the occupancies of `x` (N, 2).

    The occupancy of a component is its mean responsibility; for exact samples its expectation is
    the weight, however much components overlap.
    """
    return float(0.5 * np.abs(gmm.responsibilities(x).mean(axis=0) - gmm.weights).sum())


def _quantiles(values, levels):
    """The empirical quantile function; for as many levels as values, the sorted values."""
    rank = np.minimum((levels * len(values)).astype(int), len(values) - 1)
    return np.sort(values)[rank]


def _mean_distance(x, y, block=2000):
    """Mean Euclidean distance of all pairs, in blocks of rows to bound the memory."""
    return sum(cdist(x[i : i + block], y).sum() for i in range(0, len(x), block)) / (len(x) * len(y))
