"""Figures of a CSDI run: training, imputed windows, calibration, scores."""

import itertools

import numpy as np
from matplotlib.colors import same_color
from matplotlib.ticker import MaxNLocator

from scoredag.figures import style

_METRICS = {
    "crps": "CRPS (relative to the mean |z-score|)",
    "mae": "MAE (z-scores)",
    "rmse": "RMSE (z-scores)",
}
_SHADES = (style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION, style.SKY, style.BLUE, style.BLACK)
_MARKERS = "osD^vPX*"


def history(table, colour):
    """Training and validation loss over the steps; columns of history.parquet."""
    drawn = style.figure(6.4, 4.0)
    axes = drawn.subplots()
    looks = {"train": (style.GREY, "o", "training"), "valid": (colour, "s", "validation (averaged weights)")}
    for split, (shade, marker, label) in looks.items():
        rows = table[table["split"] == split]
        if rows.empty:  # nothing was trained
            continue
        axes.plot(rows["step"], rows["loss"], color=shade, marker=marker, markersize=4, label=label)
    valid = table[table["split"] == "valid"]
    best = valid.loc[valid["loss"].idxmin()]
    axes.plot(best["step"], best["loss"], "o", markersize=11, markerfacecolor="none", color=style.BLACK)
    axes.annotate(
        f"kept: {best['loss']:.3f}", (best["step"], best["loss"]), (0, 12), textcoords="offset points", ha="right"
    )
    axes.set(xlabel="step", ylabel="loss (mean squared error of the noise)", title="Training history")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.1)
    axes.set_ylim(0, None)
    axes.legend()
    return drawn


def imputation(panels, pattern, colour):
    """Windows with their held-out entries imputed.

    Args:
        panels: rows of panels, each a dict with `title`, `label` (feature and unit), `steps` (L,),
            `observed` (L,) and `target` (L,), NaN where not of that role, and `quantiles` (3, L),
            the 5, 50 and 95 % quantiles: those of the samples at targets, the observation itself
            at observed entries, NaN where missing; `least_span` of the vertical axis.
        pattern: name of the pattern by which entries were held out.
        colour: of median and band.
    """
    n_rows, n_columns = len(panels), len(panels[0])
    drawn = style.figure(3.6 * n_columns, 2.1 * n_rows + 1.2)
    grid = drawn.subplots(n_rows, n_columns, squeeze=False, sharex=True)
    for row, panel_row in zip(grid, panels, strict=True):
        for axes, panel in zip(row, panel_row, strict=True):
            lower, median, upper = panel["quantiles"]
            axes.fill_between(panel["steps"], lower, upper, color=colour, alpha=0.3, lw=0, label="5-95 % band")
            axes.plot(panel["steps"], median, color=colour, lw=1.2, label="median")
            held_out = ~np.isnan(panel["target"])  # also shown where a neighbour is missing
            axes.vlines(panel["steps"][held_out], lower[held_out], upper[held_out], color=colour, alpha=0.5, lw=2)
            axes.plot(
                panel["steps"][held_out], median[held_out], "s", color=colour, ms=4, label="median at held-out values"
            )
            axes.plot(panel["steps"], panel["observed"], "o", color=style.BLACK, ms=2.6, label="observed")
            axes.plot(
                panel["steps"], panel["target"], "D", color=style.VERMILION, ms=5, mfc="none", mew=1.4, label="held out"
            )
            axes.set_title(panel["title"])
            if axes is row[0]:
                axes.set_ylabel(panel["label"])
            axes.margins(y=0.15)
            low, high = axes.get_ylim()
            wider = max(panel["least_span"] - (high - low), 0) / 2  # or rounding errors would fill the panel
            axes.set_ylim(low - wider, high + wider)
    for axes in grid[-1]:
        axes.set_xlabel("time into the window (steps)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn.suptitle(f"Test windows, held out: {pattern}", fontsize=12)
    handles, labels = grid[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=5)
    return drawn


def calibration(nominal, curves, n_samples, colour):
    """Coverage of central intervals against what they promise, both in [0, 1].

    Args:
        nominal: levels (n,).
        curves: {pattern: (coverage (n,), number of targets)}.
        n_samples: S.
        colour: of the first pattern; the others' are told apart by colour-blind readers, too.
    """
    drawn = style.figure(5.0, 5.6 + 0.24 * len(curves))
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color=style.GREY, lw=1, ls="--", label="perfect")
    others = [shade for shade in _SHADES if not same_color(shade, colour)]
    looks = zip(itertools.chain([colour], itertools.cycle(others)), itertools.cycle(_MARKERS), strict=False)
    for (name, (actual, n_targets)), (shade, marker) in zip(curves.items(), looks, strict=False):
        label = f"held out: {name} ({n_targets:,} targets)"
        axes.plot(nominal, actual, marker=marker, color=shade, ms=5, lw=1.2, mfc="none", mew=1.2, label=label)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="nominal coverage of the central interval",
        ylabel="share of held-out values inside",
        title=f"Calibration of CSDI ({n_samples} samples)",
    )
    drawn.legend(loc="outside lower center")
    return drawn


def metrics(table, colour):
    """Scores of all methods over all features, a row of panels for each pattern; columns of metrics.parquet.

    Bars longer than twice the median of their panel are cut; each ends in its value.
    """
    table = table[table["feature"] == "all"]
    methods = ["CSDI", *(name for name in reversed(dict.fromkeys(table["method"])) if name != "CSDI")]
    patterns = list(dict.fromkeys(table["held_out"]))
    values = table.set_index(["held_out", "method", "metric"])["value"]
    n_targets = table.groupby("held_out")["n_targets"].first()
    drawn = style.figure(10.0, (0.21 * len(methods) + 0.45) * len(patterns) + 0.6)
    grid = drawn.subplots(len(patterns), len(_METRICS), squeeze=False, sharey=True)
    grid[0, 0].invert_yaxis()  # CSDI on top; all panels share the axis
    colours = [colour if name == "CSDI" else style.GREY for name in methods]
    for row, pattern in zip(grid, patterns, strict=True):
        for axes, metric in zip(row, _METRICS, strict=True):
            lengths = np.array([values[pattern, name, metric] for name in methods])
            limit = min(lengths.max(), 2 * np.median(lengths))
            bars = axes.barh(range(len(methods)), lengths.clip(max=limit), 0.78, color=colours)
            labels = [f"{length:.3f}" + " (cut)" * bool(length > limit) for length in lengths]
            axes.bar_label(bars, labels, fontsize=8, padding=2)
            axes.set_xlim(0, 1.35 * limit or 1)  # room for the values
            axes.set_yticks(range(len(methods)), methods)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        row[0].set_title(f"{pattern} ({n_targets[pattern]:,} targets)", loc="left", fontweight="bold")
    for axes, label in zip(grid[-1], _METRICS.values(), strict=True):
        axes.set_xlabel(label)
    return drawn
