"""How long windows and blocks are, and how much is for validation, where the config leaves it to the series."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag.series import gaps, seasons

AUTO = "auto"
LENGTH, LONGEST, SHORTEST = 24, 48, 8  # steps of a window: as a rule, and at most and at least where the series says so
WINDOWS_OF_BLOCK = 10
BLOCKS = 14  # of a series, or more: validation and test then have parts of several seasons
WINDOWS = 16  # that a short series consists of
SHARES, SHORT_SHARES = (0.7, 0.1, 0.2), (0.6, 0.2, 0.2)  # of training, validation and test
FEW = 8  # validation windows: a series that would have fewer by the usual shares is short
SEEN = 0.6  # share of the series, from its begin, whose cycles count; what of it is tested on gives its period alone


class Layout(NamedTuple):
    """Steps of a window and of a block, shares of the splits, and why the windows are so long, in words."""

    length: int
    block: int
    shares: tuple[float, ...]
    why: str


def choose(
    wide: pd.DataFrame,
    lengths: Sequence[int] | np.ndarray,
    length: int | str,
    block: int | str,
    shares: Sequence[float] | str = SHARES,
    held_out: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Layout:
    """The length of windows and of blocks, and the shares, that are "auto"; others stay.

    A window holds the clearest cycle of most features, if it is longer than a window usually is but not twice as long,
    or what most missing values lie in. A short series has shorter windows and blocks, so that each split gets some,
    and a larger share of them for validation, which chooses and calibrates the methods.

    Args:
        wide: the series, (n_steps, K), or several one below the other.
        lengths: of the series, which sum to n_steps.
        length: steps of a window, or "auto".
        block: steps of a block of the split, or "auto".
        shares: of training, validation and test, or "auto".
        held_out: pairs of a name and a pattern of missing entries; a window holds the longest run of these.
    """
    n = int(max(lengths))
    least = max((pattern["length"] or 1 for _, pattern in held_out), default=1)
    n_steps, why = (int(length), "") if length != AUTO else _length(wide, lengths, n, least)
    if block != AUTO:
        n_steps = n_steps if length != AUTO else min(n_steps, int(block))
    else:
        block = min(max(n // BLOCKS // n_steps, 1), WINDOWS_OF_BLOCK) * n_steps
    if isinstance(shares, str):
        shares = SHORT_SHARES if SHARES[1] * sum(lengths) < FEW * n_steps else SHARES
    return Layout(n_steps, int(block), tuple(shares), why)


def _length(wide, lengths, n, least):
    """Steps of a window, and why."""
    if n < WINDOWS * LENGTH:
        return max(n // WINDOWS, SHORTEST, least), f"the series has {n} steps"
    period = _period(wide.to_numpy(), lengths)
    if LENGTH < period <= LONGEST:
        return max(period, least), f"its cycle has {period} steps"
    run = _usual_gap(wide.isna().to_numpy(), lengths)
    if LENGTH - 2 < run <= LONGEST - 2:
        return max(LONGEST, least), f"most missing values lie in gaps of {run} steps or more"
    return max(LENGTH, least), "as usual"


def _period(values, lengths):
    """The median period of the features, by the first part of the longest series; 0 if most have none."""
    longest = int(np.argmax(lengths))
    first = int(np.sum(lengths[:longest]))
    seen = values[first : first + int(SEEN * lengths[longest])]
    periods = seasons.longer_than(1, seen, [len(seen)])
    return int(np.median(periods[periods > 0])) if (periods > 0).mean() > 0.5 else 0


def _usual_gap(missing, lengths):
    """The length of the gap in which the median missing value lies; 0 where nothing is missing."""
    found = gaps.find(missing, lengths)
    sizes = np.sort((found["stop"] - found["first"]).to_numpy())
    return int(sizes[np.searchsorted(np.cumsum(sizes), sizes.sum() / 2)]) if len(sizes) else 0
