"""Figures of the likelihood bound: both sides of each statement."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from scoredag.figures import style

_FLOOR = 9  # nats below the peak of the density at which maps of the gap end
_MARKERS = "osD^vP"
_ERRORS = 2  # standard errors that bars show, on either side


def bounds(table: pd.DataFrame) -> Figure:
    """A panel a score model: the bound of each point against its nll, and the diagonal; bars are two standard errors.

    `table` has score_model, point, x, y, nll, bound, bound_std_error.
    """
    names = list(dict.fromkeys(table["score_model"]))
    drawn, panels = _panels(len(names), 3.3, 3.5)
    reach = _ERRORS * table["bound_std_error"]
    ends = np.array([table["nll"].min(), (table["bound"] + reach).max()])
    ends[0] = min(ends[0], (table["bound"] - reach).min())
    ends += np.array([-0.04, 0.04]) * np.ptp(ends)
    for axes, name, colour in zip(panels, names, itertools.cycle(style.CYCLE), strict=False):
        part = table[table["score_model"] == name]
        axes.plot(ends, ends, color=style.BLACK, linewidth=0.8)
        axes.errorbar(
            part["nll"], part["bound"], _ERRORS * part["bound_std_error"],
            fmt="o", markersize=2.5, elinewidth=0.8, color=colour,
        )  # fmt: skip
        axes.set_title(f"{name}\nmean gap {_nats((part['bound'] - part['nll']).mean())}")
        axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="negative log-likelihood", ylabel="its bound (nats)")
        axes.label_outer()
    return drawn


def bound_gaps(log_density: np.ndarray, maps: dict[str, np.ndarray], sides: tuple[np.ndarray, np.ndarray]) -> Figure:
    """A map of the gap for each of `maps`, {score model: (M, M)}, over contours of `log_density` (M, M).

    Grey where the density is more than nine nats below its peak. Rows are along y; `sides` are the coordinates (M,)
    of columns and rows.
    """
    drawn, panels = _panels(len(maps), 3.3, 3.5, sharex=True, sharey=True)
    # the scale is that of where data are: far away gaps are large
    dense = log_density > log_density.max() - 6
    largest = max(1e-9, *(values[dense].max() for values in maps.values()))
    lowest = 1e-3 * largest
    extent = (sides[0][0], sides[0][-1], sides[1][0], sides[1][-1])
    image = None
    for axes, (name, values) in zip(panels, maps.items(), strict=False):
        axes.set_facecolor("0.9")
        shown = np.where(log_density > log_density.max() - _FLOOR, values.clip(lowest), np.nan)
        image = axes.imshow(shown, extent=extent, origin="lower", cmap=style.DENSITY, norm=LogNorm(lowest, largest))
        axes.contour(
            *sides, log_density, levels=log_density.max() + np.array([-6, -2]), colors="white", linewidths=0.6,
            linestyles="solid",
        )  # fmt: skip
        weights = np.exp(log_density)
        axes.set_title(f"{name}\nmean {_nats((weights * values).sum() / weights.sum())}")
        axes.set(xlabel="x", ylabel="y", aspect="equal")
        axes.label_outer()
    bar = drawn.colorbar(image, ax=list(panels), label="bound less negative log-likelihood (nats)", extend="both")
    style.plain_numbers(bar.ax.yaxis)
    drawn.set_layout_engine("compressed")
    return drawn


def statements(summary: pd.DataFrame, flow: dict[str, float]) -> Figure:
    """The slack of each statement, and the mean nll by SDE and by flow between entropy and bound.

    `summary` has statement, score_model, left, right, slack, std_error; `flow` is {score model: mean nll of the flow}.
    """
    names = list(flow)
    drawn = style.figure(10.0, 4.4)
    left, right = drawn.subplots(1, 2)
    titles = {
        "1": "1: KL divergence",
        "3": "3: cross-entropy",
        "4": "4: mean over points",
        "gap": "4, less its known gap",
    }
    for i, (statement, title) in enumerate(titles.items()):
        part = summary[summary["statement"] == statement].set_index("score_model").loc[names]
        places = np.arange(len(names)) + 0.2 * (i - 1.5)
        left.errorbar(
            part["slack"], places, xerr=_ERRORS * part["std_error"],
            fmt=_MARKERS[i], color=style.CYCLE[i], markersize=5, capsize=2, label=title,
        )  # fmt: skip
    left.axvline(0, color=style.BLACK, linewidth=0.8)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="right less left side (nats)")
    left.set_title("Slack; bars: two standard errors")
    left.invert_yaxis()
    part = summary[summary["statement"] == "3"].set_index("score_model").loc[names]
    for values, label, marker, colour in (
        (part["left"], "reverse SDE", "o", style.BLUE),
        (part["right"], "its bound", "^", style.VERMILION),
        ([flow[name] for name in names], "probability flow", "x", style.BLACK),
    ):
        right.plot(values, range(len(names)), marker, color=colour, label=label)
    entropy = summary.loc[summary["statement"] == "2", "left"].item()
    right.axvline(entropy, color=style.GREY, linewidth=1, label="entropy of the data")
    right.set(yticks=range(len(names)), yticklabels=[], xlabel="mean negative log-likelihood (nats)")
    right.set_title("Likelihoods")
    right.invert_yaxis()
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        axes.grid(axis="y", linewidth=0.4)
    return drawn


def estimators(table: pd.DataFrame) -> Figure:
    """The deviation of a single draw by each estimator; `table` has estimator, times, bound, std_error, deviation."""
    drawn = style.figure(6.4, 3.8)
    axes = drawn.subplots()
    names = list(dict.fromkeys(table["estimator"]))
    for i, (times, part) in enumerate(table.groupby("times", sort=False)):
        values = part.set_index("estimator").loc[names, "deviation"]
        places = np.arange(len(names)) + 0.4 * (i - 0.5)
        bars = axes.bar(places, values, 0.38, color=style.CYCLE[i], label=f"times: {times}")
        axes.bar_label(bars, [f"{value:.3g}" for value in values], fontsize=9)
    axes.set(yscale="log", ylabel="deviation of a draw (nats)")
    style.plain_numbers(axes.yaxis)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(bottom=table["deviation"].min() / 3, top=table["deviation"].max() * 2)
    axes.set_title("Estimators of the bound of a point")
    axes.legend()
    return drawn


def score_errors(table: pd.DataFrame) -> Figure:
    """Divergence and bound against the amount of each error.

    `table` has law (gaussian, mixture), error, amount, divergence, bound, std_error.
    """
    kinds = list(dict.fromkeys(table["error"]))
    drawn = style.figure(8.0, 4.2)
    panels = drawn.subplots(1, len(kinds), squeeze=False, sharey=True).ravel()
    labels = {"scale": "score times 1 - a", "bias": "a added to the score"}
    looks = {"mixture": (style.VERMILION, "o", "solid"), "gaussian": (style.BLUE, "s", "dashed")}
    for axes, kind in zip(panels, kinds, strict=True):
        for law, part in table[table["error"] == kind].groupby("law", sort=False):
            colour, marker, line = looks[law]
            part = part.sort_values("amount")
            look = {"color": colour, "marker": marker, "linestyle": line, "linewidth": 1.2, "markersize": 5}
            axes.plot(part["amount"], part["divergence"], label=f"{law}: divergence", **look)
            axes.errorbar(
                part["amount"], part["bound"], _ERRORS * part["std_error"],
                markerfacecolor="white", label=f"{law}: bound", **look,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="amount a of error")
        style.plain_numbers(axes.yaxis)
        axes.set_title(labels.get(kind, kind))
        amounts = sorted(table["amount"].unique())
        axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("both sides of statement 1 (nats)")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawn


def _nats(value):
    return f"{round(value, 3) + 0.0:.3f} nats"  # without the sign of a zero


def _panels(n, width, height, **options):
    """A figure with `n` panels, three a row."""
    n_columns = min(n, 3)
    n_rows = -(-n // n_columns)
    drawn = style.figure(width * n_columns + 0.6, height * n_rows)
    panels = drawn.subplots(n_rows, n_columns, squeeze=False, **options).ravel()
    for axes in panels[n:]:
        axes.set_axis_off()
    return drawn, panels
