"""Figures of a CSDI run: training, imputed windows, calibration, scores."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from scoredag.figures import style

_METHOD_COLOURS = (style.GREY, style.SKY, style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION)
_METRICS = {"mae": "MAE", "rmse": "RMSE", "crps": "CRPS"}


def history(table, colour):
    """Training and validation loss over the steps; columns of history.parquet."""
    drawn = style.figure(6.4, 4.0)
    axes = drawn.subplots()
    looks = {"train": (style.GREY, "o", "training"), "valid": (colour, "s", "validation (averaged weights)")}
    for split, (shade, marker, label) in looks.items():
        rows = table[table["split"] == split]
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


def imputation(panels, colour):
    """Windows with their held-out entries imputed.

    Args:
        panels: rows of panels, each a dict with `title`, `label` (feature and unit), `steps` (L,),
            `observed` (L,) and `target` (L,), NaN where not of that role, and `quantiles` (3, L),
            the 5, 50 and 95 % quantiles: those of the samples at targets, the observation itself
            at observed entries, NaN where missing; `least_span` of the vertical axis.
        colour: of median and band.
    """
    n_rows, n_columns = len(panels), len(panels[0])
    drawn = style.figure(3.6 * n_columns, 2.1 * n_rows + 0.9)
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
    handles, labels = grid[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=5)
    return drawn


def calibration(nominal, actual, n_targets, n_samples, colour):
    """Coverage of central intervals against what they promise, both in [0, 1], (n,)."""
    drawn = style.figure(4.8, 4.8)
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color=style.GREY, lw=1, ls="--", label="perfect")
    axes.plot(nominal, actual, "o-", color=colour, label="CSDI")
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="nominal coverage of the central interval",
        ylabel="share of held-out values inside",
        title=f"Calibration ({n_targets} targets, {n_samples} samples)",
    )
    axes.legend(loc="upper left")
    return drawn


def metrics(table, colour):
    """CSDI against the baselines: all features together, and CRPS of each feature."""
    methods = [name for name in dict.fromkeys(table["method"]) if name != "CSDI"] + ["CSDI"]
    colours = dict(zip(methods, (*_METHOD_COLOURS[: len(methods) - 1], colour), strict=True))
    features = [name for name in dict.fromkeys(table["feature"]) if name != "all"]
    drawn = style.figure(10.0, max(4.2, 0.24 * len(features) + 1.6))
    bars, dots = drawn.subplots(1, 2, width_ratios=(1.25, 1))
    values = table.set_index(["method", "feature", "metric"])["value"]
    for i, method in enumerate(methods):
        heights = [values[method, "all", metric] for metric in _METRICS]
        where = np.arange(len(_METRICS)) + (i - (len(methods) - 1) / 2) * 0.88 / len(methods)
        drawn_bars = bars.bar(where, heights, 0.88 / len(methods), color=colours[method], label=method)
        bars.bar_label(drawn_bars, fmt="%.3f", fontsize=7, padding=1)
        crps = [values[method, feature, "crps"] for feature in features]
        dots.plot(crps, range(len(features)), "D" if method == "CSDI" else "o", ms=5, color=colours[method])
    bars.set_xticks(range(len(_METRICS)), _METRICS.values())
    bars.set(ylabel="MAE, RMSE: z-scores; CRPS: relative to mean |z-score|", title="All features")
    drawn.legend(loc="outside lower center", ncols=len(methods))
    dots.set_yticks(range(len(features)), features)
    dots.invert_yaxis()
    dots.set(xlabel="CRPS (relative to the mean |z-score|)", title="By feature", xlim=(0, None))
    dots.grid(axis="y", lw=0.4)
    return drawn
