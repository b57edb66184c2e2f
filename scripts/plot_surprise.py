"""Draw the most and the least surprising test windows."""

import numpy as np
import pandas as pd

from scoredag import job
from scoredag.errors import InputError
from scoredag.figures import imputations, panels, style
from scoredag.series import features, windows
from scoredag.store import tables

N_WINDOWS = 2  # at either end of the ranking
N_FEATURES = 3  # of each


def plot_surprise(
    scores_path: str, samples_path: str, windows_path: str, series_path: str, figure_path: str, settings: dict
) -> None:
    """Draw the bound of all test windows of one pattern, and the windows at both ends, in physical units.

    A window is shown by the features that make it what it is: those whose targets add most to its bound, or least,
    compared with as many targets of that feature elsewhere.
    """
    scores = tables.read(scores_path, tables.WINDOW_SCORES)
    pattern = settings["held_out"] or scores["held_out"].iloc[0]
    scores = scores[scores["held_out"] == pattern]
    if scores.empty:
        raise InputError(f"csdi.runs.*.figure.held_out: '{pattern}' hides nothing in the test windows; raise its share")
    whole = scores[scores["feature"] == "all"].sort_values("nll_bound", ascending=False, kind="stable")
    dated = whole["start"].nunique() > 1  # of many series all may start at one time
    whole = whole.assign(x=whole["start"].dt.tz_localize(None) if dated else np.arange(len(whole), 0, -1))
    ends = list(_ends(whole))
    shown = [row["window"] for _, row in ends]
    table = windows.table(windows_path, "test", shown)
    targets = panels.with_quantiles(*tables.read_imputations(samples_path, shown), settings["level"])
    test = windows.numbers(windows_path, "test")
    spans, interval = panels.least_spans(windows.some(windows_path, "test", test)), _interval(series_path)

    def column(letter, shade, row, parts):
        shown = [
            panels.panel(table, targets, row["window"], part["feature"])
            | {
                "title": f"{part['nll_bound']:.1f} nats per target",
                "label": features.label(part["feature"], settings["units"]),
                "least_span": spans[part["feature"]],
            }
            for part in parts
        ]
        for entry in shown:
            entry["times"] = row["start"].tz_localize(None).to_numpy() + entry["steps"] * interval.to_numpy()
        bound = f"{row['nll_bound']:.2f} ± {2 * row['nll_bound_std_error']:.2f} nats per target"
        return {
            "title": f"{letter}: {bound}\n{panels.when(row, dated)}",
            "of": row,
            "shade": shade,
            "panels": shown,
        }

    columns = [
        column(letter, style.VERMILION if most else style.GREEN, row, _telling(scores, row["window"], most))
        for letter, (most, row) in zip("abcd", ends, strict=False)
    ]
    style.save(
        imputations.surprise(whole, columns, pattern, style.colour(settings["colour"]), settings["level"]), figure_path
    )


def _ends(whole):
    """(whether it is among the most surprising, its row) of the windows at both ends of a ranked table."""
    n = min(N_WINDOWS, max(len(whole) // 2, 1))
    rows = [row for _, row in whole.iterrows()]
    yield from ((True, row) for row in rows[:n])
    yield from ((False, row) for row in rows[max(len(rows) - n, n) :])


def _telling(scores, window, most):
    """Rows of the features that make a window surprising, or the opposite, the most telling one first."""
    scores = scores[scores["feature"] != "all"]
    usual = scores["nll_bound"].groupby(scores["feature"], observed=True).transform("mean")
    excess = scores["n_targets"] * (scores["nll_bound"] - usual)
    ranked = scores.assign(excess=excess)[scores["window"] == window].sort_values("excess", ascending=not most)
    return [row for _, row in ranked.head(N_FEATURES).iterrows()]


def _interval(series_path):
    """The time between two steps of the series."""
    times = next(tables.batches(series_path, tables.SERIES, columns=["time"]))["time"]
    steps = times.diff()
    return steps[steps > pd.Timedelta(0)].min()


if __name__ == "__main__":
    job.run(plot_surprise)
