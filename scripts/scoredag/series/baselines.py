"""Point imputations to compare with, each on one window at a time.

`values` (N, K, L) are z-scores, `known` (N, K, L) says which of them may be read; the result
(N, K, L) is finite everywhere, and 0, the mean of the training split, where a feature of a
window has nothing known.
"""

import numpy as np
import pandas as pd


def mean(values, known):
    """The mean of the training split."""
    return np.where(known, values, 0.0)


def last_value(values, known):
    """The last known value before; before the first one, the first one."""
    return _by_rows(values, known, lambda rows: rows.ffill().bfill())


def linear(values, known):
    """Linear interpolation in time; constant beyond the first and the last known value."""
    return _by_rows(values, known, lambda rows: rows.interpolate(limit_direction="both"))


METHODS = {"mean": mean, "last value": last_value, "linear": linear}


def _by_rows(values, known, fill):
    """Apply `fill` to a data frame with time down and one column a window and feature."""
    columns = np.where(known, values, np.nan).reshape(-1, values.shape[-1]).T
    filled = fill(pd.DataFrame(columns)).fillna(0.0)
    return filled.to_numpy().T.reshape(values.shape)
