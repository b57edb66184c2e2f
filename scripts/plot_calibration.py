"""Draw how often held-out values fall inside the intervals."""

import numpy as np

from scoredag import job, metrics
from scoredag.figures import imputations, style
from scoredag.series import conformal, forecasts
from scoredag.store import tables


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
    """Draw coverage against the nominal level of central intervals, a line for each pattern.

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
        panels["CSDI, corrected by validation"] = calibration.quantiles(forecasts.CSDI, test), nominal
        panels["average of all methods (auto)"] = calibration.quantiles(forecasts.AUTO, test), nominal
    curves = {title: (panel[1], _curves(test.targets, names, *panel)) for title, panel in panels.items()}
    style.save(imputations.calibration(curves, len(test.draws), style.colour(settings["colour"])), figure_path)


def _curves(targets, names, samples, levels):
    """{pattern: (coverage of the interval of `samples` (S, n) at each level, of how many targets)}."""
    inside = [metrics.inside(*metrics.interval(samples, level), targets.truth) for level in levels]
    chosen = {name: targets.pattern == code for code, name in enumerate(names)}
    return {
        name: ([hit[which].mean() for hit in inside], int(which.sum())) for name, which in chosen.items() if which.any()
    }


if __name__ == "__main__":
    job.run(plot_calibration)
