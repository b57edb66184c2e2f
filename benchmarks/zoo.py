"""The zoo: scores of every series of config/presets/zoo.yaml in one table, one page and one figure.

python benchmarks/zoo.py --targets choosing      # the tables that Snakemake has to make for one half, or for both: ""
python benchmarks/zoo.py                         # results/zoo.parquet, docs/zoo.md and docs/zoo.png from what is there

benchmarks/zoo.csv says which half a series is in. It was written before a score of it was seen: what is chosen
is chosen on one half, and the other tells how good the choice is.
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
import yaml
from matplotlib.ticker import NullLocator
from scipy.stats import gmean

from scoredag import metrics
from scoredag.figures import style
from scoredag.series import cards
from scoredag.store import tables

ROOT = Path(__file__).resolve().parents[1]
SERIES, PRESET, PAGE, FIGURE = (
    ROOT / name for name in ("benchmarks/zoo.csv", "config/presets/zoo.yaml", "docs/zoo.md", "docs/zoo.png")
)
BEGIN, END = "<!-- zoo: written by `make zoo` -->\n", "<!-- end of zoo -->\n"
TRAINED = {"-zero-shot": "zero-shot", "-100": "100 steps", "": "fine-tuned"}  # of runs whose names end so
CELL = ["half", "series", "pattern", "n_targets"]
COVERAGE = "coverage_90"
NEAR, HELD = 1.02, (0.86, 0.94)  # as good as the best; 90 % intervals that hold about what they should
SPACINGS = {
    "1min": "minute",
    "1h": "hour",
    "1D": "day",
    "B": "business day",
    "7D": "week",
    "MS": "month",
    "QS": "quarter",
}
TRAINED_METHODS = (metrics.AUTO, metrics.CSDI)
MARKERS = "osD^vP"
TICKS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 2, 3, 4, 5)


def read_series() -> pd.DataFrame:
    """A row a series, those of a half together, with the spacing that its preset says."""
    series = pd.read_csv(SERIES).sort_values("half", kind="stable").set_index("series")
    preset = yaml.safe_load(PRESET.read_text(encoding="utf-8"))["datasets"]
    intervals = {name: preset[name].get("interval", "1h") for name in series.index}
    return series.assign(spacing=[SPACINGS.get(text, text.replace("min", " minutes")) for text in intervals.values()])


def metrics_file(results: Path, name: str) -> Path:
    """Where the scores of a run are."""
    return results / "csdi" / name / "metrics.parquet"


def collect(results: Path, series: pd.DataFrame) -> pd.DataFrame:
    """The scores over all features of every method, of the runs that are there."""
    parts = []
    for name, (suffix, training) in itertools.product(series.index, TRAINED.items()):
        if (path := metrics_file(results, name + suffix)).exists():
            table = tables.read(path, tables.CSDI_METRICS)
            table = table[table["feature"].astype(str) == "all"].rename(columns={"held_out": "pattern"})
            parts.append(table.assign(series=name, half=series.at[name, "half"], training=training))
    columns = ["series", "half", "training", "pattern", "method", "metric", "value", "n_targets"]
    found = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return found[columns].astype(dict.fromkeys(columns[:6], str)).reset_index(drop=True)


def cells(scores: pd.DataFrame) -> pd.DataFrame:
    """CRPS of each method with a distribution; a row for each pattern of each series. Scores are of one training.

    These are the methods that have intervals; of draws as they are and as validation windows correct them, the latter.
    """
    held = set(scores.loc[scores["metric"] == COVERAGE, "method"])
    held -= {method for method in held if method + metrics.CORRECTED in held}
    kept = scores[scores["method"].isin(held) & (scores["metric"] == "crps")]
    table = kept.pivot_table(index=CELL, columns="method", values="value", sort=False)
    return table[sorted(table, key=lambda method: (method != "auto", not method.startswith("CSDI"), method))]


def trainings(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The scores of each training that there are."""
    return {name: part for name in TRAINED.values() if len(part := scores[scores["training"] == name])}


def compare(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The first method of `cells` beside the best other one of each cell, and what its 90 % intervals hold."""
    chosen = table.columns[0]
    others = table.drop(columns=chosen)
    held = scores[(scores["metric"] == COVERAGE) & (scores["method"] == chosen)]
    held = held.set_index(CELL)["value"]
    best = others.min(axis=1)
    return pd.DataFrame({"ratio": table[chosen] / best, "best": others.idxmin(axis=1), "coverage": held[table.index]})


def seconds(logs: Path, name: str) -> float:
    """Seconds of all jobs of the first training and of its dataset, as Snakemake measured them."""
    folders = logs / "datasets" / name, logs / "csdi" / f"{name}{next(iter(TRAINED))}"
    files = [path for folder in folders for path in folder.glob("*.tsv")]
    return sum(pd.read_csv(path, sep="\t")["s"].iloc[0] for path in files)


def facts(results: Path, logs: Path, series: pd.DataFrame) -> str:
    """What the series are, as far as they have been read."""
    rows = [["series", "what", "origin", "licence", "half", "spacing", "steps", "features", "missing", "seconds"]]
    for name, row in series.iterrows():
        numbers = [""] * 3
        if (path := results / "datasets" / str(name) / "series.parquet").exists():
            table = tables.read(path, tables.SERIES)
            size = table["time"].nunique(), table["feature"].nunique()
            numbers = [f"{size[0]:,}", str(size[1]), f"{100 * table['value'].isna().mean():.0f} %"]
        took = f"{seconds(logs, str(name)):.0f}" if (logs / "datasets" / str(name)).exists() else ""
        rows.append([str(name), row.what, row.origin, row.licence, row.half, row.spacing, *numbers, took])
    return cards.markdown_table(rows, right=6)


def scored(table: pd.DataFrame) -> str:
    """CRPS of all methods: the lowest of a row is bold; a row of too few targets is in italics, without one."""
    rows = [["series", "pattern", "targets", *(name.removesuffix(metrics.DRESSED) for name in table)]]
    for (_, name, pattern, n_targets), values in table.iterrows():
        few = n_targets < metrics.FEW
        marks = ["*" if few else "**" if value == values.min() else "" for value in values]
        texts = [
            "" if np.isnan(value) else f"{mark}{value:.3f}{mark}" for mark, value in zip(marks, values, strict=True)
        ]
        rows.append([name, pattern, f"*{n_targets:,}*" if few else f"{n_targets:,}", *texts])
    return cards.markdown_table(rows, right=2)


def of_all(scores: pd.DataFrame) -> pd.DataFrame:
    """`cells` of the first training, and the average and CSDI of the others beside them."""
    (_, first), *others = ((name, cells(part)) for name, part in trainings(scores).items())
    for place, (name, table) in enumerate(others, 1):
        for method in [method for method in table if method.startswith(TRAINED_METHODS)]:
            first.insert(min(place, first.shape[1]), f"{method}, {name}", table[method])
    return first


def compared(comparison: pd.DataFrame, chosen: str, training: str) -> str:
    """The sentence that sums up a half."""
    held = comparison["coverage"].between(*HELD)
    counts = {
        f"at most {NEAR:.2f} times the lowest CRPS of the others in": comparison["ratio"] <= NEAR,
        "a lower one than all of them in": comparison["ratio"] < 1,
        f"90 % intervals that hold {100 * HELD[0]:.0f} to {100 * HELD[1]:.0f} % in": held,
    }
    parts = ", ".join(f"{text} {which.sum()}" for text, which in counts.items())
    text = f"- {training}: `{chosen}` has {parts} of {len(comparison)} cells"
    if len(comparison):
        mean, most = gmean(comparison["ratio"]), comparison["ratio"].max()
        text += f"; its ratio to the lowest is {mean:.3f} on (geometric) average, {most:.3f} at most"
    return f"{text}.\n"


def gained(scores: pd.DataFrame) -> str:
    """A sentence for each training after the first: its CRPS beside the first's, in cells that have enough targets."""
    (before, first), *others = ((name, cells(part)) for name, part in trainings(scores).items())
    first = first[first.index.get_level_values("n_targets") >= metrics.FEW]
    text = ""
    for training, table in others:
        both = first.index.intersection(table.index)
        if both.empty:
            continue
        changes = {
            method: table.loc[both, method] / first.loc[both, method]
            for method in first.columns.intersection(table.columns)
            if method.startswith(TRAINED_METHODS)
        }
        means = {method: f"{gmean(change):.3f}" for method, change in changes.items()}
        parts = (f"of `{name}` {means[name]} ({part.min():.2f} to {part.max():.2f})" for name, part in changes.items())
        text += f"- {training} beside {before}: CRPS on (geometric) average {', '.join(parts)} times as high.\n"
    return text


def ratios(comparisons: dict[str, pd.DataFrame]) -> str:
    """A row for each cell that has enough targets: ratio and coverage of each training, and the first's best rival."""
    first = next(iter(comparisons.values()))
    rows = [["series", "pattern", "best other method", *(f"{name}: ratio, 90 % hold" for name in comparisons)]]
    for cell in first.index:
        _, name, pattern, _ = cell
        texts = [
            f"{part.at[cell, 'ratio']:.3f}, {100 * part.at[cell, 'coverage']:.0f} %" if cell in part.index else ""
            for part in comparisons.values()
        ]
        rows.append([name, pattern, first.at[cell, "best"].removesuffix(metrics.DRESSED), *texts])
    return cards.markdown_table(rows, right=3)


def draw(comparison: pd.DataFrame, chosen: str, patterns: list[str]) -> style.Figure:
    """The ratio of CRPS of each cell: a line a series, a marker a pattern, a panel a half."""
    index = comparison.index
    halves = list(dict.fromkeys(index.get_level_values("half")))
    names = [list(dict.fromkeys(comparison.xs(half).index.get_level_values("series"))) for half in halves]
    drawn = style.figure(7.5, 1.3 + 0.5 * len(halves) + 0.27 * sum(map(len, names)))
    panels = drawn.subplots(len(halves), sharex=True, squeeze=False, height_ratios=[len(part) for part in names])
    for half, part, axes in zip(halves, names, panels[:, 0], strict=True):
        axes.axvline(1, color=style.GREY, linewidth=1)
        for number, pattern in enumerate(patterns):
            rows = comparison[(index.get_level_values("half") == half) & (index.get_level_values("pattern") == pattern)]
            shift = 0.12 * (number - (len(patterns) - 1) / 2)
            heights = [part.index(name) + shift for name in rows.index.get_level_values("series")]
            look = {"color": style.CYCLE[number % len(style.CYCLE)], "marker": MARKERS[number % len(MARKERS)]}
            axes.plot(rows["ratio"], heights, linestyle="", markersize=6, label=pattern, **look)
        axes.set_yticks(range(len(part)), part)
        axes.set_ylim(len(part) - 0.4, -0.6)
        axes.set_title(f"{half} half", loc="left")
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    lowest, highest = min(0.9, comparison["ratio"].min() / 1.02), max(1.1, comparison["ratio"].max() * 1.02)
    axes.set_xscale("log")
    axes.set_xlim(lowest, highest)
    axes.set_xticks([tick for tick in TICKS if lowest <= tick <= highest])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    drawn.supxlabel(f"CRPS of {chosen} relative to the best other method; left of 1 is better", fontsize=10)
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(patterns))
    return drawn


def page(results: Path, logs: Path, series: pd.DataFrame, scores: pd.DataFrame) -> str:
    """The generated part of docs/zoo.md."""
    parts = [f"## The series\n\n{facts(results, logs, series)}"]
    for half, of_half in scores.groupby("half", sort=False):
        comparisons = told(of_half)
        chosen = metrics.AUTO if metrics.AUTO in set(of_half["method"]) else metrics.CSDI + metrics.CORRECTED
        sentences = "".join(compared(part, chosen, name) for name, part in comparisons.items()) + gained(of_half)
        parts.append(f"## The {half} half\n\n{sentences}\n{ratios(comparisons)}")
        parts.append(f"CRPS of all methods:\n\n{scored(of_all(of_half))}")
    return "\n".join(parts)


def told(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The comparison of each training, of cells that have enough targets."""
    compared = {name: compare(cells(part), part) for name, part in trainings(scores).items()}
    return {name: part[part.index.get_level_values("n_targets") >= metrics.FEW] for name, part in compared.items()}


def main() -> None:
    """Write the table, the page and the figure, or print targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", metavar="HALF", help="print the files that Snakemake has to make, and stop")
    parser.add_argument("--trained", metavar="TRAINING", default="", help="of one training alone: zero-shot, ..")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--logs", type=Path, default=Path("logs"))
    args = parser.parse_args()
    series = read_series()
    if args.targets is not None:
        wanted = series.index[series["half"].isin([args.targets] if args.targets else series["half"])]
        if wanted.empty:
            sys.exit(f"error: there is no half '{args.targets}'; write {' or '.join(series['half'].unique())}")
        suffixes = [suffix for suffix, name in TRAINED.items() if args.trained in ("", name)]
        if not suffixes:
            sys.exit(f"error: there is no training '{args.trained}'; write {', '.join(TRAINED.values())}")
        print(*(metrics_file(Path("results"), name + suffix) for name in wanted for suffix in suffixes))
        return
    scores = collect(args.results, series)
    if scores.empty:
        sys.exit(f"error: {args.results}/csdi has no scores of the zoo; `make zoo` makes them")
    scores.to_parquet(args.results / "zoo.parquet", index=False)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    text = page(args.results, args.logs, series, scores)
    PAGE.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")
    comparison = next(iter(told(scores).values()))
    if len(comparison):
        chosen = metrics.AUTO if metrics.AUTO in set(scores["method"]) else metrics.CSDI + metrics.CORRECTED
        style.save(draw(comparison, chosen, list(dict.fromkeys(scores["pattern"]))), FIGURE)
    print(f"{PAGE.name}, {FIGURE.name}: {scores['series'].nunique()} of {len(series)} series are scored")


if __name__ == "__main__":
    main()
