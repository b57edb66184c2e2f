"""Estimate the joint Gaussian of a dataset's windows."""

import logging

from scoredag import gaussian, job, laws
from scoredag.errors import InputError
from scoredag.series import windows
from scoredag.store import tables


def fit_gaussian(windows_path: str, statistics_path: str, gaussian_path: str, dataset: str) -> None:
    """Write the normal law of a window's z-scores; where it cannot be had, an empty file and a line in the log."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    _, valid_values, valid_roles = windows.read(windows_path, stats, "valid")
    given, targets = valid_roles == windows.OBSERVED, valid_roles == windows.TARGET
    estimate, refused = None, None
    try:
        _, values, roles = _training(windows_path, stats)
        estimate = gaussian.choose(values, roles == windows.OBSERVED, valid_values, given, targets)
        logging.info("%s: %s, nugget %g, chosen on validation windows", dataset, _kind(estimate), estimate.nugget)
    except InputError as error:
        refused = str(error)
        logging.warning("%s: %s; it is left out", dataset, refused)
    gaussian.save(estimate, gaussian_path, {"features": list(stats["feature"]), "refused": refused})


def _training(path, stats):
    """`windows.to_arrays` of the training windows that the law is estimated from."""
    numbers = windows.numbers(path, "train")
    every = gaussian.thinned((len(numbers), len(stats), windows.length_of(path)))
    return windows.to_arrays(windows.table(path, "train", numbers[every]), stats)


def _kind(estimate):
    """What is particular to the kind of covariance."""
    if isinstance(estimate.gaussian, laws.LowRank):
        return f"low rank plus diagonal, rank {estimate.gaussian.factors.shape[1]}"
    return f"mix {estimate.mix:g}"


if __name__ == "__main__":
    job.run(fit_gaussian)
