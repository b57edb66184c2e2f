"""What a transform changes, in the units of the data: ratios of errors with it to errors without (docs/experiments.md).

.venv/bin/python benchmarks/transforms.py      # after the command in config/presets/transforms.yaml
"""

import argparse
from pathlib import Path

import pandas as pd
from scipy.stats import gmean

PAIRS = {"wikipedia": "wikipedia-log", "seattle": "seattle-log"}
METRICS = {"mae_physical": "MAE", "rmse_physical": "RMSE"}


def errors(results: Path, run: str, metric: str) -> pd.DataFrame:
    """A metric of `auto` on validation windows by feature and pattern."""
    table = pd.read_parquet(results / "csdi" / run / "validation_metrics.parquet")
    table = table[(table["method"] == "auto") & (table["metric"] == metric) & (table["feature"] != "all")]
    return table.pivot(index="feature", columns="held_out", values="value")


def main() -> None:
    """Print the geometric mean over features of each series, and in how many the error is lower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    results = parser.parse_args().results
    for plain, transformed in PAIRS.items():
        for metric, name in METRICS.items():
            ratios = errors(results, transformed, metric) / errors(results, plain, metric)
            cells = [
                f"{pattern} {gmean(column):.2f} ({(column < 1).sum()} of {len(column)})"
                for pattern, column in ratios.items()
            ]
            print(f"{plain}, {name}: " + ", ".join(cells))


if __name__ == "__main__":
    main()
