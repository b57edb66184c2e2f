"""Score the imputation of held-out entries beside the baselines."""

import functools
import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import job, metrics, streams
from scoredag.csdi import conformal, gaussian
from scoredag.errors import InputError
from scoredag.series import baselines, dressing, windows
from scoredag.store import tables

CSDI, GAUSSIAN = "CSDI", "joint Gaussian"
FEW = 500  # targets of a pattern


class Scored(NamedTuple):
    """The terms of a method's scores, and the number of its samples, or quantiles."""

    terms: metrics.Terms
    n_samples: int


def evaluate_csdi(
    samples_path: str,
    validation_path: str,
    scores_path: str | None,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    gaussian_path: str,
    metrics_path: str,
    settings: dict,
    split: str,
) -> None:
    """Write scores on z-scores by pattern, of all features and of each, with bootstrap intervals over windows.

    Baselines get MAE, RMSE and CRPS, and as distributions, by their errors on validation windows, also coverage and
    mean width of intervals. CSDI has these by its independent draws, and by intervals that validation windows correct;
    on the test windows also the bound on the negative log-likelihood. In the validation split itself each half of the
    time is corrected by the other.
    """
    stats = tables.read(statistics_path, tables.STATISTICS)
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    hidden = functools.partial(windows.given_and_targets, windows_path, stats)
    paths = {"valid": validation_path, split: samples_path}
    imputed = {name: conformal.read(path, hidden, starts, stats) for name, path in paths.items()}
    held = {name: _Held(windows_path, starts, stats, name, imputed[name].window) for name in paths}
    here, valid = held[split], held["valid"]
    if not len(here.truth):
        raise InputError(f"datasets.*.windows.held_out: hides nothing in the {split} windows; raise its shares")
    halves = [(here.is_late, ~here.is_late), (~here.is_late, here.is_late)]
    parts = halves if split == "valid" else [(np.ones(len(here.truth), bool), np.ones(len(valid.truth), bool))]
    _, *train = windows.read(windows_path, stats, "train")
    methods = [
        *_baselines(train, gaussian.load(gaussian_path), here, valid, parts),
        *_csdi(imputed[split], imputed["valid"], settings["antithetic"], parts),
    ]
    if scores_path:
        bounds, n_draws = _bounds(scores_path, here.window, stats["feature"].to_numpy()[here.feature])
        methods.append((CSDI, Scored(metrics.mean_terms("nll_bound", bounds), n_draws)))
    rows = []
    for pattern, targets in _patterns(here, split):
        of_pattern, window = np.unique(here.window[targets], return_inverse=True)
        counts = metrics.resamples(len(of_pattern), streams.generator(settings["seed"], "bootstrap", pattern))
        for name, method in methods:
            terms = {score: (top[targets], bottom[targets]) for score, (top, bottom) in method.terms.items()}
            scores = _scores(terms, window, here.feature[targets], list(stats["feature"]), counts)
            rows += [(pattern, name, *score, method.n_samples) for score in scores]
        _log(rows, pattern, len(of_pattern))
    columns = zip(*rows, strict=True)
    tables.write(dict(zip(tables.CSDI_METRICS.names, columns, strict=True)), metrics_path, tables.CSDI_METRICS)


class _Held:
    """The windows of a split that were imputed, and their held-out entries in the order of the table of samples."""

    def __init__(self, path, starts, stats, split, imputed):
        numbers, values, roles = windows.read(path, stats, split)
        there = np.isin(numbers, imputed)
        numbers, self.values, roles = numbers[there], values[there], roles[there]
        self.given = roles == windows.OBSERVED
        self.entries = window, _, self.feature = np.nonzero((roles == windows.TARGET).transpose(0, 2, 1))
        self.window = numbers[window]
        table = starts.set_index("window").loc[self.window]
        self.pattern = table["held_out"].cat.codes.to_numpy()
        self.names = list(table["held_out"].cat.categories)
        self.is_late = (table["start"] > table["start"].median()).to_numpy()
        self.truth = self.at(self.values)

    def at(self, values):
        """The held-out entries (n,) of `values` (N, K, L)."""
        return values.transpose(0, 2, 1)[self.entries].astype(np.float64)


def _baselines(train, law, here, valid, parts) -> Iterator[tuple[str, Scored]]:
    """(name, scores) of every baseline, as points and as distributions."""
    values, roles = train
    for name, fit in baselines.METHODS.items():
        logging.info("baseline: %s", name)
        fill = fit(values, roles == windows.OBSERVED)
        points = [held.at(fill(held.values, held.given)) for held in (here, valid)]
        yield name, Scored(metrics.terms(points[0][None], here.truth), 1)
        yield name + metrics.DRESSED, _dressed(here, valid, points, [np.ones(len(point)) for point in points], parts)
    if law is None:
        logging.warning("baseline: %s is left out, as it could not be estimated (fit_gaussian.log)", GAUSSIAN)
        return
    logging.info("baseline: %s", GAUSSIAN)
    points, scales = zip(
        *(map(held.at, gaussian.fill(law, held.values, held.given)) for held in (here, valid)), strict=True
    )
    yield GAUSSIAN, _dressed(here, valid, points, scales, parts)


def _dressed(here, valid, points, scales, parts):
    """Scores of point forecasts of `here` with the quantiles of the errors of those of `valid`."""
    quantiles = np.empty((dressing.N_QUANTILES, len(here.truth)))
    targets, judges = (
        dressing.Targets(held.pattern, held.feature, point, scale, held.truth)
        for held, point, scale in zip((here, valid), points, scales, strict=True)
    )
    for chosen, others in parts:
        quantiles[:, chosen] = dressing.dress(targets.part(chosen), judges.part(others))
    return Scored(metrics.terms(quantiles, here.truth, are_quantiles=True), dressing.N_QUANTILES)


def _csdi(imputed, validation, antithetic, parts) -> Iterator[tuple[str, Scored]]:
    """(name, scores) of CSDI by its draws as they are, and as validation windows correct them."""
    independent = conformal.independent(imputed.samples, antithetic)
    yield CSDI, Scored(metrics.terms(imputed.samples, imputed.truth, independent=independent), len(imputed.samples))
    scaled = np.empty_like(imputed.samples)
    ends = np.empty((len(metrics.PERCENTS), 2, len(imputed.truth)))
    for chosen, others in parts:
        targets, judges = imputed.part(chosen), validation.part(others)
        scaled[:, chosen] = conformal.scaled(targets, judges)
        levels = [percent / 100 for percent in metrics.PERCENTS]
        for end, interval in zip(ends, conformal.intervals(targets, levels, judges), strict=True):
            end[:, chosen] = interval
    corrected = metrics.terms(scaled, imputed.truth)
    for (lower, upper), percent in zip(ends, metrics.PERCENTS, strict=True):
        corrected |= metrics.interval_terms(lower, upper, imputed.truth, percent)
    yield CSDI + metrics.CORRECTED, Scored(corrected, len(imputed.samples))


def _bounds(path, window, feature):
    """The bound in nats, per target, of the window and feature of each target, and its number of draws.

    Args:
        path: of the windows' scores.
        window, feature: (n,), number and name, of each target.
    """
    table = tables.read(path, tables.WINDOW_SCORES)
    bounds = table.set_index(["window", table["feature"].astype(str)])["nll_bound"]
    return bounds.loc[pd.MultiIndex.from_arrays([window, feature])].to_numpy(), int(table["n_draws"].iloc[0])


def _patterns(held, split):
    """(name, boolean mask of its targets) of every pattern."""
    for code, name in enumerate(held.names):
        targets = held.pattern == code
        if not targets.any():
            logging.warning("held_out.%s hides nothing in the %s windows: no scores", name, split)
            continue
        if targets.sum() < FEW:
            logging.warning("held_out.%s: %d targets are too few to tell methods apart", name, targets.sum())
        yield name, targets


def _scores(terms, window, feature, names, counts):
    """(feature, metric, value, lower, upper, number of targets), of all features together, then of each.

    Args:
        terms: from `metrics.terms`.
        window, feature: (n,), numbers from 0 on, of each target.
        names: (K,), the features'.
        counts: from `metrics.resamples`.
    """
    scored, feature = np.unique(feature, return_inverse=True)
    shape = counts.shape[1], len(scored)
    cell = window * len(scored) + feature

    def by_window(terms):
        sums = np.bincount(cell, terms, minlength=np.prod(shape)).reshape(shape)
        return np.column_stack([sums.sum(axis=1), sums])

    n_targets = [len(cell), *np.bincount(feature).tolist()]
    scores = {
        metric: np.stack(metrics.bootstrap(metric, by_window(numerator), by_window(denominator), counts))
        for metric, (numerator, denominator) in terms.items()
    }
    for column, (name, n) in enumerate(zip(["all", *(names[k] for k in scored)], n_targets, strict=True)):
        for metric, values in scores.items():
            yield name, metric, *values[:, column].tolist(), n


def _log(rows, pattern, n_windows):
    """Log the CRPS of CSDI with its bootstrap interval, and the method that has the lowest."""
    crps = {row[1]: row for row in rows if (row[0], row[2], row[3]) == (pattern, "all", "crps")}
    _, _, _, _, value, lower, upper, n_targets, n_samples = crps[CSDI]
    best = min(crps, key=lambda method: crps[method][4])
    logging.info(
        "%s: CRPS %.3f (95 %% bootstrap interval over %d windows %.3f to %.3f; %d targets, %d samples); "
        "the lowest is %.3f, of %s",
        pattern, value, n_windows, lower, upper, n_targets, n_samples, crps[best][4], best,
    )  # fmt: skip


if __name__ == "__main__":
    job.run(evaluate_csdi, cached=True)
