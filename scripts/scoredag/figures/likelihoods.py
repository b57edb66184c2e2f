"""Figures of the likelihood bound: both sides of each statement."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from scoredag.figures import style

_FLOOR = 9  # nats below the peak of the density at which maps of the gap end
_MARKERS = "osD^vP"
LAWS = {"mixture": "mixture", "gaussian": "one Gaussian"}
_ERRORS = 2  # standard errors that bars show, on either side


def bounds(table: pd.DataFrame) -> Figure:
    """A panel a score model: how far the bound of each point is above its nll, against the nll.

    `table` has score_model, point, x, y, nll, nll_error, bound, bound_std_error. Bars are the errors of grid and
    quadrature together.
    """
    names = list(dict.fromkeys(table["score_model"]))
    drawn, panels = _panels(len(names), 3.5, 2.7, sharex=True)
    gap = table["bound"] - table["nll"]
    error = np.hypot(table["bound_std_error"], table["nll_error"])
    for axes, name, colour in zip(panels, names, itertools.cycle(style.CYCLE), strict=False):
        rows = table["score_model"] == name
        axes.axhline(0, color=style.BLACK, linewidth=0.8)
        axes.errorbar(
            table["nll"][rows], gap[rows], error[rows],
            fmt="o", markersize=2.5, elinewidth=0.7, color=colour, ecolor=style.GREY,
        )  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -0.02), max(high, 0.06))  # or errors would fill the panels of exact scores
        axes.set_title(f"{name}\nmean {_nats(gap[rows].mean())}")
    for axes in panels[: len(names)]:
        axes.set_xlabel("negative log-likelihood (nats)")
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("bound less likelihood (nats)")
    return drawn


def bound_gaps(
    log_density: np.ndarray,
    maps: dict[str, np.ndarray],
    sides: tuple[np.ndarray, np.ndarray],
    means: dict[str, float],
) -> Figure:
    """A map of the gap for each of `maps`, {score model: (M, M)}, over contours of `log_density` (M, M).

    Grey where the density is more than nine nats below its peak, or the map has NaN. Rows are along y; `sides` are
    the coordinates (M,) of columns and rows; `means` over the data stand in the titles. The scale is linear up to a
    hundredth of its end, and a logarithm above.
    """
    drawn, panels = _panels(len(maps), 3.3, 3.5, sharex=True, sharey=True)
    # the scale is that of where data are: far away gaps are large
    dense = log_density > log_density.max() - 6
    largest = max(1e-9, *(np.nanmax(values[dense], initial=0) for values in maps.values()))
    scale = SymLogNorm(largest / 100, vmin=0, vmax=largest)
    extent = (sides[0][0], sides[0][-1], sides[1][0], sides[1][-1])
    image = None
    for axes, (name, values) in zip(panels, maps.items(), strict=False):
        axes.set_facecolor("0.9")
        shown = np.where(log_density > log_density.max() - _FLOOR, values, np.nan)
        image = axes.imshow(shown, extent=extent, origin="lower", cmap=style.DENSITY, norm=scale)
        axes.contour(
            *sides, log_density, levels=log_density.max() + np.array([-6, -2]), colors="white", linewidths=0.6,
            linestyles="solid",
        )  # fmt: skip
        axes.set_title(f"{name}\nmean {_nats(means[name])}")
        axes.set(xlabel="x", ylabel="y", aspect="equal")
        axes.label_outer()
    bar = drawn.colorbar(image, ax=list(panels), label="bound less negative log-likelihood (nats)", extend="max")
    ticks = largest * np.array([0, 0.01, 0.03, 0.1, 0.3, 1])
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.minorticks_off()
    drawn.set_layout_engine("compressed")
    return drawn


def statements(summary: pd.DataFrame, flow: dict[str, tuple[float, float]]) -> Figure:
    """The slack of each statement, and the mean nll by SDE and by flow between entropy and bound; a row a model.

    `summary` has statement, score_model, left, right, slack, std_error; `flow` is {score model: mean nll of the flow
    and its standard error}.
    """
    names = list(flow)
    drawn = style.figure(10.0, 1.8 + 0.45 * len(names))
    left, right = drawn.subplots(1, 2, sharey=True)
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
    part = summary[summary["statement"] == "3"].set_index("score_model").loc[names]
    ends, errors = np.array([flow[name] for name in names]).T
    for i, (values, spread, label, marker, colour) in enumerate(
        (
            (part["left"], 0 * part["left"], "reverse SDE", "o", style.BLUE),
            (part["right"], part["std_error"], "its bound", "^", style.VERMILION),
            (ends, errors, "probability flow", "D", style.BLACK),
        )
    ):
        right.errorbar(
            values, np.arange(len(names)) + 0.2 * (i - 1), xerr=_ERRORS * spread,
            fmt=marker, color=colour, markersize=5, capsize=2, label=label,
        )  # fmt: skip
    entropy = summary.loc[summary["statement"] == "2", "left"].item()
    right.axvline(entropy, color=style.GREY, linewidth=1, label="entropy of the data")
    right.set(xlabel="mean negative log-likelihood (nats)")
    right.tick_params(labelleft=True)
    right.set_title("Likelihoods")
    left.invert_yaxis()
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.6 / (0.45 * len(names) + 0.6)), ncols=2)
        axes.grid(axis="y", linewidth=0.4)
    return drawn


def estimators(table: pd.DataFrame) -> Figure:
    """The error of the bound of a point against evaluations of the score, by draws and by quadrature.

    `table` has estimator, times, bound, std_error, deviation, evaluations: of quadrature the deviation is the error of
    the rule, of the others that of a draw, which takes so many evaluations.
    """
    drawn = style.figure(7.6, 4.4)
    axes = drawn.subplots()
    rules = table[table["estimator"] == "quadrature"].sort_values("evaluations")
    draws = table[table["estimator"] != "quadrature"]
    reach = np.array([100.0, max(1e5, 2 * rules["evaluations"].max())])
    colours = dict(zip(dict.fromkeys(draws["estimator"]), style.CYCLE, strict=False))
    for row in draws.itertuples():
        line = "solid" if row.times == "importance" else "dotted"
        axes.plot(
            reach, row.deviation * np.sqrt(row.evaluations / reach), linestyle=line, color=colours[row.estimator],
            label=f"{row.estimator}, times: {row.times}",
        )  # fmt: skip
    axes.plot(rules["evaluations"], rules["deviation"], "o--", color=style.BLACK, label="quadrature")
    for row in rules.itertuples():
        axes.annotate(row.times, (row.evaluations, row.deviation), (5, 4), textcoords="offset points", fontsize=8)
    axes.set(xscale="log", yscale="log", xlim=reach, xlabel="evaluations of the score a point")
    axes.set_ylabel("error of the bound (nats)")
    axes.set_title("What the bound of a point costs")
    for side in (axes.xaxis, axes.yaxis):
        style.plain_numbers(side)
    drawn.legend(loc="outside right upper", fontsize=9)
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
            axes.plot(part["amount"], part["divergence"], label=f"{LAWS[law]}: KL divergence (left side)", **look)
            axes.errorbar(
                part["amount"], part["bound"], _ERRORS * part["std_error"],
                markerfacecolor="white", label=f"{LAWS[law]}: its bound (right side)", **look,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="amount a of error")
        style.plain_numbers(axes.yaxis)
        axes.set_title(labels.get(kind, kind))
        amounts = sorted(table["amount"].unique())
        axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("KL divergence and its bound (nats)")
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
