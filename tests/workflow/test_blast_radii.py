"""What each key and each file reruns is what tests/reruns.yaml says: no more, no less, and none left out."""

import json
import re

import plans
import pytest
import reruns
import yaml
from reruns import after_edit, expected, places, readable


@pytest.fixture(scope="module")
def snapshot():
    return yaml.safe_load(reruns.SNAPSHOT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def leaves():
    return reruns.leaves()


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return reruns.planner(tmp_path_factory.mktemp("plans"))


@pytest.fixture(scope="module")
def before(plan):
    return plan()


def disagreements(keys, plan, before, snapshot):
    """What is planned and what is snapshot, for each key where these differ."""
    wrong = {}
    for path, node in keys:
        rules = reruns.make_keys.lookup(snapshot["keys"], path, ".")
        after = after_edit(plan, before, path, node)
        found = after.since(before)
        if rules is None or found != expected(after, rules, path):
            wrong[".".join(path)] = {"reruns": readable(found), "snapshot": rules}
    return wrong


def test_each_key_reruns_what_the_snapshot_says(plan, before, leaves, snapshot):
    """One name for each {name}; the slow test takes all."""
    keys = [(places(before.config, path)[-1], node) for path, node in leaves]
    assert len(keys) > 100
    assert disagreements(keys, plan, before, snapshot) == {}


@pytest.mark.slow
def test_each_key_of_each_entry_reruns_what_the_snapshot_says(plan, before, leaves, snapshot):
    keys = [(place, node) for path, node in leaves for place in places(before.config, path)]
    assert len(keys) > 250
    assert disagreements(keys, plan, before, snapshot) == {}


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


def compare_with(ask, keys, finished, leaves):
    """Compare what is planned for another value of each key with the jobs that `ask` says Snakemake then wants to run.

    `ask` is a function of overlays on the default config.
    """
    tiny = yaml.safe_load((finished.folder / "config/presets/tiny.yaml").read_text(encoding="utf-8"))

    def plan(overlay=None):
        return plans.plan(finished.folder, finished.folder, [tiny, overlay or {}])

    before, wrong, n_jobs = plan(), {}, 0
    nodes = {place: node for path, node in leaves for place in places(before.config, path)}
    for path in keys or [places(before.config, path)[-1] for path, _ in leaves]:
        after = after_edit(plan, before, path, nodes[path])
        found = ask([tiny, after.config])  # what tiny sets to null is in no config
        n_jobs += len(found)
        if found != after.since(before):
            wrong[".".join(path)] = {"planned": readable(after.since(before)), "wanted": readable(found)}
    assert wrong == {}
    assert n_jobs > 10


def test_dry_runs_say_the_same(finished, leaves, tmp_path):
    keys = (
        "seed",
        "gmm.figure.half_width",
        "langevin.variants.d.n_particles",
        "datasets.nyc-weather.windows.statistics",
        "csdi.runs.nyc-weather.sampling.threads",
    )
    chosen = [tuple(key.split(".")) for key in keys]
    compare_with(lambda overlays: dry_run(finished, overlays, tmp_path), chosen, finished, leaves)


@pytest.mark.slow
def test_snakemake_says_the_same_of_all_keys(edited, leaves):
    (edited.folder / "another.safetensors").touch()  # for CHANGES

    def ask(overlays):
        return plans.needed(edited.folder, edited.folder, overlays)

    compare_with(ask, None, edited, leaves)


def test_no_declaration_is_left_over(before, leaves, snapshot):
    keys = [place for path, _ in leaves for place in places(before.config, path)]
    patterns = {reruns.make_keys.pattern(snapshot["keys"], path, ".") for path in keys}
    assert set(snapshot["keys"]) == patterns
    rules = {rule for rule, _ in before.traces}
    named = [entry for table in snapshot.values() for entry in table.values() if isinstance(entry, list)]
    assert {name.split()[0] for entry in named for name in entry} <= rules | {"fetch_file"}


def test_each_file_reruns_what_the_snapshot_says(before, snapshot):
    found = reruns.of_files(before)
    assert len(found) > 100
    assert found == snapshot["files"], "run `make reruns`, and read what has changed"


def test_a_fine_tuned_run_is_drawn_beside_those_from_scratch_alone(plan):
    alone = {"dataset": "nyc-weather", "init": "scratch"}
    more = {"alone": alone, "even": alone | {"training": {"step_power": 1.0}}, "twin": {"dataset": "nyc-weather"}}
    planned = plan({"csdi": {"runs": more}})
    drawn = {
        run: {
            dict(wildcards)["run"]
            for rule, wildcards in planned.reading(f"{planned.workdir}/{path}")
            if rule == "plot_loss"
        }
        for run in more
        for path in [f"results/csdi/{run}/history.parquet"]
    }
    assert drawn == {"alone": {"alone", "nyc-weather", "twin"}, "even": {"even"}, "twin": {"twin"}}
