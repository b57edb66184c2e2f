"""Figures of a CSDI run: training, imputed windows, calibration, scores."""

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import same_color
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from scoredag.figures import style
from scoredag.metrics import AS_IN_PAPER, AUTO, CORRECTED, CSDI, DRESSED

_METRICS = {
    "crps": "CRPS (relative to the mean |z-score|)",
    "mae": "MAE (z-scores)",
    "rmse": "RMSE (z-scores)",
}
_FIRST = (AUTO, CSDI)  # of the methods, on top
MAX_FEATURES = 40  # with a row each
_SHADES = (style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION, style.SKY, style.BLUE, style.BLACK)
_MARKERS = "osD^vPX*"
Panel = Mapping[str, Any]  # with the keys that each figure names


def history(table: pd.DataFrame, colour: str, scratch: Mapping[str, pd.DataFrame] = MappingProxyType({})) -> Figure:
    """Training and validation loss over the steps, and the validation loss of runs from `scratch`, by name.

    Tables have the columns of history.parquet.
    """
    drawn = style.figure(6.4, 4.0)
    axes = drawn.subplots()
    looks = {"train": (style.GREY, "o", "training"), "valid": (colour, "s", "validation (averaged weights)")}
    for split, (shade, marker, label) in looks.items():
        rows = table[table["split"] == split]
        if not rows.empty:  # as it is where nothing was trained
            axes.plot(rows["step"], rows["loss"], color=shade, marker=marker, markersize=4, label=label)
    lines = itertools.cycle(["dashed", "dotted", "dashdot"])
    for (name, other), line in zip(scratch.items(), lines, strict=False):
        rows = other[other["split"] == "valid"]
        axes.plot(
            rows["step"], rows["loss"], color=style.BLACK, linestyle=line, label=f"validation of {name}, from scratch"
        )
    valid = table[table["split"] == "valid"]
    best = valid.loc[valid["loss"].idxmin()]
    axes.plot(best["step"], best["loss"], "o", markersize=11, markerfacecolor="none", color=style.BLACK)
    axes.annotate(
        f"kept: {best['loss']:.3f}", (best["step"], best["loss"]), (0, 12), textcoords="offset points", ha="right"
    )
    axes.set(xlabel="step", ylabel="loss (mean squared error of the noise)", title="Training history")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(y=0.1)
    axes.set_ylim(0, None)
    axes.legend()
    return drawn


def imputation(panels: list[list[Panel]], heading: str, unit: str, colour: str, level: float) -> Figure:
    """Windows with their held-out entries imputed.

    Args:
        panels: rows of panels, each a dict with `title`, `label` (feature and unit), `steps` (L,),
            `observed` (L,) and `target` (L,), NaN where not of that role, and `quantiles` (3, L),
            lower end, median and upper end: of the samples at targets, the observation itself
            at observed entries, NaN where missing; `least_span` of the vertical axis.
        heading: above the titles.
        unit: of `steps`.
        colour: of median and band.
        level: of the central interval that the band shows.
    """
    n_rows, n_columns = len(panels), len(panels[0])
    drawn = style.figure(3.6 * n_columns, 2.1 * n_rows + 1.2)
    grid = drawn.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey="row")
    for row, panel_row in zip(grid, panels, strict=True):
        for axes, panel in zip(row, panel_row, strict=True):
            _window(axes, panel["steps"], panel, colour, level)
            if panel_row is panels[0]:  # a column is a window
                axes.set_title(panel["title"])
        row[0].set_ylabel(panel_row[0]["label"])
        _widen(row[0], panel_row[0]["least_span"])
    for axes in grid[-1]:
        axes.set_xlabel(f"time into the window ({unit})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn.align_ylabels()
    drawn.suptitle(heading, fontsize=12)
    drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawn


def _window(axes, x, panel, colour, level):
    """Draw one feature of one window over `x` (L,), steps or times."""
    lower, median, upper = panel["quantiles"]
    held_out = ~np.isnan(panel["target"])
    band = {"color": colour, "alpha": 0.3, "lw": 0, "label": style.band_label(level)}
    axes.fill_between(x, lower, upper, where=held_out, **band)  # of several in a row; a single one has a line
    axes.plot(x, median, color=colour, lw=1.2, label="median")
    axes.vlines(x[held_out], lower[held_out], upper[held_out], color=colour, alpha=0.5, lw=2)
    axes.plot(x[held_out], median[held_out], "s", color=colour, ms=4, label="median at held-out values")
    axes.plot(x, panel["observed"], "o", color=style.BLACK, ms=2.6, label="observed")
    axes.plot(x, panel["target"], "D", color=style.VERMILION, ms=5, mfc="none", mew=1.4, label="held out")
    if np.isnan([panel["observed"], panel["target"]]).all():
        axes.text(0.5, 0.5, "no observation", ha="center", va="center", transform=axes.transAxes)
        axes.tick_params(left=False, labelleft=False)
    axes.margins(y=0.15)


def _widen(axes, least_span):
    """Let the vertical axis span no less, or rounding errors would fill the panel."""
    low, high = axes.get_ylim()
    padding = max(least_span - (high - low), 0) / 2
    axes.set_ylim(low - padding, high + padding)


def surprise(scores: pd.DataFrame, columns: list[Panel], pattern: str, colour: str, level: float) -> Figure:
    """The bound of all windows, and below it some of the windows, a column each.

    Args:
        scores: table with `x`, time or rank of each window, `nll_bound` and `nll_bound_std_error`, nats per target.
        columns: dicts with `title`, `of`, the window's row in `scores`, `shade`, and `panels`, one or more, as in
            `imputation` but with `times` (L,) in place of `steps`.
        pattern: name of the pattern by which entries were held out.
        colour: of median and band.
        level: of the central interval that the band shows.
    """
    n_rows = max(len(column["panels"]) for column in columns)
    drawn = style.figure(max(3.1 * len(columns), 6.4), 2.6 + 2.0 * n_rows + 0.9)
    top, bottom = drawn.subfigures(2, 1, squeeze=False, height_ratios=(2.6, 2.0 * n_rows + 0.9))[:, 0]
    _surprises(top.subplots(), scores, columns)
    grid = bottom.subplots(n_rows, len(columns), squeeze=False, sharex="col")
    for column, axes_of in zip(columns, grid.T, strict=True):
        shown = axes_of[: len(column["panels"])]
        for axes in axes_of[len(shown) :]:
            axes.set_axis_off()
        for axes, panel in zip(shown, column["panels"], strict=True):
            _window(axes, panel["times"], panel, colour, level)
            _widen(axes, panel["least_span"])
            axes.set_ylabel(panel["label"], fontsize=9)
            axes.set_title(panel["title"], fontsize=9, loc="right")
        axes_of[0].set_title(column["title"] + "\n", loc="left", fontsize=9, fontweight="bold", color=column["shade"])
        _label_dates(shown[-1], AutoDateLocator(minticks=3, maxticks=5), show_offset=False)
        shown[-1].set_xlabel("time (UTC)")
        shown[-1].tick_params(labelbottom=True)
    bottom.align_ylabels()
    drawn.suptitle(f"Surprise of the test windows, held out: {pattern}", fontsize=12)
    n_columns = 5 if len(columns) > 2 else 3
    bottom.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=n_columns)
    return drawn


def _label_dates(axes, locator, show_offset=True):
    """Label the horizontal axis with dates; without the offset at its end where a title says it."""
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=show_offset))


def _surprises(axes, scores, columns):
    """Draw the bound of all windows with two standard errors, and name those that have a column."""
    axes.errorbar(
        scores["x"], scores["nll_bound"], yerr=2 * scores["nll_bound_std_error"],
        fmt="o", ms=3.5, lw=1, color=style.GREY, label="test windows, ± 2 standard errors of the estimate",
    )  # fmt: skip
    for column in columns:
        place, shade = (column["of"]["x"], column["of"]["nll_bound"]), column["shade"]
        axes.plot(*place, "o", ms=7, mew=1.5, mfc="none", color=shade)
        letter = column["title"][0]
        axes.annotate(letter, place, (7, 0), textcoords="offset points", va="center", color=shade, fontweight="bold")
    axes.set_ylabel("bound on -log p\n(nats per target)")
    if np.issubdtype(np.asarray(scores["x"]).dtype, np.datetime64):
        _label_dates(axes, AutoDateLocator())
        axes.set_xlabel("start of the window (UTC)")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("windows, from the least to the most surprising")
    axes.legend(loc="best", fontsize=8)


def filled_gaps(panels: list[Panel], colour: str, level: float) -> Figure:
    """Gaps of a series as they were filled, a panel each.

    Args:
        panels: dicts with `title`, `label` (feature and unit), `times` (n,), the gap's first and last
            time as `ends`, `observed` (n,), NaN where missing, and `quantiles` (3, n), median and ends of
            the interval in order; where a value is observed all three are the value.
        colour: of median and band.
        level: of the central interval that the band shows.
    """
    if not panels:
        drawn = style.figure(6.4, 2.0)
        drawn.text(0.5, 0.5, "The series has no gaps.", ha="center", va="center", fontsize=12)
        return drawn
    n_columns, n_rows = min(len(panels), 3), -(-len(panels) // 3)
    drawn = style.figure(max(3.9 * n_columns, 6.4), 2.7 * n_rows + 0.6)
    grid = drawn.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, panels, strict=False):
        lower, median, upper = panel["quantiles"]
        imputed = np.isnan(panel["observed"])
        axes.axvspan(*panel["ends"], color=style.GREY, alpha=0.15, lw=0, label="the gap")
        axes.fill_between(panel["times"], lower, upper, color=colour, alpha=0.3, lw=0, label=style.band_label(level))
        axes.plot(panel["times"], median, color=colour, lw=1.2, label="median")
        size = 4 if len(imputed) <= 120 else 2
        axes.plot(panel["times"][imputed], median[imputed], "s", color=colour, ms=size, label="imputed")
        axes.plot(panel["times"], panel["observed"], "o", color=style.BLACK, ms=0.65 * size, label="observed")
        axes.set_title(panel["title"])
        axes.set_ylabel(panel["label"])
        axes.margins(y=0.15)
        _label_dates(axes, AutoDateLocator(minticks=3, maxticks=6), show_offset=False)
    for axes in grid.flat[max(len(panels) - n_columns, 0) : len(panels)]:
        axes.set_xlabel("time (UTC)")
    drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawn


def calibration(
    panels: Mapping[str, tuple[np.ndarray, Mapping[str, tuple[Any, np.ndarray, int]]]], n_samples: int, colour: str
) -> Figure:
    """How far the coverage of central intervals is off what they promise, in points, and below it the rank histograms.

    Args:
        panels: {what the intervals are: (nominal levels (n,), {pattern: (coverage (n,), share of each rank, number of
            targets)})}.
        n_samples: S, of CSDI.
        colour: of the first pattern.
    """
    n_patterns = max(len(curves) for _, curves in panels.values())
    drawn = style.figure(max(3.7 * len(panels), 5.0), 5.4 + 0.24 * n_patterns / min(len(panels), 3))
    rows = drawn.subplots(2, len(panels), squeeze=False, sharey="row", height_ratios=(3, 2))
    others = [shade for shade in _SHADES if not same_color(shade, colour)]
    for top, bottom, (title, (nominal, curves)) in zip(*rows, panels.items(), strict=True):
        top.axhline(0, color=style.GREY, lw=1, ls="--", label="perfect")
        bottom.axhline(1, color=style.GREY, lw=1, ls="--")
        looks = zip(itertools.chain([colour], itertools.cycle(others)), itertools.cycle(_MARKERS), strict=False)
        for (name, (actual, ranks, n_targets)), (shade, marker) in zip(curves.items(), looks, strict=False):
            label = f"held out: {name} ({n_targets:,} targets)"
            off = 100 * (np.asarray(actual) - nominal)
            top.plot(nominal, off, marker=marker, color=shade, ms=5, lw=1.2, mfc="none", mew=1.2, label=label)
            places = (np.arange(len(ranks)) + 0.5) / len(ranks)
            bottom.plot(places, len(ranks) * ranks, drawstyle="steps-mid", color=shade, lw=1.2)
        top.set(xlim=(0, 1), xlabel="nominal coverage of the central interval")
        top.text(0.03, 0.97, "intervals too wide", va="top", color=style.GREY, transform=top.transAxes)
        top.text(0.03, 0.03, "intervals too narrow", color=style.GREY, transform=top.transAxes)
        top.set_title(title, fontsize=10)
        bottom.set(xlim=(0, 1), xlabel="rank of the held-out value")
    highest = max(len(ranks) * ranks.max() for _, curves in panels.values() for _, ranks, _ in curves.values())
    rows[1, 0].set_ylim(0, max(1.6, 1.05 * highest))
    farthest = max(map(abs, rows[0, 0].get_ylim()))  # all panels share the axis
    rows[0, 0].set_ylim(-max(farthest, 5), max(farthest, 5))
    rows[0, 0].set_ylabel("coverage less nominal (points)")
    rows[1, 0].set_ylabel("frequency (even: 1)")
    drawn.suptitle(f"Calibration of intervals (CSDI: {n_samples} samples)", fontsize=12)
    drawn.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(panels), 3))
    return drawn


def metrics(table: pd.DataFrame, colour: str) -> Figure:
    """Scores of all methods, a panel for each score, and below CRPS feature by feature, a panel for each pattern.

    Panels side by side have the same limits; axes are logarithmic where all is above 0. Lines are bootstrap intervals.

    Args:
        table: columns of metrics.parquet.
        colour: of CSDI, and of the names of CSDI and of its average with simpler methods.
    """
    table = _as_distributions(table[table["metric"].isin(_METRICS)])
    totals = table[table["feature"] == "all"]
    names = dict.fromkeys(totals["method"])
    methods = [name for name in _FIRST if name in names]
    methods += [name for name in reversed(names) if name not in _FIRST]
    patterns = list(dict.fromkeys(totals["held_out"]))
    features = [name for name in dict.fromkeys(table["feature"]) if name != "all"]
    height = max(0.26, 0.065 * len(patterns))  # of a method
    heights = height * len(methods) + 1.5, 0.16 * min(len(features), MAX_FEATURES) + 1.3
    drawn = style.figure(10.0, sum(heights))
    top, bottom = drawn.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    top.suptitle("Scores on held-out values of the test split (lower is better), 95 % bootstrap intervals", fontsize=11)
    _totals(top, totals, methods, patterns, colour)
    _by_feature(bottom, table[(table["metric"] == "crps") & (table["feature"] != "all")], features, patterns, colour)
    return drawn


def _as_distributions(table):
    """A table of scores with one entry for each method: the CRPS of a point baseline is that of its dressed form."""
    is_dressed = table["method"].str.endswith(DRESSED)
    dressed = table[is_dressed & (table["metric"] == "crps")]
    dressed = dressed.assign(method=dressed["method"].str.removesuffix(DRESSED))
    replaced = table["method"].isin(dressed["method"]) & (table["metric"] == "crps")
    plain = table[~is_dressed & ~replaced & ~table["method"].str.endswith((CORRECTED, AS_IN_PAPER))]
    return pd.concat([plain, dressed])


def _totals(part, table, methods, patterns, colour):
    """All scores of all features together: a row for each method, a marker for each pattern."""
    row = part.subplots(1, len(_METRICS), squeeze=False, sharex=True, sharey=True)[0]
    row[0].set_ylim(len(methods) - 0.5, -0.5)
    looks = zip(patterns, itertools.cycle(_SHADES), itertools.cycle(_MARKERS), strict=False)
    for i, (pattern, shade, marker) in enumerate(looks):
        of_pattern = table[table["held_out"] == pattern]
        places = np.arange(len(methods)) + 0.7 * ((i + 0.5) / len(patterns) - 0.5)
        label = f"{pattern} ({of_pattern['n_targets'].iloc[0]:,} targets)"
        for axes, metric in zip(row, _METRICS, strict=True):
            rows = of_pattern[of_pattern["metric"] == metric].set_index("method").reindex(methods)
            _intervals(axes, rows, places, fmt=marker, color=shade, label=label)
    _scale(row, table, (1, 2, 5))
    for axes, label in zip(row, _METRICS.values(), strict=True):
        axes.set_yticks(range(len(methods)), methods)
        axes.tick_params(axis="y", length=0)
        for place in range(0, len(methods), 2):
            axes.axhspan(place - 0.5, place + 0.5, color=style.GREY, alpha=0.12, lw=0)
        axes.set_xlabel(label)
    for text, name in zip(row[0].get_yticklabels(), methods, strict=True):
        if name in _FIRST:
            text.set(color=colour, fontweight="bold")
    part.legend(
        *row[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(patterns), 4), fontsize=9
    )


def _by_feature(part, table, features, patterns, colour):
    """CRPS of CSDI and of the best baseline, a panel for each pattern and a row for each feature."""
    shown = features[:MAX_FEATURES]
    row = part.subplots(1, len(patterns), squeeze=False, sharex=True, sharey=True)[0]
    row[0].set_ylim(len(shown) - 0.5, -0.5)
    drawn = []
    for axes, pattern in zip(row, patterns, strict=True):
        rows = table[table["held_out"] == pattern]
        baselines = rows[~rows["method"].isin(_FIRST)]
        best = baselines.groupby("method")["value"].mean().idxmin()
        for method, shade, marker, shift in ((best, style.GREY, "s", 0.17), ("CSDI", colour, "o", -0.17)):
            scores = rows[rows["method"] == method].set_index("feature").reindex(shown)
            _intervals(axes, scores, np.arange(len(shown)) + shift, fmt=marker, color=shade)
            drawn.append(scores)
        axes.set_yticks(range(len(shown)), shown)
        axes.grid(axis="y", lw=0.3)
        axes.set_title(pattern, loc="left", fontweight="bold")
        axes.set_xlabel(f"CRPS (grey: {best})", fontsize=10 if len(patterns) <= 4 else 8)
    _scale(row, pd.concat(drawn), (1, 3))
    more = f", the first {len(shown)} of {len(features)}" if len(shown) < len(features) else ""
    title = f"CRPS by feature{more}: CSDI and the best baseline (grey), 95 % block bootstrap intervals"
    part.suptitle(title, fontsize=11)


def _intervals(axes, rows, places, **look):
    """Draw the scores of `rows` with their intervals at heights `places`."""
    value = rows["value"].to_numpy()
    ends = np.abs(rows[["lower", "upper"]].to_numpy().T - value)
    axes.errorbar(value, places, xerr=ends, ms=4, lw=1.2, **look)


def _scale(row, table, ticks):
    """A logarithmic axis for panels that share it, with `ticks` of each power of ten, if all they show is above 0.

    Of more than two powers of ten only these have ticks, as labels would overlap.
    """
    least = table[["value", "lower"]].min(axis=None)
    if least > 0:
        ticks = ticks if table["value"].max() < 100 * least else (1,)
        row[0].set_xscale("log")
        for axes in row:
            style.plain_numbers(axes.xaxis)
            axes.xaxis.set_major_locator(LogLocator(subs=ticks))
        return
    row[0].set_xlim(0, None)
    row[0].xaxis.set_major_locator(MaxNLocator(4))
