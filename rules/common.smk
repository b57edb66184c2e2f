"""What all rules share: the checked config, settings as params, and contents that are compared."""

import functools
import itertools
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import flag, local
from snakemake.iocontainers import Wildcards
from snakemake.target_jobs import parse_target_jobs_cli_args

# this clone's folder, also where another workflow takes it as a module, or through a link
HOME = Path(str(workflow.current_basedir)).resolve().parent
SCRIPTS = HOME / "scripts"
sys.path.insert(0, str(SCRIPTS))

from scoredag.errors import InputError
from scoredag.job import checks, complaints, places, plans, sources

# jobs import this clone's library, whatever is installed
os.environ.update(
    PYTHONPATH=os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
    PYTHONDONTWRITEBYTECODE="1",
)

places.set_matplotlib_folder()

try:
    checks.check_interpreter(sys.executable)
    checks.check_command(sys.argv)
    checks.check(config, HOME)
except InputError as error:
    complaints.repeat_at_exit([str(error)])
    raise WorkflowError(str(error)) from None

# jobs get it from the environment: as a parameter it would be a reason to run again
if config["cache"] is not None:
    os.environ.setdefault("SCOREDAG_CACHE", os.path.abspath(sources.expanded(config["cache"])))


# of all rules below; Snakemake asks for it with `--sdm apptainer` alone
container: config["container"] and sources.expanded(config["container"])


def section(*keys):
    """The part of the config below `keys`."""
    return functools.reduce(lambda part, key: part[key], keys, config)


def settings(*keys, only=None, without=(), **more):
    """A function of the wildcards for `params`: one sorted dict of what is below `keys`.

    Wildcards in `keys` are filled in; `only` and `without` narrow the dict, `more` adds to it
    (a function is called with the wildcards). Keep it narrow: a change reruns the rule.
    """

    def chosen(wildcards):
        part = section(*(key.format(**dict(wildcards.items())) for key in keys)) if keys else {}
        kept = {key: part[key] for key in part if key not in without and (only is None or key in only)}
        added = {key: value(wildcards) if callable(value) else value for key, value in more.items()}
        return sources.ordered(kept | added)

    return chosen


CAPTIONS = {}  # of each figure, by its path with wildcards


def figure(path, category, caption, label=None, **labels):
    """A figure, or page, of the report: its caption, with wildcards in braces, and labels to find it by."""
    labels = {"figure": label or Path(path).stem} | labels
    CAPTIONS[path] = caption
    return flag(report(path, "../report/caption.rst", category=category, labels=labels), "caption", caption)


def complete(steps):
    """Give this workflow's `steps` a log, timings and an environment; as parameters, a code digest and a caption.

    The log is logs/PART/WILDCARDS/RULE.log, timings stand beside it. Snakemake compares a script by its time, and
    what it imports not at all. It never compares a parameter that depends on the output: another caption draws no
    figure again. Rules of another workflow, which takes this one as a module, are left alone, and what it has set.
    """
    digest = sources.digester()
    own = (step for step in steps if step.script and Path(str(step.basedir)).resolve() == HOME / "rules")
    for step in (step for step in own if "code" not in step.params.keys()):
        script = SCRIPTS / Path(str(step.script)).name
        part = re.search(r".*results/(\w+)", step.output[0])[1]  # the last: a module may have a prefix results/..
        wildcards = [f"{{{name}}}" for name in re.findall(r"{(\w+)", step.output[0])]
        log = Path("logs", part, *wildcards, step.name)
        if not step.log:
            step.log_modifier = step.output_modifier
            step.set_log(f"{log}.log")
        if not step.benchmark:
            step.benchmark_modifier = step.output_modifier
            step.benchmark = f"{log}.tsv"
        step.conda_env = str(HOME / "envs" / "scoredag.yaml")
        # only for the rules that some job is of
        step.set_params(code=lambda wildcards, script=script: digest(script))
        for caption in (path.flags["caption"] for path in step.output if "caption" in path.flags):
            step.set_params(caption=lambda wildcards, output, text=caption: text.format(**dict(wildcards.items())))
    if not workflow.is_main_process:
        check_jobs({step.name: step.params for step in steps})


def check_jobs(params):
    """Refuse jobs of another plan, before the Snakemake that a cluster's node has started for them removes anything."""
    # of the command line, as Snakemake has not handed them on while it parses; an outer workflow has rules of its own
    jobs = parse_target_jobs_cli_args(checks.values_of("--target-jobs", sys.argv))
    try:
        plans.check()
        for job in (job for job in jobs if job.rulename in params):
            plans.check_job(job.rulename, Wildcards(fromdict=job.wildcards_dict), params[job.rulename])
    except InputError as error:
        raise WorkflowError(f"error: {error}") from None


def is_result(entry):
    """Whether an entry is the model of another run, which a rule makes."""
    return checks.run_of(entry, config["csdi"]["runs"]) is not None


def input_file(entry):
    """The file of a mixture, dataset or checkpoint, which is a download where it has a url; [] for none."""
    if entry is None or entry["file"] is None:
        return []
    # by the config alone: a file that comes or goes would be another input, and everything would run again
    if entry.get("url"):
        return f"results/downloads/{entry['file']}"
    if is_result(entry):
        return entry["file"]
    return local(sources.shipped(entry["file"], HOME))  # a module's prefix is for results


def content(entry):
    """The SHA-256 of the file of such an entry, whatever its time; None for a download, another run's model, or no file."""
    path = input_file(entry)
    return sources.content(path) if path and not entry.get("url") and not is_result(entry) else None


def either(names):
    """A regular expression of the names; of none, one that matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def check_writable():
    """Refuse a folder of results or logs that cannot be written, before any old result is removed."""
    for top in ("results", "logs"):
        for folder, _, _ in os.walk(top):
            if not os.access(folder, os.W_OK):
                raise WorkflowError(f"error: {folder}: cannot be written (a read-only disk, or someone else's folder)")


def check_devices(jobs):
    """Refuse devices that a node chooses, and with them the numbers of a result."""
    runs = [job.wildcards.run for job in jobs if job.params.get("settings", {}).get("device") == "auto"]
    if runs:
        keys = f"csdi.runs.{min(runs)}.device"
        raise WorkflowError(
            f"error: config: {keys}: auto would take what each node of a cluster has; write cpu or cuda"
        )


def remove_outdated(jobs):
    """Remove what a cluster's jobs make anew: of one that fails before it begins, Snakemake takes the old file as new."""
    for path in itertools.chain(*(job.output for job in jobs)):
        Path(path).unlink(missing_ok=True)


onstart:
    check_writable()
    needed = list(workflow.dag.needrun_jobs())
    if not workflow.local_exec:
        check_devices(needed)
        remove_outdated(needed)
    plans.begin((job.rule.name, job.wildcards, job.rule.params) for job in needed)


# Snakemake still prints its own last words
onerror:
    complaints.repeat_at_exit(complaints.error_lines(log))


wildcard_constraints:
    variant=either(config["langevin"]["variants"]),
    shard=r"\d+",
    score_model=either(config["likelihood"]["score_models"]),
    dataset=either(config["datasets"]),
    run=either(config["csdi"]["runs"]),
