"""Draw how often held-out values fall inside the intervals."""

import itertools
from typing import NamedTuple

import numpy as np

from scoredag import job, metrics
from scoredag.errors import InputError
from scoredag.figures import imputations, style
from scoredag.series import conformal, forecasts
from scoredag.store import tables

N_RANKS = 10  # that are told apart, or a few more


class Counts(NamedTuple):
    """Of each pattern: targets (P,), those inside the interval at each level, and those of each rank (P, S + 1)."""

    levels: np.ndarray
    n_targets: np.ndarray
    inside: np.ndarray
    ranks: np.ndarray


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
    by the validation windows. Test windows are read a few at a time.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    stats = tables.read(statistics_path, tables.STATISTICS)
    more, names = (baselines_path, windows_path, starts, stats), list(starts["held_out"].cat.categories)
    validation = forecasts.read(validation_path, *more, "valid")
    calibration = None
    if len(validation.targets.truth) >= forecasts.FEW:
        calibration = forecasts.calibrate(validation, len(names), len(stats))
    counted: dict[str, Counts] = {}
    done = 0
    parts = map(forecasts.blocks, forecasts.parts(samples_path, *more, "test"))
    for part in itertools.chain.from_iterable(parts):
        for title, samples, levels in _panels(part, calibration, settings["antithetic"]):
            counts = _counts(part.targets, len(names), samples, levels, done)
            counted[title] = _added(counted[title], counts) if title in counted else counts
        done += len(part.targets.truth)
        n_samples = len(part.draws)
    if not counted:
        raise InputError("datasets.*.windows.held_out: hides nothing in the test windows; raise its shares")
    shown = {title: (counts.levels, _curves(counts, names)) for title, counts in counted.items()}
    style.save(imputations.calibration(shown, n_samples, style.colour(settings["colour"])), figure_path)


def _panels(part, calibration, antithetic):
    """(title, samples or quantiles (S, n), levels of intervals that these serve) of each panel."""
    draws = conformal.independent(part.draws, antithetic)
    nominal = np.arange(1, 20) / 20
    served = nominal[nominal <= (len(draws) - 1) / (len(draws) + 1)]
    yield f"CSDI, by {len(draws)} independent draws", draws, served
    if calibration:
        yield "CSDI, corrected by validation", calibration.quantiles(metrics.CSDI, part), nominal
        yield "average with simpler methods (auto)", calibration.quantiles(metrics.AUTO, part), nominal


def _counts(targets, n_patterns, samples, levels, first):
    """`Counts` of some targets, `first` of which came before."""
    inside = np.array([metrics.inside(*metrics.interval(samples, level), targets.truth) for level in levels])
    shape = n_patterns, len(samples) + 1
    cell = targets.pattern * shape[1] + _ranks(samples, targets.truth, first)
    return Counts(
        levels,
        np.bincount(targets.pattern, minlength=n_patterns),
        np.array([inside[:, targets.pattern == code].sum(axis=1) for code in range(n_patterns)]),
        np.bincount(cell, minlength=np.prod(shape)).reshape(shape),
    )


def _added(one, other):
    return Counts(one.levels, *(a + b for a, b in zip(one[1:], other[1:], strict=True)))


def _curves(counts, names):
    """{pattern: (coverage of the interval at each level, shares of ranks, number of targets)}."""
    shown = {}
    for name, n, inside, ranks in zip(names, *counts[1:], strict=True):
        if n:
            together = max(len(ranks) // N_RANKS, 1)  # of few targets single ranks are noise
            shown[name] = inside / n, np.add.reduceat(ranks / n, np.arange(0, len(ranks), together)), int(n)
    return shown


def _ranks(samples, truth, first):
    """How many of `samples` (S, n) lie below the truth (n,); one that equals some is anywhere between them, evenly."""
    below, up_to, spread = metrics.ranks(samples, truth, first)
    return below + (spread * (up_to - below + 1)).astype(int)


if __name__ == "__main__":
    job.run(plot_calibration)
