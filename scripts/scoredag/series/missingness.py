"""Which observed entries of a window are held out as targets: patterns of missing entries.

`observed` (L, K) says which entries of a window have a value; the result (L, K) is true at the
targets, a subset of these. A window in which a pattern finds nothing to hide gets no target.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def hold_out(
    observed: np.ndarray, rng: np.random.Generator, *, pattern: str, share: float, length: int | None = None
) -> np.ndarray:
    """The targets of one window by one of the `PATTERNS`; `length` is the steps of a run, for those that take it."""
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is '{pattern}'; known are {', '.join(PATTERNS)}")
    options = {"length": length} if "length" in PATTERNS[pattern].takes else {}
    return PATTERNS[pattern].hold_out(observed, share, rng=rng, **options)


def hold_out_random(observed: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: a random `share` of its true entries (rounded)."""
    known = np.flatnonzero(observed)
    chosen = rng.choice(known, size=round(share * len(known)), replace=False)
    mask = np.zeros(observed.shape, bool)
    mask.flat[chosen] = True
    return mask


def hold_out_blocks(observed: np.ndarray, share: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: runs of `length` steps of single features, as in a sensor that fails.

    Runs are added at random places, where they may touch, until at least `share` of the true
    entries are hidden; one that would hide the last of them is left out.
    """
    n_steps, n_features = observed.shape
    n_places = n_steps - length + 1
    n_observed = np.count_nonzero(observed)
    mask = np.zeros(observed.shape, bool)
    for place in rng.permutation(n_places * n_features):
        if np.count_nonzero(mask) >= share * n_observed:
            break
        feature, first = divmod(int(place), n_places)
        longer = mask.copy()
        longer[first : first + length, feature] = observed[first : first + length, feature]
        if np.count_nonzero(longer) < n_observed:
            mask = longer
    return mask


def hold_out_outages(observed: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: all true entries of some features, as in a station that is down.

    Of the features with true entries, `share` (rounded) are hidden: at least one, never all.
    """
    features = np.flatnonzero(observed.any(axis=0))
    n_hidden = min(max(round(share * len(features)), 1), len(features) - 1)
    hidden = np.zeros(observed.shape[1], bool)
    hidden[rng.permutation(features)[: max(n_hidden, 0)]] = True
    return observed & hidden


class Pattern(NamedTuple):
    """A pattern of missing entries: its function, and the settings that it takes beside `share`."""

    hold_out: Callable[..., np.ndarray]
    takes: frozenset[str] = frozenset()


PATTERNS: dict[str, Pattern] = {
    "random": Pattern(hold_out_random),
    "blocks": Pattern(hold_out_blocks, frozenset({"length"})),
    "outages": Pattern(hold_out_outages),
}
