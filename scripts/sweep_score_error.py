"""Measure how the divergence and its bound grow with the error of the score."""

import numpy as np

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.likelihood import bounds, fokker_planck, gaussian, problems, scores
from scoredag.likelihood.sde import HORIZON
from scoredag.store import tables

ERRORS = {
    "scale": lambda amount: {"scale": 1 - amount},
    "bias": lambda amount: {"bias": [amount, 0.0]},
}


def sweep_score_error(parameters_path: str, score_errors_path: str, settings: dict) -> None:
    """Write both sides of statement 1 for each error: of the mixture on a grid, of one Gaussian in closed form."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    on_grid = _on_grid(problem, settings)
    rows = []
    for name, error in ERRORS.items():
        for amount in settings["amounts"]:
            rows.append(("gaussian", name, amount, *_closed(problem, error(amount))))
            rows.append(("mixture", name, amount, *on_grid(error(amount))))
    tables.write_rows(rows, score_errors_path, tables.SCORE_ERRORS)


def _closed(problem, error):
    """Divergence, bound and no error for the Gaussian with the mixture's mean and covariance."""
    gmm, sde, eps = problem.data.gmm, problem.sde, problem.smallest_time
    mean = gmm.weights @ gmm.means
    apart = gmm.means - mean
    covariance = np.einsum("k,kij->ij", gmm.weights, gmm.covariances + apart[:, :, None] * apart[:, None])
    model = gaussian.affine(mean, covariance, sde, **error)
    left = gaussian.divergence(*gaussian.marginal(mean, covariance, sde, eps), *gaussian.reverse_law(model, sde, eps))
    last = gaussian.marginal(mean, covariance, sde, HORIZON)
    prior = gaussian.divergence(*last, np.zeros(2), sde.prior_variance * np.eye(2))
    return left, gaussian.score_matching(mean, covariance, model, sde, eps) + prior, 0.0


def _on_grid(problem, settings):
    """A function of the error: divergence on a grid, bound by Monte Carlo, standard error of their difference."""
    cells = problems.grid(problem, **settings["grid"])
    clocks = problems.clocks(problem, settings["n_steps"])
    seed = streams.seed(settings["seed"], "likelihood", "score errors")
    prior = problems.prior_divergence(problem, fokker_planck.grid(**cells))
    exact = _remembered(scores.on_clock(problems.score_model(problem, {}), problem.sde))

    def both_sides(error):
        scale, bias = error.get("scale", 1.0), np.asarray(error.get("bias", (0.0, 0.0)))
        solutions = fokker_planck.refined(
            lambda y, clock: scale * exact(y, clock) + bias, clocks, problem.sde.relative_prior_variance,
            **cells,
        )  # fmt: skip
        model = problems.score_model(problem, error)
        matching = bounds.averaged(
            model, problem.data.gmm, problem.sde,
            smallest_time=problem.smallest_time, n_draws=settings["n_draws"], seed=seed,
        )["score_matching"]  # fmt: skip
        divergences = (problems.totals(problem, solution).divergence for solution in solutions)
        divergence, grid = fokker_planck.extrapolated(*divergences)
        return divergence, matching.value + prior, float(np.hypot(matching.std_error, grid))

    return both_sides


def _remembered(score):
    """`score`, computed once for each clock time and number of points, which name the cells of a grid."""
    known = {}

    def recalled(y, clock):
        key = clock, len(y)
        if key not in known:
            known[key] = score(y, clock)
        return known[key]

    return recalled


if __name__ == "__main__":
    job.run(sweep_score_error, cached=True)
