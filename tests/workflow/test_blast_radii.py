"""What each key and each file reruns is what tests/reruns.yaml says: no more, no less, and none left out."""

import importlib
import json
import os
import re
import subprocess

import plans
import pytest
import yaml
from snakemake.exceptions import WorkflowError

# beside the default run, what it leaves out: shards, a download, corrected intervals, filled gaps
MORE = """
langevin:
  variants:
    many: {step_size: 0.1, noise_covariance: [[1.0, 0.0], [0.0, 1.0]], n_particles: 600000, animate: true}
csdi:
  runs:
    etth1: {dataset: etth1, init: base, fill_gaps: true, conformal: true}
"""
# other values where none can be found by rule, or only together with others beside the key
CHANGES = {
    "gmm.file": "data/own-series.csv",
    "langevin.variants.*.kernel": {"kernel": "mala", "noise_covariance": None},
    "langevin.variants.*.noise_covariance": [[0.5, 0.0], [0.0, 0.5]],
    "langevin.variants.*.preconditioner": [[0.5, 0.0], [0.0, 0.5]],
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
    "likelihood.beta": [0.2, 10.0],
    "likelihood.sigma": [0.02, 30.0],
    "datasets.*.reader": {"reader": "tidy", "group": None},
    "datasets.*.file": "data/gmm.csv",
    "datasets.etth1.file": "another.csv",
    "datasets.*.url": "https://example.org/x",
    "datasets.nyc-weather.url": {"url": "https://example.org/x", "file": "nyc-weather.csv"},
    "datasets.*.time_format": "%Y",
    "datasets.*.windows.shares": [0.6, 0.2, 0.2],
    "datasets.*.windows.held_out": {"held_out": {"more": {"pattern": "outages", "share": 0.1, "length": None}}},
    "datasets.*.windows.held_out.*.pattern": {"pattern": "outages", "length": None},
    "datasets.*.windows.held_out.*.length": {"length": 5, "pattern": "blocks"},
    "csdi.checkpoints.*.file": "another.safetensors",
    "csdi.checkpoints.*.url": {"url": "https://example.org/x", "file": "base.safetensors"},
    "csdi.runs.nyc-weather.dataset": "etth1",
    "csdi.runs.etth1.dataset": "nyc-weather",
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


@pytest.fixture(scope="module")
def make_readme(root):
    """The script docs/make_pages.py as a module: it knows the schema's leaves and reads the declarations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "docs"))
        return importlib.import_module("make_pages")


@pytest.fixture(scope="module")
def declared(root):
    return yaml.safe_load((root / "tests/reruns.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def leaves(root, make_readme):
    """(key path with {name}s, node) of every key of the schema."""
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    return list(make_readme.leaves(schema, schema))


@pytest.fixture(scope="module")
def plan(root, tmp_path_factory):
    """A function of an overlay on the default config: the plan in a folder without results."""
    workdir, more = tmp_path_factory.mktemp("plans"), yaml.safe_load(MORE)
    (workdir / "another.safetensors").touch()
    return lambda overlay=None: plans.plan(root, workdir, [more, overlay or {}])


@pytest.fixture(scope="module")
def before(plan):
    return plan()


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
        step = node.get("multipleOf", 1)
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


def after_edit(plan, before, make_readme, path, node):
    """The plan under another value of the key."""
    refusals, change = [], make_readme.lookup(CHANGES, path, ".")
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
    found = {(("langevin", "variants"), wildcards.get(key)) for key in ("variant", "whole", "sharded")}
    found |= {(("likelihood", "score_models"), wildcards.get(key)) for key in ("score_model", "network")}
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


def disagreements(keys, plan, before, declared, make_readme):
    """What is planned and what is declared, for each key where these differ."""
    wrong = {}
    for path, node in keys:
        rules = make_readme.lookup(declared["keys"], path, ".")
        after = after_edit(plan, before, make_readme, path, node)
        found = after.since(before)
        if rules is None or found != expected(after, rules, path):
            wrong[".".join(path)] = {"reruns": readable(found), "declared": rules}
    return wrong


def test_each_key_reruns_what_is_declared(plan, before, leaves, declared, make_readme):
    """One name for each {name}; the slow test takes all."""
    keys = [(places(before.config, path)[-1], node) for path, node in leaves]
    assert len(keys) > 100
    assert disagreements(keys, plan, before, declared, make_readme) == {}


@pytest.mark.slow
def test_each_key_of_each_entry_reruns_what_is_declared(plan, before, leaves, declared, make_readme):
    keys = [(place, node) for path, node in leaves for place in places(before.config, path)]
    assert len(keys) > 250
    assert disagreements(keys, plan, before, declared, make_readme) == {}


def dry_run(project, overlays, folder):
    """What a dry run of the finished project would do under the default config and the `overlays`."""
    paths = [folder / f"{number}.yaml" for number in range(len(overlays))]
    for path, overlay in zip(paths, overlays, strict=True):
        path.write_text(json.dumps(overlay), encoding="utf-8")
    done = project.snakemake("--dry-run", configfiles=map(str, paths))
    assert done.returncode == 0, done.stdout
    found = set()
    for rule, block in project.announced(done.stdout):
        wildcards = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
        pairs = sorted(tuple(pair.split("=")) for pair in wildcards[1].split(", ")) if wildcards else []
        found.add((rule, tuple(pairs)))
    return {job for job in found if job[0] != "all"}


def compare_with(ask, keys, finished, leaves, make_readme):
    """Compare what is planned for another value of each key with the jobs that `ask` says Snakemake then wants to run.

    `ask` is a function of overlays on the default config.
    """
    tiny = yaml.safe_load((finished.folder / "config/presets/tiny.yaml").read_text(encoding="utf-8"))

    def plan(overlay=None):
        return plans.plan(finished.folder, finished.folder, [tiny, overlay or {}])

    before, wrong, n_jobs = plan(), {}, 0
    nodes = {place: node for path, node in leaves for place in places(before.config, path)}
    for path in keys or [places(before.config, path)[-1] for path, _ in leaves]:
        after = after_edit(plan, before, make_readme, path, nodes[path])
        found = ask([tiny, after.config])  # what tiny sets to null is in no config
        n_jobs += len(found)
        if found != after.since(before):
            wrong[".".join(path)] = {"planned": readable(after.since(before)), "wanted": readable(found)}
    assert wrong == {}
    assert n_jobs > 10


def test_dry_runs_say_the_same(finished, leaves, make_readme, tmp_path):
    keys = (
        "seed",
        "gmm.figure.half_width",
        "langevin.variants.d.n_particles",
        "datasets.nyc-weather.windows.statistics",
        "csdi.runs.nyc-weather.sampling.threads",
    )
    chosen = [tuple(key.split(".")) for key in keys]
    compare_with(lambda overlays: dry_run(finished, overlays, tmp_path), chosen, finished, leaves, make_readme)


@pytest.mark.slow
def test_snakemake_says_the_same_of_all_keys(edited, leaves, make_readme):
    (edited.folder / "another.safetensors").touch()  # for CHANGES

    def ask(overlays):
        return plans.needed(edited.folder, edited.folder, overlays)

    compare_with(ask, None, edited, leaves, make_readme)


def test_no_declaration_is_left_over(before, leaves, declared, make_readme):
    keys = [place for path, _ in leaves for place in places(before.config, path)]
    patterns = {make_readme.pattern(declared["keys"], path, ".") for path in keys}
    assert set(declared["keys"]) == patterns
    rules = {rule for rule, _ in before.traces}
    named = [entry for table in declared.values() for entry in table.values() if isinstance(entry, list)]
    assert {rule for entry in named for rule in entry} - {"*"} <= rules | {"fetch_file"}


def test_each_file_reruns_what_is_declared(root, before, declared, make_readme):
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    folders = ("config", "data", "envs", "profiles", "report", "rules", "scripts")
    paths = [path for path in listed if path.split("/")[0] in folders or path == "Snakefile"]
    assert len(paths) > 100
    wrong, used = {}, set()
    for path in paths:
        parts = path.split("/")
        used.add(make_readme.pattern(declared["files"], parts, "/"))
        rules, key = make_readme.lookup(declared["files"], parts, "/"), ()
        if isinstance(rules, str):
            key = tuple(rules.split("."))
            rules = make_readme.lookup(declared["keys"], key, ".")
        found = before.with_followers(before.reading(os.path.relpath(root / path, before.workdir)))
        if rules is not None:
            rules = [root.joinpath(path).stem if rule == "*" else rule for rule in rules]
        if rules is None or found != expected(before, rules, key):
            wrong[path] = {"reruns": readable(found), "declared": rules}
    assert wrong == {}
    assert used >= set(declared["files"])
