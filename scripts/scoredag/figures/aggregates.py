"""Means of a series by period, with intervals where values were missing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from scoredag.figures import style

Panel = Mapping[str, Any]


def means(panels: Sequence[Panel], period: str, colour: str, level: float) -> Figure:
    """Means by period, a panel for each feature, and below it how far the intervals reach to either side.

    Args:
        panels: dicts with `title`, `label` (feature and unit), `times` (P,), `estimate`, `lower` and `upper` (P,),
            `shifted` (P,), which may be NaN, and `missing` (P,), the share that was.
        period: what a period is called: day, ..
        colour: of intervals.
        level: of the intervals.
    """
    drawn = style.figure(10.0, 3.2 * len(panels) + 0.6)
    grid = drawn.subplots(2 * len(panels), 1, squeeze=False, sharex=True, height_ratios=[2, 1] * len(panels))[:, 0]
    label = f"{100 * level:.3g} % interval"
    for top, bottom, panel in zip(grid[::2], grid[1::2], panels, strict=True):
        times, estimate, lower, upper = (panel[name] for name in ("times", "estimate", "lower", "upper"))
        some = panel["missing"] > 0
        ends = np.abs(np.stack([lower, upper])[:, some] - estimate[some])
        top.plot(times, estimate, color=style.GREY, lw=1, zorder=0)
        top.plot(times[~some], estimate[~some], "o", color=style.BLACK, ms=2.5, label="nothing missing")
        marks = {"fmt": "s", "ms": 3, "color": colour, "elinewidth": 2}
        top.errorbar(times[some], estimate[some], yerr=ends, label=f"values missing: median and {label}", **marks)
        if np.isfinite(panel["shifted"][some]).any():
            top.plot(times[some], panel["shifted"][some], "x", color=style.ORANGE, ms=4, label="filled values shifted")
        bottom.vlines(times[some], (lower - estimate)[some], (upper - estimate)[some], color=colour, lw=2)
        bottom.axhline(0, color=style.GREY, lw=1)
        top.set_title(panel["title"], loc="left")
        top.set_ylabel(panel["label"])
        bottom.set_ylabel("less the\nmedian")
        top.margins(x=0.01, y=0.1)
    locator = AutoDateLocator()
    grid[-1].xaxis.set_major_locator(locator)
    grid[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    grid[-1].set_xlabel(f"start of the {period} (UTC)")
    drawn.align_ylabels()
    drawn.suptitle(f"Means by {period}", fontsize=12)
    drawn.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawn
