"""The paper's table of PhysioNet 2012: the official weights on all 799 test patients, beside what the paper says.

The command that makes the run is in config/presets/physionet-all.yaml.
.venv/bin/python benchmarks/paper_table.py    # --results names another folder

Scores are those of CSDI's code (lower median, 19 quantiles), with 95 % bootstrap intervals over patients; below, CSDI
and the average `auto` as the other tables of the project have them, and the best simpler method.
"""

import scored_runs

from scoredag import metrics

RUN = "physionet"
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


def main() -> None:
    """Print a table of each score."""
    table = scored_runs.scores(scored_runs.arguments(__doc__).results, RUN)
    for metric, name in SCORES.items():
        print(scored_runs.head(name, list(PATTERNS.values())))
        for label, known in (("the paper", PAPER), ("independent reruns", RERUNS)):
            print(scored_runs.row(label, [known[metric].get(pattern, "") for pattern in PATTERNS]))
        for method, label in METHODS.items():
            print(scored_runs.row(label, cells(table, method, metric)))
        print(scored_runs.row("best simpler method", best(table, metric)) + "\n")


if __name__ == "__main__":
    main()
