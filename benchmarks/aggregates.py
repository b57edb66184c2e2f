"""How often intervals of a mean over the hidden values of a feature in a window hold the truth, from 20 joint draws.

.venv/bin/python benchmarks/aggregates.py        # of results/csdi/nyc-weather; --results and --run name others

Windows are imputed as `complete_series` does it, without antithetic pairs, and draws get the distributions of `auto`
from the validation windows of the run. In the validation split each half of the time calibrates the other. Rows are
the draws of completed.parquet; these with every entry in another order; and quantiles in place of draws, as
imputed.parquet has them. Prints the table of docs/filling.md, and for the validation split the rows
of docs/experiments.md of the default, of shuffled draws and of quantiles.
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
    return forecasts.redrawn(order, quantiles, rng)


def coverage(draws, targets):
    """Shares held, of each of `PERCENTS`, and the number of means."""
    _, means, truths = joint_scores.means(draws, targets.truth, targets.window, targets.feature)
    ends = (metrics.interval(means, percent / 100) for percent in PERCENTS)
    return [100 * metrics.inside(*pair, truths).mean() for pair in ends], len(truths)


def main():
    """Print a table for each split."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--results", type=Path, default=Path("results"))
    options.add_argument("--run", default="nyc-weather")
    options.add_argument("--dataset", default="nyc-weather")
    given = options.parse_args()
    folder = given.results / "datasets" / given.dataset
    starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS)
    stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    more = (folder / "baselines.parquet", folder / "windows.parquet", starts, stats)
    names = list(starts["held_out"].cat.categories)
    sizes = len(names), len(stats)
    valid = forecasts.read(given.results / "csdi" / given.run / "validation_samples.parquet", *more, "valid")
    for split in ("valid", "test"):
        with tempfile.TemporaryDirectory() as scratch:
            path = imputed(given.results, given.run, given.dataset, split, Path(scratch))
            here = forecasts.read(path, *more, split)
        everywhere = np.ones(len(here.targets.truth), bool)
        halves = forecasts.each_half(valid, *sizes) if split == "valid" else None
        parts = list(halves) if halves else [(everywhere, forecasts.calibrate(valid, *sizes))]
        quantiles = np.concatenate([calibration.quantiles("auto", here.part(which)) for which, calibration in parts], 1)
        order = np.concatenate([np.flatnonzero(which) for which, _ in parts])
        quantiles = quantiles[:, order.argsort()]
        print(f"\n{split}\n\n| pattern | means | " + " | ".join(f"{kind}: 80 %, 90 %" for kind in KINDS) + " |")
        print("|---|---|" + "---|" * len(KINDS))
        for code, name in [*enumerate(names), (None, "all")]:
            which = everywhere if code is None else here.targets.pattern == code
            part = here.part(which)
            cells = [coverage(drawn(kind, part.draws, quantiles[:, which]), part.targets) for kind in KINDS]
            shown = " | ".join(", ".join(f"{share:.0f} %" for share in shares) for shares, _ in cells)
            print(f"| {name} | {cells[0][1]} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
