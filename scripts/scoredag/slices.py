"""Work cut into parts, and done by several threads."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def covering(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 .. n - 1."""
    return (slice(first, min(first + size, n)) for first in range(0, n, size))


def in_order(pool: Executor, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int) -> Iterator[Result]:
    """Results of `function` for each task, in order, with no more than `ahead` of them at work or waiting."""
    waiting: collections.deque[Future[Result]] = collections.deque()
    for task in tasks:
        waiting.append(pool.submit(function, task))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
