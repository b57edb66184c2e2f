"""Profiles for clusters: they name rules that exist, submit few jobs of the tiny preset, and no group is too wide."""

import importlib.util
import math
import re

import plans
import pytest
import yaml

PROFILES = {"slurm": "snakemake_executor_plugin_slurm", "cluster-generic": "snakemake_executor_plugin_cluster_generic"}
# jobs that may take minutes, or an unknown time: each is a submission of its own
LONG = {
    "choose_start",
    "complete_series",
    "draw_completion",
    "draw_gaps",
    "execute_notebook",
    "fill_gaps",
    "fit_gaussian",
    "fit_structural",
    "gather_baselines",
    "gather_gaps",
    "gather_windows",
    "impute_baselines",
    "impute_baselines_shard",
    "impute_csdi",
    "impute_shard",
    "impute_validation",
    "impute_validation_shard",
    "sample_shard",
    "score_shard",
    "score_windows",
    "simulate_dynamics",
    "sweep_langevin",
    "train_csdi",
    "train_score",
}
MOST_SUBMISSIONS = 25
LIMIT = 60  # minutes
WIDEST = 4000  # MB that the jobs of a group share
DEVICE = "csdi: {runs: {nyc-weather: {device: %s}}}"


def profile(root, name):
    return yaml.safe_load((root / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_is_in_a_group_or_long(root, tmp_path, name):
    groups = dict(entry.split("=") for entry in profile(root, name)["groups"])
    rules = {rule.name for rule in plans.rules(root, tmp_path) if rule.script}
    assert groups.keys() | LONG | {"fetch_file"} == rules
    assert not groups.keys() & LONG
    components = dict(entry.split("=") for entry in profile(root, name)["group-components"])
    assert components.keys() <= set(groups.values())


def test_both_profiles_group_alike(root):
    slurm, generic = (profile(root, name) for name in PROFILES)
    shared = ("groups", "group-components", "set-threads", "resources", "jobs", "retries")
    assert {key: slurm[key] for key in shared} == {key: generic[key] for key in shared}


@pytest.mark.parametrize("name", PROFILES)
def test_few_jobs_are_submitted_and_none_asks_for_more_than_a_node_has(project, name):
    if importlib.util.find_spec(PROFILES[name]) is None:
        pytest.skip("envs/requirements-cluster.txt is not installed")
    (project.folder / "cpu.yaml").write_text(DEVICE % "cpu", encoding="utf-8")
    options = {"configfiles": ("config/presets/tiny.yaml", "cpu.yaml")}
    planned = project.snakemake("--profile", f"profiles/{name}", "--dry-run", **options)
    assert planned.returncode == 0, planned.stdout
    groups = re.findall(r"^\[.*\] Group job (\w+) ", planned.stdout, re.MULTILINE)
    singles = re.findall(r"^rule (\w+):", planned.stdout, re.MULTILINE)
    assert set(singles) <= LONG | {"all"}
    assert 15 < len(groups) + len(singles) - 1 <= MOST_SUBMISSIONS, planned.stdout
    # of jobs of a group, by the profile's `resources`, four at most go on at a time
    grouped = dict(re.findall(r"^    rule (\w+):\n((?:        .*\n)+)", planned.stdout, re.MULTILINE))
    assert len(grouped) > 30 and not [rule for rule, block in grouped.items() if "threads:" in block]
    # within the 60 minutes that are a common limit of partitions, of which a group takes one runtime for each four jobs
    assert max(map(int, re.findall(r"resources: .*runtime=(\d+)", planned.stdout))) <= LIMIT
    for group in re.split(r"^\[.*\]\s", planned.stdout, flags=re.MULTILINE):
        if group.startswith("Group job"):
            runtimes, megabytes = (list(map(int, re.findall(rf"{key}=(\d+)", group))) for key in ("runtime", "mem_mb"))
            assert max(runtimes) * math.ceil(sum(megabytes) / WIDEST) <= LIMIT, group


@pytest.mark.parametrize(("device", "n_gpus"), [("cpu", 0), ("auto", 0), ("cuda", 1)])
def test_a_job_asks_for_a_gpu_if_its_run_names_it(project, device, n_gpus):
    (project.folder / "device.yaml").write_text(DEVICE % device, encoding="utf-8")
    planned = project.snakemake("--dry-run", configfiles=("config/presets/tiny.yaml", "device.yaml"))
    blocks = dict(project.announced(planned.stdout))
    asked = {
        rule: int(re.search(r"resources: .*gpu=(\d)", block)[1]) for rule, block in blocks.items() if rule != "all"
    }
    takers = {"train_csdi", "choose_start", "impute_csdi", "impute_validation", "score_windows"}
    assert asked == {rule: n_gpus if rule in takers else 0 for rule in asked}
    assert takers < asked.keys()
