"""A copy of the project in which the tiny preset has run, and a way to call Snakemake on it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import filelock
import forks
import plans
import pytest
import yaml

from scoredag.store import files

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
FOLDERS = ("config", "data", "docs", "envs", "notebooks", "profiles", "report", "rules", "scripts")
TINY = "config/presets/tiny.yaml"


class Project:
    """A copy of the workflow in a folder of its own."""

    python = sys.executable

    def __init__(self, root, folder):
        folder.mkdir(parents=True)
        for name in FOLDERS:
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(root / "Snakefile", folder)
        self.folder = folder

    @classmethod
    def at(cls, folder):
        """The project that is in the folder already."""
        project = object.__new__(cls)
        project.folder = folder
        return project

    def copy(self, folder):
        """A copy, results, Snakemake's records and compiled code included."""
        shutil.copytree(self.folder, folder)
        copied = type(self).at(folder)
        copied.take_compiled(self)
        return copied

    def take_compiled(self, other):
        """Take the compiled code of another copy, which Numba keeps by the path of the sources' folder."""
        cache = "scripts/scoredag/simd/__pycache__"
        for source in (other.folder / cache).glob("scoredag-*/*_*"):
            room = source.name.rpartition("_")[0]
            path = hashlib.sha1(str(self.folder / "scripts/scoredag" / room).encode()).hexdigest()
            shutil.copytree(source, self.folder / cache / source.parent.name / f"{room}_{path}", dirs_exist_ok=True)

    def sums(self):
        """{path: SHA-256} of all results."""
        paths = sorted(path for path in (self.folder / "results").rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): files.sha256(path) for path in paths}

    def snakemake(self, *arguments, **options):
        """Run Snakemake with two cores; the finished process, its output in `stdout`."""
        process = self.start(*arguments, python=self.python, **options)
        process.stdout, _ = process.communicate()
        return process

    def start(self, *arguments, python=sys.executable, configfiles=(TINY,), **environment):
        """Start Snakemake with two cores, in a process group of its own, and each job in a new Python, as users do."""
        command = [python, "-m", "snakemake", "--cores", "2", *arguments]
        if configfiles:
            command += ["--configfile", *configfiles]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def announced(printed):
        """(rule, text) of each job that Snakemake announces in what it printed."""
        blocks = re.split(r"\n(?=(?:local)?rule )", printed)[1:]
        return [(re.match(r"(?:local)?rule (\w+):", block)[1], block) for block in blocks]

    def jobs(self, *targets, configfiles=(TINY,)):
        """What a dry run would do, planned in this process: {rule, or rule:variant}; `all` left out."""
        overlays = [yaml.safe_load((self.folder / path).read_text(encoding="utf-8")) for path in configfiles]
        jobs = plans.needed(self.folder, self.folder, overlays, targets)
        return {
            f"{rule}:{dict(wildcards)['variant']}" if "variant" in dict(wildcards) else rule for rule, wildcards in jobs
        }

    def dry_run(self, *arguments, **options):
        """As `jobs`, of a dry run with more arguments."""
        done = self.snakemake("--dry-run", *arguments, **options)
        assert done.returncode == 0, done.stdout
        found = set()
        for rule, block in self.announced(done.stdout):
            variant = re.search(r"wildcards: .*variant=(\w+)", block)
            found.add(f"{rule}:{variant[1]}" if variant else rule)
        return found - {"all"}

    def edit(self, path, old, new):
        """Replace text in a file of the copy."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        (self.folder / path).write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="session")
def project_class():
    return Project


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder of all of pytest's processes."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def python():
    """A Python that forks, by which projects run Snakemake and its jobs."""
    with forks.python() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "python", path)
        yield path


@pytest.fixture
def project(python, root, shared, tmp_path):
    """A fresh copy, in which nothing has run; its kernels are compiled where they are in `finished`."""
    fresh = Project(root, tmp_path / "project")
    if (shared / "finished.ready").exists():
        fresh.take_compiled(Project.at(shared / "finished"))
    return fresh


@pytest.fixture(scope="session")
def finished(python, root, shared):
    """A copy in which the tiny preset has run from nothing to the end, one for all of pytest's processes.

    No job of it is forked: the bytes of those that are can be compared with it.
    """
    folder, ready = shared / "finished", shared / "finished.ready"
    with filelock.FileLock(shared / "finished.lock"):
        if ready.exists():
            return Project.at(folder)
        shutil.rmtree(folder, ignore_errors=True)  # another process has failed at it
        project = Project(root, folder)
        run = project.start()
        output, _ = run.communicate()
        assert run.returncode == 0, output
        ready.touch()
        return project


@pytest.fixture
def edited(finished, tmp_path):
    """A copy of the finished project, results and Snakemake's records included, to edit."""
    return finished.copy(tmp_path / "project")
