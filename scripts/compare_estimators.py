"""Compare estimators of the bound: Monte Carlo with and without importance sampling of times, and quadrature."""

import itertools

import numpy as np

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.likelihood import bounds, problems
from scoredag.store import tables

RULES, FINEST = ((12, 8), (20, 12), (30, 16), (50, 24)), (100, 40)  # nodes in time, and along an axis of the noise


def compare_estimators(parameters_path: str, estimators_path: str, settings: dict) -> None:
    """Write the mean bound of the exact score over the points by each estimator, how far a draw strays, and its cost.

    Of quadrature the deviation is that from a finer rule, root mean square over the points.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    model = problems.score_model(problem, {})
    x = problem.to_sde_unit(problems.points(gmm, settings["n_points"], settings["seed"]))
    rows, nats = [], problem.data.nats
    for estimator, times in itertools.product(bounds.ESTIMATORS, bounds.TIMES):
        estimate = bounds.pointwise(
            model,
            problem.sde,
            x,
            smallest_time=problem.smallest_time,
            n_draws=settings["n_draws"],
            seed=streams.seed(settings["seed"], "likelihood", "estimators"),
            estimator=estimator,
            times=times,
        )
        error = float(np.linalg.norm(estimate.std_error)) / len(x)
        typical = float(np.sqrt(np.square(estimate.deviation).mean()))
        rows.append((estimator, times, estimate.value.mean() + nats, error, typical, bounds.evaluations(estimator)))
    options = {"smallest_time": problem.smallest_time}
    truth, _ = bounds.quadrature(model, problem.sde, x, n_times=FINEST[0], n_nodes=FINEST[1], **options)
    for n_times, n_nodes in RULES:
        value, n = bounds.quadrature(model, problem.sde, x, n_times=n_times, n_nodes=n_nodes, **options)
        error = float(np.sqrt(np.square(value - truth).mean()))
        rows.append(("quadrature", f"{n_times} x {n_nodes}^2", value.mean() + nats, error, error, n))
    tables.write_rows(rows, estimators_path, tables.ESTIMATORS)


if __name__ == "__main__":
    job.run(compare_estimators, cached=True)
