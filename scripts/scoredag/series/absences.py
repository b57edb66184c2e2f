"""What is missing in a series, counted: by feature, by time, by length of the gaps, together with what, and when."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scoredag.series import grids

MOST_BINS = 200  # of time
CHUNK = 1 << 16  # steps that are multiplied at once, so that single precision counts exactly
KINDS = ("feature", "time", "gaps", "in_gaps", "longest_gap", "pair", "hour", "month")
NONE = -1


def count(wide: pd.DataFrame, lengths: np.ndarray, spans: pd.DataFrame) -> pd.DataFrame:
    """The table missingness.parquet: each row has a `count`, the `total` it is of, and their `share`.

    They are of one feature, or of all together. The column `kind` says what is counted:

    - `feature`: missing steps, of all;
    - `time`: missing steps, of those of one of up to 200 bins, which begins at `time`; between series it may have none;
    - `gaps`: gaps of `bin` to less than 2 `bin` steps, of all gaps;
    - `in_gaps`: missing steps in gaps of such a length, of all missing steps;
    - `longest_gap`: steps of the longest gap, of all steps;
    - `pair`: missing steps of `feature` at which `other` is missing as well, of all missing steps of `feature`; pairs
      that are never missing at once are left out;
    - `hour`, `month`: missing steps, of those at hour (UTC) or month `bin`. Hours are told where steps are less than a
      day apart and a series lasts for a day, months where all twelve occur.

    Args:
        wide: the series, (n_steps, K).
        lengths: of the series, which sum to n_steps.
        spans: of the gaps, from `gaps.find`.
    """
    missing = wide.isna().to_numpy()
    times = pd.DatetimeIndex(wide.index.get_level_values(-1)).tz_localize(None).as_unit("us")
    bins, starts = _bins(times.to_numpy(), several=len(lengths) > 1)
    parts = [
        _rows("feature", *_counted(missing, np.zeros(len(missing), int), 1)),
        _rows("time", *_counted(missing, bins, len(starts)), time=starts),
        *_of_gaps(spans, missing.shape),
        _pairs(missing),
        *_of_calendar(missing, times, lengths),
    ]
    names = [*wide.columns, grids.TOTAL]
    kinds = np.repeat([KINDS.index(part["kind"]) for part in parts], [len(part["count"]) for part in parts])
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "kind"}
    totals = columns["total"]
    return pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(kinds, KINDS),
            **{name: pd.Categorical.from_codes(columns[name], names) for name in ("feature", "other")},
            "time": pd.DatetimeIndex(columns["time"], tz="UTC"),
            "bin": pd.Series(columns["bin"], dtype="Int64").replace(NONE, pd.NA),
            "count": columns["count"],
            "total": totals,
            "share": np.divide(columns["count"], totals, out=np.full(len(totals), np.nan), where=totals > 0),
        }
    )


def together(table: pd.DataFrame) -> list[list[str]]:
    """Groups of features that are missing at the same steps, out of the table that `count` gives."""
    n_missing = dict(table.loc[table["kind"] == "feature", ["feature", "count"]].itertuples(index=False))
    pairs = table.loc[(table["kind"] == "pair") & (table["count"] == table["total"]), ["feature", "other", "total"]]
    groups: dict[str, list[str]] = {}
    known = set()
    for feature, other, total in pairs.itertuples(index=False):  # by feature
        if feature not in known and n_missing[other] == total:
            groups.setdefault(feature, [feature]).append(other)
            known.add(other)
    return list(groups.values())


def _bins(times, several):
    """The bin of each step, and when each bin begins: of as many steps, or of as much time where series lie apart."""
    known = np.unique(times)
    apart = np.diff(known).astype(np.int64)
    if several and len(apart) and not (apart % apart.min()).any():
        places = (times - known[0]).astype(np.int64) // apart.min()
        size = _size(places)
        bins = np.arange(places.max() // size + 1)
        return places // size, known[0] + (bins * size * apart.min()).astype("timedelta64[us]")
    places = np.searchsorted(known, times)
    return places // _size(places), known[:: _size(places)]


def _size(places):
    """Places of a bin."""
    return places.max() // MOST_BINS + 1


def _counted(missing, bins, n_bins):
    """Missing steps of each bin and feature, and steps at all, each (n_bins, K + 1) with all features together last."""
    order = np.argsort(bins, kind="stable")
    present, firsts = np.unique(bins[order], return_index=True)
    counts = np.zeros((n_bins, missing.shape[1]), np.int64)
    counts[present] = np.add.reduceat(missing[order], firsts, axis=0, dtype=np.int64)
    totals = np.repeat(np.bincount(bins, minlength=n_bins)[:, None], missing.shape[1], axis=1)
    return _with_all(counts), _with_all(totals)


def _with_all(counts):
    return np.column_stack([counts, counts.sum(axis=1)])


def _rows(kind, counts, totals, **columns):
    """Rows of a kind, one for each bin and feature, from counts and totals (n_bins, n_features)."""
    n_bins, n_features = counts.shape
    bins: dict[str, Any] = {"other": NONE, "time": np.datetime64("NaT", "us"), "bin": NONE} | columns
    return {
        "kind": kind,
        "feature": np.tile(np.arange(n_features), n_bins),
        **{name: np.repeat(np.broadcast_to(value, n_bins), n_features) for name, value in bins.items()},
        "count": counts.ravel(),
        "total": np.broadcast_to(totals, counts.shape).ravel(),
    }


def _of_gaps(spans, shape) -> Iterator[dict]:
    """Gaps and what is missing in them by their length, in classes of the powers of two, and the longest gaps."""
    n_steps, n_features = shape
    lengths, feature = (spans["stop"] - spans["first"]).to_numpy(), spans["feature"].to_numpy()
    powers = np.frexp(lengths)[1] - 1  # of two, rounded down
    n_classes = powers.max(initial=NONE) + 1
    places, size = powers * n_features + feature, n_classes * n_features
    for kind, weights in (("gaps", None), ("in_gaps", lengths)):
        counts = np.bincount(places, weights, minlength=size).astype(np.int64).reshape(n_classes, n_features)
        counts = _with_all(counts)
        yield _rows(kind, counts, counts.sum(axis=0), bin=2 ** np.arange(n_classes))
    longest = np.zeros(n_features, np.int64)
    np.maximum.at(longest, feature, lengths)
    yield _rows("longest_gap", np.array([[*longest, longest.max()]]), n_steps)


def _pairs(missing):
    """Rows of the features that are missing at once, by feature."""
    n_features = missing.shape[1]
    at_once = np.zeros((n_features, n_features), np.int64)
    for first in range(0, len(missing), CHUNK):
        part = missing[first : first + CHUNK].astype(np.float32)
        at_once += (part.T @ part).astype(np.int64)
    totals = at_once.diagonal().copy()
    np.fill_diagonal(at_once, 0)
    feature, other = np.nonzero(at_once)
    counts = at_once[feature, other][:, None]
    return _rows("pair", counts, totals[feature][:, None], other=other) | {"feature": feature}


def _of_calendar(missing, times, lengths) -> Iterator[dict]:
    """Rows by hour of the day and by month, where they say something."""
    ends = np.cumsum(lengths)
    apart = np.delete(np.diff(times), ends[:-1] - 1)
    longest = (times[ends - 1] - times[ends - lengths]).max()
    day = pd.Timedelta("1D")
    if len(apart) and apart.min() < day <= longest:
        yield _of_present("hour", missing, times.hour.to_numpy())
    if times.month.nunique() == 12:
        yield _of_present("month", missing, times.month.to_numpy())


def _of_present(kind, missing, values):
    present, bins = np.unique(values, return_inverse=True)
    return _rows(kind, *_counted(missing, bins, len(present)), bin=present)
