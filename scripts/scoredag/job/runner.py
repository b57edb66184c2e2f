"""The one way from a script to its function: arguments by name, log, claim, record and cache."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from scoredag.errors import InputError
from scoredag.job import cache, logs, record, sources
from scoredag.store import files, stamp

OPTIONAL = ("code", "content", "caption")  # params that a function need not take


def run(function: Callable[..., None], snakemake: Any = None, *, cached: bool = False) -> None:
    """Call a script's function with the arguments of its job; an error ends the process with status 1.

    Args:
        function: of a script; `arguments` says how its parameters are called.
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
        return record.build(job, sources.digester()(script))

    with logs.to_file(job.log[0]):
        before = current()
        _check_plan(job, script, before["code"])
        with stamp.job(record=before):
            values = arguments(function, job)
            if not cached:
                function(**values)
            elif entry := cache.entry(job, before):
                entry.fill(lambda: function(**values), lambda: current() == before)
            else:
                function(**values)


def _check_plan(job, script, code):
    """Refuse code and data other than the planned ones, which Snakemake records with the results."""
    if not Path(record.__file__).is_relative_to(script.parent):
        raise InputError(f"{record.__file__}: belongs to another clone; take its folder out of PYTHONPATH")
    planned = job.params.get("content")
    paths = (path for _, entry in job.input.items() for path in ([entry] if isinstance(entry, str) else entry))
    if code != job.params.get("code") or (planned and planned not in map(files.sha256, paths)):
        raise InputError("its code or data were edited after the run had been planned; run again")


class Offer(NamedTuple):
    """An argument that a job has for a function."""

    name: str
    value: Any
    required: bool  # the function has to take it


def arguments(function: Callable[..., None], job: Any) -> dict[str, Any]:
    """The arguments of a script's function, by name.

    A file that the rule calls `samples` is the argument `samples_path`, a list of files `samples_paths`; an optional
    input that the job has not is None. Params and wildcards keep their names, and `threads` is the number of threads.
    A function has to take all inputs, outputs and params, but for `OPTIONAL` ones.

    Args:
        function: of a script.
        job: has the mappings `input`, `output`, `params` and `wildcards`, and `threads`.

    Raises:
        InputError: a parameter that the rule does not fill, or fills twice; an argument left over.
    """
    parameters = inspect.signature(function).parameters
    offers = list(_offers(job, parameters))
    names = [offer.name for offer in offers]
    faults = [f"fills '{name}' twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    faults += [
        f"has '{offer.name}', which the function does not take"
        for offer in offers
        if offer.required and offer.name not in parameters
    ]
    faults += [f"does not fill '{name}'" for name in parameters if name not in names]
    if faults:
        raise InputError(f"{function.__name__}: the rule {'; it '.join(faults)}")
    return {offer.name: offer.value for offer in offers if offer.name in parameters}


def _offers(job: Any, parameters: Iterable[str]) -> Iterator[Offer]:
    for entries in (job.input, job.output):
        for name, entry in entries.items():
            if isinstance(entry, str):
                yield Offer(f"{name}_path", entry, True)
            elif not entry and f"{name}_path" in parameters:
                yield Offer(f"{name}_path", None, True)
            else:
                yield Offer(f"{name}_paths", list(entry), True)
    yield from (Offer(name, value, name not in OPTIONAL) for name, value in job.params.items())
    yield from (Offer(name, value, False) for name, value in job.wildcards.items())
    yield Offer("threads", job.threads, False)
