"""What all likelihood jobs start from: a mixture, an SDE, score models, points and a grid."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scoredag import streams
from scoredag.errors import InputError
from scoredag.likelihood import fokker_planck, mixtures, score_network, scores, sde

_INNER_DEVIATIONS = 3.0  # about the means, within which cells have one width
_MIN_HALF_WIDTH = 6.0  # a wrong score may make the law at larger times wider than the prior
_CELLS_PER_DEVIATION = 2.4  # of the narrowest component
_MAX_CELLS = 800


class Problem(NamedTuple):
    """Data in the SDE's unit, the SDE, and the smallest time eps."""

    data: mixtures.Standardised
    sde: sde.SDE
    smallest_time: float

    def to_sde_unit(self, x: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the plane in the SDE's unit."""
        return (np.asarray(x) - self.data.centre) / self.data.unit

    @property
    def smallest_spread(self) -> float:
        """The factor from the grid's unit to the SDE's at the smallest time."""
        return float(self.sde.spread(self.smallest_time))

    @property
    def grid_nats(self) -> float:
        """Nats to add to turn an NLL in grid units at the smallest time into plane units."""
        return self.data.nats + 2 * np.log(self.smallest_spread)


def build(gmm: mixtures.Mixture, *, name: str, span: Sequence[float], smallest_time: float) -> Problem:
    """The `Problem` of a mixture; `name` and `span` are those of the SDE, see `sde.named`."""
    return Problem(mixtures.standardise(gmm), sde.named(name, span), smallest_time)


def score_model(
    problem: Problem, errors: Mapping[str, Any], weights_path: str | os.PathLike[str] | None = None
) -> scores.ScoreModel:
    """The network at `weights_path`, or without one the exact score with `errors` (see `scores.exact`)."""
    if weights_path:
        return scores.from_network(score_network.load(weights_path), problem.sde)
    return scores.exact(problem.data.gmm, problem.sde, **errors)


def points(gmm: mixtures.Mixture, n_points: int, seed: int) -> np.ndarray:
    """Points (N, 2) of the plane, drawn from the mixture."""
    return gmm.sample(n_points, streams.seed(seed, "likelihood", "points"))


def grid(problem: Problem, *, half_width: float | None = None, n_cells: int | None = None) -> dict[str, Any]:
    """Arguments `inner`, `half_width` and `n_cells` of `fokker_planck.grid`; None takes what the mixture needs.

    Raises:
        InputError: the narrowest component would need more than 800 cells a side.
    """
    gmm = problem.data.gmm
    variances = np.linalg.eigvalsh(gmm.covariances)
    inner = float((np.abs(gmm.means).max(axis=1) + _INNER_DEVIATIONS * np.sqrt(variances[:, 1])).max())
    if half_width is None:
        half_width = max(_MIN_HALF_WIDTH, 1.5 * inner)
    if n_cells is None:
        narrowest = float(np.sqrt(variances.min()))
        n_cells = 12 * int(np.ceil(_CELLS_PER_DEVIATION * fokker_planck.extent(inner, half_width) / narrowest / 12))
        if n_cells > _MAX_CELLS:
            raise InputError(
                f"likelihood.grid.n_cells: the narrowest component would need {n_cells} cells a side; "
                "write a number of your own (time and memory grow with its square), "
                "or likelihood: {score_models: null} to do without"
            )
    return {"inner": inner, "half_width": half_width, "n_cells": n_cells}


def clocks(problem: Problem, n_steps: int) -> np.ndarray:
    """Falling clock times from T to the smallest time, see `fokker_planck.steps`."""
    first, last = (float(problem.sde.clock(t)) for t in (problem.smallest_time, sde.HORIZON))
    narrowest = float(np.linalg.eigvalsh(problem.data.gmm.covariances).min())
    return fokker_planck.steps(first, last, n_steps, finest=narrowest / 16)


def kernel_quadrature(problem: Problem, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature nodes (9 N, 2) in the grid's unit and weights (9,) for expectations under p_0eps(.|x).

    Gauss & Hermite's rule of three nodes an axis, exact for polynomials of degree 5. `x` (N, 2) is in the SDE's unit.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    alpha, sigma = (float(part(problem.smallest_time)) for part in (problem.sde.signal, problem.sde.noise))
    weights = np.outer(weights, weights).ravel() / weights.sum() ** 2
    return (alpha * x[:, None] + sigma * z).reshape(-1, 2) / problem.smallest_spread, weights


class Totals(NamedTuple):
    """Means over the whole law, in the grid's unit."""

    cross_entropy: float  # -E[log p_theta] over p_eps
    divergence: float  # D_KL(p_eps || p_theta)
    gap: float  # E[G] over p_eps


def totals(problem: Problem, solution: fokker_planck.Solution) -> Totals:
    """`Totals` of a `fokker_planck.Solution`, by sums over its cells."""
    log_truth = log_marginal(problem, problem.smallest_time, solution.grid.points)
    truth, logs = np.exp(log_truth), solution.log_density.ravel()
    values = -logs, log_truth - logs, solution.gap.ravel()
    return Totals(*(solution.grid.integral(truth * value) for value in values))


def entropy(problem: Problem, t: float, cells: fokker_planck.Grid) -> float:
    """H(p_t) in the SDE's unit, by sums over a `fokker_planck.Grid`."""
    logs = log_marginal(problem, t, cells.points)
    return cells.integral(-np.exp(logs) * logs) + 2 * np.log(float(problem.sde.spread(t)))


def prior_divergence(problem: Problem, cells: fokker_planck.Grid) -> float:
    """D_KL(p_T || prior), by sums over a `fokker_planck.Grid`."""
    logs = log_marginal(problem, sde.HORIZON, cells.points)
    return cells.integral(np.exp(logs) * (logs - problem.sde.log_prior(cells.points)))


def log_marginal(problem: Problem, t: float, y: np.ndarray) -> np.ndarray:
    """log p_t (N,) in the grid's unit, at points (N, 2) in that unit."""
    spread = float(problem.sde.spread(t))
    spectrum = mixtures.spectrum(problem.data.gmm)
    logs, _, _ = mixtures.evaluate(spectrum, spread * y, problem.sde.signal(t), problem.sde.noise(t))
    return logs + 2 * np.log(spread)
