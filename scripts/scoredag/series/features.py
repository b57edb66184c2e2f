"""Names of features: which column of the file each comes from."""

from collections.abc import Iterable, Mapping


def column_of(feature: str, columns: Iterable[str], grouped: bool = True) -> str | None:
    """The one of `columns` that the feature comes from; None if there is none.

    With `grouped`, column `temp` is also that of `EWR_temp`; the longest name wins.
    """
    if feature in columns:
        return feature
    matching = [column for column in columns if grouped and feature.endswith(f"_{column}")]
    return max(matching, key=len, default=None)


def label(feature: str, units: Mapping[str, str]) -> str:
    """The feature with its unit, if `units`, {column: unit}, has one."""
    column = column_of(feature, units)
    return feature if column is None else f"{feature} ({units[column]})"
