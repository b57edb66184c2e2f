"""The jobs that Snakemake plans for a config, asked within this process: a tenth of the time of a dry run."""

import contextlib
import copy
import functools
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import snakemake.api
import snakemake.parser
import yaml
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings
from snakemake.utils import update_config

from scoredag.job import sources


@dataclass(frozen=True)
class Plan:
    """Jobs by name, (rule, ((wildcard, value), ..)), and what Snakemake compares of each."""

    config: dict
    workdir: str
    traces: dict = field(default_factory=dict)  # {job: (params, inputs)}, as Snakemake records them
    followers: dict = field(default_factory=dict)  # {job: jobs that take its output}
    scripts: dict = field(default_factory=dict)  # {rule: path}

    @functools.cached_property
    def modules(self):
        """{rule: its script and what that imports}."""
        return {rule: set(sources.modules(path, path.parent)) for rule, path in self.scripts.items()}

    def with_followers(self, jobs):
        """`jobs`, as far as they are part of the plan, and all that follow them."""
        found, todo = set(), [job for job in jobs if job in self.traces]
        while todo:
            job = todo.pop()
            if job not in found:
                found.add(job)
                todo.extend(self.followers[job])
        return found

    def of_rules(self, names):
        """The jobs of the rules `names`."""
        return {job for job in self.traces if job[0] in names}

    def reading(self, path):
        """The jobs that take the file `path` itself, or import it."""
        inside = os.path.relpath(path, self.workdir)
        return {
            job for job, (_, inputs) in self.traces.items() if inside in inputs or Path(path) in self.modules[job[0]]
        }

    def changed(self, before):
        """The jobs that are new, or have other params or inputs, than in the plan `before`."""
        return {job for job, trace in self.traces.items() if before.traces.get(job) != trace}

    def since(self, before):
        """The jobs that are to run where the plan `before` was carried out."""
        return self.with_followers(self.changed(before))


def plan(root, workdir, overlays=()):
    """The `Plan` of `rule all` of the workflow in the folder `root`, run in the folder `workdir`.

    `overlays` are laid over the default config in turn, as --configfile does it.

    Raises:
        WorkflowError: the config is refused.
    """
    with _workflow(root, workdir, overlays, DAGSettings(forceall=True)) as workflow:  # whatever is there
        dag, records = workflow.dag, workflow.persistence
        jobs = {job: _name(job) for job in dag.jobs if job.rule.name != "all"}
        scripts = Path(root) / "scripts"
        return Plan(
            config=workflow.globals["config"],
            workdir=str(workdir),
            traces={name: (records._params(job), records._input(job)) for job, name in jobs.items()},
            followers={
                name: {jobs[other] for other in dag.depending[job] if other in jobs} for job, name in jobs.items()
            },
            scripts={rule.name: scripts / Path(rule.script).name for rule in workflow.rules if rule.script},
        )


def rules(root, workdir):
    """The rules of the workflow in the folder `root`, as Snakemake has parsed them."""
    with _workflow(root, workdir, (), DAGSettings(forceall=True)) as workflow:
        return list(workflow.rules)


def needed(root, workdir, overlays=(), targets=()):
    """The jobs that Snakemake itself wants to run, given what is there, as a dry run with the default profile would.

    `targets` are files; without them it is what `rule all` asks for.
    """
    profile = yaml.safe_load((Path(root) / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    settings = DAGSettings(
        targets=frozenset(targets),
        rerun_triggers=frozenset(RerunTrigger.parse_choices_set(profile["rerun-triggers"])),
        max_checksum_file_size=profile["max-checksum-file-size"],
    )
    with _workflow(root, workdir, overlays, settings) as workflow:
        return {_name(job) for job in workflow.dag.needrun_jobs() if job.rule.name != "all"}


@contextlib.contextmanager
def _workflow(root, workdir, overlays, settings):
    """Yield Snakemake's workflow with its graph of jobs."""
    overlay = {}
    for part in overlays:
        update_config(overlay, copy.deepcopy(part))
    output = OutputSettings(quiet={Quietness.ALL}, log_handler_settings={})
    with (
        _silence(),
        mock.patch("snakemake.workflow.parse", _parse),
        mock.patch.dict("os.environ"),
        snakemake.api.SnakemakeApi(output) as api,
    ):
        workflow_api = api.workflow(
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(config=overlay),
            snakefile=Path(root) / "Snakefile",
            workdir=Path(workdir),
        )
        workflow_api.dag(settings)
        workflow = workflow_api._workflow
        workflow._prepare_dag(forceall=settings.forceall, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        yield workflow


_parsed = {}


def _parse(path, workflow, linemap, rulecount):
    """As Snakemake does it, but each content once: a quarter of a plan's time goes into it."""
    where = path.get_path_or_uri(secret_free=True)
    key = where, Path(where).read_bytes(), rulecount
    if key not in _parsed:
        _parsed[key] = *snakemake.parser.parse(path, workflow, linemap, rulecount=rulecount), dict(linemap)
    code, rulecount, lines = _parsed[key]
    linemap.update(lines)
    return code, rulecount


def _name(job):
    return job.rule.name, tuple(sorted(job.wildcards_dict.items()))


@contextlib.contextmanager
def _silence():
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
