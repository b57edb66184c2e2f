"""Bound the negative log-likelihood of the held-out entries of each test window."""

import logging

import numpy as np
import threadpoolctl

from scoredag import gaussian, job, streams
from scoredag.csdi import checkpoint, imputation, variational_bound
from scoredag.job import logs
from scoredag.series import windows
from scoredag.store import tables


def score_windows(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    scores_path: str,
    settings: dict,
    run: str,
    threads: int,
) -> None:
    """Write the bound of each test window, of all targets and of each feature's: nats per target, of z-scores.

    It is that of ancestral sampling from where the run's reverse process starts. Beside it stands the exact value under
    the joint Gaussian of a window, null where there is no such law.
    """
    model = checkpoint.load(model_path)
    stats = tables.read(statistics_path, tables.STATISTICS)
    checkpoint.check_features(model_path, list(stats["feature"]))
    numbers, values, roles = windows.read(windows_path, stats, "test")
    targets = roles == windows.TARGET
    n_draws = settings["likelihood"]["n_draws"]
    sampling = imputation.options(settings["sampling"], gaussian_path, choice_path)
    parts = []
    with logs.progress(f"scoring {run}", len(numbers), "window") as bar:
        for batch, *part in variational_bound.bounds(
            model,
            numbers,
            values,
            roles == windows.OBSERVED,
            targets,
            seed=streams.seed(settings["seed"], "likelihood", run),
            threads=threads,
            device=settings["device"],
            progress=bar,
            **settings["likelihood"],
            **sampling,
        ):
            parts.append(part)
            logs.tenths(batch, len(numbers), "windows")
    bound, squared_error = map(np.concatenate, zip(*parts, strict=True))
    of_gaussian = _of_gaussian(gaussian_path, values, roles == windows.OBSERVED, targets)
    n_targets = targets.sum(axis=2)
    n_targets = np.column_stack([n_targets.sum(axis=1), n_targets])
    scored = window, column = np.nonzero(n_targets)
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window").loc[numbers[window]].reset_index()
    table = starts.assign(
        feature=np.array(["all", *stats["feature"]])[column],
        n_targets=n_targets[scored],
        n_draws=n_draws,
        nll_bound=bound[scored] / n_targets[scored],
        nll_bound_std_error=np.sqrt(squared_error[scored]) / n_targets[scored],
        gaussian_nll=of_gaussian[scored] / n_targets[scored],
    )
    _log(table[table["feature"] == "all"])
    tables.write(table, scores_path, tables.WINDOW_SCORES)


def _of_gaussian(path, values, given, targets):
    """-log p(targets | given) under the joint Gaussian, of all targets and of each feature's, (N, 1 + K); or NaN."""
    law = gaussian.load(path)
    if law is None:
        return np.full((len(values), 1 + values.shape[1]), np.nan)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # more change the last digits
        of_features = gaussian.surprises(law, values, given, targets)
    return np.column_stack([of_features.sum(axis=1), of_features])


def _log(table):
    """Say for each pattern how high the bound is, how sure that of a window, and what the joint Gaussian has."""
    for pattern, part in table.groupby("held_out", observed=True, sort=False):
        bound, exact = (np.average(part[name], weights=part["n_targets"]) for name in ("nll_bound", "gaussian_nll"))
        logging.info(
            "%s: at most %.3f nats per target (joint Gaussian %.3f); of single windows %.3f to %.3f, standard errors "
            "up to %.3f",
            pattern, bound, exact, part["nll_bound"].min(), part["nll_bound"].max(), part["nll_bound_std_error"].max(),
        )  # fmt: skip


if __name__ == "__main__":
    job.run(score_windows, cached=True)
