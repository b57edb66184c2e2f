"""The spread of trainings on nyc-weather, and what longer ones bring: the table of docs/experiments.md.

snakemake --cores all
snakemake --cores all results/csdi/{second,third,longer}/metrics.parquet --configfile config/presets/trainings.yaml
.venv/bin/python benchmarks/trainings.py           # --results names another folder

Intervals are block bootstrap of the default run; `±` is the standard deviation over the three trainings.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import scored_runs
from scored_runs import head, row

from scoredag import metrics
from scoredag.store import tables

THREE, LONGER = ("nyc-weather", "second", "third"), ("longer", "longest")
METHODS = {"CSDI": "CSDI", "auto": "`auto`"}
PERCENTS = (50, 80, 90, 95)


def pooled(results: Path, patterns: list[str]) -> list[float]:
    """CRPS by pattern of the draws of the three trainings put together."""
    folder = results / "datasets" / THREE[0]
    statistics = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    parts = [tables.read_imputations(results / "csdi" / run / "samples.parquet") for run in THREE]
    targets = parts[0][0]
    truth, samples = metrics.z_scores(targets, np.concatenate([drawn for _, drawn in parts]), statistics)
    starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS)
    pattern = starts.set_index("window")["held_out"].astype(str).loc[targets["window"]].to_numpy()
    return [metrics.crps(samples, truth, pattern == name) for name in patterns]


def main() -> None:
    """Print CRPS by pattern and its mean, then RMSE and coverage of the three trainings."""
    results = scored_runs.arguments(__doc__).results
    there = [run for run in LONGER if (results / "csdi" / run / "metrics.parquet").exists()]
    by = ["method", "metric", "held_out"]
    of_run = {run: scored_runs.scores(results, run).set_index(by).sort_index() for run in (*THREE, *there)}
    patterns = list(
        pd.read_parquet(results / "csdi" / THREE[0] / "metrics.parquet", columns=["held_out"])["held_out"].unique()
    )

    def values(run, method, metric):
        return of_run[run].loc[(method, metric), "value"].reindex(patterns).to_numpy()

    print(head("CRPS", [*patterns, "mean"]))
    for method, name in METHODS.items():
        part = of_run[THREE[0]].loc[(method, "crps")].reindex(patterns)
        cells = [
            f"{value:.4f} ({lower:.3f} to {upper:.3f})"
            for value, lower, upper in part[["value", "lower", "upper"]].to_numpy()
        ]
        print(row(name, [*cells, f"{part['value'].mean():.4f}"]))
    for method, name in METHODS.items():
        found = np.array([values(run, method, "crps") for run in THREE])
        found = np.column_stack([found, found.mean(axis=1)])
        cells = [
            f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(found.mean(axis=0), found.std(axis=0, ddof=1), strict=True)
        ]
        print(row(f"{name}, three trainings", cells))
    found = pooled(results, patterns)
    print(row("CSDI, draws of the three together", [f"{value:.4f}" for value in (*found, np.mean(found))]))
    for run in there:
        found = values(run, "auto", "crps")
        print(row(f"`auto`, {run}", [f"{value:.4f}" for value in (*found, found.mean())]))
    print("\nOf `auto`, mean ± standard deviation of the three, then of the longer ones:")
    for metric in ("rmse", *(f"coverage_{percent}" for percent in PERCENTS)):
        found = np.array([values(run, "auto", metric) for run in THREE])
        cells = [
            f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(found.mean(axis=0), found.std(axis=0, ddof=1), strict=True)
        ]
        print(
            row(
                metric,
                cells
                + [f"{run}: " + " ".join(f"{value:.3f}" for value in values(run, "auto", metric)) for run in there],
            )
        )


if __name__ == "__main__":
    main()
