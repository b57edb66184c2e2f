"""Langevin dynamics on a Gaussian mixture with its exact score.

Particles move in blocks, each with its own random stream, so that neither threads nor shards change them.
"""

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import streams
from scoredag.errors import InputError
from scoredag.gmm import fields, kernels

log = logging.getLogger(__name__)

BLOCK = 500  # particles a random stream; part of what a seed means
KERNELS = ("overdamped", "mala", "underdamped", "annealed", "tempering")


class Run(NamedTuple):
    """Particles at the kept steps, and how often steps and swaps were accepted (NaN where all are)."""

    steps: np.ndarray  # (S,)
    positions: np.ndarray  # (S, N, 2)
    acceptance: float
    swap_acceptance: float


def simulate(gmm, *, n_particles, first=0, **options):
    """Particles moved by a Langevin kernel, as a table; see `run` for the arguments.

    Returns:
        Data frame with particle, step, x, y, by step and particle.
    """
    return table(run(gmm, n_particles=n_particles, first=first, **options), first)


def table(found, first=0):
    """The particles of a `Run` as a data frame with particle, step, x, y; the first one's number is `first`."""
    n_steps, n_particles = found.positions.shape[:2]
    return pd.DataFrame(
        {
            "particle": np.tile(np.arange(first, first + n_particles), n_steps),
            "step": np.repeat(found.steps, n_particles),
            "x": found.positions[..., 0].ravel(),
            "y": found.positions[..., 1].ravel(),
        }
    )


def run(
    gmm,
    *,
    n_particles,
    n_steps,
    step_size,
    seed,
    noise_covariance=None,
    kernel="overdamped",
    preconditioner=None,
    friction=1.0,
    noise_levels=(),
    temperatures=(),
    divergence="keep",
    snapshots=(),
    start=None,
    first=0,
    threads=1,
):
    """Move particles by one of the kernels:

    - `overdamped`: x <- x + tau M score(x) + sqrt(2 tau) zeta, zeta ~ N(0, C) (Song & Ermon 2019, equation 4;
      there tau is half of their step size). With C = M, the unadjusted Langevin algorithm, whose
      stationary distribution tends to the mixture as tau -> 0 (Roberts & Stramer 2002). Without noise
      it is the gradient flow by explicit Euler.
    - `mala`: the same with C = M, and each step accepted or not, so that the mixture is kept exactly.
    - `underdamped`: with velocities, by BAOAB (Leimkuhler & Matthews 2013); tau is the time of a step.
    - `annealed`: `overdamped` on the mixture with noise of falling levels s added, n_steps divided equally
      between them, with steps of tau s^2 / s_last^2 (Song & Ermon 2019, algorithm 1).
    - `tempering`: MALA at several temperatures that swap their places (Geyer 1991).

    Args:
        gmm: a `GaussianMixture`.
        n_particles: N, moved independently.
        n_steps: steps of each particle.
        step_size: tau > 0.
        seed: integer; particles in blocks of `BLOCK` have their own streams.
        noise_covariance: C, (2, 2), symmetric positive semidefinite, for `overdamped` alone; None takes
            `preconditioner`, or no noise without one.
        kernel: one of `KERNELS`.
        preconditioner: M, (2, 2), symmetric positive definite, on drift and noise alike; None is I. For
            `overdamped` and `mala`.
        friction: of `underdamped`, 1 / time.
        noise_levels: falling deviations, in the unit of x, of `annealed`.
        temperatures: rising from 1, of `tempering`.
        divergence: what becomes of particles that are not finite: `keep`, or `stop` with an InputError.
        snapshots: steps to keep besides the last one, each in 0 .. n_steps; 0 is the start.
        start: positions (N, 2); None draws them from N(0, I).
        first: number of the first particle, a multiple of `BLOCK`: shards of a run are parts of it.
        threads: how many blocks move at once; changes nothing in the result.

    Returns:
        A `Run`.

    Raises:
        InputError: a number out of range, or a matrix that is no covariance; particles that diverged.
    """
    _check_numbers(step_size, n_particles, n_steps, friction, first, divergence)
    kept = np.unique([*snapshots, n_steps]).astype(np.int64)
    if kept[0] < 0 or kept[-1] > n_steps:
        raise InputError(f"snapshots: {list(snapshots)} are not all between 0 and n_steps = {n_steps}")
    if start is not None and np.shape(start) != (n_particles, 2):
        raise InputError(f"start: shape {np.shape(start)} is not (n_particles, 2) = ({n_particles}, 2)")
    move = _movers(gmm, step_size, n_steps, threads)[_known(kernel)]
    move = move(noise_covariance, preconditioner, friction, noise_levels, temperatures)
    positions = np.empty((len(kept), n_particles, 2))

    def move_block(begin):
        block = slice(begin, min(begin + BLOCK, n_particles))
        rng = streams.generator(seed, "block", (first + begin) // BLOCK)
        x = rng.standard_normal((block.stop - begin, 2))
        if start is not None:
            x = np.array(start[block], dtype=np.float64)
        state = rng.integers(2**64, size=4 * kernels.LANES, dtype=np.uint64).view(np.int64)
        found = np.empty((len(kept), len(x), 2))
        counts = move(x, state, kept, found)
        positions[:, block] = found
        return counts

    with ThreadPoolExecutor(threads) as pool:
        counts = np.array(list(pool.map(move_block, range(0, n_particles, BLOCK)))).sum(axis=0)
    _report_lost(positions[-1], divergence)
    rates = counts / (n_particles * n_steps)
    return Run(kept, positions, *rates)


def score(gmm, x):
    """The score at `x` (N, 2) as the compiled loop computes it; equals `gmm.score(x)`."""
    return kernels.scores(np.ascontiguousarray(x, dtype=np.float64), fields.build(gmm))[0]


def stability_limit(gmm, preconditioner=None):
    """The step size 2 / largest precision from which on a step in a component's narrowest direction diverges."""
    precisions = gmm.precisions
    if preconditioner is not None:
        root = _square_root(preconditioner, "preconditioner")
        precisions = root @ precisions @ root
    return 2 / np.linalg.eigvalsh(precisions).max()


def _movers(gmm, tau, n_steps, threads):
    """For each kernel a function of its settings that gives one of (x, state, kept, found)."""

    def overdamped(noise_covariance, preconditioner, *_):
        _say_limit(tau, stability_limit(gmm, preconditioner))
        drift = _matrix(preconditioner, "preconditioner")
        covariance = preconditioner if noise_covariance is None else noise_covariance
        field, noisy = fields.build(gmm, threads), covariance is not None
        noise = math.sqrt(2 * tau) * _square_root(covariance if noisy else np.zeros((2, 2)), "noise_covariance")

        def move(x, state, kept, found):
            kernels.move_overdamped(x, field, tau * drift, noise, noisy, state, kept, found)
            return math.nan, math.nan

        return move

    def mala(noise_covariance, preconditioner, *_):
        field, drift = fields.build(gmm, threads), _matrix(preconditioner, "preconditioner")
        noise = math.sqrt(2 * tau) * _square_root(drift, "preconditioner")

        def move(x, state, kept, found):
            return kernels.move_mala(x, field, tau * drift, noise, state, kept, found), math.nan

        return move

    def underdamped(noise_covariance, preconditioner, friction, *_):
        _say_limit(tau, math.sqrt(2 * stability_limit(gmm)))  # 2 / largest frequency
        field = fields.build(gmm, threads)

        def move(x, state, kept, found):
            kernels.move_underdamped(x, field, tau, friction, state, kept, found)
            return math.nan, math.nan

        return move

    def annealed(noise_covariance, preconditioner, friction, noise_levels, *_):
        levels = np.array(noise_levels, dtype=np.float64)
        if not (len(levels) and (levels > 0).all() and (np.diff(levels) < 0).all() and len(levels) <= n_steps):
            raise InputError(f"noise_levels: {list(noise_levels)} are not falling positive numbers, at most n_steps")
        steps = np.diff(np.linspace(0, n_steps, len(levels) + 1).round().astype(np.int64))
        mixtures = [gmm.diffused(level) for level in levels]
        sizes = tau * (levels / levels[-1]) ** 2
        for size, mixture in zip(sizes, mixtures, strict=True):
            _say_limit(size, stability_limit(mixture))
        parts = list(zip(steps, sizes, (fields.build(mixture, threads) for mixture in mixtures), strict=True))

        def move(x, state, kept, found):
            done = 0
            for n, size, field in parts:
                here = (kept >= done + (done > 0)) & (kept <= done + n)
                last = np.unique(np.append(kept[here] - done, n))
                part = np.empty((len(last), len(x), 2))
                noise = math.sqrt(2 * size) * np.eye(2)
                kernels.move_overdamped(x, field, size * np.eye(2), noise, True, state, last, part)
                found[here] = part[: here.sum()]
                done += n
            return math.nan, math.nan

        return move

    def tempering(noise_covariance, preconditioner, friction, noise_levels, temperatures):
        ladder = np.array(temperatures, dtype=np.float64)
        if not (len(ladder) > 1 and ladder[0] == 1 and (np.diff(ladder) > 0).all() and np.isfinite(ladder).all()):
            raise InputError(f"temperatures: {list(temperatures)} are not rising numbers, the first 1, at least two")
        field = fields.build(gmm, threads)

        def move(x, state, kept, found):
            replicas = np.repeat(x[:, None], len(ladder), axis=1)
            counts = np.zeros(2, np.int64)
            kernels.move_tempered(replicas, field, tau, ladder, state, kept, found, counts)
            return counts[0], 2 * counts[1] / (len(ladder) - 1)  # a pair is tried at every other step

        return move

    return dict(zip(KERNELS, (overdamped, mala, underdamped, annealed, tempering), strict=True))


def _known(kernel):
    if kernel not in KERNELS:
        raise InputError(f"kernel: '{kernel}' is unknown; known are {', '.join(KERNELS)}")
    return kernel


def _check_numbers(step_size, n_particles, n_steps, friction, first, divergence):
    for name, value in {"step_size": step_size, "friction": friction}.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name}: {value} is not a positive number")
    if n_particles < 1 or n_steps < 1:
        raise InputError(f"n_particles and n_steps: {n_particles} and {n_steps}; both have to be at least 1")
    if first % BLOCK:
        raise InputError(f"first: {first} is not a multiple of {BLOCK}")
    if divergence not in ("keep", "stop"):
        raise InputError(f"divergence: '{divergence}' is neither 'keep' nor 'stop'")


def _say_limit(step_size, limit):
    if step_size > limit:
        log.warning("step_size %g is beyond the stability limit of the narrowest component, %.4g", step_size, limit)


def _report_lost(positions, divergence):
    n_lost = int((~np.isfinite(positions).all(axis=1)).sum())
    if n_lost:
        found = f"{n_lost} of {len(positions)} particles are not finite at the end"
        if divergence == "stop":
            raise InputError(f"step_size: {found}; write a smaller one, or divergence: keep")
        log.warning("%s; a smaller step_size keeps them", found)


def _matrix(preconditioner, name):
    """The matrix itself, checked; the identity for None."""
    if preconditioner is None:
        return np.eye(2)
    root = _square_root(preconditioner, name)
    if np.linalg.eigvalsh(root)[0] <= 0:
        raise InputError(f"{name}: {np.asarray(preconditioner).tolist()} is not positive definite")
    return np.asarray(preconditioner, dtype=np.float64)


def _square_root(covariance, name):
    """The symmetric square root of a (2, 2) positive semidefinite matrix."""
    try:
        matrix = np.asarray(covariance, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (2, 2) or not np.isfinite(matrix).all():
        shown = matrix.tolist() if matrix.size else covariance
        raise InputError(f"{name}: {shown} is not two rows of two finite numbers")
    values, vectors = np.linalg.eigh(matrix)
    if matrix[0, 1] != matrix[1, 0] or values[0] < -1e-12 * abs(values[1]):
        raise InputError(f"{name}: {matrix.tolist()} is not symmetric positive semidefinite")
    return vectors * np.sqrt(values.clip(0)) @ vectors.T
