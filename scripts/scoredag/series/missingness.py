"""Which observed entries are held out as targets."""

import numpy as np


def hold_out_random(observed, share, rng):
    """Boolean array like `observed`: a random `share` of its true entries (rounded)."""
    known = np.flatnonzero(observed)
    chosen = rng.choice(known, size=round(share * len(known)), replace=False)
    mask = np.zeros(observed.shape, bool)
    mask.flat[chosen] = True
    return mask
