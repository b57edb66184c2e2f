"""Logs of jobs, and the look at what a job was planned with."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from scoredag.job import logs
from scoredag.store import files


@pytest.fixture
def job(tmp_path):
    """What a script is handed, as far as it matters here."""
    for name in ("module", "data", "other"):
        (tmp_path / name).write_text(name)
    code = [str(tmp_path / "module")]
    return SimpleNamespace(
        log=[str(tmp_path / "logs/job.log")],
        input={"parts": [str(tmp_path / "other")], "file": str(tmp_path / "data"), "code": code},
        params={"code": files.digest(code), "content": files.sha256(tmp_path / "data")},
    )


def test_a_job_runs_where_nothing_changed_since_it_was_planned(job):
    with logs.of(job):
        print("at work")
    assert "at work" in Path(job.log[0]).read_text()


def test_a_job_without_data_of_its_own_is_planned_with_none(job, tmp_path):
    job.params["content"] = None
    (tmp_path / "data").write_text("another")
    with logs.of(job):
        pass


@pytest.mark.parametrize("name", ["module", "data"])
def test_a_job_whose_code_or_data_changed_since_then_does_not_begin(job, tmp_path, name):
    (tmp_path / name).write_text("another")
    with pytest.raises(SystemExit) as ended, logs.of(job):
        pytest.fail("began")
    assert ended.value.code == 1
    (line,) = Path(job.log[0]).read_text().splitlines()
    assert line.startswith("error: its code or data were edited")
