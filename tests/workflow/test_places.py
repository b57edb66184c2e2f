"""The project where people put it: behind a link, in a path with a blank; homes and paths."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scoredag.job import complaints, places, sources


def test_results_are_found_through_a_link_and_by_the_path(project, tmp_path):
    (tmp_path / "link").symlink_to(project.folder)
    (tmp_path / "elsewhere").mkdir()
    for snakefile in (project.folder / "Snakefile", "../link/Snakefile", "../project/Snakefile"):
        options = ("--snakefile", snakefile, "--directory", tmp_path / "elsewhere")
        done = project.snakemake("results/gmm/parameters.parquet", *map(str, options), configfiles=())
        assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in done.stdout


def make(folder, *words):
    """As from a shell, though the tests may have been started by make."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--dry-run", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_make_in_a_path_with_a_blank_says_so_before_it_installs_anything(root, tmp_path):
    for name in ("a project", "project"):
        (tmp_path / name).mkdir()
        shutil.copy(root / "Makefile", tmp_path / name)
    done = make(tmp_path / "a project")
    assert done.returncode and not done.stdout
    assert done.stderr.count("\n") == 1 and "path with blanks; move" in done.stderr
    assert make(tmp_path / "a project", "clean").returncode == 0
    assert "Snakemake runs" not in make(tmp_path / "project").stderr


def test_a_python_in_a_path_with_a_blank_is_refused(root, tmp_path):
    (tmp_path / "a folder").mkdir()
    python = tmp_path / "a folder" / "python"
    python.symlink_to(sys.executable)
    command = [python, "-m", "snakemake", "--snakefile", root / "Snakefile", "--directory", tmp_path, "--dry-run"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # the link is no venv
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"scoredag: error: {python}: Snakemake runs no script")


def test_a_home_that_cannot_be_written_gives_matplotlib_another_folder(monkeypatch, tmp_path):
    for variable in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    places.set_matplotlib_folder()
    assert "MPLCONFIGDIR" not in os.environ and [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places.set_matplotlib_folder()
    assert os.environ.pop("MPLCONFIGDIR") == str(tmp_path / "cache" / "matplotlib")
    monkeypatch.delenv("XDG_CACHE_HOME")
    places.set_matplotlib_folder()
    folder = Path(os.environ.pop("MPLCONFIGDIR"))
    assert folder.is_dir() and not folder.is_relative_to(tmp_path / "file")


def test_paths_are_expanded_unless_a_file_has_that_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    for path in ("home/a.csv", "data/a.csv", "clone/$DATA.csv"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    assert sources.shipped("~/a.csv", tmp_path / "clone") == str(tmp_path / "home/a.csv")
    for path in ("$DATA/a.csv", "${DATA}/a.csv"):
        assert sources.shipped(path, tmp_path / "clone") == str(tmp_path / "data/a.csv")
    assert sources.shipped("$DATA.csv", tmp_path / "clone") == "clone/$DATA.csv"


def test_complaints_are_found_in_the_logs_of_failed_jobs_each_once(tmp_path):
    (tmp_path / "a.log").write_text("note\nerror: a.csv: empty\n", encoding="utf-8")
    (tmp_path / "b.log").write_text("Traceback\nValueError: odd\n", encoding="utf-8")
    says = "Error in rule x:\n    log: {} (check log file(s) for error details)\n"
    text = says.format(tmp_path / "a.log") + "error: a.csv: empty\n" + says.format(tmp_path / "b.log")
    (tmp_path / "snakemake.log").write_text(text + says.format(tmp_path / "absent.log"), encoding="utf-8")
    found = complaints.error_lines([tmp_path / "snakemake.log", tmp_path / "absent"])
    assert found == ["error: a.csv: empty", f"{tmp_path / 'b.log'}: ValueError: odd"]
