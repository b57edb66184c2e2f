"""The paper's table of PhysioNet 2012: the official weights on all 799 test patients, beside what the paper says.

The command that makes the run is in config/presets/physionet-all.yaml.
.venv/bin/python benchmarks/paper_table.py    # --results names another folder
.venv/bin/python benchmarks/paper_table.py --beside /tmp/100-samples/results    # that of a run on some of the patients

Scores are those of CSDI's code (lower median, 19 quantiles), with 95 % bootstrap intervals over patients; below, CSDI
and the average `auto` as the other tables of the project have them, and the best simpler method. With `--beside`, the
scores of the patients that both runs have imputed under the same pattern, in each of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import scored_runs

from scoredag import metrics
from scoredag.store import tables

RUN, DATASET = "physionet", "physionet-2012"
PATTERNS = {"random-10": "10 %", "random-50": "50 %", "random-90": "90 %"}
SCORES = {"mae": "MAE", "rmse": "RMSE", "crps": "CRPS"}
# Tashiro et al., NeurIPS 2021, with 100 samples
PAPER = {
    "mae": {"random-10": "0.217", "random-50": "0.301", "random-90": "0.481"},
    "rmse": {"random-10": "0.498"},
    "crps": {"random-10": "0.238", "random-50": "0.330", "random-90": "0.522"},
}
# of independent runs of the same weights and code, one number or a range
RERUNS = {"mae": {"random-10": "0.2183"}, "rmse": {"random-10": "0.506"}, "crps": {"random-10": "0.2344 to 0.2395"}}
AS_IN_PAPER = metrics.CSDI + metrics.AS_IN_PAPER
METHODS = {AS_IN_PAPER: "these weights here, as in the paper", metrics.CSDI: "CSDI", metrics.AUTO: "auto"}


def cells(table, method, metric):
    """A score under each pattern, with its interval."""
    of_method = table[(table["method"] == method) & (table["metric"] == metric)].set_index("held_out")
    rows = (of_method.loc[pattern] for pattern in PATTERNS)
    return [f"{row['value']:.4f} [{row['lower']:.4f}, {row['upper']:.4f}]" for row in rows]


def best(table, metric):
    """The best simpler method under each pattern: its score and name."""
    simple = table[(table["metric"] == metric) & ~table["method"].str.contains(f"{metrics.CSDI}|{metrics.AUTO}")]
    rows = (simple[simple["held_out"] == pattern] for pattern in PATTERNS)
    lowest = (part.loc[part["value"].idxmin()] for part in rows)
    return [f"{row['value']:.4f} ({row['method']})" for row in lowest]


def places(results: Path) -> pd.Series:
    """Patient and pattern of each imputed window, by its number."""
    starts = tables.read(results / "datasets" / DATASET / "window_starts.parquet", tables.WINDOW_STARTS)
    imputed, _ = tables.n_targets(results / "csdi" / RUN / "samples.parquet")
    rows = starts.set_index("window").loc[imputed, ["series", "held_out"]].astype(str)
    return rows["series"] + " " + rows["held_out"]


def on_windows(results: Path, chosen: pd.Series) -> list[list[float]]:
    """MAE, RMSE and CRPS, as in the paper, under each pattern, of some of the `places`."""
    stats = tables.read(results / "datasets" / DATASET / "statistics.parquet", tables.STATISTICS)
    rows, samples = tables.read_imputations(results / "csdi" / RUN / "samples.parquet", chosen.index.to_numpy())
    truth, draws = metrics.z_scores(rows, samples, stats)
    pattern = chosen.loc[rows["window"]].str.split().str[-1].to_numpy()
    scores = []
    for name in PATTERNS:
        here = pattern == name
        terms = {"crps": metrics.terms(draws[:, here], truth[here])["crps"]}
        terms |= metrics.paper_terms(draws[:, here], truth[here])
        scores.append([float(metrics.ratio(score, *map(np.sum, terms[score]))) for score in SCORES])
    return np.transpose(scores).tolist()


def compare(results: Path, other: Path) -> None:
    """Print the scores of the windows that both have imputed."""
    own, others = places(results), places(other)
    print(scored_runs.head("as in the paper", list(PATTERNS.values())))
    for folder, known in ((results, own[own.isin(others)]), (other, others[others.isin(own)])):
        scores = scored_runs.scores(folder, RUN)
        n_samples = scores.loc[scores["method"] == AS_IN_PAPER, "n_samples"].max()
        for name, values in zip(SCORES.values(), on_windows(folder, known), strict=True):
            print(scored_runs.row(f"{name}, {n_samples} samples", [f"{value:.4f}" for value in values]))


def main() -> None:
    """Print a table of each score, or the scores of two runs beside each other."""
    parser = scored_runs.parser(__doc__)
    parser.add_argument("--beside", type=Path)
    options = parser.parse_args()
    if options.beside:
        compare(options.results, options.beside)
        return
    table = scored_runs.scores(options.results, RUN)
    for metric, name in SCORES.items():
        print(scored_runs.head(name, list(PATTERNS.values())))
        for label, known in (("the paper", PAPER), ("independent reruns", RERUNS)):
            print(scored_runs.row(label, [known[metric].get(pattern, "") for pattern in PATTERNS]))
        for method, label in METHODS.items():
            print(scored_runs.row(label, cells(table, method, metric)))
        print(scored_runs.row("best simpler method", best(table, metric)) + "\n")


if __name__ == "__main__":
    main()
