"""Target strategies beside each other: the table and the heat map (docs/strategies.png) of docs/how-csdi-works.md.

snakemake --cores all results/csdi/{random,historical,mix,test-pattern,blocks}-{1,2,3}/validation_metrics.parquet \\
  --configfile config/presets/strategies.yaml
.venv/bin/python benchmarks/strategies.py           # --results names another folder

Mean and standard deviation over trainings of CSDI's scores on validation windows.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import scored_runs

from scoredag.figures import style

STRATEGIES = ("random", "historical", "mix", "test-pattern", "blocks")
TRAININGS = (1, 2, 3)
FIGURE = Path("docs/strategies.png")


def read(results: Path) -> pd.DataFrame:
    """`value` by strategy, training, metric and pattern (`held_out`), over all features."""
    parts = []
    for strategy in STRATEGIES:
        for training in TRAININGS:
            table = scored_runs.scores(results, f"{strategy}-{training}", "validation_metrics.parquet")
            parts.append(table[table["method"] == "CSDI"].assign(strategy=strategy, training=training))
    return pd.concat(parts)


def summary(scores: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation over trainings, a row a strategy and a column a pattern."""
    part = scores[scores["metric"] == metric]
    columns = list(dict.fromkeys(part["held_out"]))
    grouped = part.groupby(["strategy", "held_out"])["value"]
    return tuple(
        found.unstack().reindex(index=STRATEGIES, columns=columns) for found in (grouped.mean(), grouped.std(ddof=1))
    )


def lines(mean: pd.DataFrame, deviation: pd.DataFrame, title: str, digits: int = 3) -> str:
    """A Markdown table; with three digits, of CRPS, the least of each column in bold."""
    rows = [scored_runs.head(title, list(mean.columns))]
    for strategy in mean.index:
        cells = []
        for pattern in mean.columns:
            text = f"{mean.loc[strategy, pattern]:.{digits}f} ± {deviation.loc[strategy, pattern]:.{digits}f}"
            is_best = digits == 3 and mean.loc[strategy, pattern] == mean[pattern].min()
            cells.append(f"**{text}**" if is_best else text)
        rows.append(scored_runs.row(f"`{strategy}`", cells))
    return "\n".join(rows)


def draw(mean: pd.DataFrame, deviation: pd.DataFrame) -> style.Figure:
    """CRPS of each strategy under each pattern, shaded by its excess over the best of the column."""
    excess = 100 * (mean / mean.min() - 1)
    drawn = style.figure(7.5, 3.2)
    axes = drawn.subplots()
    image = axes.imshow(excess, cmap="viridis_r", vmin=0, vmax=max(excess.to_numpy().max(), 1), aspect="auto")
    for (row, column), value in np.ndenumerate(mean.to_numpy()):
        dark = excess.iloc[row, column] > 0.5 * excess.to_numpy().max()
        text = f"{value:.3f}\n± {deviation.iloc[row, column]:.3f}"
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=9)
    axes.set_xticks(range(len(mean.columns)), mean.columns)
    axes.set_yticks(range(len(mean.index)), mean.index)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="held out in validation windows", ylabel="hidden in training")
    drawn.colorbar(image, label="CRPS above the column's best, %")
    return drawn


def main() -> None:
    """Print CRPS and the coverage of 80 % intervals; write the heat map."""
    arguments = scored_runs.arguments(__doc__, FIGURE)
    scores = read(arguments.results)
    print(lines(*summary(scores, "crps"), "CRPS"))
    print("\n" + lines(*(100 * table for table in summary(scores, "coverage_80")), "80 % intervals hold, %", 0))
    style.save(draw(*summary(scores, "crps")), arguments.figure)


if __name__ == "__main__":
    main()
