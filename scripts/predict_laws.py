"""Tabulate what overdamped Langevin steps do on each component of the mixture alone."""

from scoredag import job
from scoredag.gmm import mixture, theory
from scoredag.store import tables


def predict_laws(parameters_path: str, stationary_path: str, settings: dict) -> None:
    """Write multipliers and the stationary law for each variant and component."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    rows = []
    for variant, options in settings["variants"].items():
        tau, matrix = options["step_size"], options["preconditioner"]
        noise = matrix if options["noise_covariance"] is None else options["noise_covariance"]
        for k, multipliers in enumerate(theory.multipliers(gmm, tau, matrix)):
            rows.append((variant, k, *multipliers, *_law(gmm.covariances[k], tau, noise, matrix)))
    tables.write_rows(rows, stationary_path, tables.STATIONARY)


def _law(covariance, step_size, noise, preconditioner):
    """cov_xx, cov_xy, cov_yy and circulation; empty without noise, and where steps grow without bound."""
    if noise is None:
        return (None,) * 4
    law = theory.stationary_covariance(covariance, step_size, noise, preconditioner)
    if law is None:
        return (None,) * 4
    return law[0, 0], law[0, 1], law[1, 1], theory.circulation(covariance, step_size, law, preconditioner)


if __name__ == "__main__":
    job.run(predict_laws)
