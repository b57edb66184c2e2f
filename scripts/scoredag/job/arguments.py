"""What a job has for the function of its script, matched by name."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from scoredag.errors import InputError

OPTIONAL = ("code", "content", "caption")  # params that a function need not take


class Offer(NamedTuple):
    """An argument that a job has for a function."""

    name: str
    value: Any
    required: bool  # the function has to take it


def by_name(function: Callable[..., None], job: Any) -> dict[str, Any]:
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
