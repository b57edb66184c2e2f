"""Which rules an edit of each key and of each file reruns, found by planning it: the snapshot tests/reruns.yaml.

    python tests/workflow/reruns.py        # writes it (make reruns)

A row names the rules that rerun by themselves; all that follow them in the graph rerun, too. `*` stands for any name;
of a rule that works on single variants, datasets, checkpoints or runs, only jobs of the named one are meant. A full
name goes before one with `*`.
"""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import plans
import yaml
from snakemake.exceptions import WorkflowError

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "tests/reruns.yaml"
FOLDERS = ("config", "data", "envs", "notebooks", "profiles", "report", "rules", "scripts")
sys.path.append(str(ROOT / "docs"))
make_keys = importlib.import_module("make_pages")

# beside the default run, what it leaves out: shards, a download, corrected intervals, filled gaps
MORE = """
langevin:
  variants:
    many: {step_size: 0.1, noise_covariance: [[1.0, 0.0], [0.0, 1.0]], n_particles: 600000, animate: true}
datasets:
  etth1: {shards: 2}
csdi:
  runs:
    etth1: {dataset: etth1, init: base, fill_gaps: true}
    in-shards: {dataset: etth1, init: base, fill_gaps: true, shards: 2}
"""
NOTEBOOKS = {"langevin": "langevin", "likelihood-bound": "likelihood", "csdi": "csdi"}
# other values where none can be found by rule, or only together with others beside the key
CHANGES = {
    "container": "docker://another",
    "gmm.file": "data/own-series.csv",
    "langevin.variants.*.kernel": {"kernel": "mala", "noise_covariance": None},
    "langevin.variants.*.noise_covariance": [[0.5, 0.0], [0.0, 0.5]],
    "langevin.variants.*.preconditioner": [[0.5, 0.0], [0.0, 0.5]],
    "langevin.variants.*.friction": {"friction": 0.5, "kernel": "underdamped", "noise_covariance": None},
    "langevin.variants.*.noise_levels": {"noise_levels": [2.0], "kernel": "annealed", "noise_covariance": None},
    "langevin.variants.*.temperatures": {"temperatures": [1, 2], "kernel": "tempering", "noise_covariance": None},
    "likelihood.score_models.*.scale": {"scale": 0.7, "weighting": None},
    "likelihood.score_models.*.bias": {"bias": [0.0, 0.1], "weighting": None},
    "likelihood.score_models.*.variance": {"variance": 3.0, "weighting": None},
    "likelihood.score_models.scaled.weighting": {"weighting": "likelihood", "scale": 1.0},
    "likelihood.score_models.biased.weighting": {"weighting": "likelihood", "bias": [0.0, 0.0]},
    "likelihood.score_models.widened.weighting": {"weighting": "likelihood", "variance": 1.0},
    "likelihood.grid.n_cells": 84,
    "likelihood.score_errors.amounts": [0.15, 0.3],
    "likelihood.dynamics.score_model": "exact",
    "likelihood.dynamics.times": [0.0, 0.2, 1.0],
    "likelihood.beta": [0.2, 10.0],
    "likelihood.sigma": [0.02, 30.0],
    "datasets.*.reader": {"reader": "tidy", "group": None},
    "datasets.*.file": "data/gmm.csv",
    "datasets.etth1.file": "another.csv",
    "datasets.*.url": "https://example.org/x",
    "datasets.nyc-weather.url": {"url": "https://example.org/x", "file": "nyc-weather.csv"},
    "datasets.*.time_format": "%Y",
    "datasets.*.round": {"round": {"temp": 0.5}},
    "datasets.*.transform": {"transform": {"temp": "log"}},
    "datasets.*.windows.length": 36,
    "datasets.*.windows.block": 120,
    "datasets.*.windows.shares": [0.6, 0.2, 0.2],
    "datasets.*.windows.statistics": "all",
    "datasets.*.windows.held_out": {"held_out": {"more": {"pattern": "outages", "share": 0.1, "length": None}}},
    "datasets.*.windows.held_out.*.pattern": {"pattern": "outages", "length": None},
    "datasets.*.windows.held_out.*.length": {"length": 5, "pattern": "blocks"},
    "csdi.checkpoints.*.file": "another.safetensors",
    "csdi.checkpoints.*.url": {"url": "https://example.org/x", "file": "base.safetensors"},
    "csdi.runs.nyc-weather.dataset": "etth1",
    "csdi.runs.etth1.dataset": "nyc-weather",
    "csdi.runs.in-shards.dataset": "nyc-weather",
    "csdi.runs.etth1.init": {"init": "scratch", "training": {"n_steps": 100}},
    "csdi.runs.*.init": "scratch",
    "csdi.runs.*.figure.held_out": "blocks-6",
}
# where names are chosen freely
ENTRIES = [
    ("langevin", "variants"),
    ("likelihood", "score_models"),
    ("datasets",),
    ("csdi", "checkpoints"),
    ("csdi", "runs"),
]


def leaves():
    """(key path with {name}s, node) of every key of the schema."""
    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))
    return list(make_keys.leaves(schema, schema))


def planner(folder):
    """A function of an overlay on the default config: the plan in a folder without results."""
    more = yaml.safe_load(MORE)
    (folder / "another.safetensors").touch()
    return lambda overlay=None: plans.plan(ROOT, folder, [more, overlay or {}])


def places(config, path):
    """The paths of a key in the config, with every name that it has for a {name}."""
    if not path:
        return [()]
    names = [] if not isinstance(config, dict) else config if path[0] == "{name}" else {path[0]} & config.keys()
    return [(name, *rest) for name in names for rest in places(config[name], path[1:])]


def at(config, path):
    for name in path:
        config = config[name]
    return config


def with_value(config, path, value):
    """A copy of the config with another value of the key, or of several beside it in a dict with the key itself."""
    config = json.loads(json.dumps(config))  # defaults are one object in all entries, which `deepcopy` keeps so
    at(config, path[:-1]).update(value if isinstance(value, dict) and path[-1] in value else {path[-1]: value})
    return config


def others(node, value):
    """Other values of a key that the schema may allow."""
    kinds = [node["type"]] if isinstance(node.get("type"), str) else node.get("type", [])
    if "enum" in node:
        yield from (entry for entry in node["enum"] if entry != value)
    elif "boolean" in kinds:
        yield not value
    elif "integer" in kinds:
        step, value = node.get("multipleOf", 1), None if isinstance(value, str) else value
        yield from ((value or 1) + step, (value or 3) - step)
    elif "number" in kinds:
        yield from ((value or 1.0) * 0.9, (value or 0.5) * 1.1)
    elif "array" in kinds:
        yield from ([*(value or []), new] for new in (*node["items"].get("enum", []), "another", 4.25, 3))
        yield from ([1, 2], (value or [])[:-1])
    elif "object" in kinds:
        yield from ({"another": new} for new in ([0, 1], 2.5, "another"))
    else:
        yield from ("another", "a" * 64)


def after_edit(plan, before, path, node):
    """The plan under another value of the key."""
    refusals, change = [], make_keys.lookup(CHANGES, path, ".")
    for value in others(node, at(before.config, path)) if change is None else [change]:
        try:
            after = plan(with_value(before.config, path, value))
        except WorkflowError as error:
            refusals.append(str(error))
        else:
            assert at(after.config, path) != at(before.config, path)
            return after
    raise AssertionError(f"{'.'.join(path)}: no other value is known, see CHANGES; {refusals}")


def concerns(job, path, config):
    """Whether a job has to do with the variant, dataset, checkpoint or run that the path of a key names, if any."""
    wildcards = dict(job[1])
    if "notebook" in wildcards and path:  # each is about one part of the config
        return path[0] == NOTEBOOKS.get(wildcards["notebook"])
    found = {
        (("langevin", "variants"), wildcards.get("variant")),
        (("likelihood", "score_models"), wildcards.get("score_model")),
    }
    found |= {(("datasets",), wildcards.get("dataset")), (("csdi", "runs"), wildcards.get("run"))}
    if "run" in wildcards:
        run = config["csdi"]["runs"][wildcards["run"]]
        found |= {(("datasets",), run["dataset"]), (("csdi", "checkpoints"), run["init"])}
    for section in (("datasets",), ("csdi", "checkpoints")):
        entries = at(config, section).items()
        found |= {(section, name) for name, entry in entries if entry["file"] == wildcards.get("file", "")}
    found = {(*section, name) for section, name in found if name is not None}
    named = [path[: len(section) + 1] for section in ENTRIES if path[: len(section)] == section]
    return not named or not found or named[0] in found


def expected(after, rules, path=()):
    """The declared jobs: those of the rules that concern the key, and all that follow them."""
    return after.with_followers({job for job in after.of_rules(rules) if concerns(job, path, after.config)})


def readable(jobs):
    return sorted(" ".join([rule, *(value for _, value in wildcards)]) for rule, wildcards in jobs)


def roots(after, before):
    """The rules of those jobs that rerun by themselves, not because others do."""
    changed = after.changed(before)
    followers = [after.with_followers([job]) - {job} for job in changed]
    return {job[0] for job in changed - set().union(*followers)} or {job[0] for job in changed}


def of_keys(plan, before):
    """{key: rules}: one row for all names of an entry, and further ones for names that differ."""
    rows = {}
    for path, node in leaves():
        edits = {place: after_edit(plan, before, place, node) for place in places(before.config, path)}
        rules = {place: roots(after, before) for place, after in edits.items()}
        together = set().union(*rules.values())
        apart = [place for place, after in edits.items() if expected(after, together, place) != after.since(before)]
        together = set().union(*(rules[place] for place in rules if place not in apart))
        rows[".".join("*" if name == "{name}" else name for name in path)] = sorted(together)
        rows |= {".".join(place): sorted(rules[place]) for place in apart}
    return rows


def tracked_files():
    """Paths of the project's files that a run may depend on."""
    paths = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [path for path in paths if path.split("/")[0] in FOLDERS or path == "Snakefile"]


def of_files(before):
    """{file: rules}, with the wildcards of single jobs where it is not all jobs of a rule."""
    return {path: of_file(before, path) for path in tracked_files()}


def of_file(before, path):
    """The rules that an edit of a file reruns by itself, with the wildcards of single jobs."""
    jobs = before.reading(ROOT / path)
    first = jobs - set().union(*(before.with_followers([job]) - {job} for job in jobs))
    rules = {rule for rule, _ in first if before.of_rules([rule]) <= before.with_followers(first)}
    return sorted(rules) + sorted(readable(job for job in first if job[0] not in rules))


def write():
    """Write the snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        plan = planner(Path(folder))
        before = plan()
        rows = {"keys": of_keys(plan, before), "files": of_files(before)}
    head = "".join(f"# {line}\n".replace("# \n", "#\n") for line in __doc__.strip().splitlines())
    SNAPSHOT.write_text(f"{head}\n{yaml.safe_dump(rows, sort_keys=False, width=120)}", encoding="utf-8")


if __name__ == "__main__":
    write()
