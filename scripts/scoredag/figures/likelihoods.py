"""Figures of the likelihood bound: both sides of each statement, and what they cost."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from scoredag.figures import style

_FLOOR = 9  # nats below the peak of the density at which maps of the gap end
_MARKERS = "osD^vP"
_LINES = ("dotted", "dashdot", "dashed", "solid")
_ERRORS = 2  # standard errors that bars show, on either side


def bounds(table: pd.DataFrame, mean_gaps: dict[str, float]) -> Figure:
    """A panel a score model: bound less nll of each point against its nll; bars are both errors. 0 is a tight bound.

    `table` has score_model, point, x, y, nll, nll_error, bound, bound_std_error; `mean_gaps` is {score model: mean over
    the whole law}, for the titles. Each panel has a scale of its own.
    """
    names = list(dict.fromkeys(table["score_model"]))
    drawn, panels = _panels(len(names), 3.3, 2.8, sharex=True)
    for axes, name, colour in zip(panels, names, itertools.cycle(style.CYCLE), strict=False):
        part = table[table["score_model"] == name]
        axes.axhline(0, color=style.BLACK, linewidth=0.8)
        axes.errorbar(
            part["nll"], part["bound"] - part["nll"], np.hypot(part["bound_std_error"], part["nll_error"]),
            fmt="o", markersize=2.5, elinewidth=0.5, color=colour,
        )  # fmt: skip
        axes.set_title(_titled(name, mean_gaps))
        axes.set(xlabel="negative log-likelihood (nats)", ylabel="gap of the bound (nats)")
        axes.xaxis.label.set_visible(axes.get_subplotspec().is_last_row())
        axes.yaxis.label.set_visible(axes.get_subplotspec().is_first_col())
    return drawn


def bound_gaps(
    log_density: np.ndarray,
    maps: dict[str, np.ndarray],
    sides: tuple[np.ndarray, np.ndarray],
    mean_gaps: dict[str, float],
) -> Figure:
    """A map of the gap for each of `maps`, {score model: (M, M)}, over contours of `log_density` (M, M).

    Grey where the map is NaN or the density more than nine nats below its peak. Rows are along y; `sides` are the
    coordinates (M,) of columns and rows. `mean_gaps` is {score model: mean over the whole law}, for the titles.
    """
    drawn, panels = _panels(len(maps), 3.3, 3.5, sharex=True, sharey=True)
    # the scale is that of where data are: far away gaps are large
    dense = log_density > log_density.max() - 6
    largest = max(1e-9, *(np.nanmax(values[dense], initial=0) for values in maps.values()))
    scale = PowerNorm(0.5, 0, largest)  # small gaps are seen beside large ones, and 0 has a place
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
        axes.set_title(_titled(name, mean_gaps))
        axes.set(xlabel="x", ylabel="y", aspect="equal")
        axes.label_outer()
    ticks = [tick for tick in (0, 0.01, 0.05, 0.2, 0.5, 1, 2, 5, 10) if tick <= largest]
    bar = drawn.colorbar(image, ax=list(panels), label="bound less negative log-likelihood (nats)", extend="max")
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    drawn.set_layout_engine("compressed")
    return drawn


def statements(summary: pd.DataFrame, flow: dict[str, float], flow_errors: dict[str, float]) -> Figure:
    """The slack of each statement, and the mean nll by SDE and by flow between entropy and bound.

    Rows are the score models, the same in both panels; bars are twice the error. `summary` has statement,
    score_model, left, right, slack, std_error; `flow` is {score model: mean nll of the flow}, `flow_errors` their
    standard errors.
    """
    names = list(flow)
    drawn = style.figure(10.0, 4.6)
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
    left.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="right less left side (nats)",
        title="Slack; bars: twice the error",
    )
    part = summary[summary["statement"] == "3"].set_index("score_model").loc[names]
    values = {
        "reverse SDE": (part["left"], 0.0, "o", style.BLUE),
        "its bound": (part["right"], _ERRORS * part["std_error"], "^", style.VERMILION),
        "probability flow": (list(flow.values()), _ERRORS * np.array(list(flow_errors.values())), "X", style.BLACK),
    }
    for i, (label, (value, error, marker, colour)) in enumerate(values.items()):
        right.errorbar(
            value, np.arange(len(names)) + 0.2 * (i - 1), xerr=error,
            fmt=marker, color=colour, markersize=5, capsize=2, label=label,
        )  # fmt: skip
    entropy = summary.loc[summary["statement"] == "2", "left"].item()
    right.axvline(entropy, color=style.GREY, linewidth=1, label="entropy of the data")
    right.set(xlabel="mean negative log-likelihood (nats)", title="Likelihoods")
    right.tick_params(labelleft=True)
    left.invert_yaxis()
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        axes.hlines(np.arange(len(names) - 1) + 0.5, 0, 1, transform=axes.get_yaxis_transform(), colors="0.85", lw=0.6)
    return drawn


def estimators(table: pd.DataFrame) -> Figure:
    """The deviation of a draw by each estimator, and the error at a number of evaluations of the score.

    `table` has estimator, times, bound, std_error, deviation, evaluations (of a draw). Rows `quadrature` have the error
    of a whole rule as deviation, and its evaluations.
    """
    drawn = style.figure(10.0, 4.2)
    left, right = drawn.subplots(1, 2)
    ruled = table["estimator"] == "quadrature"
    draws, rules = table[~ruled], table[ruled]
    names = list(dict.fromkeys(draws["estimator"]))
    costs = draws.set_index("estimator")["evaluations"].to_dict()
    for i, (times, part) in enumerate(draws.groupby("times", sort=False)):
        values = part.set_index("estimator").loc[names, "deviation"]
        bars = left.bar(
            np.arange(len(names)) + 0.4 * (i - 0.5), values, 0.38,
            color=style.CYCLE[i], label=f"times: {times}",
        )  # fmt: skip
        left.bar_label(bars, [f"{value:.3g}" for value in values], fontsize=9)
    left.set(yscale="log", ylabel="deviation of a draw (nats)", title="One draw, and the scores that it takes")
    style.plain_numbers(left.yaxis)
    left.set_xticks(range(len(names)), [f"{name}\n{_counted(costs[name])}" for name in names])
    left.set_ylim(bottom=draws["deviation"].min() / 3, top=draws["deviation"].max() * 2)
    left.legend()

    n_scores = np.geomspace(100, max(1e5, 2 * rules["evaluations"].max() if len(rules) else 0), 2)
    best = draws.loc[draws.groupby("estimator", sort=False)["deviation"].idxmin()].set_index("estimator").loc[names]
    for i, (name, row) in enumerate(best.iterrows()):
        errors = row["deviation"] * np.sqrt(row["evaluations"] / n_scores)
        right.plot(
            n_scores, errors, color=style.CYCLE[2 + i % 4], linestyle=_LINES[i % 4],
            label=f"{name}, {row['times']}",
        )  # fmt: skip
    right.plot(rules["evaluations"], rules["deviation"], "o-", color=style.BLACK, linewidth=1, label="quadrature")
    for n, error, label in zip(rules["evaluations"], rules["deviation"], rules["times"], strict=True):
        right.annotate(label, (n, error), (6, 2), fontsize=8, textcoords="offset points")
    right.set(xscale="log", yscale="log", xlabel="scores for a point", ylabel="error of its bound (nats)")
    right.set_title("Error and cost: Monte Carlo, quadrature")
    right.xaxis.set_major_locator(LogLocator())
    right.yaxis.set_major_locator(LogLocator())
    for axis, form in ((right.xaxis, "{x:,.0f}"), (right.yaxis, "{x:g}")):
        axis.set_major_formatter(StrMethodFormatter(form))
        axis.set_minor_formatter(NullFormatter())
    right.legend(fontsize=9)
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
            name = law.capitalize()
            axes.plot(part["amount"], part["divergence"], label=f"{name}: divergence", **look)
            axes.errorbar(
                part["amount"], part["bound"], _ERRORS * part["std_error"],
                markerfacecolor="white", label=f"{name}: bound", **look,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="amount a of error")
        style.plain_numbers(axes.yaxis)
        axes.set_title(labels.get(kind, kind))
        amounts = sorted(table["amount"].unique())
        axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("KL divergence, and its bound (nats)")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawn


def _titled(name, mean_gaps):
    return f"{name}\nmean gap {_nats(mean_gaps[name])}"


def _counted(n_scores):
    return f"{n_scores} score{'s' if n_scores > 1 else ''}"


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
