"""Estimate the joint Gaussian of a dataset's windows."""

import logging

from scoredag import gaussian, job
from scoredag.errors import InputError
from scoredag.series import windows
from scoredag.store import tables


def fit_gaussian(windows_path: str, statistics_path: str, gaussian_path: str, dataset: str) -> None:
    """Write mean and covariance of z-scores; where they cannot be had, an empty file and a line in the log."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    _, values, roles = windows.read(windows_path, stats, "train")
    _, valid_values, valid_roles = windows.read(windows_path, stats, "valid")
    given, targets = valid_roles == windows.OBSERVED, valid_roles == windows.TARGET
    estimate, refused = None, None
    try:
        estimate = gaussian.choose(values, roles == windows.OBSERVED, valid_values, given, targets)
        logging.info("%s: mix %g, nugget %g, chosen on validation windows", dataset, estimate.mix, estimate.nugget)
    except InputError as error:
        refused = str(error)
        logging.warning("%s: %s; it is left out", dataset, refused)
    gaussian.save(estimate, gaussian_path, {"features": list(stats["feature"]), "refused": refused})


if __name__ == "__main__":
    job.run(fit_gaussian)
