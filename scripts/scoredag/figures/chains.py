"""Figures of the convergence of Langevin dynamics, and of its bias."""

import itertools
from collections.abc import Collection

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
_KERNELS = {"overdamped": "overdamped (unadjusted)", "mala": "mala (accepted or rejected)"}


def convergence(table: pd.DataFrame, titles: dict[str, str], moving: Collection[str], n_particles: int) -> Figure:
    """A panel a metric, over steps.

    Args:
        table: variant, step, metric, value.
        titles: {variant: title}.
        moving: variants that have not come to rest at their last step, which is marked.
        n_particles: of the noise floor.
    """
    drawn = style.figure(10.0, 6.6)
    panels = drawn.subplots(2, 3).ravel()
    floor_label = f"noise floor: exact samples of {n_particles:,}"
    for axes, (metric, label) in zip(panels, _METRICS.items(), strict=False):
        values = table[table["metric"] == metric]
        looks = zip(titles.items(), itertools.cycle(style.CYCLE), itertools.cycle(_STYLES), strict=False)
        for (variant, title), colour, line in looks:
            part = values[values["variant"] == variant].sort_values("step")
            end, words = ("o", f"{title}\n(still moves at its last step)") if variant in moving else (None, title)
            axes.plot(
                part["step"], part["value"], color=colour, linestyle=line, label=words,
                marker=end, markevery=[-1], markersize=7, markerfacecolor="white", clip_on=False,
            )  # fmt: skip
        floor = values.loc[values["variant"] == "exact", "value"].item()
        axes.axhline(floor, color=style.BLACK, linewidth=0.8, linestyle=(0, (1, 2)), label=floor_label)
        axes.set(yscale="log", ylabel=label, xlabel="step")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, table["step"].max())
        style.plain_numbers(axes.xaxis)
        style.plain_numbers(axes.yaxis)
    panels[-1].set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    return drawn


def sweep(table: pd.DataFrame, slope: float, slope_error: float) -> Figure:
    """Bias of the mean log-density against the step size, with its sign; the same over the step size; and theory.

    Args:
        table: kernel, step_size, bias, std_error (nats).
        slope: of the bias of `overdamped` by theory, in nats per unit of tau, as tau -> 0.
        slope_error: its standard error.
    """
    drawn = style.figure(9.6, 4.4)
    panels = drawn.subplots(1, 2)
    sizes = np.array(sorted(table["step_size"].unique()))
    curve = np.geomspace(sizes[0], sizes[-1], 100)
    kernels = table.groupby("kernel", sort=False)
    for axes, scale in zip(panels, (0, 1), strict=True):
        axes.axhline(0, color=style.BLACK, linewidth=0.8)
        label = f"theory for small tau: {slope:.3f} tau (+- {2 * slope_error:.1g})"
        axes.plot(curve, slope * curve ** (1 - scale), color=style.GREY, linewidth=1.5, label=label)
        looks = zip(kernels, itertools.cycle(style.CYCLE), itertools.cycle(_MARKERS), strict=False)
        for (kernel, part), colour, marker in looks:
            unit = part["step_size"] ** scale
            axes.errorbar(
                part["step_size"], part["bias"] / unit, 2 * part["std_error"] / unit,
                fmt=marker, color=colour, markersize=5, capsize=2, label=_KERNELS.get(kernel, kernel),
            )  # fmt: skip
        axes.set(xscale="log", xlabel="step size tau")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.minorticks_off()
    panels[0].set_ylabel("bias of the mean log-density (nats)")
    panels[1].set_ylabel("bias / tau (nats)")
    panels[0].legend(loc="lower left")
    drawn.suptitle("Below 0: particles are too spread. Bars: two standard errors", fontsize=10)
    return drawn
