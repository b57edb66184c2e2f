"""Angles and other circular features: as sine and cosine, where 359° and 1° are neighbours, and back."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from scoredag.series import features

DIGITS = 12  # of an angle that is joined again, with which what was written comes back as it was


def split(wide: pd.DataFrame, periods: Mapping[str, float]) -> pd.DataFrame:
    """`wide` with each feature of `periods`, {feature: period}, as {feature}_sin and {feature}_cos where it stood."""
    if not periods:
        return wide
    columns = []
    for name in wide:
        if name in periods:
            angle = 2 * np.pi / periods[name] * wide[name]
            columns += [np.sin(angle).rename(f"{name}_sin"), np.cos(angle).rename(f"{name}_cos")]
        else:
            columns.append(wide[name])
    return pd.concat(columns, axis=1)


def pairs(names: Sequence[str], periods: Iterable[str], grouped: bool) -> dict[str, str]:
    """What `split` made: {feature: its column of `periods`}, where {feature}_sin and {feature}_cos are among `names`.

    With `grouped`, column `dir` is also that of `EWR_dir`.
    """
    ends = [name.removesuffix("_sin") for name in names if name.endswith("_sin")]
    columns = {end: features.column_of(end, periods, grouped) for end in ends if f"{end}_cos" in names}
    return {end: column for end, column in columns.items() if column is not None}


def components(names: Sequence[str], periods: Iterable[str], grouped: bool) -> list[str]:
    """The sines and cosines that `split` made, of `names`; the rest as in `pairs`."""
    return [f"{end}_{part}" for end in pairs(names, periods, grouped) for part in ("sin", "cos")]


def features_of(
    names: Sequence[str], columns: Sequence[str], circular: Mapping[str, float], group: str | None
) -> list[str]:
    """Those of the features `names` that come from some columns: with groups from each, of an angle sine and cosine.

    Raises:
        InputError: a column that no feature comes from.
    """
    grouped = group is not None
    angular = [column for column in columns if column in circular or _is_split(column, names, grouped)]
    parts = components(names, angular, grouped)
    others = features.columns_of(names, [column for column in columns if column not in angular], grouped)
    return [name for name, column in zip(names, others, strict=True) if column is not None or name in parts]


def _is_split(column, names, grouped):
    """Whether there are sine and cosine of a column that is no feature itself, as of the calendar."""
    return {f"{column}_sin", f"{column}_cos"} <= {*names} and not features.is_column(column, names, grouped)


def as_one(names: Iterable[str], periods: Iterable[str], grouped: bool) -> tuple[np.ndarray, np.ndarray]:
    """How to take what `split` made of an angle as one feature again: two integer arrays.

    Args:
        names: of K features.
        periods, grouped: as in `pairs`.

    Returns:
        numbers (n,) of the features without their cosines; for each feature (K,) the place among these of the one that
        it goes with: a cosine with its sine, any other with itself.
    """
    names = list(names)
    components = pairs(names, periods, grouped)
    leading = [f"{name.removesuffix('_cos')}_sin" if _is_cosine(name, components) else name for name in names]
    return np.unique([names.index(name) for name in leading], return_inverse=True)


def _is_cosine(name, components):
    return name.endswith("_cos") and name.removesuffix("_cos") in components


def join(
    wide: pd.DataFrame, periods: Mapping[str, float], ranges: Mapping[str, Sequence[float]], grouped: bool
) -> pd.DataFrame:
    """`wide` with sines and cosines as angles again, from 0 to their period, or from the lowest that `ranges` has.

    Args:
        wide: from `split`, or of several groups whose features are {group}_{feature}.
        periods: {column: period}.
        ranges: {column: (lowest, highest)}, for some columns.
        grouped: whether there are groups.
    """
    components = pairs(list(wide.columns), periods, grouped)
    columns = []
    for name in wide:
        if name.removesuffix("_sin") in components and name.endswith("_sin"):
            end = name.removesuffix("_sin")
            column = components[end]
            angle = _angle(wide[name], wide[f"{end}_cos"], periods[column], *ranges.get(column, (0, math.inf)))
            columns.append(angle.rename(end))
        elif not _is_cosine(name, components):
            columns.append(wide[name])
    return pd.concat(columns, axis=1)


def _angle(sine, cosine, period, lowest, highest):
    decimals = DIGITS - math.ceil(math.log10(period))
    angle = (np.arctan2(sine, cosine) * period / (2 * np.pi)).round(decimals)
    # rounded again: the modulus of -1e-13 is the period
    return ((angle - lowest) % period + lowest).round(decimals).clip(upper=highest)
