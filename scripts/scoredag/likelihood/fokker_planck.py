"""The law of the reverse SDE on a grid, and how far the likelihood bound is above it.

Everything is in the unit and on the clock in which all linear SDEs are dy = -y/2 dB + dw (see `sde`). With r = B_T - B,
from the last clock time down, the reverse SDE is dy = (y/2 + s) dr + dw, and two equations are solved side by side:

- the density q of its law, by Fokker & Planck: dq/dr = -div((y/2 + s) q) + lap q / 2, from the prior;
- the gap G between the pointwise bound and -log q, by Kolmogorov, from 0:
  dG/dr = -y/2 grad G + lap G / 2 + |s - grad log q|^2 / 2. It is the mean, over the forward process from y, of half the
  squared distance between s and the score of q (docs/likelihood-bound.md).

In space: finite volumes with exponentially fitted fluxes (Scharfetter & Gummel 1969), which keep the mass. In time:
alternating directions (Peaceman & Rachford 1955), coefficients at the middle of a step. Both are of second order.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import maximum_filter

from scoredag.errors import InputError
from scoredag.likelihood.sde import Numbers

_TINY = 1e-280
_MAX_NEGATIVE_MASS = 1e-6  # where more of the density is below 0 the steps are too long
_DEPTH = 12.0  # nats below its peak at which a density is lost in the errors of its neighbours
_FLOOR = 40.0  # nats below the peak at which splines see the bottom: a cliff to log _TINY would make them ring
_LARGEST_ERROR = 0.5  # nats; what is less sure is not told
_NEIGHBOURS = 5  # cells a side among which the largest change is the error: a change may be 0 by chance


class Grid(NamedTuple):
    """A square of cells, the same along both axes; all (n,)."""

    centres: np.ndarray
    widths: np.ndarray
    weights: np.ndarray  # of sums over the centres: closer to an integral than the widths where cells widen

    @property
    def points(self) -> np.ndarray:
        """The centres (c_i, c_j) as points (n n, 2), in the order of raveled arrays."""
        return np.stack(np.meshgrid(self.centres, self.centres, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def areas(self) -> np.ndarray:
        """The areas (n, n) of the cells."""
        return self.widths[:, None] * self.widths

    def integral(self, values: np.ndarray) -> float:
        """The integral of values (n n,) at the points."""
        return float(self.weights @ np.reshape(values, (len(self.weights), -1)) @ self.weights)


class Solution(NamedTuple):
    """Log-density and gap (n, n) at the centres of a grid, and the mass of the density."""

    grid: Grid
    log_density: np.ndarray
    gap: np.ndarray
    mass: float

    def at(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-density and gap at points `y` (N, 2), each (N,), by cubic splines."""
        floored = np.maximum(self.log_density, self.log_density.max() - _FLOOR)
        return _spline(self.grid, floored, y), _spline(self.grid, self.gap, y)


class Values(NamedTuple):
    """What two grids say of points: log-density and gap with their errors, in nats, and whether they are `known`."""

    log_density: np.ndarray
    log_density_error: np.ndarray
    gap: np.ndarray
    gap_error: np.ndarray
    known: np.ndarray  # the density is within 12 nats of its peak, and no error above 0.5 nats


def grid(inner: float, half_width: float, n_cells: int) -> Grid:
    """A `Grid` from -half_width to half_width, with cells of one width within +-inner that widen smoothly outside."""
    reach = extent(inner, half_width) / 2
    edges = np.linspace(-reach, reach, n_cells + 1)
    middles = (edges[1:] + edges[:-1]) / 2

    def stretched(u):
        return u + np.sign(u) * np.maximum(np.abs(u) - inner, 0) ** 3

    slopes = 1 + 3 * np.maximum(np.abs(middles) - inner, 0) ** 2
    return Grid(stretched(middles), np.diff(stretched(edges)), slopes * np.diff(edges))


def extent(inner: float, half_width: float) -> float:
    """The width of a square with as many cells, all of the inner width: outside `inner`, u is stretched to u + u^3."""
    if half_width <= inner:
        return 2 * half_width
    outer = max(root.real for root in np.roots([1, 0, 1, inner - half_width]) if abs(root.imag) < 1e-9)
    return 2 * (inner + outer)


def steps(first: float, last: float, n_steps: int, finest: float = 1e-3) -> np.ndarray:
    """Clock times (n_steps + 1,), falling from `last` to `first`, even in log(sigma^2 / alpha^2 + finest)."""
    start, stop = np.log(np.expm1([last, first]) + finest)
    clocks = np.log1p(np.exp(np.linspace(start, stop, n_steps + 1)) - finest)
    clocks[0], clocks[-1] = last, first
    return clocks


def solve(
    score: Callable[[np.ndarray, float], np.ndarray], clocks: np.ndarray, prior_variance: float, cells: Grid
) -> Solution:
    """The law of the reverse SDE at the last of `clocks`.

    Args:
        score: (y, B) -> (N, 2), the score model in this unit and on this clock.
        clocks: falling times B.
        prior_variance: of the law N(0, prior_variance I) at the first of them.
        cells: the grid; nothing flows across its edge.

    Raises:
        InputError: the steps are so long that the density is negative somewhere.
    """
    n, points, areas = len(cells.centres), cells.points, cells.areas
    density = np.exp(-np.square(points).sum(axis=1) / (2 * prior_variance)).reshape(n, n)
    density /= (density * areas).sum()
    gap = np.zeros_like(density)
    pull = np.broadcast_to(-cells.centres[:, None] / 2, density.shape)  # drift of the forward process
    forward = _adjoint(_operator(pull, cells), cells.widths)  # the same along both axes
    for before, after in itertools.pairwise(clocks):
        half = (before - after) / 2
        score_x, score_y = np.moveaxis(score(points, (before + after) / 2).reshape(n, n, 2), -1, 0)
        # the second along the first axis of transposed values
        operators = [_operator(drift - pull, cells) for drift in (score_x, score_y.T)]
        moved = _alternate(operators, density, half)
        logs = np.log(np.maximum(np.sqrt(np.abs(density * moved)), _TINY))  # at the middle of the step
        slopes = np.gradient(logs, cells.centres, cells.centres, edge_order=2)
        source = ((score_x - slopes[0]) ** 2 + (score_y - slopes[1]) ** 2) / 2
        gap = _alternate([forward, forward], gap, half, source)
        density = moved
    negative = float(-(density.clip(max=0) * areas).sum())
    if not negative < _MAX_NEGATIVE_MASS:
        raise InputError(f"n_steps: {len(clocks) - 1} are too few, the density is negative in places; write more")
    return Solution(cells, np.log(np.maximum(density, _TINY)), gap, float((density * areas).sum()))


def refined(
    score: Callable[[np.ndarray, float], np.ndarray],
    clocks: np.ndarray,
    prior_variance: float,
    *,
    inner: float,
    half_width: float,
    n_cells: int,
) -> tuple[Solution, Solution]:
    """Solutions on `n_cells` a side and on two thirds of them, (fine, coarse), for `extrapolated`."""
    fine, coarse = (
        solve(score, clocks, prior_variance, grid(inner, half_width, n)) for n in (n_cells, round(n_cells / 1.5))
    )
    return fine, coarse


def extrapolated(fine: Numbers, coarse: Numbers) -> tuple[Numbers, Numbers]:
    """The limit of values on both grids (Richardson), and the distance of the fine ones from it."""
    change = (fine - coarse) / (1.5**2 - 1)
    return fine + change, np.abs(change)


def values_at(fine: Solution, coarse: Solution, y: np.ndarray) -> Values:
    """`Values` at points `y` (N, 2), each (N,), extrapolated from both grids.

    An error is the largest distance of the fine grid from the limit on the cell and its neighbours, as an error of
    the limit itself, which is of higher order, has no estimate from two grids.
    """
    limits = [np.asarray(extrapolated(*pair)[0]) for pair in zip(fine.at(y), coarse.at(y), strict=True)]
    errors = []
    for pair in zip(fine.at(fine.grid.points), coarse.at(fine.grid.points), strict=True):
        changes = np.reshape(extrapolated(*pair)[1], fine.gap.shape)
        errors.append(_spline(fine.grid, maximum_filter(changes, _NEIGHBOURS), y, degree=1))
    deep = limits[0] < fine.log_density.max() - _DEPTH
    known = ~deep & (errors[0] <= _LARGEST_ERROR) & (errors[1] <= _LARGEST_ERROR)
    return Values(limits[0], errors[0], limits[1], errors[1], known)


def _spline(cells, values, y, degree=3):
    return RectBivariateSpline(cells.centres, cells.centres, values, kx=degree, ky=degree).ev(*y.T)


def _faces(drift):
    """The drift (n - 1, m) between the cells along the first axis, by cubic interpolation in their numbers."""
    inner = (9 * (drift[1:-2] + drift[2:-1]) - drift[:-3] - drift[3:]) / 16
    return np.concatenate([(drift[:1] + drift[1:2]) / 2, inner, (drift[-2:-1] + drift[-1:]) / 2])


def _operator(drift, cells):
    """Lower, middle and upper diagonal (n, m) of -d(drift q) + d^2 q / 2 along the first axis."""
    distances, widths = np.diff(cells.centres)[:, None], cells.widths[:, None]
    peclet = 2 * distances * _faces(drift)  # drift over diffusion, from centre to centre
    small = np.abs(peclet) < 1e-5
    safe = np.where(small, 1.0, peclet)
    down = np.where(small, 1 - peclet / 2, safe / np.expm1(np.minimum(safe, 700)))  # P / (e^P - 1)
    up = down + peclet
    down, up = down / (2 * distances), up / (2 * distances)
    lower, middle, upper = np.zeros((3, *drift.shape))
    upper[:-1], lower[1:] = down / widths[:-1], up / widths[1:]
    middle[:-1] -= up / widths[:-1]
    middle[1:] -= down / widths[1:]
    return lower, middle, upper


def _adjoint(operator, widths):
    """The diagonals of the adjoint, which acts on functions where `operator` acts on densities."""
    lower, middle, upper = operator
    adjoint_lower, adjoint_upper = np.zeros_like(lower), np.zeros_like(upper)
    ratio = (widths[1:] / widths[:-1])[:, None]
    adjoint_lower[1:], adjoint_upper[:-1] = upper[:-1] / ratio, lower[1:] * ratio
    return adjoint_lower, middle, adjoint_upper


def _alternate(operators, values, half, source=None):
    """A step of alternating directions, of length 2 `half`; the second operator acts on the transposed values."""
    first, second = operators
    added = 0.0 if source is None else half * source
    values = np.ascontiguousarray((_explicit(*first, half, values) + added).T)
    values = _implicit(*second, half, values)
    values = np.ascontiguousarray((_explicit(*second, half, values)).T) + added
    return _implicit(*first, half, values)


@njit(cache=True, nogil=True, error_model="numpy")
def _explicit(lower, middle, upper, half, values):
    """(1 + half A) values, A along the first axis."""
    n, m = values.shape
    out = np.empty_like(values)
    for i in range(n):
        for j in range(m):
            out[i, j] = values[i, j] * (1 + half * middle[i, j])
        if i > 0:
            for j in range(m):
                out[i, j] += half * lower[i, j] * values[i - 1, j]
        if i < n - 1:
            for j in range(m):
                out[i, j] += half * upper[i, j] * values[i + 1, j]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _implicit(lower, middle, upper, half, values):
    """(1 - half A)^-1 values, by elimination along the first axis (Thomas)."""
    n, m = values.shape
    out, ratio = values.copy(), np.empty_like(values)
    for j in range(m):
        pivot = 1 / (1 - half * middle[0, j])
        ratio[0, j] = -half * upper[0, j] * pivot
        out[0, j] *= pivot
    for i in range(1, n):
        for j in range(m):
            below = -half * lower[i, j]
            pivot = 1 / (1 - half * middle[i, j] - below * ratio[i - 1, j])
            ratio[i, j] = -half * upper[i, j] * pivot
            out[i, j] = (out[i, j] - below * out[i - 1, j]) * pivot
    for i in range(n - 2, -1, -1):
        for j in range(m):
            out[i, j] -= ratio[i, j] * out[i + 1, j]
    return out
