"""Draw how often held-out values fall inside the intervals."""

import numpy as np

from scoredag import job, metrics
from scoredag.figures import imputations, style
from scoredag.series import conformal, forecasts
from scoredag.store import tables

N_RANKS = 10  # that are told apart, or a few more


def plot_calibration(
    samples_path: str,
    validation_path: str,
    baselines_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    figure_path: str,
    settings: dict,
) -> None:
    """Draw coverage against the nominal level of central intervals, and rank histograms, a line for each pattern.

    By independent draws, up to the level that so many can serve (see `metrics.interval`), and beside it as corrected
    by the validation windows.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    stats = tables.read(statistics_path, tables.STATISTICS)
    paths = {"test": samples_path, "valid": validation_path}
    test, validation = (
        forecasts.read(path, baselines_path, windows_path, starts, stats, split) for split, path in paths.items()
    )
    names = list(starts["held_out"].cat.categories)
    draws = conformal.independent(test.draws, settings["antithetic"])
    nominal = np.arange(1, 20) / 20
    served = nominal[nominal <= (len(draws) - 1) / (len(draws) + 1)]
    panels = {f"CSDI, by {len(draws)} independent draws": (draws, served)}
    if len(validation.targets.truth) >= forecasts.FEW:
        calibration = forecasts.calibrate(validation, len(names), len(stats))
        panels["CSDI, corrected by validation"] = calibration.quantiles(metrics.CSDI, test), nominal
        panels["average with simpler methods (auto)"] = calibration.quantiles(metrics.AUTO, test), nominal
    shown = {
        title: (levels, _curves(test.targets, names, samples, levels)) for title, (samples, levels) in panels.items()
    }
    style.save(imputations.calibration(shown, len(test.draws), style.colour(settings["colour"])), figure_path)


def _curves(targets, names, samples, levels):
    """{pattern: (coverage of the interval of `samples` (S, n) at each level, shares of ranks, number of targets)}."""
    inside = [metrics.inside(*metrics.interval(samples, level), targets.truth) for level in levels]
    ranks = _ranks(samples, targets.truth)
    shown = {}
    for code, name in enumerate(names):
        which = targets.pattern == code
        if which.any():
            shares = np.bincount(ranks[which], minlength=len(samples) + 1) / which.sum()
            together = max(len(shares) // N_RANKS, 1)  # of few targets single ranks are noise
            shares = np.add.reduceat(shares, np.arange(0, len(shares), together))
            shown[name] = [hit[which].mean() for hit in inside], shares, int(which.sum())
    return shown


def _ranks(samples, truth):
    """How many of `samples` (S, n) lie below the truth (n,); one that equals some is anywhere between them, evenly."""
    below, up_to, spread = metrics.ranks(samples, truth)
    return below + (spread * (up_to - below + 1)).astype(int)


if __name__ == "__main__":
    job.run(plot_calibration)
