"""Compare the spread of estimators of the bound, with and without importance sampling of times."""

import itertools

import numpy as np

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.likelihood import bounds, problems
from scoredag.store import tables


def compare_estimators(parameters_path: str, estimators_path: str, settings: dict) -> None:
    """Write the mean bound of the exact score over the points by each estimator, and how far a single draw strays."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    model = problems.score_model(problem, {})
    x = problem.to_sde_unit(problems.points(gmm, settings["n_points"], settings["seed"]))
    rows = []
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
        rows.append((estimator, times, estimate.value.mean() + problem.data.nats, error, typical))
    tables.write_rows(rows, estimators_path, tables.ESTIMATORS)


if __name__ == "__main__":
    job.run(compare_estimators, cached=True)
