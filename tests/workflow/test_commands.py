"""Snakemake's other commands, on results that are there."""

import os
import re
import subprocess
import sys
import zipfile

import pytest

TABLE = "results/gmm/parameters.parquet"


def printed(project, *arguments):
    done = project.snakemake(*arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("option", ["--summary", "--detailed-summary"])
def test_a_summary_has_each_file_and_nothing_to_update(finished, option):
    rows = [line.split("\t") for line in printed(finished, option).splitlines() if line.startswith("results/")]
    files = {row[0] for row in rows}
    shards = {path for path in files if "/shards/" in path}  # temporary ones, which are gone
    assert files - shards == set(finished.sums()) - {"results/report.html"}
    assert {tuple(row[-2:]) for row in rows if row[0] not in shards} == {("ok", "no update")}


@pytest.mark.parametrize("what", ["code", "input"])
def test_no_changes_are_listed(finished, what):
    assert "results/" not in printed(finished, "--list-changes", what)


def test_touching_changes_no_plan(edited):
    printed(edited, "--touch")
    assert edited.jobs() == set()


def test_the_report_as_an_archive_holds_the_figures(edited):
    printed(edited, "--report", "report.zip")
    with zipfile.ZipFile(edited.folder / "report.zip") as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert {path.name for path in edited.folder.glob("results/**/*.png")} | {"report.html"} <= names


def test_a_generated_unit_test_makes_the_same_bytes(edited):
    """Of one rule: each test is a run of Snakemake of its own."""
    run = edited.start(TABLE, "--generate-unit-tests")  # not forked: Snakemake keeps the folder of its import
    output, _ = run.communicate()
    assert run.returncode == 0, output
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", ".tests/unit"]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # it calls `python`
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=edited.folder, env=environment, capture_output=True, text=True, check=False)
    assert re.search(r"^1 passed", done.stdout, re.MULTILINE), done.stdout
