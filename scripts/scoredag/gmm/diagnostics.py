"""How far samples are from the mixture: distances between point clouds and to the weights."""

from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.spatial.distance import cdist

from scoredag import streams
from scoredag.gmm.mixture import GaussianMixture
from scoredag.gmm.views import View

_MAX_PAIRED = 3000


def sliced_wasserstein2(x: np.ndarray, y: np.ndarray, n_projections: int, seed: int) -> float:
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


def energy_distance(x: np.ndarray, y: np.ndarray, within: float | None = None) -> float:
    """Energy distance sqrt(2 E|X-Y| - E|X-X'| - E|Y-Y'|) (Szekely & Rizzo 2013, equation 1).

    Between samples `x` (N, 2) and `y` (M, 2), as V-statistics; unit: root of that of `x`.
    `within` is E|Y-Y'| if it was computed before, by `mean_distance(y, y)`.
    """
    within = mean_distance(y, y) if within is None else within
    square = 2 * mean_distance(x, y) - mean_distance(x, x) - within
    return float(np.sqrt(max(square, 0.0)))


def mean_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Mean Euclidean distance of all pairs from `x` (N, 2) and `y` (M, 2)."""
    return _mean_of_pairs(x, y, "euclidean", lambda distances: distances)


def maximum_mean_discrepancy(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    """Maximum mean discrepancy of samples `x` (N, 2) and `y` (M, 2) with a Gaussian kernel (Gretton et al. 2012, (5)).

    The root of the V-statistic; without unit. `bandwidth` is the kernel's deviation, in the unit of `x`.
    """

    def mean_kernel(a, b):
        return _mean_of_pairs(a, b, "sqeuclidean", lambda squares: np.exp(-squares / (2 * bandwidth**2)))

    square = mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
    return float(np.sqrt(max(square, 0.0)))


def median_distance(x: np.ndarray, n_most: int = 1000) -> float:
    """Median Euclidean distance of pairs of the first `n_most` points of `x` (N, 2), a usual bandwidth."""
    distances = cdist(x[:n_most], x[:n_most])
    return float(np.median(distances[np.triu_indices_from(distances, 1)]))


def grid_masses(gmm: GaussianMixture, view: View, n_cells: int) -> np.ndarray:
    """Probabilities (n_cells^2 + 1,) of the cells of a grid over the square `view` (centre (2,), half-width).

    The first axis is along x, the last entry all that is outside. By the midpoint rule, on four points a cell and axis.
    """
    centre, half_width = view
    n_points = 4 * n_cells
    offsets = (np.arange(n_points) + 0.5) / n_points * 2 * half_width - half_width
    points = np.stack(np.meshgrid(centre[0] + offsets, centre[1] + offsets, indexing="ij"), axis=-1)
    masses = np.exp(gmm.log_density(points.reshape(-1, 2))) * (2 * half_width / n_points) ** 2
    masses = masses.reshape(n_cells, 4, n_cells, 4).sum(axis=(1, 3)).ravel()
    return np.append(masses, max(1 - masses.sum(), np.finfo(float).tiny))


def grid_divergence(x: np.ndarray, view: View, masses: np.ndarray) -> float:
    """Kullback-Leibler divergence (nats) of the shares of samples `x` (N, 2) in cells from `grid_masses`."""
    centre, half_width = view
    n_cells = round(np.sqrt(len(masses) - 1))
    edges = [np.linspace(c - half_width, c + half_width, n_cells + 1) for c in centre]
    counts = np.histogram2d(x[:, 0], x[:, 1], bins=edges)[0].ravel()
    return float(special.rel_entr(np.append(counts, len(x) - counts.sum()) / len(x), masses).sum())


def occupancy_total_variation(gmm: GaussianMixture, x: np.ndarray) -> float:
    """Total variation in [0, 1] between the mixture's weights and the occupancies of `x` (N, 2).

    The occupancy of a component is its mean responsibility; for exact samples its expectation is
    the weight, however much components overlap.
    """
    return float(0.5 * np.abs(gmm.responsibilities(x).mean(axis=0) - gmm.weights).sum())


def _quantiles(values, levels):
    """The empirical quantile function; for as many levels as values, the sorted values."""
    rank = np.minimum((levels * len(values)).astype(int), len(values) - 1)
    return np.sort(values)[rank]


def _mean_of_pairs(x, y, metric, function, block=2000):
    """Mean of a function of the distances of all pairs, in blocks of rows to bound the memory."""
    blocks = range(0, len(x), block)
    return sum(function(cdist(x[i : i + block], y, metric)).sum() for i in blocks) / (len(x) * len(y))


class Reference(NamedTuple):
    """What samples are compared with."""

    gmm: GaussianMixture
    exact: np.ndarray  # (M, 2), exact samples
    within: float  # their mean distance from each other
    bandwidth: float  # of the kernel of the maximum mean discrepancy
    view: View  # centre (2,) and half-width of the grid
    masses: np.ndarray  # of its cells


def reference(gmm: GaussianMixture, exact: np.ndarray, view: View, n_cells: int) -> Reference:
    """The `Reference` of a mixture, exact samples of it (M, 2), and a grid."""
    return Reference(
        gmm, exact, mean_distance(exact, exact), median_distance(exact), view, grid_masses(gmm, view, n_cells)
    )


def compare(reference: Reference, x: np.ndarray, n_projections: int, seed: int) -> dict[str, float]:
    """{metric: value} of samples `x` (N, 2), the finite ones; `non_finite` alone where none is finite.

    The maximum mean discrepancy takes the first 3,000 of both samples, as an exponential a pair takes its time.
    """
    finite = x[np.isfinite(x).all(axis=1)]
    measures = {"non_finite": float(len(x) - len(finite))}
    if len(finite):
        gmm, exact, within, bandwidth, view, masses = reference
        paired = slice(_MAX_PAIRED)
        measures |= {
            "sliced_wasserstein2": sliced_wasserstein2(finite, exact, n_projections, seed),
            "energy_distance": energy_distance(finite, exact, within),
            "maximum_mean_discrepancy": maximum_mean_discrepancy(finite[paired], exact[paired], bandwidth),
            "grid_divergence": grid_divergence(finite, view, masses),
            "mean_log_density": float(gmm.log_density(finite).mean()),
            "occupancy_total_variation": occupancy_total_variation(gmm, finite),
        }
    return measures
