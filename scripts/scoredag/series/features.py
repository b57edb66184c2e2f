"""Names of features: which column of the file each comes from."""

from collections.abc import Iterable, Mapping, Sequence

from scoredag.errors import InputError


def column_of(feature: str, columns: Iterable[str], grouped: bool = True) -> str | None:
    """The one of `columns` that the feature comes from; None if there is none.

    With `grouped`, column `temp` is also that of `EWR_temp`; the longest name wins.
    """
    if feature in columns:
        return feature
    matching = [column for column in columns if grouped and feature.endswith(f"_{column}")]
    return max(matching, key=len, default=None)


def is_column(name: str, features: Sequence[str], grouped: bool) -> bool:
    """Whether `name` is a column that some of the features come from: with `grouped`, not `speed` of `EWR_wind_speed`.

    Every group has every column, so that all features begin with one of the groups that `name` is found in.
    """
    if not grouped:
        return name in features
    groups = tuple(feature.removesuffix(name) for feature in features if feature.endswith(f"_{name}"))
    return bool(groups) and all(feature.startswith(groups) for feature in features)


def columns_of(names: Sequence[str], columns: Iterable[str], grouped: bool) -> list[str | None]:
    """The one of `columns` that each feature comes from, None where there is none.

    Raises:
        InputError: one of `columns` has no feature.
    """
    for column in columns:
        if not is_column(column, names, grouped):
            raise InputError(f"there is no feature '{column}'; the features are {', '.join(names)}")
    return [column_of(name, columns, grouped) for name in names]


def label(feature: str, units: Mapping[str, str]) -> str:
    """The feature with its unit, if `units`, {column: unit}, has one."""
    column = column_of(feature, units)
    return feature if column is None else f"{feature} ({units[column]})"
