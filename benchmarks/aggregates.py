"""How often intervals of a mean over hidden values of a feature hold the truth, from 20 joint draws.

.venv/bin/python benchmarks/aggregates.py              # of results/csdi/nyc-weather; --results and --run name others
.venv/bin/python benchmarks/aggregates.py --zoo        # of every series of `make zoo TRAINED=zero-shot`, a row each

Windows are imputed as `complete_series` does it, without antithetic pairs, and draws get the distributions of `auto`
from the validation windows of the run. In the validation split each half of the time calibrates the other. Kinds are
the draws of completed.parquet; these with every entry in another order; and quantiles in place of draws, as
imputed.parquet has them. A mean is over a window, or over several that follow each other. Prints the tables of
docs/filling.md, and for the validation split the rows of docs/experiments.md of the default, of shuffled draws and of
quantiles.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from impute_csdi import impute_csdi
from scoredag import joint_scores, metrics, streams
from scoredag.job import record
from scoredag.series import forecasts
from scoredag.store import tables

PERCENTS = (80, 90)
N_DRAWS = 20
KINDS = ("draws", "shuffled", "quantiles")
TOGETHER = (1, 7, 28)  # windows


def imputed(results, run, dataset, split, folder):
    """The path of independent draws of the windows of a split."""
    of_run = results / "csdi" / run
    settings = record.read(of_run / "validation_samples.parquet")["settings"]
    settings["sampling"] |= {"antithetic": False, "n_samples": N_DRAWS}
    names = ("windows", "statistics")
    paths = {f"{name}_path": results / "datasets" / dataset / f"{name}.parquet" for name in names}
    paths["gaussian_path"] = results / "datasets" / dataset / "gaussian.safetensors"
    choice = of_run / "start_choice.parquet"
    paths |= {"model_path": of_run / "model.safetensors", "samples_path": folder / f"{split}.parquet"}
    paths["choice_path"] = choice if choice.exists() else None
    impute_csdi(**paths, settings=settings, split=split, run=run, threads=2)
    return folder / f"{split}.parquet"


def drawn(kind, draws, quantiles):
    """Draws (S, n) of a kind."""
    rng = streams.generator(1, "levels")
    if kind == "quantiles":
        return forecasts.reordered(draws, quantiles)
    order = streams.generator(1, "shuffled").permuted(draws, axis=0) if kind == "shuffled" else draws
    return forecasts.redrawn(order, quantiles, rng.random(order.shape))


def coverage(draws, targets, together):
    """Shares held, of each of `PERCENTS`, and the number of means, each over `together` windows."""
    group = targets.pattern * (1 + targets.place.max() // together) + targets.place // together
    _, means, truths = joint_scores.means(draws, targets.truth, group, targets.feature)
    ends = (metrics.interval(means, percent / 100) for percent in PERCENTS)
    return [100 * metrics.inside(*pair, truths).mean() for pair in ends], len(truths)


def forecast(results, run, dataset, split):
    """The draws of a split, the quantiles (Q, n) of `auto` there, and the names of the patterns."""
    folder = results / "datasets" / dataset
    starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS)
    stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    more = (folder / "baselines.parquet", folder / "windows.parquet", starts, stats)
    names = list(starts["held_out"].cat.categories)
    sizes = len(names), len(stats)
    valid = forecasts.read(results / "csdi" / run / "validation_samples.parquet", *more, "valid")
    with tempfile.TemporaryDirectory() as scratch:
        here = forecasts.read(imputed(results, run, dataset, split, Path(scratch)), *more, split)
    halves = forecasts.each_half(valid, *sizes) if split == "valid" else None
    parts = list(halves) if halves else [(np.ones(len(here.targets.truth), bool), forecasts.calibrate(valid, *sizes))]
    quantiles = np.concatenate([calibration.quantiles("auto", here.part(which)) for which, calibration in parts], 1)
    order = np.concatenate([np.flatnonzero(which) for which, _ in parts])
    return here, quantiles[:, order.argsort()], names


def cells(here, quantiles, together, kinds):
    """The number of means and the shares that intervals hold, of each of the `kinds` of draws, as cells of a table."""
    found = [coverage(drawn(kind, here.draws, quantiles), here.targets, together) for kind in kinds]
    shares = (", ".join(f"{share:.0f} %" for share in shares) for shares, _ in found)
    return " | ".join([str(found[0][1]), *shares])


def of_one_run(results, run, dataset):
    """Print a table for each split: a row a pattern, by window and by so many windows together."""
    for split in ("valid", "test"):
        here, quantiles, names = forecast(results, run, dataset, split)
        print(
            f"\n{split}\n\n| pattern | windows | means | " + " | ".join(f"{kind}: 80 %, 90 %" for kind in KINDS) + " |"
        )
        print("|---|---|---|" + "---|" * len(KINDS))
        for together in TOGETHER:
            for code, name in enumerate([*names, "all"]):
                which = (here.targets.pattern == code) | (name == "all")
                row = cells(here.part(which), quantiles[:, which], together, KINDS)
                print(f"| {name} | {together} | {row} |", flush=True)


def of_the_zoo(results):
    """Print a row a series: all patterns of its test windows together."""
    kinds = KINDS[:2]
    header = [f"{kind}, {together}: 80 %, 90 %" for together in ("one window", "seven") for kind in ("means", *kinds)]
    print("| series | " + " | ".join(header) + " |\n|---|" + "---|" * len(header))
    for path in sorted(results.glob("csdi/*-zero-shot/validation_samples.parquet")):
        run = path.parent.name
        here, quantiles, _ = forecast(results, run, run.removesuffix("-zero-shot"), "test")
        row = " | ".join(cells(here, quantiles, together, kinds) for together in TOGETHER[:2])
        print(f"| {run.removesuffix('-zero-shot')} | {row} |", flush=True)


def main():
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--results", type=Path, default=Path("results"))
    options.add_argument("--run", default="nyc-weather")
    options.add_argument("--dataset", default="nyc-weather")
    options.add_argument("--zoo", action="store_true")
    given = options.parse_args()
    if given.zoo:
        of_the_zoo(given.results)
    else:
        of_one_run(given.results, given.run, given.dataset)


if __name__ == "__main__":
    main()
