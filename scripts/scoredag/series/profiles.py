"""Profile of a series: trend and cycles of day, week and year, which windows do not see as a whole.

It is subtracted before windows are cut, where that helps the joint Gaussian on validation windows, and added back to
all that is written in physical units. Of a feature with a transform it is that of the transformed series.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag import gaussian, slices
from scoredag.series import seasons, tidy
from scoredag.series.windows import OBSERVED, TARGET
from scoredag.store import files, tables

log = logging.getLogger(__name__)

HARMONICS = {"day": 4, "week": 3, "year": 3}
LEAST_STEPS, CYCLES = 2.5, 3  # of a cycle, and cycles of a series
RIDGE = 1e-3  # relative to the number of values
AT_ONCE = 1 << 18  # steps, of which all harmonics are in memory
GAIN = 0.02  # of the CRPS, below which nothing is subtracted


class Profile(NamedTuple):
    """What is subtracted from a series (T, K), and its parts by name."""

    values: np.ndarray
    parts: tuple[str, ...]


def estimate(wide: pd.DataFrame, training: np.ndarray) -> Profile:
    """Least squares of harmonics of the calendar's cycles that the series holds three times, and a linear trend.

    Args:
        wide: one series, (T, K), on a regular grid.
        training: boolean (T,), the steps that it is estimated from.
    """
    observed = wide.to_numpy()
    known = training[:, None] & ~np.isnan(observed)
    parts, columns = _design(wide.index, np.zeros(1))
    n_columns, n_known = columns.shape[1], known.sum(axis=0)
    fitted = np.flatnonzero(n_known > n_columns)
    middle = {k: observed[known[:, k], k].mean() for k in fitted}
    normal = {k: n_known[k] * np.diag(np.r_[0.0, np.full(n_columns - 1, RIDGE)]) for k in fitted}
    right = {k: np.zeros(n_columns) for k in fitted}
    for place, design in _designs(wide.index):
        for k in fitted:
            rows = design[known[place, k]]
            normal[k] += rows.T @ rows
            right[k] += rows.T @ (observed[place, k][known[place, k]] - middle[k])
    coefficients = {k: np.linalg.solve(normal[k], right[k]) for k in fitted}
    values = np.zeros(wide.shape)
    for place, design in _designs(wide.index):
        for k in fitted:
            values[place, k] = middle[k] + design @ coefficients[k]
    return Profile(values, parts)


def _designs(times):
    """`_design` at all steps, some of them at a time: (which, columns)."""
    for place in slices.covering(len(times), AT_ONCE):
        yield place, _design(times, np.arange(place.start, place.stop))[1]


def extended(profile: pd.DataFrame, steps: np.ndarray) -> np.ndarray:
    """A profile (T, K) at other times (n, K): its trend and cycles go on.

    Args:
        profile: what `estimate` gave, or zeros, on the grid of its series.
        steps: (n,), of this grid, of which the first is 0; others may be less, or beyond the last one.
    """
    inside = (steps >= 0) & (steps < len(profile)) & (steps % 1 == 0)
    _, design = _design(profile.index, np.arange(len(profile)))
    coefficients, *_ = np.linalg.lstsq(design, profile.to_numpy(), rcond=None)
    values = _design(profile.index, steps)[1] @ coefficients
    values[inside] = profile.to_numpy()[steps[inside].astype(int)]
    return values


def _design(times, steps):
    """Names of the parts that a series on a grid of `times` has, and what they are made of at `steps` of it, (n, P)."""
    n = len(times)
    columns, parts = [np.ones(len(steps)), 2 * steps / n - 1], ["trend"]
    for name, period in seasons.calendar(times).items():
        if LEAST_STEPS < period <= n / CYCLES:
            parts.append(name)
            for harmonic in range(1, min(HARMONICS[name], int(period / 2)) + 1):
                angle = 2 * np.pi * harmonic * steps / period
                columns += [np.cos(angle), np.sin(angle)]
    return tuple(parts), np.column_stack(columns)


def helps(
    profile: Profile,
    wide: pd.DataFrame,
    training: np.ndarray,
    steps: np.ndarray,
    roles: np.ndarray,
    is_valid: np.ndarray,
) -> bool:
    """Whether the joint Gaussian of windows has a CRPS lower by `GAIN` or more where the profile is subtracted.

    Args:
        profile: from `estimate`.
        wide: the series, (T, K).
        training: boolean (T,).
        steps: of the training and validation windows, (N, L).
        roles: codes of `windows.ROLES`, (N, K, L).
        is_valid: boolean (N,).
    """
    if not (roles[is_valid] == TARGET).any():
        return False
    values = wide.to_numpy()
    unit = np.nanstd(values[training], axis=0)
    without, with_it = (
        _crps(rest, unit, training, steps, roles, is_valid) for rest in (values, values - profile.values)
    )
    subtracted = with_it < (1 - GAIN) * without
    log.info(
        "%s: CRPS of the joint Gaussian on validation windows %.4f without it for %.4f: %s",
        ", ".join(profile.parts), with_it, without, "subtracted" if subtracted else "not subtracted",
    )  # fmt: skip
    return bool(subtracted)


def _crps(values, unit, training, steps, roles, is_valid):
    """Mean CRPS of the joint Gaussian of windows of `values` (T, K), in units (K,) of each feature."""
    spread = np.nanstd(values[training], axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scores = np.nan_to_num((values - np.nanmean(values[training], axis=0)) / spread)
    cut = scores[steps].transpose(0, 2, 1)
    law = gaussian.fit(cut[~is_valid], roles[~is_valid] == OBSERVED)
    every = max(int(is_valid.sum() * roles[0].size / gaussian.DENSE.judged), 1)
    valid, given = cut[is_valid][::every], roles[is_valid][::every]
    targets = given == TARGET
    means, deviations = gaussian.fill(law, valid, given == OBSERVED)
    feature = np.nonzero(targets)[1]
    return float((gaussian.crps(means[targets], deviations[targets], valid[targets]) * (spread / unit)[feature]).mean())


def write(profile: pd.DataFrame | None, path: files.PathLike) -> None:
    """Write what is subtracted from a series, as a tidy table; an empty one where nothing is."""
    if profile is None:
        tables.write_rows([], path, tables.SERIES)
    else:
        tables.write(tidy.to_tidy(profile), path, tables.SERIES)


def read(path: files.PathLike) -> np.ndarray | float:
    """What is subtracted from the (transformed) series, (T, K); 0 where nothing is."""
    wide = tidy.read(path)
    return wide.to_numpy() if len(wide) else 0.0
