"""Bound the negative log-likelihood of the held-out entries of each test window."""

import logging

import numpy as np
import pandas as pd

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
    """Write the bound of each test window, or those of a shard, of all targets and of each feature's.

    Bounds are in nats per target, of z-scores, and those of ancestral sampling from where the run's reverse process
    starts. Beside them stands the exact value under the joint Gaussian of a window, null where there is no such law.
    """
    model = checkpoint.load(model_path)
    stats = tables.read(statistics_path, tables.STATISTICS)
    checkpoint.check_features(model_path, list(stats["feature"]))
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")
    sampling = imputation.options(settings["sampling"], gaussian_path, choice_path)
    batch_size = imputation.chunk_on(settings["device"], sampling["chunk"])
    which = windows.share(windows.numbers(windows_path, "test"), batch_size, *settings.get("shard", windows.WHOLE))
    schema = tables.of_several(tables.WINDOW_SCORES) if "series" in starts else tables.WINDOW_SCORES
    wholes = []
    with (
        tables.writing(scores_path, schema) as write,
        logs.progress(f"scoring {run}", len(which), "window") as bar,
    ):
        for part, table in windows.parts(windows_path, stats, "test", which, batch_size):
            numbers, values, roles = windows.to_arrays(table, stats)
            given, targets = roles == windows.OBSERVED, roles == windows.TARGET
            estimates = []
            for batch, *estimate in variational_bound.bounds(
                model,
                numbers,
                values,
                given,
                targets,
                seed=streams.seed(settings["seed"], "likelihood", run),
                threads=threads,
                device=settings["device"],
                progress=bar,
                **settings["likelihood"],
                **sampling,
            ):
                estimates.append(estimate)
                logs.tenths(slice(part.start + batch.start, part.start + batch.stop), len(which), "windows")
            of_gaussian = _of_gaussian(gaussian_path, values, given, targets)
            bound, squared_error = map(np.concatenate, zip(*estimates, strict=True))
            scores = _table(starts.loc[numbers], stats, targets, bound, squared_error, of_gaussian)
            scores["n_draws"] = settings["likelihood"]["n_draws"]
            write(scores)
            wholes.append(scores[scores["feature"] == "all"])
    if wholes:
        _log(pd.concat(wholes))


def _table(starts, stats, targets, bound, squared_error, of_gaussian):
    """Rows of windows, of all their targets and of each feature's; sums (N, 1 + K) become means over the targets."""
    n_targets = targets.sum(axis=2)
    n_targets = np.column_stack([n_targets.sum(axis=1), n_targets])
    scored = window, column = np.nonzero(n_targets)
    return (
        starts.iloc[window]
        .reset_index()
        .assign(
            feature=pd.Categorical.from_codes(column, ["all", *stats["feature"]]),
            n_targets=n_targets[scored],
            nll_bound=bound[scored] / n_targets[scored],
            nll_bound_std_error=np.sqrt(squared_error[scored]) / n_targets[scored],
            gaussian_nll=of_gaussian[scored] / n_targets[scored],
        )
    )


def _of_gaussian(path, values, given, targets):
    """-log p(targets | given) under the joint Gaussian, of all targets and of each feature's, (N, 1 + K); or NaN."""
    law = gaussian.load(path)
    if law is None:
        return np.full((len(values), 1 + values.shape[1]), np.nan)
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
