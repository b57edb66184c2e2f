"""What the compiled score of a mixture is computed from, prepared once a mixture."""

import functools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.polynomial import chebyshev

from scoredag.gmm import kernels

_SIDE = 96  # cells of the grid, along either axis
_COARSE = 12
_REACH = 6  # deviations about the means that the grid covers
_CHUNK = 256  # cells a thread expands at a time
_RADII = np.array([4.0, 8.0, 16.0, 32.0])
_WIDTH = kernels.TAYLOR + 1
_KEPT = kernels.DEGREE + 1


@functools.lru_cache(maxsize=4)
def build(gmm, threads=1):
    """The `kernels.Field` of a mixture; `threads` changes nothing in it."""
    components = _packed(gmm)
    widest = np.sqrt(np.linalg.eigvalsh(gmm.covariances)[:, 1:])
    edges = np.concatenate([(gmm.means - _REACH * widest).min(axis=0), (gmm.means + _REACH * widest).max(axis=0)])
    unit = 1 / widest.max()
    every = np.arange(components.size // kernels.GROUP)
    starts, groups = np.array([0, len(every)]), every
    for parents, side in ((1, _COARSE), (_COARSE, _SIDE)):
        starts, groups, references = kernels.select(edges, side, parents, starts, groups, components, unit)
    starts, groups = np.append(starts, starts[-1] + len(every)), np.append(groups, every)
    box = np.array([*edges[:2], *(_SIDE / (edges[2:] - edges[:2])), _SIDE])
    bare = kernels.Field(box, components, starts, groups, references, np.full(_SIDE**2, -1), np.empty(0))
    smooth = np.flatnonzero(np.isfinite(references))
    chunks = [smooth[first : first + _CHUNK] for first in range(0, max(len(smooth), 1), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda cells: _polynomials(cells, bare, unit), chunks))
    certified, polynomials = (np.concatenate(part) for part in zip(*parts, strict=True))
    places = np.full(_SIDE**2, -1)
    places[certified] = np.arange(len(certified)) * kernels.RECORD
    return bare._replace(places=places, records=_aligned(polynomials.ravel()))


def _polynomials(cells, field, unit):
    """Which of `cells` have a certified polynomial, and their records (N, RECORD).

    The Taylor series about the centre is turned into one of Chebyshev polynomials T_i(t) T_j(s) and
    cut off above the total degree DEGREE (economisation, Lanczos 1938). What is cut off bounds the error, as
    |T_i| <= 1 and |T_i'| <= i^2. The rest of the Taylor series is bounded by Cauchy's estimate on polydiscs.

    A cell is certified where the errors of the density, and of its slope over `unit`, are less than
    TOLERANCE times the least density in the cell.
    """
    series = np.zeros((len(cells), _WIDTH, _WIDTH))
    largest, lowest = np.empty((len(cells), len(_RADII))), np.empty(len(cells))
    kernels.expand(cells, field, _RADII, series, largest, lowest)
    to_chebyshev, to_powers = _conversions()
    terms = to_chebyshev @ series @ to_chebyshev.T
    degree = np.arange(_WIDTH)
    kept = degree[:, None] + degree < _KEPT
    cut = np.where(kept, 0.0, np.abs(terms))
    # n + 1 coefficients of degree n, each below largest / radius^n; beyond the first, terms fall as 0.3^n
    rest = 1.5 * (largest * (_WIDTH + 1) * _RADII**-_WIDTH).min(axis=1)
    slopes = [(cut * factor).sum(axis=(1, 2)) + _WIDTH * rest for factor in (degree**2, degree[:, None] ** 2)]
    per_unit = 2 * field.box[2:4] / unit
    errors = [cut.sum(axis=(1, 2)) + rest, *(slope * factor for slope, factor in zip(slopes, per_unit, strict=True))]
    certified = np.max(errors, axis=0) <= kernels.TOLERANCE * lowest
    polynomials = to_powers @ np.where(kept, terms, 0.0)[certified, :_KEPT, :_KEPT] @ to_powers.T
    return cells[certified], _records(polynomials)


def _records(polynomials):
    """Coefficients (N, 16, 16), by powers of y and x, in the order in which the kernels read them."""
    half = kernels.HALF
    low, high = polynomials[:, ::-1, :half], polynomials[:, ::-1, half:]
    chains = np.stack([low[:, :half], low[:, half:], high[:, half:]], axis=2)
    return chains.reshape(len(polynomials), kernels.RECORD)


@functools.cache
def _conversions():
    """Matrices from coefficients of powers to those of Chebyshev polynomials, and back."""
    to_chebyshev, to_powers = np.zeros((_WIDTH, _WIDTH)), np.zeros((_WIDTH, _WIDTH))
    for i, unit in enumerate(np.eye(_WIDTH)):
        to_chebyshev[: i + 1, i] = chebyshev.poly2cheb(unit[: i + 1])
        to_powers[: i + 1, i] = chebyshev.cheb2poly(unit[: i + 1])
    return to_chebyshev, to_powers[:_KEPT, :_KEPT]


def _packed(gmm):
    """The components as the kernels read them: eight neighbours side by side, the last group filled up."""
    n_groups = -(-gmm.n_components // kernels.LANES)
    entries = np.zeros((kernels.ENTRIES, n_groups * kernels.LANES))
    entries[-1] = -np.inf
    bits = math.sqrt(0.5 / math.log(2))  # whitened squares count in powers of two
    a, b, c = bits * gmm.whiteners[:, 0, 0], bits * gmm.whiteners[:, 0, 1], bits * gmm.whiteners[:, 1, 1]
    columns = np.stack([*gmm.means.T, a, b, c, gmm.log_scales / math.log(2)])
    entries[:, : gmm.n_components] = columns[:, _neighbours(gmm.means)]
    return _aligned(entries.reshape(kernels.ENTRIES, n_groups, kernels.LANES).swapaxes(0, 1).ravel())


def _neighbours(means):
    """An order in which every eight are near each other: halves along the longer axis, again and again."""

    def split(chosen):
        if len(chosen) <= kernels.LANES:
            return [chosen]
        axis = np.ptp(means[chosen], axis=0).argmax()
        ordered = chosen[np.argsort(means[chosen, axis], kind="stable")]
        half = -(-len(chosen) // (2 * kernels.LANES)) * kernels.LANES
        return split(ordered[:half]) + split(ordered[half:])

    return np.concatenate(split(np.arange(len(means))))


def _aligned(values):
    """A copy that begins with a cache line: a vector across two of them takes twice the time to read."""
    memory = np.empty(len(values) + kernels.LANES)
    first = -memory.ctypes.data % (8 * kernels.LANES) // 8
    memory[first : first + len(values)] = values
    return memory[first : first + len(values)]
