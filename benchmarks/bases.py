"""CRPS of checkpoints without training, on validation windows of the choosing half of the zoo and of the default run.

make zoo HALF=choosing && .venv/bin/python benchmarks/bases.py data/csdi-base.safetensors other.safetensors

A row of docs/experiments.md for each series; in it, for each checkpoint, the mean over the patterns of missing entries,
with at most `MOST` windows of each, ten samples, and the reverse process started where it does best of `STEPS`.
"""

import argparse
from pathlib import Path

import numpy as np
import zoo

from scoredag import gaussian, metrics
from scoredag.csdi import checkpoint, diffusion, imputation
from scoredag.series import windows
from scoredag.store import tables

MOST = 4
STEPS = (None, 10, 14, 18, 22)


def read(folder):
    """(arguments of `imputation.impute`, what is scored under each pattern, the joint Gaussian, K) of a dataset."""
    stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    numbers, values, roles = windows.read(folder / "windows.parquet", stats, "valid")
    starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS).set_index("window")
    codes = starts["held_out"].loc[numbers].cat.codes.to_numpy()
    like = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    kept = np.sort(np.concatenate([part[np.linspace(0, len(part) - 1, MOST).round().astype(int)] for part in like]))
    kept = np.unique(kept)
    targets = [(roles[kept] == windows.TARGET) & (codes[kept] == code)[:, None, None] for code in np.unique(codes)]
    given = (numbers[kept], values[kept], roles[kept] == windows.OBSERVED)
    return given, [mask for mask in targets if mask.any()], gaussian.load(folder / "gaussian.safetensors"), len(stats)


def crps(path, given, targets, law, n_features):
    """The mean CRPS over the patterns, from the best start."""
    model = checkpoint.load(path, n_features, embedding="mean")
    scores = []
    for step in STEPS if law is not None else (None,):
        start = None if step is None else diffusion.Start(step, law)
        drawn = imputation.impute(model, *given, seed=1, n_samples=10, chunk=20, device="cpu", threads=2, start=start)
        samples = np.concatenate([part for _, part in drawn], axis=1)
        scores.append(np.mean([metrics.crps(samples, given[1], mask) for mask in targets]))
    return min(scores)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    series = zoo.read_series()
    names = [*series.index[series["half"] == "choosing"], "nyc-weather"]
    print("| series |", *(f"{path.name} |" for path in args.checkpoints))
    print("|---|" + "--:|" * len(args.checkpoints))
    for name in names:
        folder = args.results / "datasets" / name
        if folder.exists():
            dataset = read(folder)
            print(f"| {name} |", *(f"{crps(path, *dataset):.3f} |" for path in args.checkpoints), flush=True)


if __name__ == "__main__":
    main()
