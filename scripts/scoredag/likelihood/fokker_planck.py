"""The law of the reverse SDE on a grid, and how far the likelihood bound is above it.

Everything is in the unit and on the clock on which all linear SDEs are dy = -y/2 dB + dw (see `sde`). From the last
clock B_T down, r = B_T - B, the reverse SDE is dy = (y/2 + s) dr + dw, and two equations are solved side by side:

- the density q of its law, by Fokker & Planck: dq/dr = -div((y/2 + s) q) + lap q / 2, from the prior;
- the gap G between the pointwise bound and -log q, by Kolmogorov, from 0:
  dG/dr = -y/2 grad G + lap G / 2 + |s - grad log q|^2 / 2. It is the mean, over the forward process from y, of half the
  squared distance between s and the score of q (docs/likelihood-bound.md).

In space: finite volumes with exponentially fitted fluxes (Scharfetter & Gummel 1969), which keep the mass. In time:
alternating directions (Peaceman & Rachford 1955), coefficients at the middle of a step. Both are of second order.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.interpolate import RectBivariateSpline

from scoredag.errors import InputError

_TINY = 1e-280
_NEGATIVE = 1e-6  # mass below 0, from which on steps are too long


class Grid(NamedTuple):
    """A square of cells, the same along both axes: centres, widths and weights of sums over the centres, (n,)."""

    centres: np.ndarray
    widths: np.ndarray
    weights: np.ndarray  # nearer to an integral than the widths where cells widen

    @property
    def points(self):
        """The centres (c_i, c_j) as points (n n, 2), in the order of raveled arrays."""
        return np.stack(np.meshgrid(self.centres, self.centres, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def areas(self):
        """Of the cells, (n, n)."""
        return self.widths[:, None] * self.widths

    def integral(self, values):
        """Of values (n n,) at the points."""
        return float(self.weights @ np.reshape(values, (len(self.weights), -1)) @ self.weights)


class Solution(NamedTuple):
    """Log-density and gap (n, n) at the centres of a grid, and the mass of the density."""

    grid: Grid
    log_density: np.ndarray
    gap: np.ndarray
    mass: float

    def at(self, y):
        """Log-density and gap at points `y` (N, 2), each (N,), by cubic splines."""
        sides = self.grid.centres, self.grid.centres
        return tuple(RectBivariateSpline(*sides, values).ev(y[:, 0], y[:, 1]) for values in self[1:3])


def grid(inner, half_width, n_cells):
    """A `Grid` from -half_width to half_width, of cells of one width within +-inner that widen smoothly beyond."""
    reach = extent(inner, half_width) / 2
    edges = np.linspace(-reach, reach, n_cells + 1)
    middles = (edges[1:] + edges[:-1]) / 2

    def placed(u):
        return u + np.sign(u) * np.maximum(np.abs(u) - inner, 0) ** 3

    slopes = 1 + 3 * np.maximum(np.abs(middles) - inner, 0) ** 2
    return Grid(placed(middles), np.diff(placed(edges)), slopes * np.diff(edges))


def extent(inner, half_width):
    """What the square would measure with as many cells, all of the inner width: beyond `inner`, u + u^3 is one of u."""
    if half_width <= inner:
        return 2 * half_width
    outer = max(root.real for root in np.roots([1, 0, 1, inner - half_width]) if abs(root.imag) < 1e-9)
    return 2 * (inner + outer)


def steps(first, last, n_steps, finest=1e-3):
    """Clock times (n_steps + 1,), falling from `last` to `first`, even in log(sigma^2 / alpha^2 + finest)."""
    ends = np.log(np.expm1([last, first]) + finest)
    clocks = np.log1p(np.exp(np.linspace(*ends, n_steps + 1)) - finest)
    clocks[0], clocks[-1] = last, first
    return clocks


def solve(score, clocks, prior_variance, cells):
    """The law of the reverse SDE at the last of `clocks`.

    Args:
        score: (y, B) -> (N, 2), the score model in this unit and on this clock.
        clocks: falling times B.
        prior_variance: of the law N(0, . I) at the first of them.
        cells: a `Grid`; nothing flows across its edge.

    Returns:
        A `Solution`.

    Raises:
        InputError: the steps are so long that the density is negative somewhere.
    """
    n, points, areas = len(cells.centres), cells.points, cells.areas
    density = np.exp(-np.square(points).sum(axis=1) / (2 * prior_variance)).reshape(n, n)
    density /= (density * areas).sum()
    gap = np.zeros_like(density)
    pull = np.broadcast_to(-cells.centres[:, None] / 2, density.shape)  # of the forward process
    forward = _adjoint(_operator(pull, cells), cells.widths)  # the same along both axes
    for before, after in itertools.pairwise(clocks):
        half = (before - after) / 2
        found = score(points, (before + after) / 2).reshape(n, n, 2)
        # the second with its axis first
        operators = [_operator(drift - pull, cells) for drift in (found[..., 0], found[..., 1].T)]
        moved = _alternate(operators, density, half)
        logs = np.log(np.maximum(np.sqrt(np.abs(density * moved)), _TINY))  # at the middle of the step
        slopes = np.gradient(logs, cells.centres, cells.centres, edge_order=2)
        source = ((found[..., 0] - slopes[0]) ** 2 + (found[..., 1] - slopes[1]) ** 2) / 2
        gap = _alternate([forward, forward], gap, half, source)
        density = moved
    negative = float(-(density.clip(max=0) * areas).sum())
    if not negative < _NEGATIVE:
        raise InputError(f"n_steps: {len(clocks) - 1} are too few, the density is negative in places; write more")
    return Solution(cells, np.log(np.maximum(density, _TINY)), gap, float((density * areas).sum()))


def refined(score, clocks, prior_variance, *, inner, half_width, n_cells):
    """Solutions on `n_cells` a side and on two thirds of them, (fine, coarse), for `extrapolated`."""
    return tuple(
        solve(score, clocks, prior_variance, grid(inner, half_width, n)) for n in (n_cells, round(n_cells / 1.5))
    )


def extrapolated(fine, coarse):
    """What values of both grids tend to (Richardson), and how far the fine one is from it."""
    change = (fine - coarse) / (1.5**2 - 1)
    return fine + change, np.abs(change)


def _faces(drift):
    """The drift (n - 1, m) between the cells along the first axis, by cubic interpolation over their numbers."""
    inner = (9 * (drift[1:-2] + drift[2:-1]) - drift[:-3] - drift[3:]) / 16
    return np.concatenate([(drift[:1] + drift[1:2]) / 2, inner, (drift[-2:-1] + drift[-1:]) / 2])


def _operator(drift, cells):
    """Lower, middle and upper diagonal (n, m) of -d(drift q) + d^2 q / 2 along the first axis."""
    apart, widths = np.diff(cells.centres)[:, None], cells.widths[:, None]
    peclet = 2 * apart * _faces(drift)  # drift over diffusion, from centre to centre
    small = np.abs(peclet) < 1e-5
    safe = np.where(small, 1.0, peclet)
    down = np.where(small, 1 - peclet / 2, safe / np.expm1(np.minimum(safe, 700)))  # P / (e^P - 1)
    up = down + peclet
    down, up = down / (2 * apart), up / (2 * apart)
    lower, middle, upper = np.zeros((3, *drift.shape))
    upper[:-1], lower[1:] = down / widths[:-1], up / widths[1:]
    middle[:-1] -= up / widths[:-1]
    middle[1:] -= down / widths[1:]
    return lower, middle, upper


def _adjoint(operator, widths):
    """The diagonals of what acts on functions where `operator` acts on densities."""
    lower, middle, upper = operator
    turned_lower, turned_upper = np.zeros_like(lower), np.zeros_like(upper)
    ratio = (widths[1:] / widths[:-1])[:, None]
    turned_lower[1:], turned_upper[:-1] = upper[:-1] / ratio, lower[1:] * ratio
    return turned_lower, middle, turned_upper


def _alternate(operators, values, half, source=None):
    """A step of alternating directions, of length 2 `half`; the second operator acts on the transposed values."""
    first, second = operators
    pushed = 0.0 if source is None else half * source
    values = np.ascontiguousarray((_explicit(*first, half, values) + pushed).T)
    values = _implicit(*second, half, values)
    values = np.ascontiguousarray((_explicit(*second, half, values)).T) + pushed
    return _implicit(*first, half, values)


@njit(cache=True, nogil=True, error_model="numpy")
def _explicit(lower, middle, upper, half, values):
    """(1 + half A) values, A along the first axis."""
    n, m = values.shape
    found = np.empty_like(values)
    for i in range(n):
        for j in range(m):
            found[i, j] = values[i, j] * (1 + half * middle[i, j])
        if i > 0:
            for j in range(m):
                found[i, j] += half * lower[i, j] * values[i - 1, j]
        if i < n - 1:
            for j in range(m):
                found[i, j] += half * upper[i, j] * values[i + 1, j]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _implicit(lower, middle, upper, half, values):
    """(1 - half A)^-1 values, by elimination along the first axis (Thomas)."""
    n, m = values.shape
    found, ratio = values.copy(), np.empty_like(values)
    for j in range(m):
        pivot = 1 / (1 - half * middle[0, j])
        ratio[0, j] = -half * upper[0, j] * pivot
        found[0, j] *= pivot
    for i in range(1, n):
        for j in range(m):
            below = -half * lower[i, j]
            pivot = 1 / (1 - half * middle[i, j] - below * ratio[i - 1, j])
            ratio[i, j] = -half * upper[i, j] * pivot
            found[i, j] = (found[i, j] - below * found[i - 1, j]) * pivot
    for i in range(n - 2, -1, -1):
        for j in range(m):
            found[i, j] -= ratio[i, j] * found[i + 1, j]
    return found
