"""Draw how often held-out values fall inside the intervals."""

import numpy as np

from scoredag import job, metrics
from scoredag.csdi import conformal
from scoredag.figures import imputations, style
from scoredag.store import tables


def plot_calibration(
    samples_path: str,
    starts_path: str,
    statistics_path: str,
    figure_path: str,
    settings: dict,
    validation_path: str | None,
) -> None:
    """Draw coverage against the nominal level of central intervals, a line for each pattern.

    As sampled, up to the level that so many samples can serve (see `metrics.interval`), and beside
    it as corrected by the validation windows, if these are there.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    stats = tables.read(statistics_path, tables.STATISTICS)
    test = conformal.read(samples_path, starts, stats)
    n_samples = len(test.samples)
    nominal = np.arange(1, 20) / 20
    served = nominal[nominal <= (n_samples - 1) / (n_samples + 1)]
    panels = {"as sampled": (served, _curves(test, served, lambda samples, level, _: metrics.interval(samples, level)))}
    if validation_path:
        validation = conformal.read(validation_path, starts, stats)

        def corrected(samples, level, pattern):
            return conformal.intervals(samples, level, validation.of_pattern(pattern))

        panels["corrected by the validation windows"] = nominal, _curves(test, nominal, corrected)
    style.save(imputations.calibration(panels, n_samples, style.colour(settings["colour"])), figure_path)


def _curves(test, nominal, interval):
    """{pattern: (coverage at each nominal level, of how many targets)} of intervals (samples, level, pattern)."""
    curves = {}
    for name in dict.fromkeys(test.pattern):
        chosen = test.pattern == name
        samples, truth = test.samples[:, chosen], test.truth[chosen]
        actual = [metrics.inside(*interval(samples, level, name), truth).mean() for level in nominal]
        curves[name] = actual, int(chosen.sum())
    return curves


if __name__ == "__main__":
    job.run(plot_calibration)
