"""Completed series: what was observed with one of several joint draws of what was missing."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.series import tidy
from scoredag.store import files, tables


def completed(series_path: files.PathLike, completed_path: files.PathLike) -> Iterator[pd.DataFrame]:
    """Yield the completed series, one for each draw: data frames (T, K), observed values bit for bit.

    The index has the times in UTC, of several series (series, time); units are the series' own, and an angle is a sine
    and a cosine. A series without missing values is yielded once.

    Args:
        series_path: results/datasets/{dataset}/series.parquet.
        completed_path: results/csdi/{run}/completed.parquet of a run about this dataset.

    Raises:
        InputError: a file is no such table, or they do not belong together.
    """
    wide = tidy.from_tidy(tables.read(series_path, tables.SERIES))
    missing = wide.isna().to_numpy()
    if not missing.any():
        tables.read(completed_path, tables.COMPLETED)  # refused if it is something else
        yield wide
        return
    steps, features = np.nonzero(missing)
    first = tables.read(completed_path, tables.COMPLETED, filters=[("draw", "==", 0)])
    same = len(first) == len(steps) and (first["time"].to_numpy() == wide.index.get_level_values(-1)[steps]).all()
    if not same or (first["feature"].astype(str).to_numpy() != wide.columns[features]).any():
        raise InputError(f"{completed_path}: its values are not those that are missing in {series_path}; make it anew")
    for draw in range(tables.greatest(completed_path, "draw") + 1):
        values = wide.to_numpy(copy=True)
        rows = tables.read(completed_path, tables.COMPLETED, columns=["value"], filters=[("draw", "==", draw)])
        values[missing] = rows["value"].to_numpy()
        yield pd.DataFrame(values, wide.index, wide.columns)
