"""Three dynamics with the same marginals p_t: forward SDE, reverse SDE and probability flow ODE (Song et al. 2021).

For any lambda, dx = [f - (1 + lambda^2) / 2 g^2 s] dt + lambda g dw, run backward, has the marginals p_t where s is
their score: lambda = 1 is the reverse SDE, lambda = 0 the flow. All is computed for y = x / spread on the clock B of
`sde`, whose forward process is dy = -y/2 dB + dw.
"""

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp
from scipy.spatial import KDTree

from scoredag.likelihood import mixtures, problems, scores
from scoredag.likelihood.sde import HORIZON, SDE

_TOLERANCE = 1e-5


def forward(sde: SDE, y: np.ndarray, times: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Positions (S, N, 2) of the forward SDE at rising times (S,), from y (N, 2) at the first one.

    Each transition is drawn from its Gaussian, without an error of discretisation.
    """
    clocks = np.asarray(sde.clock(np.asarray(times)))
    positions = np.empty((len(clocks), *y.shape))
    positions[0] = y
    for i, step in enumerate(np.diff(clocks)):
        noise = np.sqrt(-np.expm1(-step)) * rng.standard_normal(y.shape)
        positions[i + 1] = np.exp(-step / 2) * positions[i] + noise
    return positions


def reverse(
    model: scores.ScoreModel, sde: SDE, y: np.ndarray, times: Sequence[float], n_between: int, rng: np.random.Generator
) -> np.ndarray:
    """Positions (S, N, 2) of the reverse SDE at falling times (S,), from y (N, 2) at the first one.

    By Euler and Maruyama, with `n_between` steps, even in time, from each of `times` to the next.
    """
    score = scores.on_clock(model, sde)
    grid = np.interp(np.arange((len(times) - 1) * n_between + 1) / n_between, np.arange(len(times)), times)
    clocks = np.asarray(sde.clock(grid))
    positions = np.empty((len(times), *y.shape))
    positions[0] = y
    for i, (clock, step) in enumerate(zip(clocks[:-1], -np.diff(clocks), strict=True), 1):
        y = y + step * (y / 2 + score(y, clock)) + np.sqrt(step) * rng.standard_normal(y.shape)
        if i % n_between == 0:
            positions[i // n_between] = y
    return positions


def flow(model: scores.ScoreModel, sde: SDE, y: np.ndarray, times: Sequence[float]) -> np.ndarray:
    """Positions (S, N, 2) of the probability flow ODE at rising or falling times (S,), from y (N, 2) at the first."""
    score = scores.on_clock(model, sde)
    clocks = np.asarray(sde.clock(np.asarray(times)))

    def velocity(clock, state):
        here = state.reshape(y.shape)
        return -(here + score(here, clock)).ravel() / 2

    first = 1e-4 if clocks[0] < clocks[-1] else 1e-2
    path = solve_ivp(
        velocity, (clocks[0], clocks[-1]), y.ravel(),
        method="DOP853", t_eval=clocks, rtol=_TOLERANCE, atol=_TOLERANCE, first_step=first,
    )  # fmt: skip
    return path.y.T.reshape(len(clocks), *y.shape)


def snapshot_times(smallest_time: float, n_snapshots: int) -> np.ndarray:
    """Evenly spaced times (S,) from the smallest one to T."""
    return np.linspace(smallest_time, HORIZON, n_snapshots)


def nearest_snapshots(times: np.ndarray, wanted: Sequence[float]) -> list[int]:
    """Rising indices into `times` (S,) of those nearest to the `wanted` ones, each once."""
    return sorted({int(np.abs(times - t).argmin()) for t in wanted})


def marginal(gmm: mixtures.Mixture, sde: SDE, t: float) -> mixtures.Mixture:
    """p_t of y: the marginal of the forward process from the mixture `gmm`, in units of the spread."""
    return mixtures.marginal(gmm, sde, t).scaled(1 / float(sde.spread(t)))


def plane_marginal(problem: problems.Problem, t: float) -> mixtures.Mixture:
    """p_t of centre + unit y, in the plane of the mixture."""
    return marginal(problem.data.gmm, problem.sde, t).scaled(problem.data.unit).moved(problem.data.centre)


def neighbour_distances(y: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Distances (N,) in y (N, 2) of each particle from that which is nearest to it in `last` (N, 2)."""
    _, nearest = KDTree(last).query(last, k=2)
    return np.linalg.norm(y - y[nearest[:, 1]], axis=1)
