"""Score the imputation of held-out entries beside the baselines."""

import logging

import numpy as np

from scoredag import logs, metrics, tables
from scoredag.errors import InputError
from scoredag.series import baselines, windows


def evaluate_csdi(samples_path, windows_path, starts_path, statistics_path, metrics_path):
    """Write MAE, RMSE, CRPS and coverage on z-scores, by pattern, of all features and of each."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    train = windows.read(windows_path, stats, "train")
    numbers, values, roles = windows.read(windows_path, stats, "test")
    window, _, feature = entries = np.nonzero((roles == windows.TARGET).transpose(0, 2, 1))  # the order of the samples
    truth = values.transpose(0, 2, 1)[entries]
    forecasts = {
        name: fill(values, roles == windows.OBSERVED).transpose(0, 2, 1)[entries][None]
        for name, fill in _fitted(*train)
    }
    _, samples = tables.read_imputations(samples_path)
    mean, std = stats["mean"].to_numpy()[feature], stats["std"].to_numpy()[feature]
    forecasts["CSDI"] = (samples - mean) / std
    held_out = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")["held_out"][numbers].to_numpy()
    rows = [
        (pattern, method, name, metric, value, int(chosen.sum()), len(samples))
        for pattern, targets in _patterns(held_out, window)
        for method, samples in forecasts.items()
        for name, chosen in _parts(stats["feature"], feature, targets)
        for metric, value in _scores(samples, truth, chosen).items()
    ]
    columns = zip(*rows, strict=True)
    tables.write(dict(zip(tables.CSDI_METRICS.names, columns, strict=True)), metrics_path, tables.CSDI_METRICS)


def _fitted(_, values, roles):
    """(name, function that fills windows) of every baseline, fitted on the training windows."""
    for name, fit in baselines.METHODS.items():
        logging.info("baseline: %s", name)
        yield name, fit(values, roles == windows.OBSERVED)


def _patterns(held_out, window):
    """(name, which targets) of every pattern, given the pattern of each window and the window of each target.

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


def _parts(names, feature, targets):
    """All of the targets, then those of each feature that has some."""
    yield "all", targets
    for code, name in enumerate(names):
        chosen = targets & (feature == code)
        if chosen.any():
            yield name, chosen


def _scores(samples, truth, chosen):
    scores = {name: getattr(metrics, name)(samples, truth, chosen) for name in ("mae", "rmse", "crps")}
    if len(samples) > 1:  # a point forecast has no interval
        for percent in (50, 90):
            scores[f"coverage_{percent}"] = metrics.coverage(samples, truth, chosen, percent / 100)
    return scores


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        evaluate_csdi(
            snakemake.input.samples,
            snakemake.input.windows,
            snakemake.input.starts,
            snakemake.input.statistics,
            snakemake.output.metrics,
        )
