"""Figure of the scores of joint draws."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scoredag.figures import style

SCORES = {
    "energy_score": "energy score (z-scores)",
    "variogram_score": "variogram score",
    "crps_of_mean": "CRPS of the mean of a gap\n(relative to its mean size)",
    "coverage_80_of_mean": "share of means inside\ntheir 80 % interval",
}
_LOOKS = ((style.ORANGE, "s"), (style.GREEN, "D"), (style.BLUE, "o"), (style.GREY, "X"))


def joint_scores(table: pd.DataFrame) -> Figure:
    """A panel for each score, in it a row for each pattern and a marker for each method, with bootstrap intervals.

    Args:
        table: columns of metrics.parquet.
    """
    table = table[(table["feature"] == "all") & table["metric"].isin(SCORES)]
    patterns, methods = (list(dict.fromkeys(table[name])) for name in ("held_out", "method"))
    table = table.set_index(["metric", "method", "held_out"])
    drawn = style.figure(3.0 * len(SCORES), 0.55 * len(patterns) + 1.9)
    row = drawn.subplots(1, len(SCORES), sharey=True)
    for axes, (score, label) in zip(row, SCORES.items(), strict=True):
        for shift, (method, (shade, marker)) in enumerate(zip(methods, _LOOKS, strict=False)):
            scores = table.loc[[(score, method, pattern) for pattern in patterns]]
            value = scores["value"].to_numpy()
            ends = np.abs(scores[["lower", "upper"]].to_numpy().T - value)
            places = np.arange(len(patterns)) + 0.18 * (shift - (len(methods) - 1) / 2)
            axes.errorbar(value, places, xerr=ends, fmt=marker, color=shade, ms=5, lw=1.2, label=method)
        axes.set_xlabel(label)
        axes.grid(axis="y", lw=0.3)
    row[-1].axvline(0.8, color=style.GREY, lw=1, ls="--")
    row[0].set_yticks(range(len(patterns)), patterns)
    row[0].set_ylim(len(patterns) - 0.5, -0.5)
    title = "Scores of joint draws (lower is better; of the means 80 % should lie inside), 95 % bootstrap intervals"
    drawn.suptitle(title, fontsize=12)
    drawn.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods))
    return drawn
