"""Langevin dynamics on a Gaussian mixture with its exact score.

The inner loop is compiled by numba and fuses score, noise and update, one particle at a time.
All compiled functions are in this file: numba's cache on disk does not notice an edit in
another one.
"""

import logging
import math
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pandas as pd

from scoredag import streams
from scoredag.errors import InputError

log = logging.getLogger(__name__)

BLOCK = 500  # particles a random stream; part of what a seed means
# Components with less than exp(-46) = 1e-20 of the largest one's share are skipped: 10^4 of them
# together stay below half a unit in the last place of the float64 sum of shares, 2^-53 = 1e-16.
NEGLIGIBLE = 46.0


def simulate(gmm, *, n_particles, n_steps, step_size, noise_covariance, seed, snapshots=(), start=None, threads=1):
    """Langevin dynamics x <- x + tau score(x) + sqrt(2 tau) zeta (Song & Ermon 2019, equation 4).

    There tau is half of their step size. With `noise_covariance` I this is the unadjusted
    Langevin algorithm, whose stationary distribution tends to the mixture as tau -> 0.

    Args:
        gmm: a `GaussianMixture`.
        n_particles: N, moved independently.
        n_steps: steps of each particle.
        step_size: tau > 0.
        noise_covariance: covariance of zeta, (2, 2), symmetric positive semidefinite; None for
            no noise (gradient flow, explicit Euler).
        seed: integer; particles in blocks of `BLOCK` have their own streams.
        snapshots: steps to keep besides the last one, each in 0 .. n_steps; 0 is the start.
        start: positions (N, 2); None draws them from N(0, I).
        threads: how many blocks move at once; changes nothing in the result.

    Returns:
        Data frame with particle, step, x, y, by step and particle.

    Raises:
        InputError: a number out of range, or a noise covariance that is not one.
    """
    if not (step_size > 0 and math.isfinite(step_size)):
        raise InputError(f"step_size: {step_size} is not a positive number")
    if n_particles < 1 or n_steps < 1:
        raise InputError(f"n_particles and n_steps: {n_particles} and {n_steps}; both have to be at least 1")
    kept = np.unique([*snapshots, n_steps]).astype(np.int64)
    if kept[0] < 0 or kept[-1] > n_steps:
        raise InputError(f"snapshots: {list(snapshots)} are not all between 0 and n_steps = {n_steps}")
    if start is not None and np.shape(start) != (n_particles, 2):
        raise InputError(f"start: shape {np.shape(start)} is not (n_particles, 2) = ({n_particles}, 2)")
    noise = np.zeros((2, 2)) if noise_covariance is None else _square_root(noise_covariance)
    noise = math.sqrt(2 * step_size) * noise
    components = _packed(gmm)
    positions = np.empty((len(kept), n_particles, 2))

    def move_block(first):
        block = slice(first, min(first + BLOCK, n_particles))
        rng = streams.generator(seed, "block", first // BLOCK)
        x = rng.standard_normal((block.stop - first, 2))
        if start is not None:
            x = np.array(start[block], dtype=np.float64)
        _move(x, components, step_size, noise, noise_covariance is not None, rng, kept, positions[:, block])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(move_block, range(0, n_particles, BLOCK)))
    n_lost = int((~np.isfinite(positions[-1]).all(axis=1)).sum())
    if n_lost:
        log.warning("%d of %d particles are not finite at the end; a smaller step_size keeps them", n_lost, n_particles)
    return pd.DataFrame(
        {
            "particle": np.tile(np.arange(n_particles), len(kept)),
            "step": np.repeat(kept, n_particles),
            "x": positions[..., 0].ravel(),
            "y": positions[..., 1].ravel(),
        }
    )


def score(gmm, x):
    """The score at `x` (N, 2) as the compiled loop computes it; equals `gmm.score(x)`."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    return _scores(x, _packed(gmm))


def _packed(gmm):
    """(6, K): log-scale, mean and precision of each component, contiguous for the inner loop."""
    p = gmm.precisions
    return np.stack([gmm.log_scales, *gmm.means.T, p[:, 0, 0], p[:, 0, 1], p[:, 1, 1]])


def _square_root(covariance):
    """The symmetric square root of a (2, 2) positive semidefinite matrix."""
    try:
        matrix = np.asarray(covariance, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (2, 2) or not np.isfinite(matrix).all():
        shown = matrix.tolist() if matrix.size else covariance
        raise InputError(f"noise_covariance: {shown} is not two rows of two finite numbers")
    values, vectors = np.linalg.eigh(matrix)
    if matrix[0, 1] != matrix[1, 0] or values[0] < -1e-12 * abs(values[1]):
        raise InputError(f"noise_covariance: {matrix.tolist()} is not symmetric positive semidefinite")
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _score_at(x, y, components, terms):
    """The score at one point; `terms` (K,) is scratch space."""
    log_scale, mean_x, mean_y, pxx, pxy, pyy = components
    peak = -np.inf
    for k in range(terms.size):
        dx = mean_x[k] - x
        dy = mean_y[k] - y
        terms[k] = log_scale[k] - 0.5 * (pxx[k] * dx * dx + 2 * pxy[k] * dx * dy + pyy[k] * dy * dy)
    for k in range(terms.size):
        peak = max(peak, terms[k])
    total = 0.0
    score_x = 0.0
    score_y = 0.0
    for k in range(terms.size):
        if terms[k] > peak - NEGLIGIBLE:
            share = math.exp(terms[k] - peak)
            dx = mean_x[k] - x
            dy = mean_y[k] - y
            total += share
            score_x += share * (pxx[k] * dx + pxy[k] * dy)
            score_y += share * (pxy[k] * dx + pyy[k] * dy)
    return score_x / total, score_y / total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scores(x, components):
    terms = np.empty(components.shape[1])
    found = np.empty_like(x)
    for i in range(len(x)):
        found[i] = _score_at(x[i, 0], x[i, 1], components, terms)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _move(x, components, step_size, noise, noisy, rng, kept, positions):
    """Move `x` (n, 2) in place through all steps; write it to `positions` (len(kept), n, 2)."""
    terms = np.empty(components.shape[1])
    next_kept = 0
    if kept[0] == 0:
        positions[0] = x
        next_kept = 1
    for step in range(1, kept[-1] + 1):
        for i in range(len(x)):
            score_x, score_y = _score_at(x[i, 0], x[i, 1], components, terms)
            x[i, 0] += step_size * score_x
            x[i, 1] += step_size * score_y
            if noisy:
                first = rng.standard_normal()
                second = rng.standard_normal()
                x[i, 0] += noise[0, 0] * first + noise[0, 1] * second
                x[i, 1] += noise[1, 0] * first + noise[1, 1] * second
        if step == kept[next_kept]:
            positions[next_kept] = x
            next_kept += 1
