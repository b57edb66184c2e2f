"""Tabulate what theory says of the bias of small Langevin steps on the mixture."""

import numpy as np

from scoredag import job, streams
from scoredag.gmm import fields, kernels, mixture, theory
from scoredag.store import tables

N_DRAWN = 1_000_000  # exact samples


def predict_bias(parameters_path: str, theory_path: str, settings: dict, threads: int) -> None:
    """Write the slope of the bias, what it is made of, and the limit of stability."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    drawn = gmm.sample(N_DRAWN, streams.seed(settings["seed"], "bias"))
    scores, log_densities = fields.scores(drawn, fields.build(gmm, threads))
    squares = (scores**2).sum(axis=1)
    information, error = squares.mean(), squares.std() / np.sqrt(N_DRAWN)
    slope, slope_error = theory.bias_slope(log_densities, scores)
    rows = [
        ("bias_slope", slope, slope_error),
        ("fisher_information", information, error),
        ("covariance_with_laplacian", information + 4 * slope, None),
        ("stability_limit", kernels.stability_limit(gmm), None),
    ]
    tables.write_rows(rows, theory_path, tables.LANGEVIN_THEORY)


if __name__ == "__main__":
    job.run(predict_bias)
