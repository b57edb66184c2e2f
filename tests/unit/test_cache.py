"""Results that are kept: taken for the same content of everything, and for nothing else."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scoredag.errors import InputError
from scoredag.job import cache, logs, record
from scoredag.store import files


class Work:
    """A job in a folder: its output repeats its input, its module's text and its settings."""

    def __init__(self, folder):
        self.folder, self.runs = folder, 0
        folder.mkdir()
        for name in ("input", "module"):
            (folder / name).write_text(name)

    def job(self, wildcard="b", **settings):
        return SimpleNamespace(
            wildcards={"variant": wildcard},
            params={"settings": settings, "code": "planned"},
            input={"file": str(self.folder / "input")},
            output={"one": str(self.folder / "one.txt"), "two": str(self.folder / "two.txt")},
        )

    def run(self, *wildcard, during=lambda: None, **settings):
        """Run the job; whether it was computed, not taken from the cache."""
        before = self.runs
        for name in ("one", "two"):
            (self.folder / f"{name}.txt").unlink(missing_ok=True)
        job = self.job(*wildcard, **settings)

        def current():
            return record.build(job, Path("repeat.py"), files.sha256(self.folder / "module"))

        def compute():
            self.runs += 1
            text = "".join((self.folder / name).read_text() for name in ("input", "module"))
            during()
            for path in job.output.values():
                with files.replacing(path) as partial:
                    partial.write_text(f"{text} {job.wildcards} {settings}")

        first = current()
        entry = cache.entry(job, first)
        if entry:
            entry.fill(compute, lambda: current() == first)
        else:
            compute()
        assert {(self.folder / f"{name}.txt").read_text() for name in ("one", "two")} == {self.expected(job)}
        return self.runs > before

    def expected(self, job):
        text = "".join((self.folder / name).read_text() for name in ("input", "module"))
        return f"{text} {job.wildcards} {job.params['settings']}"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "work")


def test_without_the_variable_nothing_is_kept(work, monkeypatch):
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    assert work.run() and work.run()


def test_an_edit_that_is_taken_back_computes_nothing(work, kept):
    assert work.run(x=1) and work.run(x=2)
    assert not work.run(x=1) and not work.run(x=2)


def test_another_folder_shares_them(work, kept, tmp_path):
    assert work.run() and not Work(tmp_path / "another").run()


@pytest.mark.parametrize("name", ["input", "module"])
def test_other_content_is_never_answered_by_the_old_result(work, kept, name):
    old = (work.folder / name).read_text()
    assert work.run()
    (work.folder / name).write_text("another")
    assert work.run()
    (work.folder / name).write_text(old)
    assert not work.run()


def test_other_names_settings_and_plans_are_other_results(work, kept):
    assert work.run("b") and work.run("c") and work.run("b", x=1)
    job = work.job("b")
    names = {cache.key(job, {})}
    job.params["code"] = "edited since it was planned"
    assert cache.key(job, {}) not in names


@pytest.mark.parametrize("damage", ["flip", "cut", "file", "sums", "all"])
def test_a_damaged_entry_is_computed_anew(work, kept, damage):
    assert work.run()
    (entry,) = kept.iterdir()
    if damage == "flip":
        (entry / "two.txt").write_text((entry / "two.txt").read_text().replace("i", "j"))
    elif damage == "cut":
        (entry / "two.txt").write_text("")
    elif damage == "file":
        (entry / "two.txt").unlink()
    elif damage == "sums":
        (entry / cache.CHECKSUMS).write_text(json.dumps({})[:1])
    else:
        for path in entry.iterdir():
            path.unlink()
    assert work.run() and not work.run()


def test_an_entry_outlives_a_full_disk(work, kept, monkeypatch):
    assert work.run()
    copy = cache.shutil.copyfile

    def copyfile(source, target):
        if Path(target).parent == work.folder:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(cache.shutil, "copyfile", copyfile)
        with pytest.raises(InputError, match="No space left"):
            work.run()
    assert not work.run()


def test_an_entry_that_may_not_be_read_is_computed_anew_and_left(work, kept, monkeypatch):
    assert work.run()
    (entry,) = kept.iterdir()

    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cache.Path, "read_text", refuse)
    assert cache.Entry(entry, {"one.txt": work.folder / "one.txt"}).fetch() is False
    assert entry.exists()


def test_another_gpu_is_another_entry_if_the_job_takes_it(work, kept, monkeypatch):
    assert work.run(device="auto") and work.run(device="cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert work.run(device="auto") and not work.run(device="auto")
    assert not work.run(device="cpu")


def test_what_changes_while_it_runs_is_not_kept(work, kept):
    def edit():
        (work.folder / "module").write_text("new")

    with pytest.raises(AssertionError):
        work.run(during=edit)  # of the old module, and the new one is there
    assert not kept.exists()
    assert work.run()


def test_a_failed_job_is_not_kept(work, kept):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        work.run(during=fail)
    assert not kept.exists() and work.run()


def test_a_cache_that_cannot_be_written_stops_no_job(work, kept, tmp_path):
    kept.write_text("a file")
    with logs.to_file(tmp_path / "job.log"):
        assert work.run() and work.run()
    assert "not kept (" in (tmp_path / "job.log").read_text()
