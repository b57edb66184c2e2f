"""Score the imputation of held-out entries beside simpler methods."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import job, joint_scores, metrics, slices, streams
from scoredag.errors import InputError
from scoredag.series import baselines, conformal, dressing, forecasts, transforms
from scoredag.store import tables

OF_DISTANCE = "distance_"  # in names of scores
EXACT = 0  # samples, or quantiles, of a score that takes none
TOLD = 0.01  # weight of a method, below which the log does not name it


class Scored(NamedTuple):
    """The terms of a method's scores, and the number of its samples, or quantiles."""

    terms: metrics.Terms
    n_samples: int


class Pattern(NamedTuple):
    """A pattern of missing entries: windows (n,) with targets, their stretches, and how often each is drawn."""

    code: int
    name: str
    window: np.ndarray
    stretch: np.ndarray
    counts: np.ndarray

    @property
    def n_stretches(self) -> int:
        """The number of stretches."""
        return self.counts.shape[1]


class Columns(NamedTuple):
    """Where the sums of a method's terms are: {score: columns of numerators, of denominators}."""

    name: str
    n_samples: int
    scores: dict[str, tuple[slice, slice]]


def evaluate_csdi(
    samples_path: str,
    validation_path: str,
    scores_path: str | None,
    baselines_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    metrics_path: str,
    settings: dict,
    split: str,
    threads: int,
) -> None:
    """Write scores on z-scores by pattern, of all features and of each, with block bootstrap intervals.

    Of each feature there are errors of the median in its unit, too.

    CSDI and point methods are scored as they are, CSDI also by the paper's formulas, and as validation windows make
    them distributions that hold what they say; so is their average, `auto`, whose weights are there, too. On the test
    windows CSDI has also the bound on the negative log-likelihood, and the joint Gaussian its exact value. In the
    validation split itself each half of the time judges the other.

    Test windows are read a few at a time, of which sums by stretch remain.
    """
    stats = tables.read(statistics_path, tables.STATISTICS)
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    names, features = list(starts["held_out"].cat.categories), list(stats["feature"])
    window, n_targets = tables.n_targets(samples_path)
    if not len(window):
        raise InputError(f"datasets.*.windows.held_out: hides nothing in the {split} windows; raise its shares")
    more = (baselines_path, windows_path, starts, stats)
    valid = forecasts.read(validation_path, *more, "valid")
    calibrations = _calibrations(valid, split, (len(names), len(stats)))
    patterns = list(_patterns(starts.set_index("window").loc[window], n_targets, names, split, settings["seed"]))
    score = _scorer(calibrations, settings["antithetic"], stats, int(n_targets.sum()))

    def of_block(block):
        first, here = block
        likelihoods = _likelihoods(scores_path, here.targets, stats["feature"].to_numpy()) if scores_path else ()
        return _by_window([*score(here, first), *likelihoods], here.targets, len(features))

    parts = [[valid]] if split == "valid" else map(forecasts.blocks, forecasts.parts(samples_path, *more, split))
    stretch, n_stretches, sums = _offset(patterns, window), sum(pattern.n_stretches for pattern in patterns), None
    with ThreadPoolExecutor(threads) as pool:
        for here, of_here, columns in slices.in_order(pool, of_block, _placed(parts), 4 * threads):
            if sums is None:
                sums, methods = np.zeros((n_stretches, of_here.shape[1])), columns
            np.add.at(sums, stretch[np.searchsorted(window, here)], of_here)
    rows, first = [], 0
    for pattern in patterns:
        resampled = metrics.resampled(sums[first : first + pattern.n_stretches], pattern.counts)
        first += pattern.n_stretches
        for method in methods:
            scores = _scores(method, resampled, features)
            rows += [(pattern.name, method.name, *score, method.n_samples) for score in scores]
        if calibrations and split != "valid":
            rows += _weights(calibrations[0][1], pattern.code, pattern.name, valid.targets, features)
        _log(rows, pattern.name, pattern.n_stretches)
    tables.write_rows(rows, metrics_path, tables.CSDI_METRICS)


def _offset(patterns, window):
    """The stretch of each of the windows (n,), numbered through the patterns."""
    result, first = np.empty(len(window), np.int64), 0
    for pattern in patterns:
        result[np.searchsorted(window, pattern.window)] = first + pattern.stretch
        first += pattern.n_stretches
    return result


def _stretches(starts):
    """The stretch (n,) of each window, rows of the table of starts."""
    series = starts["series"].cat.codes if "series" in starts else 0
    begins = starts["start"].astype("int64").to_numpy()
    return metrics.stretches(begins, np.broadcast_to(series, len(starts)))


def _calibrations(valid, split, sizes):
    """(which targets, what calibrates them): in the validation split of either half of the time; none by too few."""
    n_targets = len(valid.targets.truth)
    if n_targets < forecasts.FEW:
        logging.warning("%d validation targets are too few to calibrate and to choose by: no `auto`", n_targets)
        return []
    if split == "valid":
        return list(forecasts.each_half(valid, *sizes))
    return [(slice(None), forecasts.calibrate(valid, *sizes))]


def _scorer(calibrations, antithetic, stats, n_targets):
    """A function that yields (name, scores) of every method, as it is and as a distribution, of some of the targets.

    It takes the place of the first one among the `n_targets` of all: random numbers are those of a place.
    """
    calibrated = [*calibrations[0][1].methods, metrics.AUTO] if calibrations else []

    def score(here, first):
        truth = here.targets.truth

        def physical(off):
            return transforms.errors(off, here.targets.value, stats, here.targets.feature)

        ascending = here._replace(draws=metrics.ordered(here.draws))
        averaged: dict[str, np.ndarray] = {}

        def quantiles(name):
            if len(calibrations) == 1:
                result = calibrations[0][1].quantiles(name, ascending, averaged)
            else:
                result = np.empty((dressing.N_QUANTILES, len(truth)))
                for chosen, calibration in calibrations:
                    known = {other: values[:, chosen] for other, values in averaged.items()}
                    result[:, chosen] = calibration.quantiles(name, ascending.part(chosen), known)
            if name in calibrations[0][1].averaged:
                averaged[name] = result
            return result

        def of_quantiles(quantiles):
            terms = metrics.terms(quantiles, truth, are_quantiles=True, physical=physical)
            return Scored(terms, dressing.N_QUANTILES)

        def uniform(*key):
            return streams.columns((len(independent), n_targets), first, len(truth), 0, *key)

        for name, (point, deviations) in here.points.items():
            if deviations is None:
                yield name, Scored(metrics.terms(point[None], truth, physical=physical), 1)
            if name in calibrated:
                yield name + metrics.DRESSED * (deviations is None), of_quantiles(quantiles(name))
        independent = conformal.independent(here.draws, antithetic)
        drawn = metrics.terms(ascending.draws, truth, independent=independent, physical=physical)
        yield metrics.CSDI, Scored(drawn | _joint(independent, here.targets), len(here.draws))
        as_in_paper = metrics.paper_terms(ascending.draws, truth) | {"crps": drawn["crps"]}
        yield metrics.CSDI + metrics.AS_IN_PAPER, Scored(as_in_paper, len(here.draws))
        if not calibrated:
            return
        for name, shown in ((metrics.CSDI, metrics.CSDI + metrics.CORRECTED), (metrics.AUTO, metrics.AUTO)):
            corrected = quantiles(name)
            scored = of_quantiles(corrected)
            by_distance = _by_distance(scored.terms, here.targets.kind)
            joint = forecasts.redrawn(independent, corrected, uniform("levels", name))
            yield shown, scored._replace(terms=scored.terms | by_distance | _joint(joint, here.targets))
        shuffled = np.take_along_axis(joint, uniform("shuffled").argsort(axis=0), axis=0)  # of `auto`, the last one
        yield metrics.SHUFFLED, Scored(_joint(shuffled, here.targets), len(independent))

    return score


def _placed(parts) -> Iterator[tuple[int, forecasts.Forecasts]]:
    """Blocks of forecasts with the place of the first target of each among all."""
    first = 0
    for blocks in parts:
        for block in blocks:
            yield first, block
            first += len(block.targets.truth)


def _joint(draws, targets):
    """Terms of the scores of joint draws."""
    return joint_scores.terms(draws, targets.truth, targets.window, targets.feature)


def _by_distance(terms, kind):
    """Terms of the coverage of targets by their distance in steps to the nearest given value of their feature."""
    return {
        f"{score}_{OF_DISTANCE}{name}": tuple(np.where(kind == code, column, 0.0) for column in terms[score])
        for score in (f"coverage_{percent}" for percent in metrics.PERCENTS)
        for code, name in enumerate(conformal.KINDS)
    }


def _weights(calibration, code, pattern, validation, features):
    """Rows of the table: the weight of each method in the average, of all features and of each."""
    here = validation.pattern == code
    n_targets = [int(here.sum()), *np.bincount(validation.feature[here], minlength=len(features)).tolist()]
    of_features = calibration.by_feature(code)
    weights = np.vstack([of_features.mean(axis=0), of_features]).tolist()
    for feature, row, n in zip(["all", *features], weights, n_targets, strict=True):
        for name, weight in zip(calibration.averaged, row, strict=True):
            yield pattern, name, feature, "weight", weight, weight, weight, n, dressing.N_QUANTILES


def _likelihoods(path, targets, names) -> Iterator[tuple[str, Scored]]:
    """(name, scores) of the methods with a likelihood: nats, per target, of the window and feature of each target.

    Args:
        path: of the windows' scores.
        targets: of some windows.
        names: (K,), of the features.
    """
    ends = [(int(targets.window.min()), int(targets.window.max()))]
    (table,) = tables.ranges(path, tables.WINDOW_SCORES, "window", ends)
    nats = table.set_index(["window", table["feature"].astype(str)])[["nll_bound", "gaussian_nll"]]
    nats = nats.loc[pd.MultiIndex.from_arrays([targets.window, names[targets.feature]])]
    bound, exact = (nats[name].to_numpy() for name in nats)
    yield metrics.CSDI, Scored(metrics.mean_terms("nll_bound", bound), int(table["n_draws"].iloc[0]))
    if not np.isnan(exact).any():
        yield baselines.GAUSSIAN, Scored(metrics.mean_terms("nll", exact), EXACT)


def _patterns(starts, n_targets, names, split, seed) -> Iterator[Pattern]:
    """Every pattern, with its bootstrap.

    Args:
        starts: of the windows with targets, by window.
        n_targets: (n,), of each.
        names: of the patterns.
        split, seed: of the table, and of the bootstrap.
    """
    codes = starts["held_out"].cat.codes.to_numpy()
    for code, name in enumerate(names):
        here = codes == code
        if not here.any():
            logging.warning("held_out.%s hides nothing in the %s windows: no scores", name, split)
            continue
        if n_targets[here].sum() < metrics.FEW:
            logging.warning("held_out.%s: %d targets are too few to tell methods apart", name, n_targets[here].sum())
        stretch = _stretches(starts[here])
        counts = metrics.resamples(int(stretch.max()) + 1, streams.generator(seed, "bootstrap", name))
        yield Pattern(code, name, starts.index[here].to_numpy(), stretch, counts)


def _by_window(methods, targets, n_features):
    """Windows (W,), the sums of terms over the targets of each, (W, C), and the `Columns` of each of the methods.

    The first 1 + K columns are the numbers of targets, of all features and of each.
    """
    window, place = np.unique(targets.window, return_inverse=True)
    cell = place * n_features + targets.feature
    parts: list[np.ndarray] = []
    n_columns = 0

    def add(terms, of_each):
        nonlocal n_columns
        sums = np.bincount(cell, terms, minlength=len(window) * n_features).reshape(-1, n_features)
        total = sums.sum(axis=1, keepdims=True)
        parts.append(np.hstack([total, sums]) if of_each else total)
        n_columns += parts[-1].shape[1]
        return slice(n_columns - parts[-1].shape[1], n_columns)

    n_targets = add(None, True)

    def places(score, top, bottom):
        of_each = score not in joint_scores.SCORES and OF_DISTANCE not in score
        return add(top, of_each), n_targets if of_each and metrics.are_ones(bottom) else add(bottom, of_each)

    columns = [
        Columns(name, n_samples, {score: places(score, *both) for score, both in terms.items()})
        for name, (terms, n_samples) in methods
    ]
    return window, np.hstack(parts), columns


def _scores(columns, sums, features):
    """(feature, metric, value, lower, upper, number of targets), of all features together, then of most of each."""
    scores = {
        metric: np.stack(metrics.bootstrap(metric, sums[:, top], sums[:, bottom]))
        for metric, (top, bottom) in columns.scores.items()
    }
    for column, name in enumerate(["all", *features]):
        for metric, values in scores.items():
            if not column and metric in metrics.PHYSICAL:  # features have units of their own
                continue
            if column < values.shape[1] and np.isfinite(values[0, column]):  # some distances occur under some patterns
                yield name, metric, *values[:, column].tolist(), int(sums[0, column])


def _log(rows, pattern, n_stretches):
    """Log the CRPS of the average with its bootstrap interval and weights, and the best single method."""
    of_pattern = [row for row in rows if (row[0], row[2]) == (pattern, "all")]
    crps = {row[1]: row for row in of_pattern if row[3] == "crps"}
    weights = {row[1]: row[4] for row in of_pattern if row[3] == "weight" and row[4]}
    _, _, _, _, value, lower, upper, n_targets, _ = crps.pop(metrics.AUTO, crps[metrics.CSDI])
    best = min(crps, key=lambda method: crps[method][4])
    shares = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items() if weight >= TOLD)
    logging.info(
        "%s: CRPS %.3f (95 %% bootstrap interval over %d stretches %.3f to %.3f; %d targets)%s; the lowest of a single "
        "method is %.3f, of %s",
        pattern, value, n_stretches, lower, upper, n_targets, shares and f" of {shares}", crps[best][4], best,
    )  # fmt: skip


if __name__ == "__main__":
    job.run(evaluate_csdi, cached=True)
