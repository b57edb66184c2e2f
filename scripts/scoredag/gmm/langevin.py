"""Langevin dynamics on a Gaussian mixture with its exact score.

Particles move in blocks, each with its own random stream, so that neither threads nor shards change them.
"""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag import streams
from scoredag.errors import InputError
from scoredag.gmm import fields
from scoredag.gmm.kernels import KERNELS, stability_limit
from scoredag.gmm.mixing import warn_of_slow
from scoredag.gmm.mixture import GaussianMixture
from scoredag.simd import random

__all__ = ["BLOCK", "KERNELS", "Run", "run", "score", "simulate", "stability_limit", "table"]

log = logging.getLogger(__name__)

BLOCK = 500  # particles a random stream; part of what a seed means
_SETTINGS = frozenset().union(*(kernel.takes for kernel in KERNELS.values()))


class Run(NamedTuple):
    """Particles at the kept steps, and how often steps and swaps were accepted (NaN where all are)."""

    steps: np.ndarray  # (S,)
    positions: np.ndarray  # (S, N, 2)
    acceptance: float
    swap_acceptance: float


def simulate(gmm: GaussianMixture, *, n_particles: int, first: int = 0, **options: Any) -> pd.DataFrame:
    """Particles moved by a Langevin kernel, as a table; see `run` for the arguments.

    Returns:
        Data frame with particle, step, x, y, by step and particle.
    """
    return table(run(gmm, n_particles=n_particles, first=first, **options), first)


def table(result: Run, first: int = 0) -> pd.DataFrame:
    """The particles of a `Run` as a data frame with particle, step, x, y; the first one's number is `first`."""
    n_steps, n_particles = result.positions.shape[:2]
    return pd.DataFrame(
        {
            "particle": np.tile(np.arange(first, first + n_particles), n_steps),
            "step": np.repeat(result.steps, n_particles),
            "x": result.positions[..., 0].ravel(),
            "y": result.positions[..., 1].ravel(),
        }
    )


def run(
    gmm: GaussianMixture,
    *,
    n_particles: int,
    n_steps: int,
    step_size: float,
    seed: int,
    kernel: str = "overdamped",
    divergence: str = "keep",
    snapshots: Sequence[int] = (),
    start: np.ndarray | None = None,
    first: int = 0,
    threads: int = 1,
    **settings: Any,
) -> Run:
    """Move particles by one of the kernels, which `kernels` describes.

    Args:
        gmm: a `GaussianMixture`.
        n_particles: N, moved independently.
        n_steps: steps of each particle.
        step_size: tau > 0.
        seed: integer; particles in blocks of `BLOCK` have their own streams.
        kernel: one of `KERNELS`.
        divergence: what becomes of particles that are not finite: `keep`, or `stop` with an InputError.
        snapshots: steps to keep besides the last one, each in 0 .. n_steps; 0 is the start.
        start: positions (N, 2); None draws them from N(0, I).
        first: number of the first particle, a multiple of `BLOCK`: shards of a run are parts of it.
        threads: how many blocks move at once; changes nothing in the result.
        settings: of the kernels: `noise_covariance`, `preconditioner`, `friction`, `noise_levels`, `temperatures`.
            Those that the chosen kernel does not take (`KERNELS[kernel].takes`) are left aside.

    Returns:
        A `Run`.

    Raises:
        InputError: a number out of range, or a matrix that is no covariance; particles that diverged.
    """
    if unknown := settings.keys() - _SETTINGS:
        raise TypeError(f"no kernel takes {', '.join(sorted(unknown))}; settings are {', '.join(sorted(_SETTINGS))}")
    if kernel not in KERNELS:
        raise InputError(f"kernel: '{kernel}' is unknown; known are {', '.join(KERNELS)}")
    _check_numbers(step_size, n_particles, n_steps, settings.get("friction", 1.0), first, divergence)
    kept = np.unique([*snapshots, n_steps]).astype(np.int64)
    if kept[0] < 0 or kept[-1] > n_steps:
        raise InputError(f"snapshots: {list(snapshots)} are not all between 0 and n_steps = {n_steps}")
    if start is not None and np.shape(start) != (n_particles, 2):
        raise InputError(f"start: shape {np.shape(start)} is not (n_particles, 2) = ({n_particles}, 2)")
    taken = {name: value for name, value in settings.items() if name in KERNELS[kernel].takes}
    move = KERNELS[kernel].prepare(gmm, float(step_size), n_steps, threads, **taken)
    if start is None:
        warn_of_slow(kernel, gmm, step_size, n_steps, taken)
    positions = np.empty((len(kept), n_particles, 2))

    def move_block(begin):
        block = slice(begin, min(begin + BLOCK, n_particles))
        rng = streams.generator(seed, "block", (first + begin) // BLOCK)
        x = rng.standard_normal((block.stop - begin, 2))
        if start is not None:
            x = np.array(start[block], dtype=np.float64)
        state = rng.integers(2**64, size=random.STATE, dtype=np.uint64).view(np.int64)
        return move(x, state, kept, positions[:, block])

    with ThreadPoolExecutor(threads) as pool:
        counts = np.array(list(pool.map(move_block, range(0, n_particles, BLOCK)))).sum(axis=0)
    _report_lost(positions[-1], divergence)
    rates = counts / (n_particles * n_steps)
    return Run(kept, positions, *rates)


def score(gmm: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """The score at `x` (N, 2) as the compiled loop computes it; equals `gmm.score(x)`."""
    return fields.scores(x, fields.build(gmm))[0]


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


def _report_lost(positions, divergence):
    n_lost = int((~np.isfinite(positions).all(axis=1)).sum())
    if n_lost:
        loss = f"{n_lost} of {len(positions)} particles are not finite at the end"
        if divergence == "stop":
            raise InputError(f"step_size: {loss}; write a smaller one, or divergence: keep")
        log.warning("%s; a smaller step_size keeps them", loss)
