"""Long series drawn by fewer points: the extremes of each bin of steps, and where gaps begin and end."""

import numpy as np


def kept(
    value: np.ndarray, lower: np.ndarray, upper: np.ndarray, missing: np.ndarray, width: int, always: np.ndarray
) -> np.ndarray:
    """Numbers of the steps (n,) of a feature that are drawn, in order.

    Of every bin of `width` steps these are the least and the greatest observed value, filled value, and ends of its
    interval, and one missing step if it has any. Of gaps at least as long as a bin the first and the last step are
    there, and the ones beside them.

    Args:
        value, lower, upper: (T,), NaN where there is none.
        missing: boolean (T,), steps without an observation.
        width: steps a bin; all steps are kept with 1.
        always: boolean (T,), steps that are kept besides.
    """
    if width == 1:
        return np.arange(len(value))
    chosen = always.copy()
    for column, among in ((value, ~missing), (value, missing), (lower, missing), (upper, missing)):
        known = among & np.isfinite(column)
        for signed in (column, -column):
            chosen[_least(np.where(known, signed, np.inf), width)] = True
    chosen[_least(np.where(missing, 0.0, np.inf), width)] = True
    edges = np.diff(missing.astype(np.int8), prepend=0, append=0)
    first, stop = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = stop - first >= width
    ends = np.concatenate([first[long] - 1, first[long], stop[long] - 1, stop[long]])
    chosen[ends.clip(0, len(value) - 1)] = True
    return np.flatnonzero(chosen)


def _least(column, width):
    """Where the least entry of each bin is; of bins in which all are infinite nothing."""
    bins = np.pad(column, (0, -len(column) % width), constant_values=np.inf).reshape(-1, width)
    places = np.arange(len(bins)) * width + bins.argmin(axis=1)
    return places[np.isfinite(bins.min(axis=1))]
