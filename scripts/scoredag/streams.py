"""Random streams keyed by names, so that results do not depend on the division of the work."""

import hashlib

import numpy as np


def seed(root: int, *key: str | int) -> int:
    """A 63-bit seed for the stream named by `key` (strings and integers) under the seed `root`."""
    parts = (int(root), *(part if isinstance(part, str) else int(part) for part in key))
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(root: int, *key: str | int) -> np.random.Generator:
    """A NumPy generator (PCG64) for the stream named by `key` under the seed `root`."""
    return np.random.default_rng(seed(root, *key))


def columns(shape: tuple[int, int], first: int, n: int, root: int, *key: str | int) -> np.ndarray:
    """Columns first .. first + n - 1 of `generator(root, *key).random(shape)`, (R, n), without the others."""
    rows = (np.random.PCG64(seed(root, *key)).advance(row * shape[1] + first) for row in range(shape[0]))
    return np.stack([np.random.Generator(row).random(n) for row in rows])
