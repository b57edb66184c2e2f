"""Figures of the convergence of Langevin dynamics, and of its bias."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scoredag.figures import style

_METRICS = {
    "sliced_wasserstein2": "sliced Wasserstein-2\n(unit of x)",
    "energy_distance": "energy distance\n(root of the unit of x)",
    "maximum_mean_discrepancy": "maximum mean\ndiscrepancy",
    "occupancy_total_variation": "total variation of\noccupancies",
    "grid_divergence": "KL divergence on\na grid (nats)",
}
_STYLES = ("solid", "dashed", "dashdot", "dotted")
_MARKERS = "osD^v"


def convergence(table: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """A panel a metric, over steps; `table` has variant, step, metric, value, `titles` are {variant: title}."""
    drawn = style.figure(10.0, 6.2)
    panels = drawn.subplots(2, 3, sharex=True).ravel()
    for axes, (metric, label) in zip(panels, _METRICS.items(), strict=False):
        values = table[table["metric"] == metric]
        looks = zip(titles.items(), itertools.cycle(style.CYCLE), itertools.cycle(_STYLES), strict=False)
        for (variant, title), colour, line in looks:
            part = values[values["variant"] == variant].sort_values("step")
            axes.plot(part["step"], part["value"], color=colour, linestyle=line, label=title)
        floor = values.loc[values["variant"] == "exact", "value"].item()
        axes.axhline(floor, color=style.BLACK, linewidth=0.8, linestyle=(0, (1, 2)), label="exact samples: noise floor")
        axes.set(yscale="log", ylabel=label)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        style.plain_numbers(axes.xaxis)
        style.plain_numbers(axes.yaxis)
    for axes in panels[2:5]:
        axes.set_xlabel("step")
        axes.tick_params(labelbottom=True)
    panels[-1].set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    return drawn


def sweep(table: pd.DataFrame) -> Figure:
    """Bias of the mean log-density against the step size, and a line of order tau through the smaller sizes."""
    drawn = style.figure(6.4, 4.6)
    axes = drawn.subplots()
    kernels = table.groupby("kernel", sort=False)
    looks = zip(kernels, itertools.cycle(style.CYCLE), itertools.cycle(_MARKERS), strict=False)
    for (kernel, part), colour, marker in looks:
        bias, error = part["bias"].abs(), 2 * part["std_error"]
        clear = (bias > error).to_numpy()
        axes.errorbar(
            part["step_size"][clear], bias[clear], np.minimum(error, 0.99 * bias)[clear],
            fmt=marker, color=colour, markersize=5, capsize=2, label=kernel,
        )  # fmt: skip
        # upper limits where the bias is within chance
        axes.plot(part["step_size"][~clear], (bias + error)[~clear], marker=7, linestyle="", color=colour, markersize=7)
    part = table[table["kernel"] == table["kernel"].iloc[0]].sort_values("step_size")
    part = part[part["bias"].abs() > 2 * part["std_error"]]
    if len(part):
        part = part.head(max(len(part) // 2, 1))  # the smaller step sizes
        weights = part["step_size"] / part["std_error"] ** 2
        slope = (weights * part["bias"].abs()).sum() / (weights * part["step_size"]).sum()
        ends = np.array([table["step_size"].min(), table["step_size"].max()])
        axes.plot(ends, slope * ends, color=style.GREY, linewidth=1, label=f"O(tau): {slope:.2g} tau")
    axes.set(xscale="log", yscale="log", xlabel="step size tau", ylabel="bias of the mean log-density (nats)")
    style.plain_numbers(axes.yaxis)
    sizes = sorted(table["step_size"].unique())
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.set_title("Bars: two standard errors; arrows: not told from 0, below this")
    axes.legend()
    return drawn
