"""The spread of trainings on nyc-weather, and what longer ones bring: the table of docs/experiments.md.

snakemake --cores all
snakemake --cores all results/csdi/{second,third,longer,longer-second,longer-third,longest}/metrics.parquet \
  --configfile config/presets/trainings.yaml
.venv/bin/python benchmarks/trainings.py           # --results names another folder

Intervals are block bootstrap of the default run; `±` is the standard deviation over three trainings. Runs that
are not there are left out, but for the default one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scored_runs
from scored_runs import head, row

from scoredag import metrics
from scoredag.store import tables

DEFAULT = "nyc-weather"
TRAININGS = {  # equal but for their seeds
    "1,300 steps": (DEFAULT, "second", "third"),
    "4,000 steps": ("longer", "longer-second", "longer-third"),
    "12,000 steps": ("longest",),
}
METHODS = {"CSDI": "CSDI", "auto": "`auto`"}
PERCENTS = (50, 80, 90, 95)


def pooled(results: Path, runs: Sequence[str], patterns: list[str]) -> list[float]:
    """CRPS by pattern of the draws of some trainings put together."""
    folder = results / "datasets" / DEFAULT
    statistics = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    parts = [tables.read_imputations(results / "csdi" / run / "samples.parquet") for run in runs]
    targets = parts[0][0]
    truth, samples = metrics.z_scores(targets, np.concatenate([drawn for _, drawn in parts]), statistics)
    starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS)
    pattern = starts.set_index("window")["held_out"].astype(str).loc[targets["window"]].to_numpy()
    return [metrics.crps(samples, truth, pattern == name) for name in patterns]


def main() -> None:
    """Print CRPS by pattern and its mean, then RMSE and coverage of `auto`."""
    results = scored_runs.arguments(__doc__).results
    there = {
        name: [run for run in runs if (results / "csdi" / run / "metrics.parquet").exists()]
        for name, runs in TRAININGS.items()
    }
    by = ["method", "metric", "held_out"]
    of_run = {
        run: scored_runs.scores(results, run).set_index(by).sort_index() for runs in there.values() for run in runs
    }
    table = pd.read_parquet(results / "csdi" / DEFAULT / "metrics.parquet", columns=["held_out"])
    patterns = list(table["held_out"].unique())

    def values(runs, method, metric):
        """(runs, patterns)."""
        return np.array([of_run[run].loc[(method, metric), "value"].reindex(patterns).to_numpy() for run in runs])

    print(head("CRPS", [*patterns, "mean"]))
    for method, name in METHODS.items():
        part = of_run[DEFAULT].loc[(method, "crps")].reindex(patterns)
        cells = [
            f"{value:.4f} ({lower:.3f} to {upper:.3f})"
            for value, lower, upper in part[["value", "lower", "upper"]].to_numpy()
        ]
        print(row(f"{name}, {DEFAULT}", [*cells, f"{part['value'].mean():.4f}"]))
    for trained, runs in there.items():
        for method, name in METHODS.items():
            found = values(runs, method, "crps")
            if len(found):
                means = spread(np.column_stack([found, found.mean(axis=1)]), 4)
                print(row(f"{name}, {trained}, {len(runs)} training{'s' * (len(runs) > 1)}", means))
        if len(runs) > 1:
            found = pooled(results, runs, patterns)
            shown = [f"{value:.4f}" for value in (*found, np.mean(found))]
            print(row(f"CSDI, {trained}, draws of the {len(runs)} together", shown))
    print("\n" + head("Of `auto`", patterns))
    for metric in ("rmse", *(f"coverage_{percent}" for percent in PERCENTS)):
        for trained, runs in there.items():
            if runs:
                print(row(f"{metric}, {trained}", spread(values(runs, "auto", metric), 3)))


def spread(found: np.ndarray, digits: int) -> list[str]:
    """Mean of each column, and its standard deviation where there are several rows."""
    means = [f"{mean:.{digits}f}" for mean in found.mean(axis=0)]
    if len(found) == 1:
        return means
    return [f"{mean} ± {sd:.{digits}f}" for mean, sd in zip(means, found.std(axis=0, ddof=1), strict=True)]


if __name__ == "__main__":
    main()
