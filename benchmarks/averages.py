"""Which methods the average `auto` is of, and how: variants scored on the choosing half of the zoo.

make zoo HALF=choosing TRAINED=zero-shot && .venv/bin/python benchmarks/averages.py

Weights are learnt on validation windows, scores are of test windows: the half is for choosing. A cell is a pattern of a
series with `metrics.FEW` targets or more; its ratio is the CRPS of the average over that of the best single method.
"""

import numpy as np
import zoo

from scoredag import metrics
from scoredag.series import forecasts
from scoredag.store import tables

THREE = ("joint Gaussian", "structural")  # and CSDI
FOUR = ("linear", *THREE)
SIX = ("linear", "ridge", "masked ridge", *THREE)
ALL = ("mean", "last value", "linear", "spline", "nearest neighbours", *SIX[1:])
VARIANTS = {
    "CSDI and nine methods": (ALL, 100, 2),
    "CSDI, linear, both ridges, joint Gaussian, structural": (SIX, 100, 2),
    "CSDI, linear, joint Gaussian, structural": (FOUR, 100, 2),
    "CSDI, joint Gaussian, structural": (THREE, 100, 2),
    "CSDI, ridge, joint Gaussian, structural": (("ridge", *THREE), 100, 2),
    "CSDI, masked ridge, joint Gaussian, structural": (("masked ridge", *THREE), 100, 2),
    "CSDI, both ridges, joint Gaussian, structural": (("ridge", "masked ridge", *THREE), 100, 2),
    "four methods, features weigh less (PRIOR 300)": (FOUR, 300, 2),
    "four methods, one weight for all features": (FOUR, 10**9, 2),
    "four methods, a pattern's own weights however few its places (PRIOR_PLACES 0)": (FOUR, 100, 0),
    "four methods, patterns weigh less (PRIOR_PLACES 5)": (FOUR, 100, 5),
}


def read(results, name):
    """Forecasts of the validation and the test windows of a run, the number of patterns, and of features."""
    dataset, run = results / "datasets" / name, results / "csdi" / f"{name}-zero-shot"
    starts = tables.read(dataset / "window_starts.parquet", tables.WINDOW_STARTS)
    stats = tables.read(dataset / "statistics.parquet", tables.STATISTICS)
    paths = {"valid": run / "validation_samples.parquet", "test": run / "samples.parquet"}
    both = [
        forecasts.read(path, dataset / "baselines.parquet", dataset / "windows.parquet", starts, stats, split)
        for split, path in paths.items()
    ]
    return *both, len(starts["held_out"].cat.categories), len(stats)


def crps(quantiles, truth, which):
    """CRPS of some targets."""
    top, bottom = metrics.terms(quantiles[:, which], truth[which], are_quantiles=True)["crps"]
    return top.sum() / bottom.sum()


def ratios(valid, test, n_patterns, n_features):
    """The ratio in each cell, of the variant that is set."""
    calibration = forecasts.calibrate(valid, n_patterns, n_features)
    quantiles = {name: calibration.quantiles(name, test) for name in (*calibration.methods, metrics.AUTO)}
    for code in range(n_patterns):
        which = test.targets.pattern == code
        if which.sum() >= metrics.FEW:
            scores = {name: crps(of, test.targets.truth, which) for name, of in quantiles.items()}
            yield scores.pop(metrics.AUTO) / min(scores.values())


def main():
    """Print a row of docs/experiments.md for each variant."""
    series = zoo.read_series()
    runs = [read(zoo.ROOT / "results", name) for name in series.index[series["half"] == "choosing"]]
    print("| what is averaged | geometric mean | largest | above 1.02 | below 1 | cells |\n|---|---|---|---|---|---|")
    for label, (forecasts.AVERAGED, forecasts.PRIOR, forecasts.PRIOR_PLACES) in VARIANTS.items():
        found = np.array([ratio for run in runs for ratio in ratios(*run)])
        row = np.exp(np.log(found).mean()), found.max(), (found > 1.02).sum(), (found < 1).sum(), len(found)
        print(f"| {label} | {row[0]:.3f} | {row[1]:.3f} | {row[2]} | {row[3]} | {row[4]} |", flush=True)


if __name__ == "__main__":
    main()
