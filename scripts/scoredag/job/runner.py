"""The one way from a script to its function: arguments by name, log, claim, record and cache."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import threadpoolctl

from scoredag.errors import InputError
from scoredag.job import arguments, cache, logs, plans, record, sources
from scoredag.store import files, stamp


def run(function: Callable[..., None], snakemake: Any = None, *, cached: bool = False) -> None:
    """Call a script's function with the arguments of its job; an error ends the process with status 1.

    Args:
        function: of a script; `arguments.by_name` says how its parameters are called.
        snakemake: the job. Without one it is what Snakemake has put into the script's globals, and where there is
            none, the command line says what to do (see `by_hand`).
        cached: whether results are taken from the cache, and kept there.
    """
    script = Path(function.__globals__["__file__"]).resolve()
    job = snakemake or function.__globals__.get("snakemake")
    if job is None:
        import_module("scoredag.job.by_hand").run(function, script)  # not part of what a job is made of
        return

    def current() -> dict[str, Any]:
        return record.build(job, script, sources.digester()(script))

    try:
        plans.check()  # before this job takes the log, and with it the claim
    except InputError as error:
        sys.exit(f"error: {error}")
    # a sum in float64 would show by its last digits how many threads BLAS has, which cores set
    with logs.to_file(job.log[0]), threadpoolctl.threadpool_limits(1, user_api="blas"):
        before = current()
        _check_plan(job, script, before["code"])
        with stamp.job(record=before):
            values = arguments.by_name(function, job)
            if not cached:
                function(**values)
            elif entry := cache.entry(job, before):
                entry.fill(lambda: function(**values), lambda: current() == before)
            else:
                function(**values)


def _check_plan(job, script, code):
    """Refuse code and data other than the planned ones, which Snakemake records with the results."""
    if not Path(record.__file__).resolve().is_relative_to(script.parent):
        raise InputError(f"{record.__file__}: belongs to another clone; take its folder out of PYTHONPATH")
    planned = job.params.get("content") or []
    planned = {planned} if isinstance(planned, str) else {*planned}
    paths = (path for _, entry in job.input.items() for path in ([entry] if isinstance(entry, str) else entry))
    if code != job.params.get("code") or (planned and not planned <= {*map(files.sha256, paths)}):
        raise InputError("its code or data were edited after the run had been planned; run again")
