"""The modes of a mixture, and which of them points climb to."""

import logging

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

from scoredag.gmm.mixture import GaussianMixture

log = logging.getLogger(__name__)

_N_DRAWN = 1000  # points of the mixture to climb from: there may be modes that no component's mean leads to
_N_MEANS = 2000  # components whose means are climbed from
_N_MOST = 500  # steps of a climb
_PAIRS = 1 << 20  # of points and components at a time in memory
_FLAT = 1e-9  # nats: a climb ends where a step promises less
_DIP = 1e-6  # nats: modes with a lesser dip between them are one
_FEW = 40  # places of which all pairs are looked at
_FRACTIONS = (0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875)  # of a line, where dips are looked for


def find(gmm: GaussianMixture) -> tuple[np.ndarray, np.ndarray]:
    """Places (M, 2) and log-densities (M,), in nats, of the mixture's modes, the highest first.

    Climbs start at the means of the components, the 2,000 heaviest ones, and at 1,000 points drawn from the mixture: a
    mode that a share m of the probability leads to is missed with probability (1 - m)^1000 at most. Ends between which
    the density hardly dips are one mode, as are those that a chain of such ends joins: a flat top, or a ridge.
    """
    if gmm.n_components > _N_MEANS:
        log.warning(
            "modes are climbed to from the %d heaviest of %d components; small ones of others may be missing",
            _N_MEANS, gmm.n_components,
        )  # fmt: skip
    ends = _ends(gmm)
    ended = np.isfinite(ends).all(axis=1)
    if not ended.all():
        log.warning("%d of %d climbs to a mode are left out, as %d steps end none", (~ended).sum(), len(ended), _N_MOST)
    ends = _told_apart(gmm, ends[ended])[0]
    ends = ends[_by_parts(gmm, _is_top, ends)]
    log_densities = _log_density(gmm, ends)
    order = np.argsort(-log_densities, kind="stable")
    _, first = np.unique(_groups(gmm, ends[order]), return_index=True)
    highest = order[np.sort(first)]
    return ends[highest], log_densities[highest]


def climb(gmm: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """Where the density leads uphill from `x` (N, 2), a mode or a saddle; NaN where 500 steps end nowhere; (N, 2).

    Each step is the higher one of Newton's and of the mean-shift iteration for mixtures, which never descends
    (Carreira-Perpinan 2000).
    """
    return _by_parts(gmm, _climb, np.array(x, dtype=np.float64))


def nearest(gmm: GaussianMixture, x: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """The number of the mode in `modes` (M, 2) to which the density leads from each of `x` (N, 2), or -1; (N,)."""
    numbers = np.full(len(x), -1)
    finite = np.isfinite(x).all(axis=1)
    places, place_of = _told_apart(gmm, x[finite])
    ends = climb(gmm, places)
    found = _numbers(gmm, ends, modes)
    if (found < 0).any():  # few points may be too far apart on a ridge to be joined without others
        found = _numbers(gmm, np.concatenate([ends, _ends(gmm)]), modes)
    numbers[finite] = found[place_of]
    return numbers


def _ends(gmm):
    """Where climbs end from the means and from drawn points, with NaN, which are the same each time."""
    heaviest = np.sort(np.argsort(-gmm.weights, kind="stable")[:_N_MEANS])
    return climb(gmm, _told_apart(gmm, np.concatenate([gmm.means[heaviest], gmm.sample(_N_DRAWN, 0)]))[0])


def _numbers(gmm, ends, modes):
    """The number of the mode that each of `ends` (N, 2) is in a group with; -1 for none; (N,)."""
    found, finite = np.full(len(ends), -1), np.flatnonzero(np.isfinite(ends).all(axis=1))
    places, place_of = _told_apart(gmm, ends[finite])
    groups = _groups(gmm, np.concatenate([modes, places]))
    number_of = np.full(groups.max(initial=-1) + 1, -1)
    number_of[groups[: len(modes)][::-1]] = np.arange(len(modes))[::-1]
    found[finite] = number_of[groups[len(modes) :]][place_of]
    return found


def _climb(gmm, x):
    ends, moving = np.full_like(x, np.nan), np.arange(len(x))
    for _ in range(_N_MOST):
        score, blend, hessian = _derivatives(gmm, x)
        shift, _ = _newton(score, -blend)
        newton, is_top = _newton(score, hessian)
        promised = 0.5 * np.abs((score * np.where(is_top[:, None], newton, shift)).sum(axis=1))
        done = promised < _FLAT
        ends[moving[done]] = (x + np.where(is_top[:, None], newton, shift))[done]
        moving, x, shift, newton = (part[~done] for part in (moving, x, shift, newton))
        if not len(moving):
            break
        candidates = np.stack([x + shift, x + newton])
        heights = [gmm.log_density(candidate) for candidate in candidates]
        x = np.where((heights[1] > heights[0])[:, None], candidates[1], candidates[0])
    return ends


def _derivatives(gmm, x):
    """The score (N, 2), the precisions' mean by responsibilities (N, 2, 2), and the log-density's Hessian (N, 2, 2)."""
    shares = gmm.responsibilities(x)
    pulls = np.einsum("kij,nkj->nki", gmm.precisions, gmm.means - x[:, None])
    score = np.einsum("nk,nki->ni", shares, pulls)
    blend = np.einsum("nk,kij->nij", shares, gmm.precisions)
    spread = np.einsum("nk,nki,nkj->nij", shares, pulls, pulls)
    return score, blend, spread - blend - score[:, :, None] * score[:, None, :]


def _newton(score, hessian):
    """Newton's step (N, 2), 0 where the log-density is not concave, and where it is (N,)."""
    a, b, c = hessian[:, 0, 0], hessian[:, 0, 1], hessian[:, 1, 1]
    determinant = _determinant(hessian)
    concave = (a < 0) & (determinant > 0)
    safe = np.where(concave, determinant, 1.0)
    step = np.stack([b * score[:, 1] - c * score[:, 0], b * score[:, 0] - a * score[:, 1]], axis=1) / safe[:, None]
    return np.where(concave[:, None], step, 0.0), concave


def _is_top(gmm, x):
    """Whether no direction leads up from the places `x` (N, 2) at which the score is 0; a flat top counts."""
    _, blend, hessian = _derivatives(gmm, x)
    pairs = hessian[:, 0, 0] * blend[:, 1, 1] + hessian[:, 1, 1] * blend[:, 0, 0]
    determinant = _determinant(blend)
    # the larger root r of det(hessian - r blend), a curvature that no change of units alters
    half = (pairs / 2 - hessian[:, 0, 1] * blend[:, 0, 1]) / determinant
    return half + np.sqrt(np.maximum(half**2 - _determinant(hessian) / determinant, 0)) < 1e-4


def _determinant(matrices):
    return matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] ** 2


def _told_apart(gmm, x):
    """The first of `x` (N, 2) in each cell of a hundredth of the narrowest deviation, and the number of each one's."""
    unit = 0.01 * np.sqrt(np.linalg.eigvalsh(gmm.covariances)[:, 0].min())
    _, first, cell_of = np.unique(np.round(x / unit), axis=0, return_index=True, return_inverse=True)
    return x[first], cell_of.reshape(-1)


def _groups(gmm, x):
    """Numbers of the groups that dips divide the places `x` (N, 2) into; (N,).

    Neighbours in a triangulation are looked at, among which are those of the shortest tree that joins all.
    """
    if len(x) <= _FEW:
        first, second = np.triu_indices(len(x), 1)
    else:
        corners = Delaunay((x - x.mean(axis=0)) / np.ptp(x), qhull_options="QJ").simplices
        pairs = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1)
        first, second = np.unique(pairs, axis=0).T
    joined = _is_one(gmm, x[first], x[second])
    edges = csr_array((np.ones(joined.sum()), (first[joined], second[joined])), shape=(len(x), len(x)))
    return connected_components(edges, directed=False)[1]


def _is_one(gmm, x, y):
    """Whether the density dips by less than `_DIP` on the line from each of `x` (N, 2) to that of `y` (N, 2); (N,)."""
    lower = np.minimum(_log_density(gmm, x), _log_density(gmm, y))
    joined = np.ones(len(x), bool)
    for fraction in _FRACTIONS:
        i = np.flatnonzero(joined)
        joined[i] = lower[i] - _log_density(gmm, x[i] + fraction * (y[i] - x[i])) < _DIP
    return joined


def _log_density(gmm, x):
    return _by_parts(gmm, GaussianMixture.log_density, x)


def _by_parts(gmm, function, x):
    """function(gmm, x) of `x` (N, 2), few enough at a time for the memory."""
    size = max(_PAIRS // gmm.n_components, 1)
    return np.concatenate([function(gmm, x[i : i + size]) for i in range(0, max(len(x), 1), size)])
