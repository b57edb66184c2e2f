"""Random streams keyed by names, so that results do not depend on how work is divided."""

import hashlib

import numpy as np


def seed(root, *key):
    """A 63-bit seed for the stream named by `key` (strings and integers) under the seed `root`."""
    parts = (int(root), *(part if isinstance(part, str) else int(part) for part in key))
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(root, *key):
    """A NumPy generator (PCG64) for the stream named by `key` under the seed `root`."""
    return np.random.default_rng(seed(root, *key))
