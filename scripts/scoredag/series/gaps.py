"""Gaps of a series: where they are, which windows fill them, and how the windows' samples are merged.

A gap is a run of missing steps of one feature. One that fits into a window comes from one window as
a whole, the one in whose middle it lies best, so that no seam runs through it. A longer one comes from several
windows, each half over the next, and each sample changes windows at a time of its own: from step to
step a few more samples are those of the next window. Averaged samples would make intervals too narrow.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag.errors import InputError

QUALITIES = ("observed", "short gap", "long gap", "several windows", "nothing observed", "missing")
OBSERVED, SHORT, LONG, SEVERAL, BLIND, LEFT = range(len(QUALITIES))  # how a value came to be


class Part(NamedTuple):
    """What a window gives to a gap: steps `first` .. `stop` - 1 of a feature.

    `before` and `after` are the first steps of the gap's windows before and after this one, None at its ends.
    """

    feature: int
    first: int
    stop: int
    before: int | None = None
    after: int | None = None


def find(missing: np.ndarray, lengths: Sequence[int] | np.ndarray = ()) -> pd.DataFrame:
    """The gaps of a series, by first step, then feature; of several series one below the other, none spans two.

    Args:
        missing: boolean (n_steps, K).
        lengths: of the series, if there are several; they sum to n_steps.

    Returns:
        A data frame with the columns feature (its number), first and stop (steps).
    """
    borders = np.cumsum(lengths, dtype=np.int64)[:-1]
    steps = np.insert(np.arange(len(missing)), borders, -1)
    edges = np.diff(np.insert(missing, borders, False, axis=0).T.astype(np.int8), axis=1, prepend=0, append=0)
    feature, first = np.nonzero(edges == 1)
    _, stop = np.nonzero(edges == -1)
    first, stop = steps[first], steps[stop - 1] + 1
    order = np.lexsort((feature, first))
    return pd.DataFrame({"feature": feature[order], "first": first[order], "stop": stop[order]})


def is_long(gaps: pd.DataFrame, length: int) -> pd.Series:
    """Whether each gap is too long to fit into a window of `length` steps with a step to spare on either side."""
    return gaps["stop"] - gaps["first"] > max(length - 2, min(length, 2))


def most_steps(max_gap: int | str | None, step: pd.Timedelta | None) -> float:
    """How long a gap may be in order to be filled, in steps; infinite where nothing is said.

    Args:
        max_gap: steps, or a span of time such as `6h`.
        step: from one step to the next; None where every series has one step.

    Raises:
        InputError: the span is shorter than a step.
    """
    if max_gap is None or step is None:
        return np.inf
    if not isinstance(max_gap, str):
        return max_gap
    steps = pd.Timedelta(max_gap) // step
    if not steps:
        raise InputError(f"'{max_gap}' is less than a step of the series, {step}; write steps, or more time")
    return steps


def quality(
    gaps: pd.DataFrame,
    windows: Mapping[int, Sequence[Part]],
    blind: Iterable[int],
    length: int,
    most: float,
    shape: tuple[int, int],
) -> np.ndarray:
    """How each value (n_steps, K) came to be, codes of `QUALITIES`.

    A gap is short up to half a window, so that as much lies about it; a long one fits into a window all the same.

    Args:
        gaps: all, from `find`.
        windows: that fill them, from `plan`.
        blind: first steps of windows in which nothing is observed.
        length: L, steps a window.
        most: steps of a gap that is filled.
        shape: (n_steps, K).
    """
    sizes = (gaps["stop"] - gaps["first"]).to_numpy()
    of_gap = np.select([sizes > most, is_long(gaps, length), sizes > length // 2], [LEFT, SEVERAL, LONG], SHORT)
    steps = np.arange(sizes.sum()) + np.repeat(gaps["first"].to_numpy() - (np.cumsum(sizes) - sizes), sizes)
    result = np.full(shape, OBSERVED, np.int8)
    result[steps, np.repeat(gaps["feature"].to_numpy(), sizes)] = np.repeat(of_gap, sizes)
    for start in blind:
        for part in windows[start]:
            result[part.first : part.stop, part.feature] = BLIND
    return result


def plan(gaps: pd.DataFrame, n_steps: Any, length: int) -> dict[int, list[Part]]:
    """Which windows to sample, and what each of them gives to which gap.

    Gaps of up to half a window lie a quarter of a window or more from its ends, longer ones that
    fit into a window in its middle, as far as the ends of the series allow; no fewer windows
    would do for these. Windows for longer gaps start every half a window.

    Args:
        gaps: from `find`.
        n_steps: length of the series, or a list with the length of each of several. One of several that is shorter
            than a window gets one that begins with it.
        length: L, steps a window.

    Returns:
        {first step of a window: [Part, ...]}, by first step.

    Raises:
        InputError: the only series is shorter than a window.
    """
    if np.ndim(n_steps) == 0 and n_steps < length:
        raise InputError(f"the series has {n_steps} steps, a window {length}; make windows.length smaller")
    lengths = np.atleast_1d(n_steps)
    ends = np.cumsum(lengths)
    windows: dict[int, list[Part]] = {}
    edges = [0, *np.searchsorted(gaps["first"], ends).tolist()]
    for (first, stop), n, end in zip(itertools.pairwise(edges), lengths.tolist(), ends.tolist(), strict=True):
        begin = end - n
        own = gaps.iloc[first:stop].sub({"feature": 0, "first": begin, "stop": begin})
        windows |= _shifted(_plan(own, max(n, length), length), begin)
    return windows


def _plan(gaps, n_steps, length):
    """`plan` of one series."""
    long = is_long(gaps, length)
    parts = [part for gap in gaps[long].itertuples(index=False) for part in _parts_of_long(gap, n_steps, length)]
    shared = np.array(sorted({start for start, _ in parts}), dtype=np.int64)
    feature, first, stop = gaps[~long].to_numpy().T
    margin = np.minimum(length // 4, (length - (stop - first)) // 2)
    earliest, latest = (edge.clip(0, n_steps - length) for edge in (stop + margin - length, first - margin))
    starts = np.union1d(shared, _fewest(earliest, latest, shared))
    where = _nearest(starts, (first + stop - length) / 2)
    parts += zip(where.tolist(), map(Part, feature.tolist(), first.tolist(), stop.tolist()), strict=True)
    windows: dict[int, list[Part]] = {start: [] for start in starts.tolist()}
    for start, part in parts:
        windows[start].append(part)
    return {start: given for start, given in windows.items() if given}


def changed(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Whether each step (T,) of a series (T, K) has other observed values than `before`, fewer steps, has there."""
    same = np.isclose(before, now[: len(before)], rtol=0, atol=0, equal_nan=True).all(axis=1)
    return np.r_[~same, np.ones(len(now) - len(same), bool)]


def touched(
    windows: Mapping[int, Sequence[Part]], before: Mapping[int, Sequence[Part]], changed: np.ndarray, length: int
) -> set[int]:
    """First steps of the windows that give something else than they did in an earlier plan.

    A step has changed in them, or they fill other gaps, or fill one together with a window of which this holds.

    Args:
        windows: from `plan`.
        before: the earlier plan.
        changed: boolean (T,), as `changed` says it.
        length: L.
    """
    sums = np.r_[0, np.cumsum(changed)]
    found = {
        first
        for first, parts in windows.items()
        if before.get(first) != parts or sums[min(first + length, len(changed))] > sums[first]
    }
    waiting = list(found)
    while waiting:
        parts = windows[waiting.pop()]
        others = {other for part in parts for other in (part.before, part.after) if other is not None} - found
        found |= others
        waiting += others
    return found


def merge(
    windows: dict[int, list[Part]], drawn: Iterable[np.ndarray], length: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The samples of the gaps, out of those of the windows; holds one window at a time.

    Args:
        windows: from `plan`.
        drawn: samples (S, K, L) of each window, in the order of `windows`.
        length: L.

    Yields:
        (steps (n,), features (n,), samples (S, n)): each missing entry once, by steps as they are complete.
    """
    buffer: np.ndarray | None = None
    filled = np.empty(0, bool)
    starts = list(windows)
    for (start, following), samples in zip(itertools.zip_longest(starts, starts[1:]), drawn, strict=True):
        if buffer is None:
            buffer, filled = np.empty_like(samples), np.zeros(samples.shape[1:], bool)
        for part in windows[start]:
            here = part.feature, slice(part.first - start, part.stop - start)
            chosen = _chosen(part, start, length, len(samples))
            np.copyto(buffer[:, *here], samples[:, *here], where=chosen)
            filled[here] = True
        done = length if following is None else min(following - start, length)  # no later window holds these steps
        steps, features = np.nonzero(filled[:, :done].T)
        yield steps + start, features, buffer[:, features, steps]
        buffer, filled = np.roll(buffer, -done, axis=2), np.roll(filled, -done, axis=1)
        filled[:, length - done :] = False


def _shifted(windows, by):
    """The plan of a series that begins `by` steps later."""

    def later(step):
        return None if step is None else step + by

    return {
        start + by: [
            Part(part.feature, part.first + by, part.stop + by, later(part.before), later(part.after)) for part in parts
        ]
        for start, parts in windows.items()
    }


def _parts_of_long(gap, n_steps, length):
    """(first step of a window, Part) of each window of a gap that no window holds."""
    last = n_steps - length
    grid = np.union1d(np.arange(0, last + 1, max(length // 2, 1)), last)
    context = length // 4
    lowest = np.searchsorted(grid, max(gap.first - context, 0), "right") - 1
    highest = np.searchsorted(grid, min(gap.stop + context - length, last))
    starts = grid[lowest : highest + 1].tolist()
    for before, start, after in zip([None, *starts[:-1]], starts, [*starts[1:], None], strict=True):
        yield start, Part(gap.feature, max(gap.first, start), min(gap.stop, start + length), before, after)


def _fewest(earliest, latest, starts):
    """Fewest integers besides `starts` of which each span from `earliest` to `latest` holds one or more."""
    served = np.searchsorted(starts, latest, "right") > np.searchsorted(starts, earliest)
    more = [-1]
    for late, early in sorted(zip(latest[~served].tolist(), earliest[~served].tolist(), strict=True)):
        if early > more[-1]:
            more.append(late)
    return np.array(more[1:], dtype=np.int64)


def _nearest(starts, wanted):
    """The one of the sorted `starts` that is nearest to each of `wanted`; the earlier of two."""
    if not len(wanted):
        return np.empty(0, dtype=np.int64)
    after = np.searchsorted(starts, wanted).clip(0, len(starts) - 1)
    before = (after - 1).clip(0)
    return np.where(wanted - starts[before] <= starts[after] - wanted, starts[before], starts[after])


def _chosen(part, start, length, n_samples):
    """Which samples (S, n) of the window at `start` the gap takes at which of the part's steps."""
    steps = np.arange(part.first, part.stop) + 0.5
    chosen = np.ones((n_samples, len(steps)), bool)
    if part.before is not None:
        chosen &= steps >= _change(part.before, start, length, n_samples)
    if part.after is not None:
        chosen &= steps < _change(start, part.after, length, n_samples)
    return chosen


def _change(before, after, length, n_samples):
    """When (S, 1) each sample changes from the window at `before` to the next: spread over where they overlap."""
    share = (np.arange(n_samples) + 0.5) / n_samples
    return after + share[:, None] * (before + length - after)
