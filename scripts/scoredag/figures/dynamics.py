"""Figures of the forward SDE, the reverse SDE and the probability flow: the same marginals, other paths."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scoredag.figures import plane, style
from scoredag.figures.plane import Mixture, View

Paths = dict[tuple[str, str], np.ndarray]  # {(score model, dynamics): positions (S, N, 2)}, by rising time

_FORWARD = "forward SDE"
_GRID = 70
_MOST_MARKERS = 600
_N_FOLLOWED = 6


def paths_of(table: pd.DataFrame) -> tuple[np.ndarray, Paths]:
    """Times (S,) and the paths in a table of score_model, dynamics, time, particle, x, y, in its order."""
    times = table["time"].unique()
    groups = table.groupby(["score_model", "dynamics"], sort=False, observed=True)
    return times, {key: part[["x", "y"]].to_numpy().reshape(len(times), -1, 2) for key, part in groups}


def panels(paths: Paths, times: np.ndarray, shown: Sequence[int], laws: Sequence[Mixture], view: View) -> Figure:
    """A row a dynamics: particles over contours of p_t at the `shown` indices of `times`, and x of a few over time.

    `laws` are the p_t of these times. A few particles have colours, the same in all panels.
    """
    n_rows, n_columns = len(paths), len(shown)
    drawn = style.figure(1.85 * n_columns + 3.4, 1.9 * n_rows + 0.5)
    ratios = [1.0] * n_columns + [1.5]
    rows = drawn.subplots(n_rows, n_columns + 1, squeeze=False, gridspec_kw={"width_ratios": ratios})
    grids = [plane.density_grid(law, view, _GRID) for law in laws]
    for row, ((model, kind), positions) in zip(rows, paths.items(), strict=True):
        for axes, i, grid in zip(row, shown, grids, strict=False):
            plane.contours(axes, grid)
            _particles(axes, positions[i])
            plane.set_view(axes, view)
        row[0].set_ylabel(f"{_title(model, kind)}\n\ny")
        _courses(row[-1], positions, times, kind == _FORWARD)
    for axes, i in zip(rows[0], shown, strict=False):
        axes.set_title(f"t = {times[i]:.2g}" if times[i] >= 0.01 else "t = 0")
    rows[0, -1].set_title("x of six particles")
    for axes in rows[:, :-1].flat:
        axes.label_outer()
    reach = max(abs(np.array(axes.get_ylim()) - view.centre[0]).max() for axes in rows[:, -1])
    for axes in rows[:, -1]:
        axes.set_ylim(view.centre[0] - reach, view.centre[0] + reach)
    for axes in rows[:-1, -1]:
        axes.tick_params(labelbottom=False)
    rows[-1, -1].set_xlabel("time t")
    for axes in rows[-1, :-1]:
        axes.set_xlabel("x")
    rows[0, -1].plot([], [], "x", color=style.BLACK, label="start")
    rows[0, -1].plot([], [], "o", color=style.GREY, label="end")
    drawn.legend(*rows[0, -1].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return drawn


def frames(
    paths: Paths, times: np.ndarray, shown: Sequence[int], laws: Iterable[Mixture], view: View
) -> Iterator[Figure]:
    """The particles of all dynamics over contours of p_t at the `shown` indices of `times`; `laws` are these p_t.

    One figure, which changes from frame to frame: to lay it out takes longer than to draw it.
    """
    models = list(dict.fromkeys(model for model, kind in paths if kind != _FORWARD))
    drawn = style.figure(7.8, 2.6 * len(models) + 0.9)
    places = drawn.subplots(len(models), 3, squeeze=False, sharex=True, sharey=True)
    panels = [(places[0, 0], paths["none", _FORWARD])]
    places[0, 0].set_title(f"{_FORWARD},\nrun backward")
    for (model, row), (column, kind) in itertools.product(
        zip(models, places, strict=True), enumerate(("reverse SDE", "probability flow"), 1)
    ):
        row[column].set_title(_title(model, kind))
        panels.append((row[column], paths[model, kind]))
    for axes in places[1:, 0]:
        axes.set_axis_off()
    for axes, _ in panels:
        plane.set_view(axes, view)
        axes.label_outer()
    for i, law in zip(shown, laws, strict=True):
        drawn.suptitle(f"t = {times[i]:.2f}", x=0.01, horizontalalignment="left")
        grid = plane.density_grid(law, view, _GRID)
        changing = []
        for axes, positions in panels:
            changing += [plane.contours(axes, grid), *_particles(axes, positions[i])]
        yield drawn
        drawn.set_layout_engine("none")
        for artist in changing:
            artist.remove()


def _title(model, kind):
    return kind if kind == _FORWARD else f"{kind}\n{'exact score' if model == 'exact' else model}"


def _particles(axes, points):
    cloud = axes.scatter(*points[:_MOST_MARKERS].T, s=3, color=style.BLACK, alpha=0.5, linewidths=0)
    colours = list(itertools.islice(style.CYCLE, _N_FOLLOWED))
    few = axes.scatter(*points[:_N_FOLLOWED].T, s=30, color=colours, edgecolors="white", linewidths=0.6, zorder=3)
    return cloud, few


def _courses(axes, positions, times, forward):
    """x of a few particles over time, a cross where each starts and a dot where it ends."""
    first, last = (0, -1) if forward else (-1, 0)
    for path, colour in zip(positions[:, :_N_FOLLOWED, 0].T, style.CYCLE, strict=False):
        axes.plot(times, path, color=colour, linewidth=0.9)
        axes.plot(times[first], path[first], "x", color=style.BLACK, markersize=5, zorder=3)
        axes.plot(times[last], path[last], "o", color=colour, markersize=5, markeredgecolor="white", zorder=3)
