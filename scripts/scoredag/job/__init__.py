"""What a job is: its arguments, log, record, claim, place in the cache, and the code that it runs."""

from collections.abc import Callable
from typing import Any


def run(function: Callable[..., None], snakemake: Any = None, *, cached: bool = False) -> None:
    """Run a script's function: as the job that Snakemake has started, or by hand (see `runner.run`)."""
    from scoredag.job import runner  # rules import this package while they are parsed, and need none of it

    runner.run(function, snakemake, cached=cached)
