"""Compute the bound on the likelihood of a score model: of points by quadrature, of the whole law by Monte Carlo."""

import logging

import numpy as np

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.likelihood import bounds, problems
from scoredag.store import tables


def estimate_bound(
    parameters_path: str, weights_path: str | None, estimates_path: str, quantities_path: str, settings: dict
) -> None:
    """Write the bound at the points, and its means over the whole law, in nats of the plane."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    model = problems.score_model(problem, settings["errors"], weights_path)
    seed, nats = streams.seed(settings["seed"], "likelihood"), problem.data.nats
    x = problems.points(gmm, settings["n_points"], settings["seed"])
    options = {"smallest_time": problem.smallest_time, "seed": seed}
    y = problem.to_sde_unit(x)
    bound, error = bounds.refined_quadrature(
        model, problem.sde, y, smallest_time=problem.smallest_time, **settings["quadrature"]
    )
    drawn = bounds.pointwise(model, problem.sde, y, n_draws=settings["n_draws"], **options)
    columns = {"point": np.arange(len(x)), "x": x[:, 0], "y": x[:, 1]}
    columns |= {"bound": bound + nats, "bound_std_error": error}
    columns |= {"drawn_bound": drawn.value + nats, "drawn_std_error": drawn.std_error}
    apart = (drawn.value - bound) / drawn.std_error
    logging.info(
        "by Monte Carlo the bounds of points are %.2f standard errors from those by quadrature (root mean square)",
        np.sqrt(np.square(apart).mean()),
    )
    tables.write(columns, estimates_path, tables.BOUND_ESTIMATES)

    means = bounds.averaged(model, problem.data.gmm, problem.sde, n_draws=settings["n_mean_draws"], **options)
    means["bound"] = means["bound"]._replace(value=means["bound"].value + nats)
    rows = [(name, mean.value, mean.std_error) for name, mean in means.items()]
    tables.write_rows(rows, quantities_path, tables.QUANTITIES)


if __name__ == "__main__":
    job.run(estimate_bound, cached=True)
