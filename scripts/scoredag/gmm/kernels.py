"""The Langevin kernels, and the table of them.

A kernel is a function of the mixture, the step size, the number of steps, the threads and its own settings. It checks
these, prepares the score field, and returns a function (x, state, kept, positions) that moves a block of particles:
x (n, 2) is where they start, `state` (random.STATE,) their random stream, `kept` the steps, ascending, whose positions
go to `positions` (len(kept), n, 2). That returns the numbers of accepted steps and of accepted swaps, in units in which
all of them would be n times the number of steps; NaN where every step is accepted, or nothing swaps.

Compiled functions get all arrays from their callers, who own them.
"""

import functools
import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scoredag.errors import InputError
from scoredag.gmm.fields import at, build, log_density_and_score, opened
from scoredag.gmm.mixture import GaussianMixture
from scoredag.simd.compiling import compiled
from scoredag.simd.lanes import LANES, emitted, number
from scoredag.simd.random import normals, uniforms

log = logging.getLogger(__name__)

Move = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[float, float]]


class Kernel(NamedTuple):
    """A kernel, and which settings it takes besides those that all take."""

    prepare: Callable[..., Move]
    takes: frozenset[str]


# --- compiled --------------------------------------------------------------------------------
# Each moves particles from step `first` to step `last`. `zeta` and `chance` are for random numbers.


@emitted
def _product(matrix, x, y):
    """A (2, 2) matrix times (x, y)."""
    a, b, c, d = (number(matrix, i) for i in range(4))
    return [a * x + b * y, c * x + d * y]


@emitted
def _log_ratio(gain, zeta_x, zeta_y, back_x, back_y):
    """Log of the Metropolis ratio: gain of log-density, and of the density of the noise that leads back."""
    return gain + 0.5 * (zeta_x * zeta_x + zeta_y * zeta_y - back_x * back_x - back_y * back_y)


@compiled
def _move_overdamped(x, field, drift, noise, noisy, state, zeta, first, last):
    field = opened(field)
    for _ in range(first, last):
        if noisy:
            normals(state, zeta, x.size)
        for i in range(len(x)):
            _, _, score_x, score_y = at(x[i, 0], x[i, 1], field)
            move_x, move_y = _product(drift, score_x, score_y)
            x[i, 0] += move_x
            x[i, 1] += move_y
            if noisy:
                move_x, move_y = _product(noise, zeta[2 * i], zeta[2 * i + 1])
                x[i, 0] += move_x
                x[i, 1] += move_y


@compiled
def _move_mala(x, field, drift, noise, state, zeta, chance, logs, scores, first, last):
    field = opened(field)
    n, accepted = len(x), 0
    if first == 0:
        for i in range(n):
            logs[i], scores[i, 0], scores[i, 1] = log_density_and_score(x[i, 0], x[i, 1], field)
    for _ in range(first, last):
        normals(state, zeta, x.size)
        uniforms(state, chance, n)
        for i in range(n):
            move_x, move_y = _product(drift, scores[i, 0], scores[i, 1])
            zeta_x, zeta_y = zeta[2 * i], zeta[2 * i + 1]
            jump_x, jump_y = _product(noise, zeta_x, zeta_y)
            new_x, new_y = x[i, 0] + move_x + jump_x, x[i, 1] + move_y + jump_y
            log_density, score_x, score_y = log_density_and_score(new_x, new_y, field)
            # the noise that would lead back is -(zeta + noise^T (score + new score) / 2)
            sum_x, sum_y = 0.5 * (scores[i, 0] + score_x), 0.5 * (scores[i, 1] + score_y)
            back_x = zeta_x + noise[0, 0] * sum_x + noise[1, 0] * sum_y
            back_y = zeta_y + noise[0, 1] * sum_x + noise[1, 1] * sum_y
            if math.log(chance[i]) <= _log_ratio(log_density - logs[i], zeta_x, zeta_y, back_x, back_y):
                accepted += 1
                x[i, 0], x[i, 1], logs[i], scores[i, 0], scores[i, 1] = new_x, new_y, log_density, score_x, score_y
    return accepted


@compiled
def _move_underdamped(x, field, step_size, friction, state, zeta, velocity, scores, first, last):
    field = opened(field)
    if first == 0:
        normals(state, zeta, x.size)
        for i in range(len(x)):
            velocity[i, 0], velocity[i, 1] = zeta[2 * i], zeta[2 * i + 1]
            _, _, scores[i, 0], scores[i, 1] = at(x[i, 0], x[i, 1], field)
    half = 0.5 * step_size
    decay = math.exp(-friction * step_size)
    deviation = math.sqrt(1 - decay * decay)
    for _ in range(first, last):
        normals(state, zeta, x.size)
        for i in range(len(x)):
            for axis in range(2):
                speed = velocity[i, axis] + half * scores[i, axis]
                x[i, axis] += half * speed
                speed = decay * speed + deviation * zeta[2 * i + axis]
                x[i, axis] += half * speed
                velocity[i, axis] = speed
            _, _, scores[i, 0], scores[i, 1] = at(x[i, 0], x[i, 1], field)
            velocity[i, 0] += half * scores[i, 0]
            velocity[i, 1] += half * scores[i, 1]


@compiled
def _move_tempered(x, field, step_size, temperatures, state, zeta, chance, logs, scores, counts, first, last):
    field = opened(field)
    n, n_replicas = len(x), len(temperatures)
    if first == 0:
        for i in range(n):
            for r in range(n_replicas):
                logs[i, r], scores[i, r, 0], scores[i, r, 1] = log_density_and_score(x[i, r, 0], x[i, r, 1], field)
    for step in range(first + 1, last + 1):
        normals(state, zeta, x.size)
        uniforms(state, chance, 2 * n * n_replicas)
        for i in range(n):
            for r in range(n_replicas):
                j = i * n_replicas + r
                zeta_x, zeta_y = zeta[2 * j], zeta[2 * j + 1]
                # score / T times the step T tau is score times tau
                noise = math.sqrt(2 * step_size * temperatures[r])
                new_x = x[i, r, 0] + step_size * scores[i, r, 0] + noise * zeta_x
                new_y = x[i, r, 1] + step_size * scores[i, r, 1] + noise * zeta_y
                log_density, score_x, score_y = log_density_and_score(new_x, new_y, field)
                half = 0.5 * noise / temperatures[r]
                back_x = zeta_x + half * (scores[i, r, 0] + score_x)
                back_y = zeta_y + half * (scores[i, r, 1] + score_y)
                gain = (log_density - logs[i, r]) / temperatures[r]
                if math.log(chance[2 * j]) <= _log_ratio(gain, zeta_x, zeta_y, back_x, back_y):
                    if r == 0:
                        counts[0] += 1
                    x[i, r, 0], x[i, r, 1], logs[i, r] = new_x, new_y, log_density
                    scores[i, r, 0], scores[i, r, 1] = score_x, score_y
            for r in range(step % 2, n_replicas - 1, 2):
                colder, hotter = 1 / temperatures[r], 1 / temperatures[r + 1]
                gain = (colder - hotter) * (logs[i, r + 1] - logs[i, r])
                if math.log(chance[2 * (i * n_replicas + r) + 1]) <= gain:
                    counts[1] += 1
                    logs[i, r], logs[i, r + 1] = logs[i, r + 1], logs[i, r]
                    for axis in range(2):
                        x[i, r, axis], x[i, r + 1, axis] = x[i, r + 1, axis], x[i, r, axis]
                        scores[i, r, axis], scores[i, r + 1, axis] = scores[i, r + 1, axis], scores[i, r, axis]


# --- kernels ---------------------------------------------------------------------------------


def overdamped(
    gmm: GaussianMixture,
    step_size: float,
    n_steps: int,
    threads: int,
    noise_covariance: ArrayLike | None = None,
    preconditioner: ArrayLike | None = None,
) -> Move:
    """x <- x + tau M score(x) + sqrt(2 tau) zeta, zeta ~ N(0, C) (Song & Ermon 2019, equation 4).

    There tau is half of their step size. With C = M, the unadjusted Langevin algorithm, whose stationary distribution
    tends to the mixture as tau -> 0 (Roberts & Stramer 2002). Without noise, the gradient flow by explicit Euler.

    Args:
        gmm, step_size, n_steps, threads: see the module.
        noise_covariance: C, (2, 2), symmetric positive semidefinite; None takes `preconditioner`, or no noise
            without one.
        preconditioner: M, (2, 2), symmetric positive definite, on drift and noise alike; None is I.
    """
    _warn_beyond(step_size, stability_limit(gmm, preconditioner))
    drift = step_size * _definite(preconditioner, "preconditioner")
    covariance = preconditioner if noise_covariance is None else noise_covariance
    noisy = covariance is not None
    noise = math.sqrt(2 * step_size) * square_root(
        np.zeros((2, 2)) if covariance is None else covariance, "noise_covariance"
    )
    field = build(gmm, threads)

    def move(x, state, kept, positions):
        advance = functools.partial(_move_overdamped, x, field, drift, noise, noisy, state, _room(x.size))
        return _visit(advance, x, kept, positions)

    return move


def mala(
    gmm: GaussianMixture, step_size: float, n_steps: int, threads: int, preconditioner: ArrayLike | None = None
) -> Move:
    """Metropolis-adjusted Langevin: `overdamped` with C = M, accepted so that the mixture is kept exactly.

    Roberts & Tweedie 1996, section 1.4.2. `preconditioner` is M.
    """
    drift = _definite(preconditioner, "preconditioner")
    noise = math.sqrt(2 * step_size) * square_root(drift, "preconditioner")
    field = build(gmm, threads)

    def move(x, state, kept, positions):
        n = len(x)
        room = _room(2 * n), _room(n), np.empty(n), np.empty((n, 2))
        return _visit(
            functools.partial(_move_mala, x, field, step_size * drift, noise, state, *room), x, kept, positions
        )

    return move


def underdamped(gmm: GaussianMixture, step_size: float, n_steps: int, threads: int, friction: float = 1.0) -> Move:
    """Underdamped Langevin dynamics of unit mass by the splitting BAOAB; `step_size` is the time of a step.

    Leimkuhler & Matthews 2013, equation 10 and below: half a kick, half a drift, the exact Ornstein-Uhlenbeck step of
    the velocity, half a drift, half a kick. Velocities start as draws from N(0, I). `friction` is 1 / time.
    """
    _warn_beyond(step_size, math.sqrt(2 * stability_limit(gmm)))  # 2 / largest frequency
    field = build(gmm, threads)

    def move(x, state, kept, positions):
        room = _room(x.size), np.empty_like(x), np.empty_like(x)
        return _visit(
            functools.partial(_move_underdamped, x, field, step_size, friction, state, *room), x, kept, positions
        )

    return move


def annealed(
    gmm: GaussianMixture, step_size: float, n_steps: int, threads: int, noise_levels: Sequence[float] = ()
) -> Move:
    """`overdamped` on the mixture with noise of falling levels s added (Song & Ermon 2019, algorithm 1).

    The steps are divided equally between the levels, and are of size tau s^2 / s_last^2. `noise_levels` are deviations,
    in the unit of x.
    """
    levels = np.array(noise_levels, dtype=np.float64)
    if not (len(levels) and (levels > 0).all() and (np.diff(levels) < 0).all() and len(levels) <= n_steps):
        raise InputError(f"noise_levels: {list(noise_levels)} are not falling positive numbers, at most n_steps")
    ends = np.linspace(0, n_steps, len(levels) + 1).round().astype(np.int64)
    mixtures = [gmm.diffused(level) for level in levels]
    sizes = step_size * (levels / levels[-1]) ** 2
    for size, mixture in zip(sizes, mixtures, strict=True):
        _warn_beyond(size, stability_limit(mixture))
    fields = [build(mixture, threads) for mixture in mixtures]
    parts = list(zip(fields, sizes, ends[:-1], ends[1:], strict=True))

    def move(x, state, kept, positions):
        zeta = _room(x.size)

        def advance(first, last):
            for field, size, start, end in parts:
                noise = math.sqrt(2 * size) * np.eye(2)
                begin, stop = max(first, start), min(last, end)
                if begin < stop:
                    _move_overdamped(x, field, size * np.eye(2), noise, True, state, zeta, begin, stop)

        return _visit(advance, x, kept, positions)

    return move


def tempering(
    gmm: GaussianMixture, step_size: float, n_steps: int, threads: int, temperatures: Sequence[float] = ()
) -> Move:
    """Parallel tempering: MALA on p^(1/T) for each temperature T, and swaps of neighbours after each step.

    Geyer 1991; Earl & Deem 2005, equation 2. Steps of the replica at T are of size T `step_size`. Even and odd pairs
    take turns. `temperatures` rise from 1, whose replica is the result.
    """
    ladder = np.array(temperatures, dtype=np.float64)
    if not (len(ladder) > 1 and ladder[0] == 1 and (np.diff(ladder) > 0).all() and np.isfinite(ladder).all()):
        raise InputError(f"temperatures: {list(temperatures)} are not rising numbers, the first 1, at least two")
    field = build(gmm, threads)

    def move(x, state, kept, positions):
        replicas = np.repeat(x[:, None], len(ladder), axis=1)
        n = len(x) * len(ladder)
        counts = np.zeros(2, np.int64)
        room = _room(2 * n), _room(2 * n), np.empty(replicas.shape[:2]), np.empty_like(replicas), counts
        advance = functools.partial(_move_tempered, replicas, field, step_size, ladder, state, *room)
        _visit(advance, replicas[:, 0], kept, positions)
        return counts[0], 2 * counts[1] / (len(ladder) - 1)  # a pair is tried at every other step

    return move


KERNELS = {
    "overdamped": Kernel(overdamped, frozenset({"noise_covariance", "preconditioner"})),
    "mala": Kernel(mala, frozenset({"preconditioner"})),
    "underdamped": Kernel(underdamped, frozenset({"friction"})),
    "annealed": Kernel(annealed, frozenset({"noise_levels"})),
    "tempering": Kernel(tempering, frozenset({"temperatures"})),
}


def _room(n):
    """Memory for `n` random numbers, which are written 16 at a time."""
    return np.zeros(n + 2 * LANES)


def _visit(advance, x, kept, positions):
    """Move on to each step of `kept` by `advance(first, last)`, and write the positions `x` there to `positions`.

    Returns the sum of what `advance` counts as accepted, NaN where it counts nothing; and NaN.
    """
    accepted, done = 0.0, 0
    for k, step in enumerate(kept):
        if step > done:
            count = advance(done, step)
            accepted += math.nan if count is None else count
            done = step
        positions[k] = x
    return accepted, math.nan


# --- step sizes and matrices -----------------------------------------------------------------


def stability_limit(gmm: GaussianMixture, preconditioner: ArrayLike | None = None) -> float:
    """The step size 2 / largest precision from which on a step in a component's narrowest direction diverges."""
    return 2 / stiffness(gmm, preconditioner).max()


def stiffness(gmm: GaussianMixture, preconditioner: ArrayLike | None = None) -> np.ndarray:
    """Eigenvalues (K, 2) of the preconditioned precisions, ascending."""
    precisions = gmm.precisions
    if preconditioner is not None:
        root = square_root(preconditioner, "preconditioner")
        precisions = root @ precisions @ root
    return np.linalg.eigvalsh(precisions)


def _warn_beyond(step_size, limit):
    if step_size > limit:
        log.warning("step_size %g is beyond the stability limit of the narrowest component, %.4g", step_size, limit)


def rate_and_limit(kernel: str, gmm: GaussianMixture, settings: dict) -> tuple[float, float]:
    """Relaxations in the widest direction in a unit of step size times steps, and the largest stable step size."""
    levels = np.array(settings["noise_levels"] if kernel == "annealed" else [0.0])
    sizes = (levels / levels[-1]) ** 2 if kernel == "annealed" else np.ones(1)
    rates = [stiffness(gmm.diffused(level), settings.get("preconditioner")) for level in levels]
    slow, fast = (np.array([pick(values) for values in rates]) * sizes for pick in (np.min, np.max))
    if kernel == "underdamped":
        friction = settings.get("friction", 1.0)
        damped = 2 * slow[0] / (friction + math.sqrt(max(friction**2 - 4 * slow[0], 0)))
        return min(damped, friction / 2), 2 / math.sqrt(fast[0])
    return slow.mean(), 2 / fast.max()


def _definite(matrix, name):
    """The matrix itself, refused unless it is positive definite; the identity for None."""
    if matrix is None:
        return np.eye(2)
    root = square_root(matrix, name)
    if np.linalg.eigvalsh(root)[0] <= 0:
        raise InputError(f"{name}: {np.asarray(matrix).tolist()} is not positive definite")
    return np.asarray(matrix, dtype=np.float64)


def square_root(covariance: ArrayLike, name: str) -> np.ndarray:
    """The symmetric square root of a (2, 2) positive semidefinite matrix, the value of the setting `name`."""
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
