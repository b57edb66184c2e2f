"""Score the imputation of held-out entries beside the baselines."""

import logging

import numpy as np
import pandas as pd

from scoredag import job, metrics, streams
from scoredag.csdi import conformal
from scoredag.errors import InputError
from scoredag.series import baselines, windows
from scoredag.store import tables

CORRECTED = "CSDI, conformal"


def evaluate_csdi(
    samples_path: str,
    scores_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    metrics_path: str,
    settings: dict,
    validation_path: str | None,
) -> None:
    """Write scores on z-scores by pattern, of all features and of each, with bootstrap intervals over windows.

    Baselines get MAE, RMSE and CRPS, CSDI also coverage and mean width of intervals and the bound on the negative
    log-likelihood; with imputed validation windows also the intervals that these correct.
    """
    stats = tables.read(statistics_path, tables.STATISTICS)
    _, *train = windows.read(windows_path, stats, "train")
    numbers, values, roles = windows.read(windows_path, stats, "test")
    window, _, feature = entries = np.nonzero((roles == windows.TARGET).transpose(0, 2, 1))  # the order of the samples
    truth = values.transpose(0, 2, 1)[entries].astype(np.float64)
    forecasts = {
        name: fill(values, roles == windows.OBSERVED).transpose(0, 2, 1)[entries][None]
        for name, fill in _fitted(*train)
    }
    _, forecasts["CSDI"] = metrics.z_scores(*tables.read_imputations(samples_path), stats)
    _log_too_few_samples(len(forecasts["CSDI"]))
    nll_bound, n_draws = _bounds(scores_path, numbers[window], stats["feature"].to_numpy()[feature])
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    calibration = conformal.read(validation_path, starts, stats) if validation_path else None
    held_out = starts.set_index("window")["held_out"][numbers].to_numpy()
    rows = []
    for pattern, targets in _patterns(held_out, window):
        of_pattern, window_of_target = np.unique(window[targets], return_inverse=True)
        counts = metrics.resamples(len(of_pattern), streams.generator(settings["seed"], "bootstrap", pattern))
        of_methods = list(_terms(forecasts, truth, targets, calibration, pattern))
        of_methods.append(("CSDI", n_draws, metrics.mean_terms("nll_bound", nll_bound[targets])))
        for method, n_samples, terms in of_methods:
            scores = _scores(terms, window_of_target, feature[targets], list(stats["feature"]), counts)
            rows += [(pattern, method, *score, n_samples) for score in scores]
        _log(rows, pattern, len(of_pattern))
    columns = zip(*rows, strict=True)
    tables.write(dict(zip(tables.CSDI_METRICS.names, columns, strict=True)), metrics_path, tables.CSDI_METRICS)


def _fitted(values, roles):
    """(name, function that fills windows) of every baseline, fitted on the training windows."""
    for name, fit in baselines.METHODS.items():
        logging.info("baseline: %s", name)
        yield name, fit(values, roles == windows.OBSERVED)


def _bounds(path, window, feature):
    """The bound in nats, per target, of the window and feature of each target, and its number of draws.

    Args:
        path: of the windows' scores.
        window, feature: (n,), number and name, of each target.
    """
    table = tables.read(path, tables.WINDOW_SCORES)
    bounds = table.set_index(["window", table["feature"].astype(str)])["nll_bound"]
    return bounds.loc[pd.MultiIndex.from_arrays([window, feature])].to_numpy(), int(table["n_draws"].iloc[0])


def _log_too_few_samples(n_samples):
    """Log at which levels the samples are too few for intervals of the right width."""
    for percent in metrics.PERCENTS:
        needed = round(200 / (100 - percent)) - 1
        if n_samples < needed:
            logging.info(
                "%d samples are too few for intervals that hold %d %%, which take %d: theirs reach from the least to "
                "the greatest sample, and hold less (sampling.n_samples)",
                n_samples, percent, needed,
            )  # fmt: skip


def _patterns(held_out, window):
    """(name, boolean mask of its targets) of every pattern, from the pattern of each window and each target's window.

    Raises:
        InputError: no window has a target.
    """
    if not len(window):
        raise InputError("datasets.*.windows.held_out: hides nothing in the test windows; raise its shares")
    for name in dict.fromkeys(held_out):
        targets = held_out[window] == name
        if targets.any():
            yield name, targets
        else:
            logging.warning("held_out.%s hides nothing in the test windows: no scores", name)


def _terms(forecasts, truth, targets, calibration, pattern):
    """(method, number of samples, terms of each score) of each method; corrected intervals count as another method."""
    truth = truth[targets]
    for method, samples in forecasts.items():
        yield method, len(samples), metrics.terms(samples[:, targets], truth)
    if calibration is not None:
        samples, terms, similar = forecasts["CSDI"], {}, calibration.of_pattern(pattern)
        for percent in metrics.PERCENTS:
            lower, upper = conformal.intervals(samples[:, targets], percent / 100, similar)
            terms |= metrics.interval_terms(lower, upper, truth, percent)
        yield CORRECTED, len(samples), terms


def _scores(terms, window, feature, names, counts):
    """(feature, metric, value, lower, upper, number of targets), of all features together, then of each.

    Args:
        terms: from `metrics.terms`.
        window, feature: (n,), numbers from 0 on, of each target.
        names: (K,), the features'.
        counts: from `metrics.resamples`.
    """
    scored, feature = np.unique(feature, return_inverse=True)
    shape = counts.shape[1], len(scored)
    cell = window * len(scored) + feature

    def by_window(terms):
        sums = np.bincount(cell, terms, minlength=np.prod(shape)).reshape(shape)
        return np.column_stack([sums.sum(axis=1), sums])

    n_targets = [len(cell), *np.bincount(feature).tolist()]
    scores = {
        metric: np.stack(metrics.bootstrap(metric, by_window(numerator), by_window(denominator), counts))
        for metric, (numerator, denominator) in terms.items()
    }
    for column, (name, n) in enumerate(zip(["all", *(names[k] for k in scored)], n_targets, strict=True)):
        for metric, values in scores.items():
            yield name, metric, *values[:, column].tolist(), n


def _log(rows, pattern, n_windows):
    """Log the CRPS of CSDI with its bootstrap interval."""
    _, _, _, _, crps, lower, upper, n_targets, n_samples = next(
        row for row in rows if row[:4] == (pattern, "CSDI", "all", "crps")
    )
    logging.info(
        "%s: CRPS %.3f (95 %% bootstrap interval over %d windows %.3f to %.3f; %d targets, %d samples)",
        pattern, crps, n_windows, lower, upper, n_targets, n_samples,
    )  # fmt: skip


if __name__ == "__main__":
    job.run(evaluate_csdi, cached=True)
