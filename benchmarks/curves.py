"""Learning curves from the base, the official weights and scratch: table and docs/learning-curves.png of docs/csdi.md.

The command that makes the runs is in config/presets/curves.yaml.
.venv/bin/python benchmarks/curves.py               # --results names another folder

Mean and standard deviation over trainings of CRPS on validation windows, a mean over the patterns of held-out values.
What is not there yet is left out.
"""

from pathlib import Path

import pandas as pd
import scored_runs

from scoredag.figures import style

DATASETS = {"weather": "nyc-weather", "etth1": "etth1"}
STARTS = {"base": "the base", "official": "official weights", "scratch": "scratch"}
STEPS = (0, 100, 300, 700, 2000)
TRAININGS = (1, 2, 3)
METHODS = ("CSDI", "auto")
FILE, FIGURE = "validation_metrics.parquet", Path("docs/learning-curves.png")


def read(results: Path) -> pd.DataFrame:
    """CRPS by dataset, start, n_steps, training and method, of the runs that are there."""
    rows = []
    for dataset in DATASETS:
        for start in STARTS:
            for n_steps in STEPS:
                for training in TRAININGS:
                    run = f"{dataset}-{start}-{n_steps}-{training}"
                    if not (results / "csdi" / run / FILE).exists():
                        continue
                    table = scored_runs.scores(results, run, FILE)
                    means = table[table["metric"] == "crps"].groupby("method")["value"].mean()
                    rows += [(dataset, start, n_steps, training, method, value) for method, value in means.items()]
    return pd.DataFrame(rows, columns=["dataset", "start", "n_steps", "training", "method", "crps"])


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """`mean`, `std` and `count` over trainings by dataset, method, start and n_steps."""
    return scores.groupby(["dataset", "method", "start", "n_steps"])["crps"].agg(["mean", "std", "count"])


def best_baseline(scores: pd.DataFrame, dataset: str) -> tuple[str, float]:
    """The simpler method with the lowest mean CRPS on the dataset, and its value."""
    others = scores[(scores["dataset"] == dataset) & ~scores["method"].str.contains("CSDI|auto")]
    means = others.groupby("method")["crps"].mean()
    return str(means.idxmin()), float(means.min())


def lines(found: pd.DataFrame, dataset: str, method: str) -> str:
    """A Markdown table, a row a start and a column a number of steps."""
    rows = [scored_runs.head(f"{DATASETS[dataset]}, {method}", [f"{n:,} steps" for n in STEPS])]
    for start, name in STARTS.items():
        cells = []
        for n_steps in STEPS:
            key = (dataset, method, start, n_steps)
            if key in found.index:
                mean, deviation, count = found.loc[key]
                cells.append(f"{mean:.4f} ± {deviation:.4f}" if count > 1 else f"{mean:.4f}")
            else:
                cells.append("")
        rows.append(scored_runs.row(name, cells))
    return "\n".join(rows)


def draw(scores: pd.DataFrame) -> style.Figure:
    """CRPS of CSDI over steps, one panel a dataset, bands of one standard deviation."""
    found = summary(scores)
    datasets = [name for name in DATASETS if name in set(scores["dataset"])]
    drawn = style.figure(7.5, 3.2)
    for axes, dataset in zip(drawn.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        for (start, name), colour, marker in zip(STARTS.items(), style.CYCLE, "os^", strict=False):
            if (dataset, "CSDI", start) not in found.index.droplevel("n_steps"):
                continue
            curve = found.loc[(dataset, "CSDI", start)].sort_index()
            axes.plot(curve.index, curve["mean"], color=colour, marker=marker, markersize=4, label=name)
            low, high = curve["mean"] - curve["std"].fillna(0), curve["mean"] + curve["std"].fillna(0)
            axes.fill_between(curve.index, low, high, color=colour, alpha=0.25, linewidth=0)
        rival, value = best_baseline(scores, dataset)
        axes.axhline(value, color=style.GREY, linestyle="--", linewidth=1, label=rival)
        axes.set_xscale("symlog", linthresh=100, linscale=0.6)
        axes.set_xticks(STEPS, [f"{n:,}" for n in STEPS])
        axes.minorticks_off()
        axes.set(title=DATASETS[dataset], xlabel="training steps", yscale="log")
        style.plain_numbers(axes.yaxis)
        axes.legend(fontsize=8)
    drawn.axes[0].set_ylabel("CRPS of CSDI, validation windows")
    return drawn


def main() -> None:
    """Print the tables of CSDI and `auto`; write the figure."""
    arguments = scored_runs.arguments(__doc__, FIGURE)
    scores = read(arguments.results)
    found = summary(scores)
    for dataset in dict.fromkeys(scores["dataset"]):
        for method in METHODS:
            print(lines(found, dataset, method) + "\n")
        print("the best simpler method: {} {:.4f}\n".format(*best_baseline(scores, dataset)))
    style.save(draw(scores), arguments.figure)


if __name__ == "__main__":
    main()
