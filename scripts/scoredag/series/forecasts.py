"""Every method's forecasts of hidden values as distributions, calibrated and averaged by validation windows.

CSDI's draws are corrected (`conformal`), point forecasts are dressed (`dressing`), and the average of some of them
(`averaging`) is the method `AUTO`. Values are z-scores.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag import metrics
from scoredag.metrics import AUTO, CSDI, z_scores
from scoredag.series import averaging, conformal, dressing, transforms, windows
from scoredag.store import files, tables

# What is averaged besides CSDI: all but nearest neighbours, which add nothing and take longest (docs/experiments.md)
AVERAGED = ("mean", "last value", "linear", "spline", "ridge", "masked ridge", "joint Gaussian", "structural")
LEAST = 200  # validation targets of a pattern by which weights are chosen; fewer are joined by all others
PRIOR_PLACES = 2  # places of validation windows that count as much for a pattern's weights as all patterns together
PRIOR = 100  # targets of a feature that count as much as all others for its weights
PRIOR_OF_KIND = 200  # the same of a kind by distance
COUNTED = 20  # targets of a feature or a kind; fewer do not count
MOST_OF_FEATURE = 1000  # targets that are enough
FEW = 100  # validation targets, below which nothing is calibrated
AT_ONCE = 1 << 14  # targets that are scored at once
OF_POINT = ("method", "value", "deviation")  # columns of the table of baselines, whose rows are those of the samples
NEAR = 0.1  # difference of the shares given under two patterns that are taken for alike

Point = tuple[np.ndarray, np.ndarray | None]  # forecasts (n,), and their deviations where a method has some
Points = Mapping[str, Point]


class Targets(NamedTuple):
    """Hidden values: their window, its place, feature, pattern of missing entries, kind by distance, codes (n,) each.

    Windows of one place are the same stretch of the series, of which other values are hidden.

    `is_late` says whether the window lies in the later half of its split. `truth` is in z-scores, `value` in the units
    of the series; they may be NaN where they are not known.
    """

    window: np.ndarray
    place: np.ndarray
    feature: np.ndarray
    pattern: np.ndarray
    kind: np.ndarray
    is_late: np.ndarray
    truth: np.ndarray
    value: np.ndarray


class Forecasts(NamedTuple):
    """Targets with CSDI's draws (S, n), and the forecasts of point methods."""

    targets: Targets
    draws: np.ndarray
    points: Points

    def part(self, which: np.ndarray | slice) -> "Forecasts":
        """Those of `which` (n,), boolean or a slice."""
        targets = Targets(*(column[which] for column in self.targets))
        points = {name: at(point, which) for name, point in self.points.items()}
        return Forecasts(targets, self.draws[:, which], points)


class Calibration(NamedTuple):
    """What validation windows say of each method.

    `factors` are CSDI's, of `conformal`; `errors`, {method: quantiles}, of `dressing`; `weights` (P, K, D, M) of the
    average, for each pattern, feature and kind by distance, of the methods `averaged` in turn; `shares` (P, D) of the
    kinds among a pattern's targets; `levels` (P, S) are those at which the average is taken to hold what it says.
    """

    factors: np.ndarray
    errors: Mapping[str, np.ndarray]
    weights: np.ndarray
    shares: np.ndarray
    levels: np.ndarray

    @property
    def methods(self) -> list[str]:
        """All that have a distribution."""
        return [CSDI, *self.errors]

    @property
    def averaged(self) -> list[str]:
        """Those that are averaged."""
        return _averaged(self.errors)

    def used(self, pattern: int) -> dict[str, float]:
        """{method: mean weight over the features} of those that have one under a pattern."""
        is_used = self.weights[pattern].any(axis=(0, 1))
        means = zip(self.averaged, self.by_feature(pattern).mean(axis=0).tolist(), is_used, strict=True)
        return {name: weight for name, weight, has_one in means if has_one}

    def by_feature(self, pattern: int) -> np.ndarray:
        """Weights (K, M) under a pattern, mean over its targets of all distances."""
        return np.tensordot(self.shares[pattern], self.weights[pattern], (0, 1))

    def of(self, method: str) -> "Calibration":
        """The same with all weight on one method."""
        weights = np.zeros_like(self.weights)
        weights[..., self.averaged.index(method)] = 1.0
        return self._replace(weights=weights, levels=np.tile(dressing.LEVELS, (len(weights), 1)))

    def quantiles(
        self, method: str, forecasts: Forecasts, known: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> np.ndarray:
        """Quantiles (S, n) at `dressing.LEVELS` of the targets by a method, or by the average, `AUTO`.

        `known` are those of some methods, which the average takes as they are.
        """
        targets = forecasts.targets
        if method == AUTO:
            result = np.zeros((len(dressing.LEVELS), len(targets.truth)))
            for name, weight in zip(self.averaged, np.moveaxis(self.weights, -1, 0), strict=True):
                share = weight[targets.pattern, targets.feature, targets.kind]
                if share.any():
                    of_method = known[name] if name in known else self.quantiles(name, forecasts)
                    result += share * of_method
            return averaging.at_levels(result, self.levels[targets.pattern].T)
        if method == CSDI:
            return conformal.quantiles(forecasts.draws, targets.pattern, targets.kind, self.factors)
        values, deviations = forecasts.points[method]
        scale = 1.0 if deviations is None else deviations
        return dressing.dress(values, scale, targets.pattern, targets.feature, self.errors[method])


class Verdict(NamedTuple):
    """{method: CRPS}, best first; of the average what 90 % intervals hold, and the MAE (K,), NaN without targets."""

    crps: dict[str, float]
    held: float
    mae: np.ndarray


def calibrate(validation: Forecasts, n_patterns: int, n_features: int) -> Calibration:
    """Learn it from validation windows: the average by quantiles that the other half of the time has calibrated."""
    targets, judges = validation.targets, _judges(validation.targets, n_patterns)
    quantiles = _by_halves(validation, np.logical_or.reduce(judges), n_patterns, n_features)
    together = _chosen(quantiles, targets, np.logical_or.reduce(judges))
    weights = np.array([_weights(quantiles, targets, judge, n_features, together) for judge in judges])
    average = (weights[targets.pattern, targets.feature, targets.kind].T[:, None] * quantiles).sum(axis=0)
    levels = [averaging.held_levels(average[:, judge], targets.truth[judge], dressing.LEVELS) for judge in judges]
    shares = [np.bincount(targets.kind[judge], minlength=conformal.N_KINDS) / judge.sum() for judge in judges]
    result = _calibrate(validation, n_patterns, n_features)
    return result._replace(weights=weights, shares=np.array(shares), levels=np.array(levels))


def each_half(validation: Forecasts, n_patterns: int, n_features: int) -> Iterator[tuple[np.ndarray, Calibration]]:
    """(boolean (n,), what calibrates these) of each half of the time: the other half."""
    for here, others in _halves(validation.targets.is_late):
        yield here, calibrate(validation.part(others), n_patterns, n_features)


def judge(validation: Forecasts, n_features: int) -> Verdict:
    """How good the average is, and each of what it is of.

    Of targets of one pattern, each half of the time calibrated by the other.
    """
    quantiles: dict[str, np.ndarray] = {}
    for here, calibration in each_half(validation, 1, n_features):
        part = validation.part(here)
        for name in (AUTO, *calibration.averaged):
            of_all = quantiles.setdefault(name, np.full((len(dressing.LEVELS), len(here)), np.nan))
            of_all[:, here] = calibration.quantiles(name, part)
    terms = {
        name: metrics.terms(part, validation.targets.truth, are_quantiles=True) for name, part in quantiles.items()
    }
    scores = {name: float(part["crps"][0].sum() / part["crps"][1].sum()) for name, part in terms.items()}
    errors, feature = terms[AUTO]["mae"][0], validation.targets.feature
    with np.errstate(invalid="ignore"):
        mae = np.bincount(feature, errors, n_features) / np.bincount(feature, minlength=n_features)
    by_crps = dict(sorted(scores.items(), key=lambda item: item[1]))
    return Verdict(by_crps, float(terms[AUTO]["coverage_90"][0].mean()), mae)


def _halves(is_late):
    """(which (n,), boolean, and which others) of each half of the time that has any; of only one, that itself."""
    for late in (False, True):
        here = is_late == late
        if here.any():
            yield here, here if here.all() else ~here


def _calibrate(validation, n_patterns, n_features):
    """Corrections and errors; no weights yet."""
    targets = validation.targets
    factors = conformal.fit(validation.draws, targets.truth, targets.pattern, targets.kind, targets.window, n_patterns)
    errors = {
        name: dressing.fit(_errors(targets.truth, *point), targets.pattern, targets.feature, n_patterns, n_features)
        for name, point in validation.points.items()
    }
    weights = np.zeros((n_patterns, n_features, conformal.N_KINDS, len(_averaged(errors))))
    shares = np.zeros((n_patterns, conformal.N_KINDS))
    return Calibration(factors, errors, weights, shares, np.tile(dressing.LEVELS, (n_patterns, 1)))


def _averaged(points):
    """The names of those of the methods, and CSDI, that are averaged."""
    return [CSDI, *(name for name in AVERAGED if name in points)]


def _errors(truth, values, deviations):
    """Truth less forecasts, over the deviations where there are some."""
    return (truth - values) / (1.0 if deviations is None else deviations)


def _judges(targets, n_patterns):
    """The targets (n,), boolean, that choose weights of each pattern: its own, or where these are few, all."""
    of = [targets.pattern == code for code in range(n_patterns)]
    return [_spread(like if like.sum() >= LEAST else np.ones(len(like), bool), targets.feature) for like in of]


def _by_halves(validation, which, n_patterns, n_features):
    """Quantiles (M, S, n) of what is averaged, each half of the time calibrated by the other; NaN but of `which`."""
    methods = _averaged(validation.points)
    result = np.full((len(methods), len(dressing.LEVELS), len(which)), np.nan, np.float32)
    for half, others in _halves(validation.targets.is_late):
        other, here = _calibrate(validation.part(others), n_patterns, n_features), which & half
        for row, name in zip(result, methods, strict=True):
            row[:, here] = other.quantiles(name, validation.part(here))
    return result


def _weights(quantiles, targets, judge, n_features, together):
    """Weights (K, D, M) by the targets `judge` (n,): those of all, moved as a feature's and a kind's differ from them.

    These count as far as they have enough targets. As far as all lie in few places, `together`, of all patterns, does.
    """
    n_places = len(np.unique(targets.place[judge]))
    known, own = n_places / (n_places + PRIOR_PLACES), _chosen(quantiles, targets, judge)

    def move(part, prior):
        n = part.sum()
        return known * n / (n + prior) * (_chosen(quantiles, targets, part) - own) if n >= COUNTED else 0.0

    result = np.tile(known * own + (1 - known) * together, (n_features, conformal.N_KINDS, 1))
    for feature in range(n_features):
        result[feature] += move(judge & (targets.feature == feature), PRIOR)
    for kind in range(conformal.N_KINDS):
        result[:, kind] += move(judge & (targets.kind == kind), PRIOR_OF_KIND)
    result = result.clip(min=0.0)
    return result / result.sum(axis=-1, keepdims=True)


def _chosen(quantiles, targets, which):
    """Weights (M,) by the targets `which` (n,)."""
    return averaging.weights(quantiles[:, :, which], targets.truth[which], dressing.LEVELS)


def _spread(which, feature):
    """Those of `which` (n,), boolean, but of each feature at most so many, spread evenly, that choose weights."""
    result = np.zeros(len(which), bool)
    codes = np.unique(feature[which])
    most = max(averaging.MOST // len(codes), MOST_OF_FEATURE)
    for code in codes:
        every = np.flatnonzero(which & (feature == code))
        result[every[np.linspace(0, len(every) - 1, min(len(every), most)).round().astype(int)]] = True
    return result


def at(point: Point, where: Any) -> Point:
    """A method's forecasts, and their deviations where it has some, at some entries."""
    values, deviations = point
    return values[where], None if deviations is None else deviations[where]


def unknown(feature: np.ndarray, kind: np.ndarray, draws: np.ndarray, points: Points) -> Forecasts:
    """Forecasts of values that nobody knows, all as if of the first pattern: draws (S, n), and codes (n,)."""
    zeros = np.zeros(len(feature), np.int64)
    unknown = np.full(len(feature), np.nan)
    targets = Targets(zeros, zeros, feature, zeros, kind, zeros.astype(bool), unknown, unknown)
    return Forecasts(targets, draws, points)


def alike(validation: Forecasts, given: np.ndarray, share: float, own: Sequence[int] = ()) -> Forecasts:
    """The targets of patterns that are like gaps, as if of one pattern: of `own` where these have enough.

    Else those under which windows have about as much given as `share`, too.

    Args:
        validation: forecasts of validation windows.
        given: share (P,) of a window that is given on average under each pattern; NaN of one without windows.
        share: of a window that is given.
        own: patterns that are made of the series' own gaps.
    """
    of_own = np.isin(validation.targets.pattern, own)
    away = np.abs(given - share)
    near = np.flatnonzero(away <= np.nanmin(away) + NEAR)
    enough = of_own.sum() >= metrics.FEW
    part = validation.part(of_own if enough else of_own | np.isin(validation.targets.pattern, near))
    return part._replace(targets=part.targets._replace(pattern=np.zeros(len(part.targets.truth), np.int64)))


def reordered(draws: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Draws (S, n) of which each target has the distribution of its quantiles, in the order of the joint draws.

    Joint over targets as the draws are (ensemble copula coupling, Schefzik, Thorarinsdottir & Gneiting 2013): the
    r-th smallest becomes the quantile at r / (S + 1).

    Args:
        draws: joint draws (S, n).
        quantiles: (`dressing.LEVELS`, n).
    """
    ranks = np.arange(1, len(draws) + 1) / (len(draws) + 1)
    return _in_order_of(draws, averaging.at_levels(quantiles, ranks[:, None]))


def redrawn(draws: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """As `reordered`, but each target has draws of its distribution, tails and all, in place of quantiles.

    Sums and means of several targets are then as wide as they should be: S quantiles vary less than S draws.

    Args:
        draws: joint draws (S, n).
        quantiles: (`dressing.LEVELS`, n).
        levels: (S, n), random numbers in [0, 1).
    """
    return _in_order_of(draws, averaging.at_levels(quantiles, np.sort(levels, axis=0), tails=True))


def _in_order_of(draws, values):
    """Values (S, n), ascending in each column, in the order of the draws (S, n)."""
    result = np.empty_like(values)
    np.put_along_axis(result, draws.argsort(axis=0), values, axis=0)
    return result


def read(
    samples_path: files.PathLike,
    baselines_path: files.PathLike,
    windows_path: str,
    starts: pd.DataFrame,
    stats: pd.DataFrame,
    split: str,
) -> Forecasts:
    """The forecasts of a split: draws from the table of imputed windows, those of point methods from that of baselines.

    Args:
        samples_path, baselines_path, windows_path: of the tables.
        starts: table of the windows' starts and patterns.
        stats: table of the statistics of the features.
        split: its name.
    """
    which = windows.numbers(windows_path, split)
    rows, samples = tables.read_imputations(samples_path)
    points = tables.read(baselines_path, tables.BASELINES, filters=[("split", "==", split)])
    return _forecasts(rows, samples, points, which, windows.table(windows_path, split), starts, stats)


def parts(
    samples_path: files.PathLike,
    baselines_path: files.PathLike,
    windows_path: str,
    starts: pd.DataFrame,
    stats: pd.DataFrame,
    split: str,
) -> Iterator[Forecasts]:
    """Yield the forecasts of a few windows at a time; arguments are as of `read`.

    Only parts with targets are there. Places, and whether a window is late, are those within a part.
    """
    which = windows.numbers(windows_path, split)
    places, ends = windows.borders(windows_path, stats, which)
    streams = (
        tables.ranges(windows_path, tables.WINDOWS, "window", ends, split=split),
        tables.imputation_ranges(samples_path, ends),
        tables.ranges(baselines_path, tables.BASELINES, "window", ends, columns=OF_POINT, split=split),
    )
    for place, table, (rows, samples), points in zip(places, *streams, strict=True):
        if len(rows):
            yield _forecasts(rows, samples, points, which[place], table, starts, stats)


def blocks(forecasts: Forecasts) -> Iterator[Forecasts]:
    """Forecasts of whole windows, about `AT_ONCE` targets at a time: arrays that fit into the cache."""
    window = forecasts.targets.window
    firsts = np.flatnonzero(np.diff(window, prepend=-1))
    edges = np.unique(firsts // AT_ONCE, return_index=True)[1]
    for first, last in itertools.pairwise([*firsts[edges].tolist(), len(window)]):
        yield forecasts.part(slice(first, last))


def _forecasts(rows, samples, points, numbers, table, starts, stats):
    """The forecasts of the windows `numbers`, of which `table` has the rows, from those of samples and of baselines."""
    window = rows["window"].to_numpy()
    _, _, roles = windows.to_arrays(table, stats)
    kinds = conformal.distance_kinds(roles == windows.OBSERVED).transpose(0, 2, 1)
    row = np.searchsorted(numbers, window)
    names = list(rows["feature"].cat.categories)
    order = stats.set_index("feature").index.get_indexer(names)
    feature = order[rows["feature"].cat.codes]
    step = rows["step"].to_numpy()
    subtracted = windows.profile(table, len(stats))[row, feature, step]
    value = rows["truth"].to_numpy()
    rows, samples = transforms.forward_targets(rows, samples, stats)
    truth, draws = z_scores(rows.assign(truth=rows["truth"] - subtracted), samples - subtracted, stats)
    of_window = starts.set_index("window").loc[window]
    targets = Targets(
        window,
        of_window.groupby(["series", "start"] if "series" in of_window else "start", observed=True).ngroup().to_numpy(),
        feature,
        of_window["held_out"].cat.codes.to_numpy(),
        kinds[row, step, feature],
        (of_window["start"] > of_window["start"].median()).to_numpy(),
        truth,
        value,
    )
    return Forecasts(targets, draws, _points(points, feature, stats, subtracted))


def _points(table, feature, stats, subtracted):
    """Forecasts and their scales, z-scores, of every method of the rows of the table of baselines."""
    mean, std = (stats[name].to_numpy()[feature] for name in ("mean", "std"))
    result = {}
    for method, rows in table.groupby("method", observed=True, sort=False):
        deviations = rows["deviation"].to_numpy() / std
        values = (transforms.forward(rows["value"].to_numpy(), stats, feature) - subtracted - mean) / std
        result[str(method)] = values, None if np.isnan(deviations).all() else deviations
    return result
