"""Draw how often held-out values fall inside the intervals."""

import functools

import numpy as np

from scoredag import job, metrics
from scoredag.csdi import conformal
from scoredag.figures import imputations, style
from scoredag.series import windows
from scoredag.store import tables


def plot_calibration(
    samples_path: str,
    validation_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    figure_path: str,
    settings: dict,
) -> None:
    """Draw coverage against the nominal level of central intervals, a line for each pattern.

    By independent draws, up to the level that so many can serve (see `metrics.interval`), and beside it as corrected
    by the validation windows.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    stats = tables.read(statistics_path, tables.STATISTICS)
    hidden = functools.partial(windows.given_and_targets, windows_path, stats)
    test, validation = (conformal.read(path, hidden, starts, stats) for path in (samples_path, validation_path))
    draws = conformal.independent(test.samples, settings["antithetic"])
    nominal = np.arange(1, 20) / 20
    served = nominal[nominal <= (len(draws) - 1) / (len(draws) + 1)]
    panels = {
        f"by {len(draws)} independent draws": (
            served,
            _curves(test, [metrics.interval(draws, level) for level in served]),
        ),
        "corrected by the validation windows": (
            nominal,
            _curves(test, conformal.intervals(test, nominal, validation)),
        ),
    }
    style.save(imputations.calibration(panels, len(test.samples), style.colour(settings["colour"])), figure_path)


def _curves(test, intervals):
    """{pattern: (coverage of each of the intervals, of how many targets)}."""
    inside = [metrics.inside(lower, upper, test.truth) for lower, upper in intervals]
    chosen = {name: test.pattern == name for name in dict.fromkeys(test.pattern)}
    return {name: ([hit[which].mean() for hit in inside], int(which.sum())) for name, which in chosen.items()}


if __name__ == "__main__":
    job.run(plot_calibration)
