"""Tabulate what theory says of overdamped Langevin steps on the mixture."""

import numpy as np

from scoredag import job, streams
from scoredag.gmm import fields, kernels, mixture, theory
from scoredag.store import tables

N_DRAWN = 1_000_000  # exact samples for the bias


def predict_langevin(
    parameters_path: str, theory_path: str, stationary_path: str, settings: dict, threads: int
) -> None:
    """Write the bias and the limit of stability, and each variant's multipliers and laws on single components."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    rows = _of_mixture(gmm, streams.seed(settings["seed"], "bias"), threads)
    laws = []
    for variant, options in settings["variants"].items():
        tau, matrix = options["step_size"], options["preconditioner"]
        multipliers = theory.multipliers(gmm, tau, matrix)
        for way, values in zip(("across", "along"), multipliers.T, strict=True):
            rows += [(variant, f"multiplier_{way}_{end.__name__}", end(values), None) for end in (min, max)]
        noise = matrix if options["noise_covariance"] is None else options["noise_covariance"]
        if noise is not None:
            laws += _laws(gmm, variant, tau, noise, matrix)
    tables.write_rows(rows, theory_path, tables.LANGEVIN_THEORY)
    tables.write_rows(laws, stationary_path, tables.STATIONARY)


def _of_mixture(gmm, seed, threads):
    scores, log_densities = fields.scores(gmm.sample(N_DRAWN, seed), fields.build(gmm, threads))
    squares = (scores**2).sum(axis=1)
    information, error = squares.mean(), squares.std() / np.sqrt(N_DRAWN)
    slope, slope_error = theory.bias_slope(log_densities, scores)
    return [
        (None, "bias_slope", slope, slope_error),
        (None, "fisher_information", information, error),
        (None, "covariance_with_laplacian", information + 4 * slope, None),
        (None, "stability_limit", kernels.stability_limit(gmm), None),
    ]


def _laws(gmm, variant, step_size, noise, preconditioner):
    """A row a component: the law of steps that are left alone with it, empty where they grow without bound."""
    for k, covariance in enumerate(gmm.covariances):
        law = theory.stationary_covariance(covariance, step_size, noise, preconditioner)
        if law is None:
            yield variant, k, None, None, None, None
        else:
            turn = theory.circulation(covariance, step_size, law, preconditioner)
            yield variant, k, law[0, 0], law[0, 1], law[1, 1], turn


if __name__ == "__main__":
    job.run(predict_langevin)
