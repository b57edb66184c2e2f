"""Wide series to tidy tables and back.

Wide: a data frame with a UTC time index and one float64 column a feature, NaN = missing. Several
series, of patients, say, stand one below the other: the index is then (series, time).
Tidy: one row a time and feature, with columns time, feature, value; of several series, by series
first, with their names in a column series.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from scoredag.store import files, tables


def to_tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """Columns time, feature, value; by time, then in the order of the features. Of several series: see above."""
    n_times, n_features = wide.shape
    names, lengths = series_of(wide)
    several = {}
    if names is not None:
        codes = np.repeat(np.arange(len(names)), lengths * n_features)
        several = {"series": pd.Categorical.from_codes(codes, categories=names)}
    return pd.DataFrame(
        several
        | {
            "time": np.repeat(wide.index.get_level_values(-1), n_features),
            "feature": pd.Categorical.from_codes(np.tile(np.arange(n_features), n_times), categories=wide.columns),
            "value": wide.to_numpy().ravel(),
        }
    )


def read(path: files.PathLike, schema: pa.Schema = tables.SERIES, column: str = "value") -> pd.DataFrame:
    """The wide series of a column of a tidy table, read a few rows at a time; empty if it has none."""
    values: list[np.ndarray] = []
    parts: list[pd.DataFrame] = []
    n_rows, n_features = 0, 1
    for rows in tables.batches(path, schema, ["series", "time", "feature", column]):
        if not parts:
            n_features = len(rows["feature"].cat.categories)
            features = rows["feature"].iloc[:n_features].astype("str").tolist()
        values.append(rows[column].to_numpy())
        parts.append(rows.drop(columns=["feature", column]).iloc[-n_rows % n_features :: n_features])
        n_rows += len(rows)
    if not n_rows:
        return pd.DataFrame()
    return _wide(pd.concat(parts), np.concatenate(values), features)


def from_tidy(tidy: pd.DataFrame) -> pd.DataFrame:
    """The wide series that `to_tidy` was given."""
    features = list(tidy["feature"].cat.categories)
    return _wide(tidy.iloc[:: len(features)], tidy["value"].to_numpy(), features)


def _wide(rows, values, features):
    """A wide series of `values` (T K,), whose steps have the time, and the series if any, of `rows` (T)."""
    index = pd.DatetimeIndex(rows["time"], name="time")
    if "series" in rows:
        index = pd.MultiIndex.from_arrays([rows["series"].astype("str"), index], names=["series", "time"])
    return pd.DataFrame(values.reshape(-1, len(features)), index, features)


def series_of(wide: pd.DataFrame) -> tuple[pd.Index | None, np.ndarray]:
    """Names of the series in their order, and the length of each; (None, lengths) of an only one without a name."""
    if not isinstance(wide.index, pd.MultiIndex):
        return None, np.array([len(wide)])
    codes = wide.index.codes[0]
    firsts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return wide.index.levels[0][codes[firsts]], np.diff(np.r_[firsts, len(codes)])


def spacing(wide: pd.DataFrame) -> pd.Timedelta | None:
    """The time from one step to the next, the first two of the longest series; None where every series has one step."""
    _, lengths = series_of(wide)
    longest = int(np.argmax(lengths))
    first = int(lengths[:longest].sum())
    times = wide.index.get_level_values(-1)
    return times[first + 1] - times[first] if lengths[longest] > 1 else None
