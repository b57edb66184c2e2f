"""A run's id and plan, by which its jobs find out whether they still belong to what goes on in their folder.

Jobs on a cluster wait, outlive a Snakemake that is killed, and read config, code and data anew. Snakemake begins a
run by leaving its plan below .snakemake/, and jobs get the id by their environment; a job without one passes.
Standard library alone: rules import it while Snakemake parses them.
"""

import inspect
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scoredag.errors import InputError
from scoredag.store import files

VARIABLE = "SCOREDAG_RUN"
PLAN = Path(".snakemake", "scoredag.run")  # of the run that began last in the working directory
UNTRACKED = {"input", "output", "threads", "resources"}  # Snakemake compares no parameter that depends on them


def begin(jobs: Iterable[tuple[str, Mapping[str, str], Any]]) -> None:
    """Begin a run in the working directory, of jobs (rule, wildcards, the rule's params): those before it are over."""
    plan = {_name(rule, wildcards): _digest(params, wildcards) for rule, wildcards, params in jobs}
    run = secrets.token_hex(16)
    PLAN.parent.mkdir(exist_ok=True)
    # in place, as nodes of NFS see that at once, but a new file only after a while
    PLAN.write_text(f"{run}\n{json.dumps(plan)}\n", encoding="utf-8")
    os.environ[VARIABLE] = run


def check() -> bool:
    """Whether the run that this process is a job of has left a plan.

    Raises:
        InputError: a later run has begun in the working directory.
    """
    run = os.environ.get(VARIABLE)
    if run is None or not PLAN.is_file():
        return False
    with PLAN.open(encoding="utf-8") as lines:  # the plan of many jobs is long, and this is asked for each file
        last = lines.readline().rstrip("\n")
    if last != run:
        raise InputError("a later run has begun in this folder; this job of an earlier one wrote nothing")
    return True


def check_job(rule: str, wildcards: Mapping[str, str], params: Any) -> None:
    """Refuse a job whose code, settings or data, as far as params tell them, are not what its run has planned.

    Raises:
        InputError: they were edited since, or a later run has begun.
    """
    if not check():
        return
    _, _, plan = PLAN.read_text(encoding="utf-8").partition("\n")
    planned = json.loads(plan).get(_name(rule, wildcards))
    if planned and planned != _digest(params, wildcards):
        fault = "its code, settings or data were edited after the run had been planned"
        raise InputError(f"{_name(rule, wildcards)}: {fault}; once it has ended, run again")


def _name(rule, wildcards):
    return " ".join([rule, *(f"{name}={value}" for name, value in sorted(wildcards.items()))])


def _digest(params, wildcards):
    """A digest of a rule's params for the wildcards, as far as Snakemake compares them."""
    values = {
        name: value(wildcards) if callable(value) else value
        for name, value in params.items()
        if not (callable(value) and UNTRACKED & {*inspect.signature(value).parameters})
    }
    return files.combined([json.dumps(values, sort_keys=True, default=str)])
