"""Sums, means, least and greatest values of a series by period, with intervals where values were missing."""

import logging

import numpy as np
import pandas as pd

from scoredag import job, metrics
from scoredag.errors import InputError
from scoredag.series import angles, completing, features, periods, tidy
from scoredag.store import tables


def aggregate_series(completed_path: str, series_path: str, aggregates_path: str, settings: dict, run: str) -> None:
    """Write the median over the completed series of each aggregate, and the interval that these give."""
    wide = tidy.read(series_path)
    try:
        period, groups = periods.groups(wide, settings["period"])
    except InputError as error:
        raise InputError(f"csdi.runs.{run}.aggregates.period: {error}") from error
    angular = angles.components(list(wide.columns), settings["circular"], settings["group"] is not None)
    names = [name for name in wide.columns if name not in angular]
    if not names:
        raise InputError(f"csdi.runs.{run}.aggregates: every feature is an angle, of which there is no sum or mean")
    if angular:
        logging.info("angles have no sums and means: %s are left out", ", ".join(angular))
    frames = (frame[names].to_numpy() for frame in completing.completed(series_path, completed_path))
    is_missing = wide[names].isna().to_numpy()
    shifts = [0.0, *([_shifts(names, settings, run) * is_missing] if settings["shift"] else [])]
    parts = [[periods.aggregates(values + shift, groups.firsts) for shift in shifts] for values in frames]
    drawn, *shifted = np.stack(parts, axis=1)
    percent = round(100 * settings["level"])
    if 1 < len(drawn) < metrics.samples_for(percent):
        logging.warning(
            "%d draws are too few for intervals of %d %%, which reach from the least to the greatest; write completed: "
            "{draws: %d} or more",
            len(drawn), percent, metrics.samples_for(percent),
        )  # fmt: skip
    missing = np.add.reduceat(is_missing, groups.firsts, axis=0, dtype=np.int64)
    logging.info(
        "%d periods of a %s, with up to %d steps; values are missing in %.0f %% of them and their features",
        len(groups.firsts), period, groups.counts.max(), 100 * (missing > 0).mean(),
    )  # fmt: skip
    columns = _columns("estimate", "", drawn, settings["level"])
    columns |= _columns("shifted", "shifted_", *(shifted or [np.full_like(drawn, np.nan)]), settings["level"])
    _write(aggregates_path, wide, names, period, groups, columns, missing)


def _shifts(names, settings, run):
    """What is added to filled values of each feature, (K,)."""
    try:
        columns = features.columns_of(names, settings["shift"], settings["group"] is not None)
    except InputError as error:
        raise InputError(f"csdi.runs.{run}.aggregates.shift: {error}") from error
    return np.array([settings["shift"].get(column, 0.0) for column in columns])


def _columns(name, prefix, drawn, level):
    """The median of aggregates (S, 4, P, K) over completed series, and the ends of the interval, by their columns."""
    lower, upper = metrics.interval(drawn, level)
    return {name: np.median(drawn, axis=0), f"{prefix}lower": lower, f"{prefix}upper": upper}


def _write(path, wide, names, period, groups, columns, missing):
    """The table, by start, feature and statistic, of {name: aggregates (4, P, K)} and missing steps (P, K)."""
    shape = *missing.shape, len(periods.STATISTICS)
    place, feature, statistic = (axis.ravel() for axis in np.indices(shape))
    several, lengths = tidy.series_of(wide)
    series = {}
    if several is not None:
        codes = np.repeat(np.arange(len(lengths)), lengths)[groups.firsts]
        series = {"series": pd.Categorical.from_codes(codes[place], several)}
    rows = series | {
        "period": pd.Categorical.from_codes(np.zeros_like(place), [period]),
        "start": groups.starts[place],
        "feature": pd.Categorical.from_codes(feature, names),
        "statistic": pd.Categorical.from_codes(statistic, periods.STATISTICS),
        **{name: np.moveaxis(values, 0, -1).ravel() for name, values in columns.items()},
        "missing": (missing / groups.counts[:, None]).ravel()[place * len(names) + feature],
        "n_steps": groups.counts[place],
    }
    tables.write(rows, path, tables.AGGREGATES)


if __name__ == "__main__":
    job.run(aggregate_series)
