"""Figure of what is missing in a series."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from scoredag.figures import style

WIDTH = 10.0  # inches
MAX_FEATURES = 60  # with a row each in the map
MAX_PAIRED = 40  # in the matrix
MAX_NUMBERED = 9  # in a matrix whose cells have their numbers
LONGEST = 28  # letters of a name
FEW = 30  # rows, up to which they are as high as usual text
ALL = "all"  # features together
LEAST = 1e-9  # share that is more than none
_COLOURS = matplotlib.colormaps[f"{style.DENSITY}_r"].with_extremes(under="#eeeeee", bad="white")
_LOOK = {"cmap": _COLOURS, "norm": Normalize(LEAST, 1), "rasterized": True}
_LINES = ("o-", "s--", "D-.", "^:")  # so that equal ones are seen
_PROFILES = {"hour": ("hour of the day (UTC)", range(0, 24, 6)), "month": ("month", range(1, 13, 3))}


def missingness(table: pd.DataFrame, dataset: str) -> Figure:
    """A map of missing shares by time and feature; below it lengths of gaps, what is missing at once, and profiles.

    Args:
        table: columns of missingness.parquet.
        dataset: its name, for the title.
    """
    kinds = dict(tuple(table.groupby("kind", observed=True)))
    features = kinds["feature"].set_index("feature")
    total, features = features.loc[ALL], features.drop(ALL).sort_values("count", ascending=False, kind="stable")
    size = f"{_number(features['total'].iloc[0], 'step')} of {_number(len(features), 'feature')}"
    if not total["count"]:
        drawn = style.figure(6.4, 2.0)
        drawn.text(0.5, 0.5, f"{dataset}: no value is missing\n({size})", ha="center", va="center", fontsize=12)
        return drawn
    with_gaps = list(features.index[features["count"] > 0])
    paired = with_gaps if "pair" in kinds and len(with_gaps) <= MAX_PAIRED else []
    profiles = {kind: kinds[kind] for kind in _PROFILES if kind in kinds}
    n_rows = min(len(features), MAX_FEATURES)
    side = float(np.clip(0.45 * len(paired), 2.4, 4.2))  # of the matrix, in inches
    heights = (0.17 if n_rows <= FEW else 0.13) * max(n_rows, 6) + 1.5, max(side + 1.2, 5.0) if paired else 3.2
    drawn = style.figure(WIDTH, sum(heights))
    top, bottom = drawn.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    top.suptitle(f"{dataset}: {_percent(total['share'])} of the values are missing ({size})", fontsize=12)
    _map(top, kinds["time"], features)
    if paired:
        left, bottom = bottom.subfigures(1, 2, squeeze=False, width_ratios=(side + 1.2, WIDTH - side - 1.2))[0]
        _matrix(left.subplots(), kinds["pair"], paired)
        lower = list(profiles) or ["gaps"]
        places = bottom.subplot_mosaic([["gaps"] * len(lower), lower])
    else:
        places = bottom.subplot_mosaic([["gaps", "gaps", *profiles]])
    _lengths(places["gaps"], kinds)
    for kind, rows in profiles.items():
        _profile(places[kind], rows, with_gaps[: len(_LINES)] if len(features) > 1 else [])
        label, ticks = _PROFILES[kind]
        places[kind].set(xlabel=label, xticks=ticks)
        places[kind].set_ylabel("missing" if kind == next(iter(profiles)) else "")
    if profiles and len(features) > 1:
        handles, labels = places[next(iter(profiles))].get_legend_handles_labels()
        n_columns = max(1, min(3, 48 // max(map(len, labels))))
        bottom.legend(handles, labels, loc="outside lower center", ncols=n_columns, fontsize=8)
    return drawn


def _percent(share):
    return f"{100 * share:.3g} %"


def _short(name):
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}...{name[3 - LONGEST // 2 :]}"


def _number(n, word):
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _map(part, table, features):
    """Shares by time and feature, the features in the order given, and beside it the shares of the whole series."""
    shown = features.head(MAX_FEATURES)
    names, size = list(shown.index), 8 if len(shown) <= FEW else 6.5
    axes, beside = part.subplots(1, 2, width_ratios=(5, 1), sharey=True)
    shares = table.pivot(index="feature", columns="time", values="share").loc[names]
    starts = shares.columns.tz_localize(None).to_numpy()
    width = starts[-1] - starts[-2] if len(starts) > 1 else np.timedelta64(1, "h")
    drawn = axes.pcolormesh(np.append(starts, starts[-1] + width), np.arange(len(names) + 1) - 0.5, shares, **_LOOK)
    axes.set_yticks(range(len(names)), map(_short, names), fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    blank = "; white: no series" if shares.isna().any(axis=None) else ""
    axes.set_xlabel(f"time (UTC); light grey: nothing is missing{blank}")
    rest = features.iloc[MAX_FEATURES:]
    if len(rest):
        least = f"{len(rest)} more features are not shown: of each {_percent(rest['share'].max())} or less is missing"
        axes.set_title(least, fontsize=9, loc="left")
    bars = beside.barh(range(len(names)), shown["share"], 0.75, color=style.GREY)
    beside.bar_label(bars, [_percent(share) for share in shown["share"]], fontsize=size, padding=2)
    beside.set_xlim(0, 1.6 * shown["share"].max())
    beside.tick_params(axis="y", length=0)
    beside.set_xticks([])
    beside.spines["bottom"].set_visible(False)
    beside.set_xlabel("missing")
    bar = part.colorbar(drawn, ax=beside, extend="min", aspect=15, pad=0.02)
    _in_percent(bar.ax.yaxis)
    bar.set_label("missing")


def _in_percent(axis):
    axis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")


def _lengths(axes, kinds):
    """Shares of gaps, and of missing values in gaps, by their length in steps."""
    looks = {"gaps": (style.BLUE, "of the gaps", -0.2), "in_gaps": (style.ORANGE, "of the missing values", 0.2)}
    for kind, (shade, label, shift) in looks.items():
        rows = kinds[kind][kinds[kind]["feature"] == ALL]
        bars = axes.bar(np.arange(len(rows)) + shift, rows["share"], 0.4, color=shade, label=label)
        if kind == "gaps":
            axes.bar_label(bars, [f"{n:,}" for n in rows["count"]], fontsize=8, padding=1)
    firsts = rows["bin"].astype(int)
    names = [f"{first:,}" if first == 1 else f"{first:,}-{2 * first - 1:,}" for first in firsts]
    crowded = len(names) > 6
    axes.set_xticks(range(len(names)), names, rotation=40 if crowded else 0, ha="right" if crowded else "center")
    axes.tick_params(axis="x", labelsize=8)
    axes.set(xlabel="length of the gap (steps)", ylabel="share")
    _in_percent(axes.yaxis)
    axes.set_xlim(-0.8, max(len(names), 4) - 0.4)
    axes.set_ylim(0, 1.35 * axes.dataLim.y1)  # room for the legend
    axes.set_yticks([share for share in axes.get_yticks() if share <= 1])
    longest = kinds["longest_gap"].set_index("feature").loc[ALL, "count"]
    n_gaps = kinds["gaps"].loc[kinds["gaps"]["feature"] == ALL, "count"].sum()
    axes.set_title(f"{_number(n_gaps, 'gap')}, the longest of {_number(longest, 'step')}")
    axes.legend(fontsize=8)


def _matrix(axes, pairs, names):
    """Of the steps at which the feature of a row is missing, the share at which that of a column is as well."""
    shares = pairs.pivot(index="feature", columns="other", values="share").reindex(index=names, columns=names)
    shares = np.where(np.eye(len(names), dtype=bool), np.nan, shares.fillna(0.0))
    axes.pcolormesh(shares, **_LOOK)
    size = 8 if len(names) <= FEW else 6
    places = np.arange(len(names)) + 0.5
    axes.set_yticks(places, map(_short, names), fontsize=size)
    axes.set_xticks(places, map(_short, names), fontsize=size, rotation=90)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_box_aspect(1)
    axes.set_title("where the row is missing, the column is as well", fontsize=10)
    if len(names) <= MAX_NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            if row != column:
                shade = "white" if share > 0.5 else "black"
                text = _percent(share)
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=shade, fontsize=8)


def _profile(axes, table, names):
    """Shares by hour or month: bars of all features together, and a line for each of `names`."""
    rows = table[table["feature"] == ALL]
    axes.bar(rows["bin"], rows["share"], 0.9, color=style.GREY, alpha=0.5, label="all features")
    for name, shade, look in zip(names, style.CYCLE, _LINES, strict=False):
        rows = table[table["feature"] == name]
        axes.plot(rows["bin"], rows["share"], look, ms=3, lw=1.4, color=shade, label=_short(name))
    axes.set_ylim(0, None)
    _in_percent(axes.yaxis)
