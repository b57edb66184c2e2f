"""Monotone transforms of features, so that what is imputed keeps the bounds that they have.

Statistics, profile and z-scores of a feature with a transform f are of f(value): z = (f(x) - profile - mean) / std. On
disk, values are x. Which feature has which stands in the columns `MORE` of the table of statistics.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.series import features
from scoredag.store.tables import TRANSFORMED

MORE = TRANSFORMED.names  # of the statistics of a dataset in which some feature has one: transform, low, high
MARGIN = 1 / 200  # of its range, by which logit's is wider at either end: the ends occur, as 100 % humidity does
LEAST = 1e-6  # of what logit and log1p take, to their ends, where they are infinite
MOST = 80.0  # the largest logarithm, either sign: e^80 is a float32
WORTH = 0.1  # nats a value, from which on a logarithm is advised
ENOUGH = 100  # values between two neighbours, by which it is

_Function = Callable[[np.ndarray, float, float], np.ndarray]


class Transform(NamedTuple):
    """A transform and its inverse, functions of values and the ends of their range; what it takes, in words.

    `lowest` is that of what is filled in; `is_open` says that this itself is none.
    """

    forward: _Function
    inverse: _Function
    takes: str
    accepts: _Function
    lowest: float = -np.inf
    is_open: bool = False


def _log(values, low, high):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values).clip(-MOST, MOST)


def _exp(values, low, high):
    return np.exp(values.clip(-MOST, MOST))


def _log1p(values, low, high):
    return np.log1p(values.clip(LEAST - 1, None))


def _expm1(values, low, high):
    return np.expm1(values.clip(np.log(LEAST), MOST))


def _logit(values, low, high):
    margin = MARGIN * (high - low)
    share = ((values - low + margin) / (high - low + 2 * margin)).clip(LEAST, 1 - LEAST)
    return np.log(share) - np.log1p(-share)


def _expit(values, low, high):
    margin = MARGIN * (high - low)
    most = np.log(1 / LEAST - 1)
    return low - margin + (high - low + 2 * margin) / (1 + np.exp(-values.clip(-most, most)))


TRANSFORMS = {
    "log": Transform(_log, _exp, "values above 0", lambda x, low, high: x > 0, 0.0, is_open=True),
    "log1p": Transform(_log1p, _expm1, "values of 0 and more", lambda x, low, high: x >= 0, 0.0),
    "logit": Transform(_logit, _expit, "values in its plausible range", lambda x, low, high: (x >= low) & (x <= high)),
}


def gain_of_log(values: np.ndarray) -> float:
    """How much better a series is described by deviations relative to its level than by equal ones, in nats a value.

    Of the likelihood of x (Box & Cox 1964, with the power 0 or 1) where it differs from the mean of its neighbours by
    Laplace's law, on the scale of its logarithm or as it is. -inf where not all values are above 0 or too few have
    both neighbours.

    Args:
        values: (T,), NaN where missing.
    """
    if not (values[~np.isnan(values)] > 0).all():
        return -np.inf
    logarithms = np.log(values)
    errors, relative = (x[1:-1] - (x[:-2] + x[2:]) / 2 for x in (values, logarithms))
    here = ~np.isnan(errors)
    if here.sum() < ENOUGH or not errors[here].any():
        return -np.inf
    sizes = [np.abs(part[here]).mean() for part in (errors, relative)]
    return float(np.log(sizes[0] / sizes[1]) - logarithms[1:-1][here].mean())


def choose(
    names: Sequence[str], transform: Mapping[str, str], plausible: Mapping[str, Sequence[float]], grouped: bool
) -> pd.DataFrame:
    """The columns `MORE` of K features, null where there is no transform; no columns where no feature has one.

    Args:
        names: of the features.
        transform: {column: name in `TRANSFORMS`}.
        plausible: {column: (lowest, highest)}, of those with a logit at least.
        grouped: whether features are {group}_{column}.

    Raises:
        InputError: a column has no feature.
    """
    if not transform:
        return pd.DataFrame(index=range(len(names)))
    columns = features.columns_of(names, transform, grouped)
    rows = [
        (None if column is None else transform[column], *_range(column, transform, plausible)) for column in columns
    ]
    return pd.DataFrame(rows, columns=MORE).astype({"transform": object, "low": np.float64, "high": np.float64})


def _range(column, transform, plausible):
    return plausible[column] if column is not None and transform[column] == "logit" else (np.nan, np.nan)


def of_series(wide: pd.DataFrame, stats: pd.DataFrame) -> pd.DataFrame:
    """A series (T, K) with its features transformed.

    Raises:
        InputError: a value that a transform does not take, or one that leaves all values equal; names the first time.
    """
    result = pd.DataFrame(forward(wide.to_numpy(), stats), wide.index, wide.columns)
    for name, row in zip(wide.columns, _rows(stats), strict=True):
        if row is None:
            continue
        refused = wide[name].notna() & ~TRANSFORMS[row.transform].accepts(wide[name], row.low, row.high)
        if refused.any():
            time = refused.idxmax()
            place = ", ".join(map(str, time)) if isinstance(time, tuple) else time
            raise InputError(
                f"feature '{name}': {wide.loc[time, name]:g} at {place} has no {row.transform}, which takes "
                f"{TRANSFORMS[row.transform].takes}; set plausible for its column, or leave its transform out"
            )
        if result[name].min() == result[name].max() and wide[name].min() < wide[name].max():
            raise InputError(f"feature '{name}': its {row.transform} is constant; leave its transform out")
    return result


def forward(values: np.ndarray, stats: pd.DataFrame, feature: np.ndarray | None = None) -> np.ndarray:
    """The transformed values (..., K) of physical ones; as they are where no feature has a transform.

    Args:
        values: (..., K), or (..., n) of the features `feature` (n,), rows of `stats`.
        stats: table of the statistics of the features.
        feature: see `values`.
    """
    return _mapped("forward", values, stats, feature)


def inverse(values: np.ndarray, stats: pd.DataFrame, feature: np.ndarray | None = None) -> np.ndarray:
    """The physical values of transformed ones: see `forward`."""
    return _mapped("inverse", values, stats, feature)


def forward_targets(targets: pd.DataFrame, samples: np.ndarray, stats: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Imputed targets and their samples (S, n), from `tables.read_imputations`, with truth and samples transformed."""
    names = targets["feature"]
    feature = stats.set_index("feature").index.get_indexer(list(names.cat.categories))[names.cat.codes]
    truth = forward(targets["truth"].to_numpy(), stats, feature)
    return targets.assign(truth=truth), forward(samples, stats, feature)


def lowest(stats: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The least value (K,) that each feature's transform allows, -inf without; and whether only larger ones are."""
    chosen = [row and TRANSFORMS[row.transform] for row in _rows(stats)]
    ends = np.array([one.lowest if one else -np.inf for one in chosen])
    return ends, np.array([bool(one and one.is_open) for one in chosen])


def errors(scores: np.ndarray, truth: np.ndarray, stats: pd.DataFrame, feature: np.ndarray) -> np.ndarray:
    """Errors (n,) in physical units of forecasts that are `scores` (n,) standard deviations too high.

    Args:
        scores: errors of z-scores.
        truth: (n,), in physical units.
        stats: table of the statistics of the features.
        feature: (n,), rows of `stats`.
    """
    result = scores * stats["std"].to_numpy()[feature]
    of_transform = [number for number, row in enumerate(_rows(stats)) if row is not None]
    here = np.isin(feature, of_transform)
    forecasts = forward(truth[here], stats, feature[here]) + result[here]
    result[here] = inverse(forecasts, stats, feature[here]) - truth[here]
    return result


def names(stats: pd.DataFrame) -> list[str | None]:
    """The transform of each feature by its name."""
    return [row and row.transform for row in _rows(stats)]


def metadata(stats: pd.DataFrame) -> dict[str, list[str | float | None]]:
    """The columns `MORE` as lists, for the metadata of weights; nothing where no feature has a transform."""
    return {
        name: stats[name].astype(object).where(stats[name].notna(), None).tolist() for name in MORE if name in stats
    }


def deviations(wide: pd.DataFrame, stats: pd.DataFrame) -> np.ndarray:
    """The standard deviation (K,) of each feature in its unit; with a transform, where a unit of it is least."""
    result = stats["std"].to_numpy(copy=True)
    ends = forward(np.array([wide.min(), wide.max()]), stats)
    half = result / 2
    spans = inverse(ends + half, stats) - inverse(ends - half, stats)
    is_transformed = [row is not None for row in _rows(stats)]
    result[is_transformed] = spans.min(axis=0)[is_transformed]
    return result


def _rows(stats):
    """The row of each feature with a transform, else None."""
    if "transform" not in stats:
        return [None] * len(stats)
    return [row if isinstance(row.transform, str) else None for row in stats[MORE].itertuples()]


def _mapped(direction, values, stats, feature):
    rows = _rows(stats)
    if not any(rows):
        return values
    result = np.array(values, dtype=np.float64)
    columns = np.arange(len(rows)) if feature is None else feature
    for number, row in enumerate(rows):
        if row is not None:
            here = columns == number
            result[..., here] = getattr(TRANSFORMS[row.transform], direction)(result[..., here], row.low, row.high)
    return result
