"""Work cut into parts."""

from collections.abc import Iterator


def covering(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 .. n - 1."""
    return (slice(first, min(first + size, n)) for first in range(0, n, size))
