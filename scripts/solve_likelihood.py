"""Solve for the likelihood of a score model's reverse SDE, and for the gap of its bound."""

import logging

import numpy as np
import pandas as pd

from scoredag import job
from scoredag.gmm import mixture, views
from scoredag.likelihood import flow, fokker_planck, problems, scores
from scoredag.likelihood.sde import HORIZON
from scoredag.store import tables


def solve_likelihood(
    parameters_path: str,
    weights_path: str | None,
    likelihoods_path: str,
    map_path: str,
    quantities_path: str,
    settings: dict,
) -> None:
    """Write the negative log-likelihood of the points, a map of it over the plane, and means over the whole law.

    All in nats of the plane: the unit of the SDE is that of the mixture times one number, whose logarithm is added.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    model = problems.score_model(problem, settings["errors"], weights_path)
    cells = problems.grid(problem, **settings["grid"])
    logging.info("x = %s + %.6g y; grid of y: %s", problem.data.centre, problem.data.unit, cells)
    solutions = fokker_planck.refined(
        scores.on_clock(model, problem.sde),
        problems.clocks(problem, settings["n_steps"]),
        problem.sde.relative_prior_variance,
        **cells,
    )
    logging.info("mass of the density: %.12f", solutions[0].mass)
    _write_points(gmm, problem, model, solutions, likelihoods_path, settings)
    _write_map(gmm, problem, solutions, map_path, settings["n_map"])
    _write_quantities(problem, solutions, quantities_path)


def _write_points(gmm, problem, model, solutions, path, settings):
    """-E[log p_theta(x')] over x' ~ p_0eps(.|x), the same of the probability flow, and the gap of the bound."""
    x = problems.points(gmm, settings["n_points"], settings["seed"])
    nodes, weights = problems.kernel_quadrature(problem, problem.to_sde_unit(x))

    def over_kernel(values):
        return values.reshape(len(x), -1) @ weights

    values = fokker_planck.values_at(*solutions, nodes)
    flowed = flow.log_likelihood(model, problem.sde, problem.smallest_spread * nodes, problem.smallest_time)
    columns = {
        "point": np.arange(len(x)),
        "x": x[:, 0],
        "y": x[:, 1],
        "nll": problem.grid_nats - over_kernel(values.log_density),
        "nll_error": over_kernel(values.log_density_error),
        "gap": over_kernel(values.gap),
        "flow_nll": problem.data.nats - over_kernel(flowed),
    }
    tables.write(columns, path, tables.LIKELIHOODS)


def _write_map(gmm, problem, solutions, path, n_map):
    """Negative log-likelihood and gap at the smallest time, on a square of points over the plane.

    Null where the grid cannot tell. The gap is no less than 0, so what its error puts below is written as 0.
    """
    view = views.view_of(gmm)
    sides = [np.linspace(centre - view.half_width, centre + view.half_width, n_map) for centre in view.centre]
    x = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    values = fokker_planck.values_at(*solutions, problem.to_sde_unit(x) / problem.smallest_spread)
    columns = {
        "nll": problem.grid_nats - values.log_density,
        "gap": values.gap.clip(0),
        "nll_error": values.log_density_error,
        "gap_error": values.gap_error,
    }
    columns = {name: np.where(values.known, part, np.nan) for name, part in columns.items()}
    table = pd.DataFrame({"x": x[:, 0], "y": x[:, 1]} | columns)  # a data frame's NaN is written as null
    tables.write(table, path, tables.LIKELIHOOD_MAP)


def _write_quantities(problem, solutions, path):
    """Means over p_eps, entropies and the prior's divergence; errors are those of the grid."""
    shifts = {"cross_entropy": problem.grid_nats, "divergence": 0.0, "gap": 0.0}
    fine, coarse = (problems.totals(problem, solution)._asdict() for solution in solutions)
    rows = []
    for name, shift in shifts.items():
        value, error = fokker_planck.extrapolated(fine[name], coarse[name])
        rows.append((name, value + shift, error))
    cells, nats = solutions[0].grid, problem.data.nats
    rows += [
        ("entropy", problems.entropy(problem, problem.smallest_time, cells) + nats, 0.0),
        ("entropy_at_the_end", problems.entropy(problem, HORIZON, cells) + nats, 0.0),
        ("prior_divergence", problems.prior_divergence(problem, cells), 0.0),
        ("mass", solutions[0].mass, abs(solutions[0].mass - 1)),
    ]
    tables.write_rows(rows, path, tables.QUANTITIES)


if __name__ == "__main__":
    job.run(solve_likelihood, cached=True)
