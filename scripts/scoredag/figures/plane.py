"""Figures of the plane: the mixture's density and samples on it."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from scoredag.figures import style

_GRID = 200
_FLOOR = 9  # nats below the peak at which the map of the log-density ends
_CONTOURS = (-6, -4, -2, -0.7)  # nats below the peak
_LINES = 14  # half-widths of the view: length of all lines that can be told apart in it
_CELLS_PER_HALF_WIDTH = 200  # markers in one cell count as one place
_MOST_SHARES = 12  # modes with a number beside them
_TOTAL_AREA = 1.8e4  # square points of all markers together
_MARKER_SIZES = (0.3, 30.0)  # least and largest area of a marker


class Mixture(Protocol):
    """What is drawn of a `gmm.mixture.GaussianMixture`."""

    means: np.ndarray
    covariances: np.ndarray

    @property
    def n_components(self) -> int:
        """K."""

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats; `x` (N, 2) to (N,)."""


class View(Protocol):
    """A square part of the plane, as in `gmm.views`."""

    @property
    def centre(self) -> np.ndarray:
        """Of the square, (2,)."""

    @property
    def half_width(self) -> float:
        """Half its width."""


class _Square(NamedTuple):
    """A `View` of our own."""

    centre: np.ndarray
    half_width: float


def density(gmm: Mixture, view: View, ellipses: bool) -> Figure:
    """The mixture's log-density as a map, with the one-deviation ellipses of its components."""
    drawn = style.figure(6.4, 5.4)
    axes = drawn.subplots()
    image = _map(axes, gmm, view)
    if ellipses:
        _ellipses(axes, gmm)
    drawn.colorbar(image, ax=axes, label="log-density (nats), clipped below", extend="min")
    set_view(axes, view)
    axes.set_title(f"Mixture of {gmm.n_components} Gaussians")
    return drawn


def scatter(
    gmm: Mixture, points: np.ndarray, view: View, colour: str, title: str, shares: pd.DataFrame | None = None
) -> Figure:
    """Samples (N, 2) over contours of the density; the title counts those outside the axes.

    `shares` has x, y and share of modes, which are marked: how many of the samples are there, or a cross where none is.
    """
    drawn = style.figure(6.0, 6.2)
    axes = drawn.subplots()
    counts = _samples(axes, density_grid(gmm, view), points, view, colour)
    axes.set_title(_with_counts(title, counts, len(points)))
    if shares is not None:
        _shares(axes, shares)
    return drawn


def _shares(axes, table):
    reached = table[table["share"] > 0].sort_values("share", ascending=False)
    for mode in reached.head(_MOST_SHARES).itertuples():
        percent = 100 * mode.share
        words = f"{percent:.{1 if percent >= 1 else 2}f} %"
        text = axes.annotate(words, (mode.x, mode.y), (7, 0), textcoords="offset points", va="center", fontsize=9)
        text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])
    others = table[table["share"] == 0]
    label = f"mode that no particle reaches ({len(others)} of {len(table)})"
    axes.plot(others["x"], others["y"], "x", color=style.VERMILION, markersize=6, label=label)
    if len(others):
        axes.legend(loc="lower left", fontsize=9)


def binned(gmm: Mixture, counts: np.ndarray, n_lost: dict[str, int], view: View, title: str) -> Figure:
    """`counts` of samples in a square grid (B, B), the first axis along x, over contours of the density."""
    drawn = style.figure(6.9, 6.0)
    axes = drawn.subplots()
    image = axes.imshow(
        np.where(counts > 0, counts, np.nan).T, extent=_extent(view), origin="lower", cmap=style.DENSITY, norm="log"
    )
    contours(axes, density_grid(gmm, view))
    bar = drawn.colorbar(image, ax=axes, label="samples a cell")
    style.plain_numbers(bar.ax.yaxis)
    n_samples = int(counts.sum()) + sum(n_lost.values())
    axes.set_title(_with_counts(title, n_lost, n_samples))
    set_view(axes, view)
    return drawn


def count(batches: Iterable[np.ndarray], view: View, n_cells: int = 300) -> tuple[np.ndarray, dict[str, int]]:
    """Counts of samples, from batches (n, 2), in a grid (B, B) over the view, and of those {outside, not finite}."""
    edges = [np.linspace(centre - view.half_width, centre + view.half_width, n_cells + 1) for centre in view.centre]
    counts, lost = np.zeros((n_cells, n_cells)), {"outside": 0, "not finite": 0}
    for points in batches:
        finite = points[np.isfinite(points).all(axis=1)]
        inside = np.histogram2d(finite[:, 0], finite[:, 1], bins=edges)[0]
        counts += inside
        lost["outside"] += len(finite) - int(inside.sum())
        lost["not finite"] += len(points) - len(finite)
    return counts, lost


def trajectories(gmm: Mixture, chains: np.ndarray, steps: np.ndarray, view: View, title: str) -> Figure:
    """The paths of a few particles over contours of the density, and dots where they end.

    Short paths are drawn whole, with arrows, and the view is narrowed to them. Of long ones, as of noisy particles,
    which would hide each other, one or two are drawn, as far as they can be followed.

    Args:
        gmm: the mixture.
        chains: (C, T, 2), where C particles are at the T steps.
        steps: (T,).
        view: the view of the mixture.
        title: of the figure; a line says what is drawn.
    """
    chains, whole = _followed(chains, view)
    if whole:
        view = _about(chains, view)
    drawn = style.figure(6.0, 6.2)
    axes = drawn.subplots()
    contours(axes, density_grid(gmm, view))
    for chain, colour in zip(chains, itertools.cycle(style.CYCLE), strict=False):
        marker = None if whole else "."
        axes.plot(*chain.T, color=colour, linewidth=1.0, alpha=0.8, marker=marker, markersize=3)
        if whole:
            _arrows(axes, chain, colour)
        axes.plot(*chain[-1], "o", color=colour, markersize=7, markeredgecolor="white", zorder=3)
    axes.plot(*chains[:, 0].T, "x", color=style.BLACK, markersize=6, markeredgewidth=1.5, zorder=4, label="start")
    axes.plot([], [], "o", color=style.GREY, label="end")
    axes.legend(loc="upper right", frameon=True)
    n_chains, last = len(chains), steps[chains.shape[1] - 1]
    particles = "1 particle" if n_chains == 1 else f"{n_chains} particles"
    axes.set_title(f"{title}\nshown: {particles}, " + ("all steps" if whole else f"steps {steps[0]} to {last}"))
    set_view(axes, view)
    return drawn


def _followed(chains, view):
    """What is drawn of the chains, and whether it is all: two, and so few steps that lines can be told apart."""
    lengths = np.nan_to_num(np.hypot(*np.moveaxis(np.diff(chains, axis=1), -1, 0)))
    most = _LINES * view.half_width
    if lengths.sum() <= most:
        return chains, True
    few = chains[:2]
    n_steps = int((lengths[:2].sum(axis=0).cumsum() <= most).sum())
    return few[:, : max(n_steps, 1) + 1], False


def _about(chains, view):
    """The square about all chains; `view` if they take up more than half of that, or are not finite."""
    points = chains.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    half_width = 0.6 * (high - low).max()
    if not 0 < half_width < 0.6 * view.half_width:
        return view
    return _Square((low + high) / 2, half_width)


def _arrows(axes, chain, colour):
    """Two heads along a path, at a third and two thirds of its length."""
    lengths = np.append(0, np.linalg.norm(np.diff(chain, axis=0), axis=1).cumsum())
    for share in (1 / 3, 2 / 3):
        i = min(int(np.searchsorted(lengths, share * lengths[-1])), len(chain) - 1)
        if lengths[i] > lengths[max(i - 1, 0)]:
            head = {"arrowstyle": "-|>", "color": colour, "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", chain[i], chain[i - 1], arrowprops=head)


def frames(gmm: Mixture, snapshots: dict[int, np.ndarray], view: View, colour: str, title: str) -> Iterator[Figure]:
    """A figure for each of `snapshots`, {step: (N, 2)}."""
    grid = density_grid(gmm, view)
    for step, points in snapshots.items():
        drawn = style.figure(4.8, 4.9)
        axes = drawn.subplots()
        contours(axes, grid)
        axes.scatter(points[:, 0], points[:, 1], s=4, color=colour, alpha=0.6, linewidths=0)
        axes.set_title(f"{title}\nstep {step}")
        set_view(axes, view)
        yield drawn


def comparison(gmm: Mixture, samples: dict[str, np.ndarray], view: View, colour: str) -> Figure:
    """The density and one panel for each entry of `samples`, {title: (N, 2)}, on the same axes."""
    n_columns = 3
    n_rows = -(-(len(samples) + 1) // n_columns)
    drawn = style.figure(3.4 * n_columns + 0.8, 3.55 * n_rows)
    panels = drawn.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).ravel()
    image = _map(panels[0], gmm, view)
    set_view(panels[0], view)
    panels[0].set_title("log-density")
    drawn.colorbar(image, ax=panels, label="log-density (nats), clipped below", extend="min", shrink=0.6, aspect=30)
    grid = density_grid(gmm, view)
    for axes, (title, points) in zip(panels[1:], samples.items(), strict=False):
        counts = _samples(axes, grid, points, view, colour)
        axes.set_title(title)
        # within the panel: another line of a title would make it lower than its neighbours
        axes.text(0.02, 0.02, _with_counts("", counts, len(points)).strip(), transform=axes.transAxes, fontsize=8)
    for axes in panels[len(samples) + 1 :]:
        axes.set_axis_off()
    for axes in panels:
        axes.label_outer()
    return drawn


def _samples(axes, grid, points, view, colour):
    """Draw samples over contours; returns how many are {outside, not finite}."""
    contours(axes, grid)
    axes.scatter(*points.T, s=_marker_size(points, view), color=colour, alpha=0.7, linewidths=0)
    set_view(axes, view)
    finite = np.isfinite(points).all(axis=1)
    return {
        "outside": int((np.abs(points[finite] - view.centre) > view.half_width).any(axis=1).sum()),
        "not finite": int((~finite).sum()),
    }


def _with_counts(title, counts, n_samples):
    """The title, and a line for each of the `counts` that is not 0."""
    return "\n".join([title, *(f"{n} of {n_samples} samples {where}" for where, n in counts.items() if n)])


def contours(axes: Axes, grid: tuple[np.ndarray, np.ndarray, np.ndarray]) -> QuadContourSet:
    """Draw lines of equal density, 0.7, 2, 4 and 6 nats below its peak, of a `density_grid`."""
    x, y, log_density = grid
    levels = log_density.max() + np.array(_CONTOURS)
    return axes.contour(x, y, log_density, levels=levels, colors=style.GREY, linewidths=0.6, linestyles="solid")


def _marker_size(points, view):
    """Area of a marker in square points: 1.8 for 10^4 samples that do not overlap, more for fewer or collapsed ones."""
    finite = points[np.isfinite(points).all(axis=1)]
    places = np.unique(np.round(finite * (_CELLS_PER_HALF_WIDTH / view.half_width)), axis=0)
    return float(np.clip(_TOTAL_AREA / max(len(places), 1), *_MARKER_SIZES))


def _map(axes, gmm, view):
    x, y, log_density = density_grid(gmm, view)
    peak = log_density.max()
    return axes.imshow(
        log_density, extent=(x[0], x[-1], y[0], y[-1]), origin="lower",
        cmap=style.DENSITY, vmin=peak - _FLOOR, vmax=peak, interpolation="bilinear",
    )  # fmt: skip


def _ellipses(axes, gmm):
    values, vectors = np.linalg.eigh(gmm.covariances)
    angles = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    widths, heights = 2 * np.sqrt(values[:, 1]), 2 * np.sqrt(values[:, 0])
    ellipses = EllipseCollection(
        widths, heights, angles, units="xy", offsets=gmm.means, offset_transform=axes.transData,
        facecolors="none", edgecolors="white", linewidths=0.4,
    )  # fmt: skip
    axes.add_collection(ellipses)


def density_grid(gmm: Mixture, view: View, n: int = _GRID) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates (n,) of columns and rows of a square, and the log-density (n, n) in nats there."""
    x, y = (np.linspace(centre - view.half_width, centre + view.half_width, n) for centre in view.centre)
    rows = np.stack(np.meshgrid(x, y), axis=-1)
    return x, y, np.stack([gmm.log_density(row) for row in rows])


def _extent(view):
    (left, bottom), (right, top) = view.centre - view.half_width, view.centre + view.half_width
    return left, right, bottom, top


def set_view(axes: Axes, view: View) -> None:
    """Give axes the limits of a view, names, and the same scale along both."""
    left, right, bottom, top = _extent(view)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x", ylabel="y", aspect="equal")
