"""The score field of a mixture: compiled, and prepared once so that a score takes few components, or none.

A grid of cells over the mixture says for each cell which components count there and, where it can be certified, the
polynomial that their sum is. Outside the grid all components are summed.
"""

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from scoredag.gmm.mixture import GaussianMixture
from scoredag.simd.compiling import compiled, inner
from scoredag.simd.lanes import (
    LANES,
    Value,
    emitted,
    highest,
    load,
    maximum,
    number,
    select,
    spread,
    store,
    total,
    whole,
)
from scoredag.simd.maths import absolute, exp2, square_root

ENTRIES = 6  # of a component: mean_x, mean_y, the whitening factor (a, b, c), log2-scale
GROUP = ENTRIES * LANES  # numbers of eight components, which stand side by side
DEGREE = 15  # total degree of a cell's polynomial
HALF = (DEGREE + 1) // 2  # = LANES: powers of y that come with the 8th and higher powers of x
TAYLOR = 24  # total degree of the Taylor series that it is economised from
RECORD = 3 * HALF * LANES  # coefficients of a cell
NEGLIGIBLE = 2.0**-54  # share of the density that all dropped components together stay below
TOLERANCE = 2.0**-46  # error of a certified polynomial, relative to the least density in its cell
MAX_BITS = 500  # by which the density may vary in a cell with a reference of its own
NATS = 2 * math.log(2)  # of the squared length of a vector whitened by (a, b, c)

_SIDE = 96  # cells of the grid, along either axis
_COARSE_SIDE = 12  # of a first, coarser grid
_REACH = 6  # deviations about the means that the grid covers
_CHUNK = 256  # cells a thread expands at a time
_RADII = (4.0, 8.0, 16.0, 32.0)
_TERMS = TAYLOR + 1
_KEPT_TERMS = DEGREE + 1


class Field(NamedTuple):
    """What the score of a mixture is computed from; flat arrays."""

    box: np.ndarray  # (5,) float64: left, bottom, cells a unit of x and of y, cells a side
    components: np.ndarray  # (G GROUP,) float64
    starts: np.ndarray  # (C + 2,) int64: where the groups of a cell begin; the last entry holds all groups
    groups: np.ndarray  # (sum,) int64
    references: np.ndarray  # (C,) float64: log2 of a cell's unit of density; NaN where it varies too much for one
    places: np.ndarray  # (C,) int64: where the cell's coefficients begin; -1 without any
    records: np.ndarray  # (R RECORD,) float64


# --- the score -------------------------------------------------------------------------------


@emitted
def opened(field: Field) -> list[Value]:
    """The numbers of a field's box, and pointers to its other arrays, which are faster to pass on than arrays.

    Only for a `Field` that is an argument of a compiled function: its caller owns the arrays.
    """
    box, *arrays = field
    return [number(box, i) for i in range(5)] + arrays


def _whitened(x, y, components, at):
    """u, v and log2-scale - u^2 - v^2 of the eight components at `at`, and their factors a, b, c."""
    mean_x, mean_y, a, b, c, scale = (load(components, at + i * LANES) for i in range(ENTRIES))
    dx, dy = mean_x - x, mean_y - y
    u, v = a * dx + b * dy, c * dy
    return u, v, scale - u * u - v * v, a, b, c


@emitted
def _with_peak(peak, x, y, components, group):
    """The larger of `peak` and log2 of each component's share of the density."""
    return maximum(_whitened(spread(x), spread(y), components, group * GROUP)[2], peak)


@emitted
def _with_group(sums, x, y, reference, components, group):
    """The density over 2^reference and its gradient, those of a group of components added."""
    u, v, term, a, b, c = _whitened(spread(x), spread(y), components, group * GROUP)
    share = exp2(term - spread(reference))
    u = share * u
    return [sums[0] + share, sums[1] + a * u, sums[2] + b * u + c * (share * v)]


def _powers(x, x2, x4):
    """1, x, x^2, .., x^7."""
    product = None
    for bit, power in enumerate((x, x2, x4)):
        factor = spread(power).shuffled(1.0, [i if i >> bit & 1 else LANES + i for i in range(LANES)])
        product = product * factor if product else factor
    return product


@emitted
def _polynomial(t, s, records, at):
    """A cell's polynomial at (t, s) in [-1, 1]^2, and its derivatives by t and s.

    Eight powers of t side by side, Horner's scheme in s, in three chains that the processor
    follows at the same time: powers of s from 8 on, those below, and these again for powers of t from 8 on.
    """
    t2, s2 = t * t, s * s
    t4, s4 = t2 * t2, s2 * s2
    low = _powers(t, t2, t4)
    high = low * spread(t4 * t4)
    s7, s8 = spread(s4 * s2 * s), spread(s4 * s4)
    s = spread(s)
    upper = lower = beside = slope_upper = slope_lower = slope_beside = s.like(0.0)
    for row in range(HALF):
        slope_upper, slope_lower = slope_upper * s + upper, slope_lower * s + lower
        slope_beside = slope_beside * s + beside
        upper = upper * s + load(records, at + 3 * row * LANES)
        lower = lower * s + load(records, at + (3 * row + 1) * LANES)
        beside = beside * s + load(records, at + (3 * row + 2) * LANES)
    slope_lower = slope_lower + s8 * slope_upper + s7 * (HALF * upper)
    lower = lower + s8 * upper
    # 0, 1, 2 t, .., 7 t^6 and 8 t^7, .., 15 t^14
    low_slopes = low.shuffled(0.0, [LANES, *range(LANES - 1)]) * range(LANES)
    high_slopes = low * spread(t4 * t2 * t) * range(LANES, 2 * LANES)
    along_t = lower * low_slopes + beside * high_slopes
    along_s = slope_lower * low + slope_beside * high
    return [total(lower * low + beside * high), total(along_t), total(along_s)]


@inner
def at(x: float, y: float, field: tuple) -> tuple[float, float, float, float]:
    """The density over 2^reference, the reference, and both components of the score; `field` is `opened`."""
    left, bottom, per_x, per_y, side, components, starts, groups, references, places, records = field
    across, up = (x - left) * per_x, (y - bottom) * per_y
    if 0 <= across < side and 0 <= up < side:  # false for NaN
        column, row = whole(across), whole(up)
        cell = row * whole(side) + column
        reference = number(references, cell)
        place = number(places, cell)
        if place >= 0:
            density, along_t, along_s = _polynomial(2 * (across - column) - 1, 2 * (up - row) - 1, records, place)
            inverse = 2 / density
            return density, reference, along_t * inverse * per_x, along_s * inverse * per_y
    else:
        cell, reference = whole(side) * whole(side), math.nan
    first, last = number(starts, cell), number(starts, cell + 1)
    if reference != reference:
        peak = spread(-math.inf)
        for i in range(first, last):
            peak = _with_peak(peak, x, y, components, number(groups, i))
        reference = highest(peak)
    zero = spread(0.0)
    sums = (zero, zero, zero)
    for i in range(first, last):
        sums = _with_group(sums, x, y, reference, components, number(groups, i))
    density = total(sums[0])
    inverse = 1 / density
    return density, reference, NATS * total(sums[1]) * inverse, NATS * total(sums[2]) * inverse


@inner
def log_density_and_score(x: float, y: float, field: tuple) -> tuple[float, float, float]:
    """The log-density (nats) and both components of the score; `field` is `opened`."""
    density, reference, score_x, score_y = at(x, y, field)
    return math.log(density) + reference * math.log(2), score_x, score_y


@compiled
def _scores(x, field, scores, log_densities):
    field = opened(field)
    for i in range(len(x)):
        log_densities[i], scores[i, 0], scores[i, 1] = log_density_and_score(x[i, 0], x[i, 1], field)


def scores(x: np.ndarray, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """The scores (N, 2) and log-densities (N,), in nats, at `x` (N, 2)."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    outputs = np.empty_like(x), np.empty(len(x))
    _scores(x, field, *outputs)
    return outputs


# --- preparing a field -----------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def build(gmm: GaussianMixture, threads: int = 1) -> Field:
    """The `Field` of a mixture; `threads` changes nothing in it."""
    components = _packed(gmm)
    deviations = np.sqrt(np.linalg.eigvalsh(gmm.covariances)[:, 1:])
    low, high = (gmm.means - _REACH * deviations).min(axis=0), (gmm.means + _REACH * deviations).max(axis=0)
    unit = 1 / deviations.max()
    all_groups = np.arange(components.size // GROUP)
    starts, groups = np.array([0, len(all_groups)]), all_groups
    for parents, side in ((1, _COARSE_SIDE), (_COARSE_SIDE, _SIDE)):
        starts, groups, references = _select(low, high, side, parents, starts, groups, components, unit)
    starts, groups = np.append(starts, starts[-1] + len(all_groups)), np.append(groups, all_groups)
    box = np.array([*low, *(_SIDE / (high - low)), _SIDE])
    bare = Field(box, components, starts, groups, references, np.full(_SIDE**2, -1), np.empty(0))
    smooth = np.flatnonzero(np.isfinite(references))
    chunks = [smooth[first : first + _CHUNK] for first in range(0, max(len(smooth), 1), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda cells: _certified(cells, bare, unit), chunks))
    certified, polynomials = (np.concatenate(part) for part in zip(*parts, strict=True))
    places = np.full(_SIDE**2, -1)
    places[certified] = np.arange(len(certified)) * RECORD
    return bare._replace(places=places, records=_aligned(polynomials.ravel()))


def _select(low, high, side, parents, starts, groups, components, unit):
    """For each of `side` x `side` cells of the box from `low` to `high` the groups of components that count there.

    In a cell a component's whitened distance from a point differs from that at the centre by at
    most the whitened half-diagonal. That gives an upper bound of each share and a lower one of the density. Groups
    are dropped whose bounded share, weighed by 1 + |Sigma^-1 (mu - x)| / unit, is below NEGLIGIBLE / G of the density:
    all dropped ones together change the score by less than NEGLIGIBLE (|score| + unit). Where the density may vary by
    more than 2^MAX_BITS in a cell, nothing is dropped.

    Args:
        low: (2,), of the box.
        high: (2,).
        side: cells a side.
        parents: cells a side of the coarser grid whose `starts` and `groups` are given.
        starts: (parents^2 + 1,).
        groups: the groups of each coarser cell.
        components: (G GROUP,).
        unit: the score that is not told from 0.

    Returns:
        starts (side^2 + 1,), groups, references (side^2,).
    """
    half_x, half_y = (high - low) / side / 2
    packed = components.reshape(-1, ENTRIES, LANES)
    children, cells = side // parents, np.arange(side**2).reshape(side, side)
    references, owners, chosen = np.empty(side**2), [], []
    for parent in range(parents**2):
        row, column = (children * part for part in divmod(parent, parents))
        inside = cells[row : row + children, column : column + children].ravel()
        here = groups[starts[parent] : starts[parent + 1]]
        mean_x, mean_y, a, b, c, scale = packed[here].swapaxes(0, 1)[..., None]  # (g, LANES, 1) each
        x, y = low[0] + (2 * (inside % side) + 1) * half_x, low[1] + (2 * (inside // side) + 1) * half_y
        dx, dy = mean_x - x, mean_y - y
        distance = np.sqrt((a * dx + b * dy) ** 2 + (c * dy) ** 2)  # (g, LANES, cells)
        reach = 1.000001 * np.sqrt((abs(a) * half_x + abs(b) * half_y) ** 2 + (c * half_y) ** 2)
        nearest, farthest = scale - np.maximum(distance - reach, 0) ** 2, scale - (distance + reach) ** 2
        reference = (scale - distance * distance).max(axis=(0, 1))
        too_wide = nearest.max(axis=(0, 1)) - farthest.max(axis=(0, 1)) > MAX_BITS
        lowest = _power_of_two(farthest - reference).sum(axis=(0, 1))
        pull = NATS * np.sqrt(a * a + b * b + c * c) * (distance + reach)
        bounds = (_power_of_two(nearest - reference) * (1 + pull / unit)).sum(axis=1)
        counts = too_wide | ~(bounds <= NEGLIGIBLE / len(packed) * lowest)
        references[inside] = np.where(too_wide, np.nan, reference)
        cell, group = np.nonzero(counts.T)
        owners.append(inside[cell])
        chosen.append(here[group])
    owner = np.concatenate(owners)
    starts = np.append(0, np.cumsum(np.bincount(owner, minlength=side**2)))
    return starts, np.concatenate(chosen)[np.argsort(owner, kind="stable")], references


@np.errstate(over="ignore")  # a bound may be infinite
def _power_of_two(x):
    return np.exp(math.log(2) * x)


def _certified(cells, field, unit):
    """Which of `cells` have a certified polynomial, and their records (N, RECORD).

    The Taylor series about the centre is turned into one of Chebyshev polynomials T_i(t) T_j(s) and
    cut off above the total degree DEGREE (economisation, Lanczos 1938). What is cut off bounds the error, as
    |T_i| <= 1 and |T_i'| <= i^2. The rest of the Taylor series is bounded by Cauchy's estimate on polydiscs.

    A cell is certified where the errors of the density, and of its slope over `unit`, are less than
    TOLERANCE times the least density in the cell.
    """
    left, bottom, per_x, per_y, side = field.box
    half_widths = np.array([0.5 / per_x, 0.5 / per_y])
    centres = np.stack([left + (cells % int(side) + 0.5) / per_x, bottom + (cells // int(side) + 0.5) / per_y], axis=1)
    series = np.zeros((len(cells), _TERMS, _TERMS))
    scratch = np.empty((2, _TERMS * _TERMS * LANES))
    bounds = np.empty((len(cells), len(_RADII) + 1))
    _expand(cells, centres, half_widths, field, *scratch, series, bounds)
    lowest, largest = bounds[:, 0], bounds[:, 1:]
    to_chebyshev, to_powers = _conversions()
    terms = to_chebyshev @ series @ to_chebyshev.T
    degree = np.arange(_TERMS)
    kept = degree[:, None] + degree < _KEPT_TERMS
    cut = np.where(kept, 0.0, np.abs(terms))
    # n + 1 coefficients of degree n, each below largest / radius^n; beyond the first, terms fall as 0.3^n
    rest = 1.5 * (largest * (_TERMS + 1) * np.array(_RADII) ** -_TERMS).min(axis=1)
    slopes = [(cut * factor).sum(axis=(1, 2)) + _TERMS * rest for factor in (degree**2, degree[:, None] ** 2)]
    per_unit = 2 * field.box[2:4] / unit
    errors = [cut.sum(axis=(1, 2)) + rest, *(slope * factor for slope, factor in zip(slopes, per_unit, strict=True))]
    certified = np.max(errors, axis=0) <= TOLERANCE * lowest
    polynomials = to_powers @ np.where(kept, terms, 0.0)[certified, :_KEPT_TERMS, :_KEPT_TERMS] @ to_powers.T
    return cells[certified], _records(polynomials)


@emitted
def _local(x, y, half_x, half_y, reference, components, group):
    """Value, force f and P_xx, P_xy, P_yy of each Gaussian of a group about (x, y), in units of the half-widths.

    A Gaussian is value exp(f d - d P d / 2) for a displacement d.
    """
    u, v, term, a, b, c = _whitened(spread(x), spread(y), components, group * GROUP)
    a, b, c = a * spread(half_x), b * spread(half_y), c * spread(half_y)
    force_x, force_y = NATS * (a * u), NATS * (b * u + c * v)
    return [exp2(term - spread(reference)), force_x, force_y, NATS * (a * a), NATS * (a * b), NATS * (b * b + c * c)]


@emitted
def _bounds(x, y, half_x, half_y, reference, components, group):
    """Bounds of a group's density over 2^reference: from below in a cell, from above on polydiscs of _RADII in C^2."""
    mean_x, mean_y, a, b, c, scale = (load(components, group * GROUP + i * LANES) for i in range(ENTRIES))
    a, b, c = a * spread(half_x), b * spread(half_y), c * spread(half_y)
    dx, dy = (mean_x - spread(x)) / spread(half_x), (mean_y - spread(y)) / spread(half_y)
    u, v = a * dx + b * dy, c * dy
    scale = scale - spread(reference)
    reach = square_root((absolute(a) + absolute(b)) * (absolute(a) + absolute(b)) + c * c)
    slope = 2.0 * (absolute(a * u) + absolute(b * u + c * v))
    distance = square_root(u * u + v * v)
    bounds = [scale - (distance + reach) * (distance + reach)]
    for radius in _RADII:
        bounds.append(scale - u * u - v * v + radius * slope + (radius * radius) * (reach * reach))
    ceiling = scale.like(1000.0)  # of what `exp2` takes
    return [total(exp2(select(bound > ceiling, ceiling, bound))) for bound in bounds]


@compiled
def _expand(cells, centres, half_widths, field, scratch, sums, series, bounds):
    """Taylor series of the density over 2^reference about the centres of `cells`, and bounds of it.

    The coefficients of one Gaussian, exp(f d - d P d / 2) times a number, follow from its gradient (f - P d):
    (i + 1) c[i + 1, j] = f_x c[i, j] - P_xx c[i - 1, j] - P_xy c[i, j - 1], and likewise along y.

    Args:
        cells: (N,).
        centres: (N, 2).
        half_widths: (2,), of a cell.
        field: a `Field`.
        scratch: ((TAYLOR + 1)^2 LANES,), written to.
        sums: as `scratch`.
        series: (N, TAYLOR + 1, TAYLOR + 1), written to: coefficients by the powers of y and x, in units of
            the half-widths of a cell.
        bounds: (N, 1 + R), written to: a lower bound in the cell, and upper ones on polydiscs of _RADII in C^2.
    """
    width = TAYLOR + 1
    _, _, _, _, _, components, starts, groups, references, _, _ = opened(field)
    half_x, half_y = half_widths[0], half_widths[1]
    for k in range(len(cells)):
        for i in range(width * width):
            store(sums, i * LANES, spread(0.0))
        bounds[k] = 0
        reference = number(references, cells[k])
        x, y = centres[k, 0], centres[k, 1]
        for i in range(number(starts, cells[k]), number(starts, cells[k] + 1)):
            group = number(groups, i)
            more = _bounds(x, y, half_x, half_y, reference, components, group)
            for j in range(len(more)):
                bounds[k, j] += more[j]
            value, force_x, force_y, p_xx, p_xy, p_yy = _local(x, y, half_x, half_y, reference, components, group)
            store(scratch, 0, value)
            for row in range(width):
                here = row * width * LANES
                if row:
                    below = here - width * LANES
                    value = force_y * load(scratch, below)
                    if row > 1:
                        value = value - p_yy * load(scratch, below - width * LANES)
                    store(scratch, here, value * spread(1 / row))
                for column in range(1, width - row):
                    at = here + column * LANES
                    value = force_x * load(scratch, at - LANES)
                    if column > 1:
                        value = value - p_xx * load(scratch, at - 2 * LANES)
                    if row:
                        value = value - p_xy * load(scratch, at - (width + 1) * LANES)
                    store(scratch, at, value * spread(1 / column))
                for column in range(width - row):
                    at = here + column * LANES
                    store(sums, at, load(sums, at) + load(scratch, at))
        for row in range(width):
            for column in range(width - row):
                series[k, row, column] = total(load(sums, (row * width + column) * LANES))


def _records(polynomials):
    """Coefficients (N, 16, 16), by powers of y and x, in the order in which the kernels read them."""
    low, high = polynomials[:, ::-1, :HALF], polynomials[:, ::-1, HALF:]
    chains = np.stack([low[:, :HALF], low[:, HALF:], high[:, HALF:]], axis=2)
    return chains.reshape(len(polynomials), RECORD)


@functools.cache
def _conversions():
    """Matrices from coefficients of powers to those of Chebyshev polynomials, and back."""
    to_chebyshev, to_powers = np.zeros((_TERMS, _TERMS)), np.zeros((_TERMS, _TERMS))
    for i, unit in enumerate(np.eye(_TERMS)):
        to_chebyshev[: i + 1, i] = chebyshev.poly2cheb(unit[: i + 1])
        to_powers[: i + 1, i] = chebyshev.cheb2poly(unit[: i + 1])
    return to_chebyshev, to_powers[:_KEPT_TERMS, :_KEPT_TERMS]


def _packed(gmm):
    """The components as the kernels read them: eight neighbours side by side, the last group filled up."""
    n_groups = -(-gmm.n_components // LANES)
    entries = np.zeros((ENTRIES, n_groups * LANES))
    entries[-1] = -np.inf
    bits = math.sqrt(0.5 / math.log(2))  # whitened squares count in powers of two
    a, b, c = bits * gmm.whiteners[:, 0, 0], bits * gmm.whiteners[:, 0, 1], bits * gmm.whiteners[:, 1, 1]
    columns = np.stack([*gmm.means.T, a, b, c, gmm.log_scales / math.log(2)])
    entries[:, : gmm.n_components] = columns[:, _neighbours(gmm.means)]
    return _aligned(entries.reshape(ENTRIES, n_groups, LANES).swapaxes(0, 1).ravel())


def _neighbours(means):
    """An order in which every eight are near each other: halves along the longer axis, again and again."""

    def split(chosen):
        if len(chosen) <= LANES:
            return [chosen]
        axis = np.ptp(means[chosen], axis=0).argmax()
        ordered = chosen[np.argsort(means[chosen, axis], kind="stable")]
        half = -(-len(chosen) // (2 * LANES)) * LANES
        return split(ordered[:half]) + split(ordered[half:])

    return np.concatenate(split(np.arange(len(means))))


def _aligned(values):
    """A copy that begins with a cache line: a vector across two of them takes twice the time to read."""
    memory = np.empty(len(values) + LANES)
    first = -memory.ctypes.data % (8 * LANES) // 8
    memory[first : first + len(values)] = values
    return memory[first : first + len(values)]
