"""Score the imputation of held-out entries beside simpler methods."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import job, joint_scores, metrics, streams
from scoredag.errors import InputError
from scoredag.series import baselines, conformal, dressing, forecasts, transforms
from scoredag.store import tables

OF_DISTANCE = "distance_"  # in names of scores
SHUFFLED = "auto, entries shuffled"  # the draws of each entry in another order: what joint draws are worth
EXACT = 0  # samples, or quantiles, of a score that takes none
TOLD = 0.01  # weight of a method, below which the log does not name it


class Scored(NamedTuple):
    """The terms of a method's scores, and the number of its samples, or quantiles."""

    terms: metrics.Terms
    n_samples: int


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
) -> None:
    """Write scores on z-scores by pattern, of all features and of each, with block bootstrap intervals.

    Of each feature there are errors of the median in its unit, too.

    CSDI and point methods are scored as they are, CSDI also by the paper's formulas, and as validation windows make
    them distributions that hold what they say; so is their average, `auto`, whose weights are there, too. On the test
    windows CSDI has also the bound on the negative log-likelihood, and the joint Gaussian its exact value. In the
    validation split itself each half of the time judges the other.
    """
    stats = tables.read(statistics_path, tables.STATISTICS)
    starts = tables.read(starts_path, tables.WINDOW_STARTS)
    paths = {"valid": validation_path, split: samples_path}
    read = {
        name: forecasts.read(path, baselines_path, windows_path, starts, stats, name) for name, path in paths.items()
    }
    here, valid, names = read[split], read["valid"], list(starts["held_out"].cat.categories)
    if not len(here.targets.truth):
        raise InputError(f"datasets.*.windows.held_out: hides nothing in the {split} windows; raise its shares")
    parts = _calibrations(here, valid, split, (len(names), len(stats)))
    truth = tables.read_truth(samples_path)

    def physical(off):
        return transforms.errors(off, truth, stats, here.targets.feature)

    methods = list(_methods(here, parts, settings["antithetic"], physical))
    if scores_path:
        window, feature = here.targets.window, stats["feature"].to_numpy()[here.targets.feature]
        methods += _likelihoods(scores_path, window, feature)
    rows = []
    for code, pattern, targets in _patterns(here.targets.pattern, names, split):
        of_pattern, window = np.unique(here.targets.window[targets], return_inverse=True)
        stretch = _stretches(starts.set_index("window").loc[of_pattern])
        counts = metrics.resamples(stretch, streams.generator(settings["seed"], "bootstrap", pattern))
        for name, method in methods:
            terms = {score: (top[targets], bottom[targets]) for score, (top, bottom) in method.terms.items()}
            scores = _scores(terms, window, here.targets.feature[targets], list(stats["feature"]), counts)
            rows += [(pattern, name, *score, method.n_samples) for score in scores]
        if parts and split != "valid":
            rows += _weights(parts[0][1], code, pattern, valid.targets, list(stats["feature"]))
        _log(rows, pattern, int(stretch.max()) + 1)
    tables.write_rows(rows, metrics_path, tables.CSDI_METRICS)


def _stretches(starts):
    """The stretch (n,) of each window, rows of the table of starts."""
    series = starts["series"].cat.codes if "series" in starts else 0
    begins = starts["start"].astype("int64").to_numpy()
    return metrics.stretches(begins, np.broadcast_to(series, len(starts)))


def _calibrations(here, valid, split, sizes):
    """(which targets, what calibrates them): in the validation split of either half of the time; none by too few."""
    n_targets = len(valid.targets.truth)
    if n_targets < forecasts.FEW:
        logging.warning("%d validation targets are too few to calibrate and to choose by: no `auto`", n_targets)
        return []
    if split == "valid":
        return list(forecasts.each_half(valid, *sizes))
    return [(np.ones(len(here.targets.truth), bool), forecasts.calibrate(valid, *sizes))]


def _methods(here, parts, antithetic, physical) -> Iterator[tuple[str, Scored]]:
    """(name, scores) of every method, as it is and as a distribution; `physical` as of `metrics.terms`."""
    truth = here.targets.truth
    names = [*parts[0][1].methods, metrics.AUTO] if parts else []
    calibrated = {name: np.empty((dressing.N_QUANTILES, len(truth))) for name in names}
    for chosen, calibration in parts:
        part = here.part(chosen)
        for name, quantiles in calibrated.items():
            quantiles[:, chosen] = calibration.quantiles(name, part)
    scored = {
        name: Scored(metrics.terms(quantiles, truth, are_quantiles=True, physical=physical), dressing.N_QUANTILES)
        for name, quantiles in calibrated.items()
    }
    for name, (point, deviations) in here.points.items():
        if deviations is None:
            yield name, Scored(metrics.terms(point[None], truth, physical=physical), 1)
        if name in scored:
            yield name + metrics.DRESSED * (deviations is None), scored[name]
    independent = conformal.independent(here.draws, antithetic)
    drawn = metrics.terms(here.draws, truth, independent=independent, physical=physical)
    yield metrics.CSDI, Scored(drawn | _joint(independent, here.targets), len(here.draws))
    as_in_paper = metrics.paper_terms(here.draws, truth) | {"crps": drawn["crps"]}
    yield metrics.CSDI + metrics.AS_IN_PAPER, Scored(as_in_paper, len(here.draws))
    for name, shown in ((metrics.CSDI, metrics.CSDI + metrics.CORRECTED), (metrics.AUTO, metrics.AUTO)):
        if name in scored:
            rng = streams.generator(0, "levels", name)
            joint = _joint(forecasts.redrawn(independent, calibrated[name], rng), here.targets)
            by_distance = _by_distance(scored[name].terms, here.targets.kind)
            yield shown, scored[name]._replace(terms=scored[name].terms | by_distance | joint)
    if scored:
        shuffled = streams.generator(0, "shuffled").permuted(independent, axis=0)
        rng = streams.generator(0, "levels", metrics.AUTO)
        joint = _joint(forecasts.redrawn(shuffled, calibrated[metrics.AUTO], rng), here.targets)
        yield SHUFFLED, Scored(joint, len(independent))


def _joint(draws, targets):
    """Terms of the scores of joint draws."""
    return joint_scores.terms(draws, targets.truth, targets.window, targets.feature)


def _by_distance(terms, kind):
    """Terms of the coverage of targets by their distance in steps to the nearest given value of their feature."""
    return {
        f"{score}_{OF_DISTANCE}{name}": tuple(np.where(kind == code, column, 0.0) for column in terms[score])
        for score in (f"coverage_{percent}" for percent in metrics.PERCENTS)
        for code, name in enumerate(conformal.KINDS)
        if (kind == code).any()
    }


def _weights(calibration, code, pattern, validation, features):
    """Rows of the table: the weight of each method in the average, of all features and of each."""
    here = validation.pattern == code
    n_targets = [int(here.sum()), *np.bincount(validation.feature[here], minlength=len(features)).tolist()]
    weights = np.vstack([calibration.weights[code].mean(axis=0), calibration.weights[code]]).tolist()
    for feature, row, n in zip(["all", *features], weights, n_targets, strict=True):
        for name, weight in zip(calibration.averaged, row, strict=True):
            yield pattern, name, feature, "weight", weight, weight, weight, n, dressing.N_QUANTILES


def _likelihoods(path, window, feature) -> Iterator[tuple[str, Scored]]:
    """(name, scores) of the methods with a likelihood: nats, per target, of the window and feature of each target.

    Args:
        path: of the windows' scores.
        window, feature: (n,), number and name, of each target.
    """
    table = tables.read(path, tables.WINDOW_SCORES)
    nats = table.set_index(["window", table["feature"].astype(str)])[["nll_bound", "gaussian_nll"]]
    nats = nats.loc[pd.MultiIndex.from_arrays([window, feature])]
    bound, exact = (nats[name].to_numpy() for name in nats)
    yield metrics.CSDI, Scored(metrics.mean_terms("nll_bound", bound), int(table["n_draws"].iloc[0]))
    if not np.isnan(exact).any():
        yield baselines.GAUSSIAN, Scored(metrics.mean_terms("nll", exact), EXACT)


def _patterns(codes, names, split):
    """(code, name, boolean mask of its targets) of every pattern."""
    for code, name in enumerate(names):
        targets = codes == code
        if not targets.any():
            logging.warning("held_out.%s hides nothing in the %s windows: no scores", name, split)
            continue
        if targets.sum() < metrics.FEW:
            logging.warning("held_out.%s: %d targets are too few to tell methods apart", name, targets.sum())
        yield code, name, targets


def _scores(terms, window, feature, names, counts):
    """(feature, metric, value, lower, upper, number of targets), of all features together, then of most of each.

    Args:
        terms: from `metrics.terms`.
        window, feature: (n,), numbers from 0 on, of each target.
        names: (K,), the features'.
        counts: from `metrics.resamples`.
    """
    scored, feature = np.unique(feature, return_inverse=True)
    shape = counts.shape[1], len(scored)
    cell = window * len(scored) + feature

    def by_window(terms, columns):
        sums = np.bincount(cell, terms, minlength=np.prod(shape)).reshape(shape)
        return np.column_stack([sums.sum(axis=1), sums])[:, :columns]

    n_targets = [len(cell), *np.bincount(feature).tolist()]
    scores = {}
    for metric, both in terms.items():
        columns = 1 if metric in joint_scores.SCORES or OF_DISTANCE in metric else len(n_targets)
        sums = (by_window(part, columns) for part in both)
        scores[metric] = np.stack(metrics.bootstrap(metric, *sums, counts))
    for column, (name, n) in enumerate(zip(["all", *(names[k] for k in scored)], n_targets, strict=True)):
        for metric, values in scores.items():
            if not column and metric in metrics.PHYSICAL:  # features have units of their own
                continue
            if column < values.shape[1] and np.isfinite(values[0, column]):  # some distances occur under some patterns
                yield name, metric, *values[:, column].tolist(), n


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
