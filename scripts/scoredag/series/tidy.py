"""Wide series to tidy tables and back.

Wide: a data frame with a UTC time index and one float64 column a feature, NaN = missing.
Tidy: one row a time and feature, with columns time, feature, value.
"""

import numpy as np
import pandas as pd


def to_tidy(wide):
    """Columns time, feature, value; by time, then in the order of the features."""
    n_times, n_features = wide.shape
    return pd.DataFrame(
        {
            "time": np.repeat(wide.index, n_features),
            "feature": pd.Categorical.from_codes(np.tile(np.arange(n_features), n_times), categories=wide.columns),
            "value": wide.to_numpy().ravel(),
        }
    )


def from_tidy(tidy):
    """The wide series that `to_tidy` was given."""
    features = list(tidy["feature"].cat.categories)
    times = pd.DatetimeIndex(tidy["time"].iloc[:: len(features)], name="time")
    return pd.DataFrame(tidy["value"].to_numpy().reshape(-1, len(features)), times, features)
