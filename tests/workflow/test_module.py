"""The project as a part of another workflow: the Snakefiles of docs/module.md, and refusals."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from scoredag.store import files

SCATTER = "results/langevin/b/scatter.png"
MODULE = """
configfile: "{root}/config/config.yaml"
configfile: "mine.yaml"

rule own:
    output: "results/own/{{name}}.txt"
    script: "own.py"

module scoredag:
    snakefile: "{root}/Snakefile"
    {how}

use rule * from scoredag as scoredag_*
"""
INCLUDE = """
include: "{root}/Snakefile"

rule own:
    output: "results/own/{{name}}.txt"
    script: "own.py"
"""
OVERLAY_ALONE = """
configfile: "mine.yaml"

module scoredag:
    snakefile: "{root}/Snakefile"
    config: config

use rule * from scoredag as scoredag_*
"""


def snakemake(folder, *arguments, python=sys.executable, **environment):
    """What Snakemake does in the folder: the finished process, all that it prints in `stdout`."""
    command = [python, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def jobs(printed):
    """{rule: what a dry run says of it}."""
    blocks = re.split(r"\n(?=rule )", printed)[1:]
    lines = r"^    (\w+): (.*)"
    return {re.match(r"rule (\w+):", block)[1]: dict(re.findall(lines, block, re.MULTILINE)) for block in blocks}


@pytest.fixture
def folder(root, tmp_path):
    """A folder with the project, an own mixture and an own config."""
    (tmp_path / "scoredag").symlink_to(root)
    shutil.copy(root / "data/gmm.csv", tmp_path / "mine.csv")
    (tmp_path / "mine.yaml").write_text("gmm: {file: mine.csv}", encoding="utf-8")
    (tmp_path / "own.py").touch()
    return tmp_path


@pytest.fixture
def blocks(root):
    """The listings of the page: a Snakefile, its config, another Snakefile."""
    page = (root / "docs/module.md").read_text(encoding="utf-8")
    return re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)


def test_the_snakefile_of_the_page_makes_the_bytes_that_are_made_without_a_module(folder, blocks, root, python):
    snakefile, overlay, _ = blocks
    (folder / "Snakefile").write_text(snakefile, encoding="utf-8")
    (folder / "mine.yaml").write_text(overlay, encoding="utf-8")
    profile = ["--workflow-profile", "scoredag/profiles/default"]
    done = snakemake(folder, *profile, python=python)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in snakemake(folder, "--dry-run", *profile).stdout
    directly = ["--snakefile", "scoredag/Snakefile", "--directory", ".", SCATTER, "--configfile", "mine.yaml"]
    done = snakemake(folder, *directly, python=python)
    assert done.returncode == 0, done.stdout
    made = [path.relative_to(folder) for path in (folder / "results").rglob("*") if path.is_file()]
    assert len(made) == 3  # the mixture, the samples, the figure
    assert [files.sha256(folder / path) for path in made] == [files.sha256(folder / "scores" / path) for path in made]


def test_one_workflow_takes_it_twice_by_two_configs(folder, blocks):
    (folder / "Snakefile").write_text(blocks[2], encoding="utf-8")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    found = jobs(done.stdout)
    assert {"short_sample_langevin", "long_sample_langevin"} < set(found)
    for name in ("short", "long"):
        assert found[f"{name}_plot_scatter"]["output"] == f"{name}/{SCATTER}"
        assert found[f"{name}_read_mixture"]["input"].endswith("data/gmm.csv")


@pytest.mark.parametrize(
    ("text", "prefix", "name", "mixture"),
    [
        (MODULE.replace("{how}", "config: config"), "", "scoredag_", "mine.csv"),
        (MODULE.replace("{how}", 'config: config\n    prefix: "part"'), "part/", "scoredag_", "mine.csv"),
        (MODULE.replace("{how}", 'prefix: "results/part"'), "results/part/", "scoredag_", "data/gmm.csv"),
        (MODULE.replace("{how}", ""), "", "scoredag_", "data/gmm.csv"),
        (INCLUDE, "", "", "data/gmm.csv"),
    ],
    ids=["module", "module with a prefix", "module below results", "module with the default config", "include"],
)
def test_another_workflow_takes_this_one(folder, root, python, text, prefix, name, mixture):
    (folder / "Snakefile").write_text(text.format(root=root), encoding="utf-8")
    targets = ["results/own/x.txt", f"{prefix}results/gmm/density.png"]
    done = snakemake(folder, "--dry-run", *targets, python=python)
    assert done.returncode == 0, done.stdout
    found = jobs(done.stdout)
    assert set(found) == {"own", f"{name}read_mixture", f"{name}plot_density"}
    assert not {"log", "benchmark"} & set(found["own"])  # a rule of the other one is left alone
    read, plot = found[f"{name}read_mixture"], found[f"{name}plot_density"]
    assert read["input"].endswith(mixture) and not read["input"].startswith(prefix or "results")
    assert plot["input"] == read["output"] == f"{prefix}results/gmm/parameters.parquet"
    assert plot["log"] == f"{prefix}logs/gmm/{name}plot_density.log"
    assert plot["benchmark"] == f"{prefix}logs/gmm/{name}plot_density.tsv"


def test_own_data_and_checkpoints_are_not_below_a_prefix_and_other_runs_models_are(folder, root, python):
    for source, own in (("own-series.csv", "own.csv"), ("csdi-base.safetensors", "own.safetensors")):
        shutil.copy(root / "data" / source, folder / own)
    runs = {"one": {"dataset": "mine", "init": "own"}, "two": {"dataset": "mine", "init": "one"}}
    checkpoints = {"own": {"file": "own.safetensors"}, "one": {"file": "results/csdi/one/model.safetensors"}}
    mine = {"datasets": {"mine": {"reader": "csv", "file": "own.csv", "time": "when"}}}
    mine["csdi"] = {"checkpoints": checkpoints, "runs": runs}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    text = MODULE.replace("{how}", 'config: config\n    prefix: "part"')
    (folder / "Snakefile").write_text(text.format(root=root), encoding="utf-8")
    for run, init in (("one", "own.safetensors"), ("two", "part/results/csdi/one/model.safetensors")):
        done = snakemake(folder, "--dry-run", f"part/results/csdi/{run}/model.safetensors", python=python)
        assert done.returncode == 0, done.stdout
        assert f"    input: {init}, part/results/datasets/mine/windows.parquet" in done.stdout
        assert "    input: own.csv\n" in done.stdout


def test_an_overlay_alone_is_refused_in_a_line_that_says_what_to_write(folder, root):
    (folder / "Snakefile").write_text(OVERLAY_ALONE.format(root=root), encoding="utf-8")
    done = snakemake(folder, "--dry-run")
    assert done.returncode and "Traceback" not in done.stdout
    assert re.search(
        r"^config: top level: '\w+' is a required property; .* begins with config/config.yaml$", done.stdout, re.M
    )


@pytest.mark.parametrize("how", ["git+file", "github", "gh:"])
def test_a_hosted_workflow_is_refused_in_a_line_that_says_what_to_do(folder, root, tmp_path, how):
    host = tmp_path / "host"
    host.mkdir()
    shutil.copy(root / "Snakefile", host)
    for words in (["init", "-q", "-b", "main"], ["add", "Snakefile"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=host, check=True)
    hosted = {
        "git+file": f'snakefile: "git+file://{host}/Snakefile@main"',
        "github": 'snakefile: github("owner/scoredag", path="Snakefile", branch="main")',
        "gh:": "gh:owner/scoredag@main:Snakefile",
    }[how]
    module = f"module scoredag:\n    {hosted}\nuse rule * from scoredag\n"
    (folder / "Snakefile").write_text(module, encoding="utf-8")
    stand_in = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{host}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/scoredag",
    }
    done = snakemake(folder, "--dry-run", *(["--snakefile", hosted] if how == "gh:" else []), **stand_in)
    assert done.returncode and "Traceback" not in done.stdout
    assert re.search(
        r'^error: .*: this workflow runs from a folder.*git clone.*"scoredag/Snakefile"', done.stdout, re.M
    )


@pytest.mark.slow  # the whole tiny run once more
def test_a_module_makes_every_byte_that_is_made_without_one(finished, project, tmp_path):
    text = MODULE.replace('configfile: "mine.yaml"\n', "").format(root=project.folder, how="config: config")
    (tmp_path / "Snakefile").write_text(text, encoding="utf-8")
    (tmp_path / "own.py").touch()
    done = snakemake(
        tmp_path, "scoredag_all", "--configfile", "project/config/presets/tiny.yaml", python=project.python
    )
    assert done.returncode == 0, done.stdout
    made, before = type(project).at(tmp_path).sums(), finished.sums()
    assert {path for path in before if made.get(path) != before[path]} == set()
