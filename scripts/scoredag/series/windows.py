"""Windows of a series: split without leaks, cut, held-out targets, normalise."""

import numpy as np
import pandas as pd

from scoredag import tables
from scoredag.errors import InputError

SPLITS = ("train", "valid", "test")
ROLES = ("observed", "target", "missing")
OBSERVED, TARGET, MISSING = range(3)
ABSURD = 1e6  # how many times its usual spread a value may lie from the median


def assign_splits(n_steps, block, shares):
    """Split of each step, (n_steps,) codes of `SPLITS`: contiguous blocks, spread over the series.

    Each block goes to the split that is furthest behind its share, so that every season is in
    every split and no step in two.

    Args:
        n_steps: length of the series.
        block: steps a block.
        shares: of (train, valid, test); they sum to 1.
    """
    n_blocks = -(-n_steps // block)
    counts = np.zeros(len(shares))
    chosen = []
    for i in range(n_blocks):
        split = int(np.argmax(np.asarray(shares) * (i + 1) - counts))
        counts[split] += 1
        chosen.append(split)
    return np.repeat(chosen, block)[:n_steps]


def starts(splits, length, strides):
    """First step and split code of every window that lies in one split, by first step.

    Args:
        splits: (n_steps,) from `assign_splits`.
        length: L, steps a window.
        strides: steps between windows of (train, valid, test); below `length` they overlap.

    Returns:
        Two integer arrays (N,).
    """
    edges = np.flatnonzero(np.diff(splits)) + 1
    bounds = zip(np.r_[0, edges], np.r_[edges, len(splits)], strict=True)
    found = [
        (first, splits[begin])
        for begin, end in bounds
        for first in range(begin, end - length + 1, strides[splits[begin]])
    ]
    return tuple(np.array(found, dtype=np.int64).reshape(-1, 2).T)


def statistics(wide, splits):
    """Mean, standard deviation and missing share of each feature.

    Mean and deviation are taken over the observed values of the training split alone, the missing
    share over the whole series.

    Raises:
        InputError: a feature that is never observed, or constant, in the training split, or that
            has a value so far out, anywhere, that nothing else would count beside it.
    """
    train = wide[splits == SPLITS.index("train")]
    # not by the deviation, which rounding keeps from being 0
    constant = train.max() == train.min()
    for feature in wide.columns:
        if train[feature].isna().all():
            raise InputError(f"feature '{feature}': no value is observed in the training split; leave it out")
        if constant[feature]:
            raise InputError(f"feature '{feature}': constant in the training split; leave it out")
        _refuse_absurd(wide[feature], train[feature])
    return pd.DataFrame(
        {
            "feature": wide.columns,
            "mean": train.mean().to_numpy(),
            "std": train.std(ddof=0).to_numpy(),
            "missing_fraction": wide.isna().mean().to_numpy(),
        }
    )


def _refuse_absurd(values, train):
    """Refuse a value of a feature further out than any natural quantity has: one of 1e30, say.

    The usual spread is the interquartile range; where it is 0, as of rain, which mostly does not
    fall, the median distance of the other values from the median.
    """
    lower, median, upper = train.quantile([0.25, 0.5, 0.75])
    distance = (values - median).abs()
    spread = upper - lower
    if spread == 0:
        others = (train - median).abs()
        spread = others[others > 0].median()
    if distance.max() > ABSURD * spread:
        time, times = distance.idxmax(), distance.max() / spread
        raise InputError(
            f"feature '{values.name}': {values[time]:g} at {time} is absurd, {times:.0e} times as far from the median "
            "as is usual; set datasets.*.plausible for its column"
        )


def assign_patterns(window_splits, n_patterns):
    """Which windows there are when targets are held out by several patterns of missing entries.

    Each test window is repeated once a pattern. Each validation window is there once, with the
    patterns taken in turn, so that a validation costs no more than with one pattern. Repeated
    windows come last, pattern by pattern: one more pattern leaves the numbers of the others.

    Args:
        window_splits: (N,), from `starts`.
        n_patterns: how many patterns there are.

    Returns:
        Two integer arrays, one entry a window: which of the N it is, and the pattern, -1 in
        training windows.
    """
    patterns = np.full(len(window_splits), -1)
    valid = np.flatnonzero(window_splits == SPLITS.index("valid"))
    patterns[valid] = np.arange(len(valid)) % n_patterns
    test = np.flatnonzero(window_splits == SPLITS.index("test"))
    patterns[test] = 0
    again = np.tile(test, n_patterns - 1)
    return np.r_[np.arange(len(window_splits)), again], np.r_[patterns, np.repeat(np.arange(1, n_patterns), len(test))]


def cut(wide, first_steps, window_splits, length, hold_out):
    """The table of windows, by window, step and feature.

    Args:
        wide: the series, (n_steps, K).
        first_steps: (N,), from `starts`, some repeated if so wished.
        window_splits: (N,), of the same windows.
        length: L.
        hold_out: function of a window's number and its observed (L, K) to a boolean (L, K), a
            subset of the observed entries: the targets. Asked for validation and test windows only.
    """
    n, n_features = len(first_steps), wide.shape[1]
    values = wide.to_numpy()[first_steps[:, None] + np.arange(length)]  # (N, L, K)
    # small integers: a long series has tens of millions of rows here
    roles = np.where(np.isnan(values), np.int8(MISSING), np.int8(OBSERVED))
    for window in np.flatnonzero(window_splits != SPLITS.index("train")):
        roles[window][hold_out(int(window), roles[window] == OBSERVED)] = TARGET
    size = length * n_features
    return pd.DataFrame(
        {
            "window": np.repeat(np.arange(n, dtype=np.int32), size),
            "step": np.tile(np.repeat(np.arange(length, dtype=np.int32), n_features), n),
            "feature": pd.Categorical.from_codes(np.tile(np.arange(n_features), n * length), wide.columns),
            "value": values.ravel(),
            "role": pd.Categorical.from_codes(roles.ravel(), ROLES),
            "split": pd.Categorical.from_codes(np.repeat(window_splits.astype(np.int8), size), SPLITS),
        }
    )


def read(path, stats, split):
    """`to_arrays` of the windows of `split` in the table at `path`."""
    return to_arrays(tables.read(path, tables.WINDOWS, filters=[("split", "==", split)]), stats)


def to_arrays(table, stats):
    """Windows of one split as arrays.

    Args:
        table: rows of the table of windows, in its order.
        stats: from `statistics`.

    Returns:
        windows (N,), their numbers; values (N, K, L) as z-scores, 0 where missing, float32;
        roles (N, K, L), codes of `ROLES`.
    """
    n_features = len(stats)
    length = int(table["step"].max()) + 1
    shape = (-1, length, n_features)
    values = table["value"].to_numpy().reshape(shape)
    scores = (values - stats["mean"].to_numpy()) / stats["std"].to_numpy()
    names = list(table["role"].cat.categories)
    roles = np.array([ROLES.index(name) for name in names])[table["role"].cat.codes].reshape(shape)
    numbers = table["window"].to_numpy()[:: length * n_features]
    scores = np.nan_to_num(scores, nan=0.0).astype(np.float32)
    return numbers, np.ascontiguousarray(scores.transpose(0, 2, 1)), np.ascontiguousarray(roles.transpose(0, 2, 1))
