"""Score the imputation of held-out entries beside the baselines."""

import numpy as np

from scoredag import logs, metrics, tables
from scoredag.series import baselines, windows


def evaluate_csdi(samples_path, windows_path, statistics_path, metrics_path):
    """Write MAE, RMSE, CRPS and coverage on z-scores, of all features and of each."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    table = tables.read(windows_path, tables.WINDOWS, filters=[("split", "==", "test")])
    _, values, roles = windows.to_arrays(table, stats)
    held_out = roles.transpose(0, 2, 1) == windows.TARGET  # (N, L, K), the order of the samples
    truth = values.transpose(0, 2, 1)[held_out]
    feature = np.nonzero(held_out)[2]
    mean, std = stats["mean"].to_numpy()[feature], stats["std"].to_numpy()[feature]
    forecasts = {
        name: fill(values, roles == windows.OBSERVED).transpose(0, 2, 1)[held_out][None]
        for name, fill in baselines.METHODS.items()
    }
    _, samples = tables.read_imputations(samples_path)
    forecasts["CSDI"] = (samples - mean) / std
    rows = [
        (method, name, metric, value, int(chosen.sum()), len(samples))
        for method, samples in forecasts.items()
        for name, chosen in _parts(stats["feature"], feature)
        for metric, value in _scores(samples, truth, chosen).items()
    ]
    columns = zip(*rows, strict=True)
    tables.write(dict(zip(tables.CSDI_METRICS.names, columns, strict=True)), metrics_path, tables.CSDI_METRICS)


def _parts(names, feature):
    """All targets, then those of each feature that has some."""
    yield "all", np.ones(len(feature), bool)
    for code, name in enumerate(names):
        if (feature == code).any():
            yield name, feature == code


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
            snakemake.input.statistics,
            snakemake.output.metrics,
        )
