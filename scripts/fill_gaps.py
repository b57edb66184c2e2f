"""Fill the series' own gaps with a trained CSDI, with intervals."""

import itertools
import logging
import operator
from collections.abc import Callable

import numpy as np
import pandas as pd

from draw_gaps import draw, find, for_network, plan
from scoredag import gaussian, job, metrics, slices, streams
from scoredag.errors import InputError
from scoredag.series import (
    angles,
    baselines,
    components,
    conformal,
    features,
    forecasts,
    gaps,
    missingness,
    rounding,
    structural,
    tidy,
    transforms,
)
from scoredag.series.windows import OBSERVED, read, read_some, steps_of
from scoredag.store import files, tables

ROWS = 1 << 16  # steps that are written at once
BATCH = 256  # windows that simpler methods fill at once
BEYOND = 0.05  # of the imputed values of a feature, above which the log tells of those beyond all observed ones
TOLD = 20  # long gaps, and blind windows, that the log names one by one


def fill_gaps(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    validation_path: str | None,
    baselines_path: str | None,
    structural_path: str | None,
    windows_path: str,
    starts_path: str | None,
    series_path: str,
    profile_path: str,
    statistics_path: str,
    drawn_path: str | None,
    imputed_path: str,
    csv_path: str,
    settings: dict,
    run: str,
    threads: int,
) -> None:
    """Write the whole series with its missing values imputed: tidy with intervals, and wide as CSV."""
    paths = (model_path, gaussian_path, choice_path, validation_path, baselines_path, structural_path)
    more = (windows_path, starts_path, series_path, profile_path, statistics_path)
    filled = fill(*paths, *more, settings, run, threads, drawn_path=drawn_path)
    write(*filled, imputed_path, csv_path, settings["dataset"])


def fill(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    validation_path: str | None,
    baselines_path: str | None,
    structural_path: str | None,
    windows_path: str,
    starts_path: str | None,
    series_path: str,
    profile_path: str,
    statistics_path: str,
    settings: dict,
    run: str,
    threads: int,
    keep: Callable[[np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    previous: pd.DataFrame | None = None,
    drawn_path: str | None = None,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The series; its values with missing ones imputed, the ends of their intervals, and `gaps.quality`, (T, K) each.

    With imputed validation windows, draws get the distribution that these choose: the average with simpler methods, or
    CSDI's alone, corrected. `keep` is called with steps (n,), features (n,) and joint draws (S, n) of the missing
    values, some at a time, in the order of steps, then features. `previous` is what was written of a series of the same
    start: windows in which nothing has changed since are not drawn again, and their gaps keep what they have. The draws
    are those of `draw_gaps` where `drawn_path` has its table.
    """
    stats, dataset = tables.read(statistics_path, tables.STATISTICS), settings["dataset"]
    found = find(series_path, profile_path, windows_path, stats, settings["max_gap"], run)
    wide, lengths, spans, most, windows, profile, of_series, firsts, values = found
    several, length = wide.index.nlevels > 1, values.shape[1]
    rounded = _steps(list(wide.columns), **dataset)
    blind = [start for start, known in zip(windows, ~np.isnan(values).all(axis=(1, 2)), strict=True) if not known]
    quality = gaps.quality(spans, windows, blind, length, most, wide.shape)
    _report(wide, spans, windows, blind, length, most)
    filled, lower, upper = wide.to_numpy(copy=True), *np.full((2, *wide.shape), np.nan)
    given = (~np.isnan(values)).mean() if windows else None
    if previous is not None and not several:
        windows, kept, before = _since(previous, wide, windows, most, length)
        for column, old in zip((filled, lower, upper), before, strict=True):
            column[kept] = old[kept[: len(old)]]
        is_drawn = np.isin(firsts, list(windows))
        firsts, values = firsts[is_drawn], values[is_drawn]
    lowest, highest = _bounds(wide.columns, **dataset)
    of_transform, is_open = transforms.lowest(stats)
    lowest = np.maximum(lowest, of_transform)
    grid = rounding.grid(rounded, transforms.deviations(wide, stats), lowest, highest)
    grid = grid._replace(lowest=np.where(is_open, np.maximum(grid.lowest, grid.steps), grid.lowest))

    scores, known = for_network(values)
    if drawn_path:
        drawn = _read_drawn(drawn_path, firsts, scores, known)
    else:
        batches = draw((model_path, gaussian_path, choice_path), stats, firsts, scores, known, settings, run, threads)
        drawn = (window for _, samples in batches for window in samples.swapaxes(0, 1))
    pairs = ((samples, samples) for samples in drawn)
    if validation_path and windows:
        starts = tables.read(starts_path, tables.WINDOW_STARTS)
        validation = forecasts.read(validation_path, baselines_path, windows_path, starts, stats, "valid")
        calibration = _calibration(settings, validation, given, windows_path, starts, stats)
        if calibration:
            law, names = gaussian.load(gaussian_path), calibration.used(0)
            training = _training(names, windows_path, stats, known.shape[1:])
            methods = {
                name: lambda part, forecast=forecast: forecast(scores[part], known[part])
                for name, forecast in baselines.fitted(*training, law, names)
            }
            if baselines.STRUCTURAL in names:
                methods[baselines.STRUCTURAL] = _structural(structural_path, of_series, lengths, stats, firsts, length)
            rngs = (streams.generator(settings["seed"], "levels", run, first) for first in windows)
            pairs = _calibrated(drawn, known, calibration, methods, rngs)
    for steps, which, *both in _merged(windows, pairs, length):
        shift = stats["mean"].to_numpy()[which] + profile[steps, which]
        moved = (transforms.inverse(part * stats["std"].to_numpy()[which] + shift, stats, which) for part in both)
        samples, joint = (part.clip(lowest[which], highest[which]) for part in moved)
        ends = metrics.interval(samples, settings["level"])
        if keep:
            keep(steps, which, grid.nearest(joint, which))
        for column, values in zip((filled, lower, upper), (np.median(samples, axis=0), *ends), strict=True):
            column[steps, which] = grid.nearest(values, which)
    _tell_beyond(wide, filled, rounded, dataset["circular"], dataset["group"] is not None)
    return wide, filled, lower, upper, quality


def _training(names, windows_path, stats, shape):
    """Training windows and what is known of them, as many as baselines learn from; none if none of `names` is one."""
    if not baselines.METHODS.keys() & names:
        return np.empty((0, *shape)), np.empty((0, *shape), bool)
    _, values, roles = read_some(windows_path, stats, "train", baselines.N_TRAINING)
    return values, roles == OBSERVED


def _since(previous, wide, windows, most, length):
    """The windows in which something has changed since a series was written.

    And which entries (T, K) the others fill, and what was written there: values and ends of intervals, (T_then, K).
    """
    columns = ("imputed", "value", "lower", "upper")
    imputed, *before = (previous[name].to_numpy().reshape(-1, wide.shape[1]) for name in columns)
    observed = np.where(imputed, np.nan, before[0])
    earlier = plan(gaps.find(np.isnan(observed)), most, len(observed), length)
    again = gaps.touched(windows, earlier, gaps.changed(observed, wide.to_numpy()), length)
    logging.info("%d of %d windows are drawn; in the others nothing has changed", len(again), len(windows))
    kept = np.zeros(wide.shape, bool)
    for part in (part for first in windows.keys() - again for part in windows[first]):
        kept[part.first : part.stop, part.feature] = True
    return {first: parts for first, parts in windows.items() if first in again}, kept, before


def _calibration(settings, validation, given, windows_path, starts, stats):
    """What validation windows like those with gaps say, of which a share is `given`; None where they are too few."""
    names = list(starts["held_out"].cat.categories)
    own = [names.index(missingness.OWN)] if missingness.OWN in names else []
    numbers, _, roles = read(windows_path, stats, "valid")
    patterns = starts.set_index("window")["held_out"].loc[numbers].to_numpy()
    shares = pd.Series((roles == OBSERVED).mean(axis=(1, 2))).groupby(patterns, observed=False).mean()
    alike = forecasts.alike(validation, shares.to_numpy(), given, own)
    if len(alike.targets.truth) < forecasts.FEW:
        logging.warning(
            "%d validation targets are too few to choose methods and to correct intervals by them; gaps are filled "
            "with CSDI's draws as they are",
            len(alike.targets.truth),
        )
        return None
    verdict, n_own = forecasts.judge(alike, len(stats)), np.isin(validation.targets.pattern, own).sum()
    of_own, of_others = "as those of the gaps are missing", "with about as much given as at the gaps"
    logging.info(
        "on %d validation values, hidden %s, each half of the time calibrated by the other: CRPS %s; "
        "90 %% intervals of auto hold %.0f %%; its mean absolute error is %s",
        len(alike.targets.truth),
        of_others if not n_own else of_own if n_own == len(alike.targets.truth) else f"{of_own}, or {of_others}",
        ", ".join(f"{crps:.3f} of {name}" for name, crps in verdict.crps.items()), 100 * verdict.held,
        _errors(stats, verdict.mae),
    )  # fmt: skip
    calibration = forecasts.calibrate(alike, 1, len(stats))
    calibration = calibration if settings["method"] == metrics.AUTO else calibration.of(settings["method"])
    shown = ", ".join(f"{name} {weight:.2f}" for name, weight in calibration.used(0).items())
    logging.info(
        "filled by an average of quantiles that %d validation targets choose and correct, weights: %s",
        len(alike.targets.truth), shown,
    )  # fmt: skip
    return calibration


def _errors(stats, mae):
    """Errors (K,), z-scores, of the features that have one in their units, in words; not of too many."""
    of = [f"the {transform} of " if transform else "" for transform in transforms.names(stats)]
    rows = stats.assign(mae=mae * stats["std"], of=of).dropna(subset="mae")
    more = f" and so on ({len(rows)} features)" if len(rows) > TOLD else ""
    return ", ".join(f"{row.mae:.3g} of {row.of}'{row.feature}'" for row in rows.head(TOLD).itertuples()) + more


def _structural(path, scores, lengths, stats, firsts, length):
    """The forecast of the structural model, given the whole series (T, K): a function of a slice of the windows."""
    smoothed = structural.smooth_all(components.load(path), list(stats["feature"]), scores, lengths)
    steps = steps_of(firsts, length, len(scores))
    return lambda part: tuple(values[steps[part]].transpose(0, 2, 1) for values in smoothed)


def _calibrated(drawn, known, calibration, methods, rngs):
    """Two arrays (S, K, L) of each window in turn: quantiles of the calibrated average, and draws, in CSDI's order.

    Args:
        drawn: draws of CSDI, of each window in turn.
        known: (N, K, L), what is given.
        calibration: of one pattern.
        methods: {name: function of a slice of the windows to forecasts and deviations} of those that have a weight.
        rngs: a generator of each window.
    """
    for first in range(0, len(known), BATCH):
        part = slice(first, first + BATCH)
        filled = {name: forecast(part) for name, forecast in methods.items()}
        for row, there in enumerate(known[part]):
            samples = next(drawn)
            points = {name: forecasts.at(pair, (row, ~there)) for name, pair in filled.items()}
            feature, _ = np.nonzero(~there)
            kinds = conformal.distance_kinds(there)[~there]
            draws = samples[:, ~there]
            quantiles = calibration.quantiles(metrics.AUTO, forecasts.unknown(feature, kinds, draws, points))
            joint = samples.copy()
            joint[:, ~there] = forecasts.redrawn(draws, quantiles, next(rngs).random(draws.shape))
            samples[:, ~there] = forecasts.reordered(draws, quantiles)
            yield samples, joint


def _merged(windows, pairs, length):
    """Steps, features, and both of the pairs (S, n) of the missing entries, some at a time: see `gaps.merge`."""
    parts = [
        gaps.merge(windows, map(operator.itemgetter(place), copy), length)
        for place, copy in enumerate(itertools.tee(pairs))
    ]
    for (steps, which, samples), (_, _, joint) in zip(*parts, strict=True):
        yield steps, which, samples, joint


def _report(wide, spans, windows, blind, length, most):
    """Say in the log how much is missing, what stays so, and what no window can see."""
    logging.info(
        "%d of %d values are missing, in %d gaps; %d windows of %d steps fill them",
        (spans["stop"] - spans["first"]).sum(), wide.size, len(spans), len(windows), length,
    )  # fmt: skip
    left = spans["stop"] - spans["first"] > most
    if left.any():
        logging.info("gaps of more than %d steps, which stay missing (max_gap): %d", most, left.sum())
        spans = spans[~left]
    times = wide.index.get_level_values(-1)
    of = [""] * len(wide) if wide.index.nlevels == 1 else [f" of '{name}'" for name in wide.index.get_level_values(0)]
    long = spans[gaps.is_long(spans, length)]
    for gap in long.head(TOLD).itertuples(index=False):
        logging.warning(
            "%s%s: the gap of %d steps from %s to %s is longer than fits into a window of %d steps (windows.length); "
            "several windows fill it, and its middle does not see its ends",
            wide.columns[gap.feature], of[gap.first], gap.stop - gap.first,
            times[gap.first], times[gap.stop - 1], length,
        )  # fmt: skip
    if len(long) > TOLD:
        logging.warning("%d more gaps are longer than fits into a window", len(long) - TOLD)
    for start in blind[:TOLD]:
        logging.warning(
            "nothing is observed%s in the %d steps from %s: what is filled in there is any stretch of such a series, "
            "and its intervals are as wide",
            of[start], length, times[start],
        )  # fmt: skip
    if len(blind) > TOLD:
        logging.warning("nothing is observed in %d more windows", len(blind) - TOLD)


def _tell_beyond(wide, filled, steps, circular, grouped):
    """Say where what is filled in lies beyond all that was observed, or between whole numbers; not of angles.

    `steps` are those that features are rounded to, None where there is none.
    """
    parts = angles.components(list(wide.columns), circular, grouped)
    for name, observed, values, step in zip(wide.columns, wide.to_numpy().T, filled.T, steps, strict=True):
        if name in parts:
            continue
        column = "its column" if grouped else name  # {group}_{feature} is no key of `plausible` and `round`
        imputed, observed = values[np.isnan(observed) & ~np.isnan(values)], observed[~np.isnan(observed)]
        if not len(observed):
            continue
        low, high = observed.min(), observed.max()
        n_below, n_above = (imputed < low).sum(), (imputed > high).sum()
        if max(n_below, n_above) > BEYOND * len(imputed):
            logging.info(
                "'%s': of %d imputed values %d are below the least observed one, %g, and %d above the largest, %g; "
                "where there can be none, write plausible: {%s: [%g, %g]}",
                name, len(imputed), n_below, low, n_above, high, column, low, high,
            )  # fmt: skip
        if step is None and (observed % 1 == 0).all() and (imputed % 1 != 0).any():
            logging.info(
                "'%s': all observed values are whole numbers; the imputed ones are not: write round: {%s: 1}",
                name, column,
            )  # fmt: skip


def _steps(names, *, name, round, circular, group, **_):
    """The step that each feature is rounded to, None where there is none."""
    try:
        return rounding.steps_of(names, round, circular, group is not None)
    except InputError as error:
        raise InputError(f"datasets.{name}.round: {error}") from error


def _bounds(names, *, plausible, circular, group, **_):
    """Lowest and highest value (K,) of each feature: plausible ones, of a sine or cosine -1 and 1, else infinite."""
    columns = [features.column_of(name, plausible, group is not None) for name in names]
    known = dict.fromkeys(angles.components(list(names), circular, group is not None), (-1.0, 1.0))
    ranges = [
        known.get(name, plausible.get(column, (-np.inf, np.inf))) for name, column in zip(names, columns, strict=True)
    ]
    return np.array(ranges, dtype=np.float64).T


def _read_drawn(path, firsts, scores, known):
    """Samples (S, K, L), z-scores, of each window in turn, from the table of `draw_gaps`."""
    parts = list(slices.covering(len(firsts), BATCH))
    ends = ((int(firsts[part][0]), int(firsts[part][-1])) for part in parts)
    for part, (_, drawn) in zip(parts, tables.imputation_ranges(path, ends), strict=True):
        samples = np.repeat(scores[part][None], len(drawn), axis=0)
        samples.swapaxes(2, 3)[:, ~known[part].swapaxes(1, 2)] = drawn
        yield from samples.swapaxes(0, 1)


def write(
    wide: pd.DataFrame,
    filled: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    quality: np.ndarray,
    imputed_path: files.PathLike,
    csv_path: files.PathLike,
    dataset: dict,
) -> None:
    """Write what `fill` returns: tidy, some steps at a time, and wide as CSV.

    An observed value has no interval, nor has one that stays missing.
    """
    several = wide.index.nlevels > 1
    with tables.writing(imputed_path, tables.of_several(tables.IMPUTED) if several else tables.IMPUTED) as write:
        for first in range(0, len(wide), ROWS):
            part = slice(first, first + ROWS)
            rows = tidy.to_tidy(wide.iloc[part])
            write(
                rows.assign(
                    value=filled[part].ravel(),
                    lower=lower[part].ravel(),
                    upper=upper[part].ravel(),
                    imputed=~np.isin(quality[part].ravel(), [gaps.OBSERVED, gaps.LEFT]),
                    quality=pd.Categorical.from_codes(quality[part].ravel(), gaps.QUALITIES),
                )
            )
    with files.replacing(csv_path) as partial:
        whole = pd.DataFrame(filled, wide.index, wide.columns)
        angles.join(whole, dataset["circular"], dataset["plausible"], dataset["group"] is not None).to_csv(partial)


if __name__ == "__main__":
    job.run(fill_gaps, cached=True)
