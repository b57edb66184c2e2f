"""Which observed entries of a window are held out as targets: patterns of missing entries.

`observed` (L, K) says which entries of a window have a value; the result (L, K) is true at the
targets, a subset of these. A window in which a pattern finds nothing to hide gets no target.
"""

import numpy as np


def hold_out(observed, rng, *, pattern, share, length=None):
    """The targets of one window by the pattern `random`, `blocks` (of `length` steps) or `outages`."""
    if pattern == "random":
        return hold_out_random(observed, share, rng)
    if pattern == "blocks":
        return hold_out_blocks(observed, share, length, rng)
    if pattern == "outages":
        return hold_out_outages(observed, share, rng)
    raise ValueError(f"pattern is '{pattern}'; known are random, blocks, outages")


def hold_out_random(observed, share, rng):
    """Boolean array like `observed`: a random `share` of its true entries (rounded)."""
    known = np.flatnonzero(observed)
    chosen = rng.choice(known, size=round(share * len(known)), replace=False)
    mask = np.zeros(observed.shape, bool)
    mask.flat[chosen] = True
    return mask


def hold_out_blocks(observed, share, length, rng):
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


def hold_out_outages(observed, share, rng):
    """Boolean array like `observed`: all true entries of some features, as in a station that is down.

    Of the features with true entries, `share` (rounded) are hidden: at least one, never all.
    """
    there = np.flatnonzero(observed.any(axis=0))
    n_hidden = min(max(round(share * len(there)), 1), len(there) - 1)
    hidden = np.zeros(observed.shape[1], bool)
    hidden[rng.permutation(there)[: max(n_hidden, 0)]] = True
    return observed & hidden
