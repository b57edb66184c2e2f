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
    and a cosine. Gaps that the run leaves are missing. A series of which nothing is filled is yielded once.

    Args:
        series_path: results/datasets/{dataset}/series.parquet.
        completed_path: results/csdi/{run}/completed.parquet of a run about this dataset.

    Raises:
        InputError: a file is no such table, or they do not belong together.
    """
    wide = tidy.read(series_path)
    first = tables.read(completed_path, tables.COMPLETED, filters=[("draw", "==", 0)])
    if not len(first):
        yield wide
        return
    places = first["time"] if wide.index.nlevels == 1 else pd.MultiIndex.from_frame(first[["series", "time"]])
    where = wide.index.get_indexer(places), wide.columns.get_indexer(first["feature"].astype(str))
    if min(axis.min() for axis in where) < 0 or not np.isnan(wide.to_numpy()[where]).all():
        raise InputError(f"{completed_path}: its values are not missing in {series_path}; make it anew")
    for draw in range(tables.greatest(completed_path, "draw") + 1):
        values = wide.to_numpy(copy=True)
        rows = tables.read(completed_path, tables.COMPLETED, columns=["value"], filters=[("draw", "==", draw)])
        values[where] = rows["value"].to_numpy()
        yield pd.DataFrame(values, wide.index, wide.columns)
