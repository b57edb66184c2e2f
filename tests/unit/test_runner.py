"""What a script's function is called with, and the look at what its job was planned with."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import threadpoolctl

from scoredag import job
from scoredag.errors import InputError
from scoredag.job import arguments, cache, plans, record, sources
from scoredag.store import files, stamp

SCRIPT = """
from scoredag import job
import part

def repeat(parts_paths, file_path, out_path, settings, variant, threads):
    with open(out_path, "w") as stream:
        print(part.TEXT, len(parts_paths), open(file_path).read(), settings["x"], variant, threads, file=stream)
    print("at work")
"""


@pytest.fixture
def a_job(tmp_path):
    """What a script is handed, as far as it matters here."""
    for name in ("data", "other"):
        (tmp_path / name).write_text(name)
    return SimpleNamespace(
        log=[str(tmp_path / "logs/job.log")],
        input={"parts": [str(tmp_path / "other")], "file": str(tmp_path / "data")},
        output={"out": str(tmp_path / "out.txt")},
        params={"settings": {"x": 1.5}, "content": files.sha256(tmp_path / "data")},
        wildcards={"variant": "b"},
        threads=2,
    )


@pytest.fixture
def function(root, tmp_path, a_job, monkeypatch):
    """The function of a script beside a module of its own, in whose globals Snakemake has put the job."""
    (tmp_path / "part.py").write_text("TEXT = 'text'")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "scoredag").symlink_to(root / "scripts/scoredag")
    monkeypatch.setattr(record, "__file__", str(tmp_path / "record.py"))  # of this clone
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "part", raising=False)
    script = tmp_path.resolve() / "script.py"
    a_job.params["code"] = sources.digester()(script)
    scope = {"__file__": str(script), "snakemake": a_job, "__name__": "script"}
    exec(SCRIPT, scope)
    return scope["repeat"]


def log(a_job):
    """What a job said after its claim."""
    return Path(a_job.log[0]).read_text().partition("\n")[2]


def test_a_function_is_called_with_what_its_job_is_made_of(function, a_job):
    job.run(function)
    assert log(a_job) == "at work\n"
    assert Path(a_job.output["out"]).read_text() == "text 1 data 1.5 b 2\n"


def test_blas_has_one_thread_in_a_job(function, a_job, monkeypatch):
    by_name, seen = arguments.by_name, []

    def look(*given):
        libraries = threadpoolctl.threadpool_info()
        seen.extend(library["num_threads"] for library in libraries if library["user_api"] == "blas")
        return by_name(*given)

    monkeypatch.setattr(arguments, "by_name", look)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        job.run(function)
    assert seen and set(seen) == {1}


def test_a_job_without_data_of_its_own_is_planned_with_none(function, a_job, tmp_path):
    a_job.params["content"] = None
    (tmp_path / "data").write_text("another")
    job.run(function)


@pytest.mark.parametrize("name", ["script.py", "part.py", "data"])
def test_a_job_whose_code_or_data_changed_since_then_does_not_begin(function, a_job, tmp_path, name):
    (tmp_path / name).write_text("ANOTHER = 1")
    with pytest.raises(SystemExit) as ended:
        job.run(function)
    assert ended.value.code == 1
    (line,) = log(a_job).splitlines()
    assert line.startswith("error: its code or data were edited")
    assert not Path(a_job.output["out"]).exists()


def test_a_job_of_an_earlier_run_touches_nothing(function, a_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plans.VARIABLE, "")
    a_log = Path(a_job.log[0])
    plans.begin([])
    earlier = os.environ[plans.VARIABLE]
    job.run(function)
    before = a_log.read_text(), a_log.stat().st_ino
    plans.begin([])
    monkeypatch.setenv(plans.VARIABLE, earlier)
    with pytest.raises(SystemExit) as ended:
        job.run(function)
    assert ended.value.code == "error: a later run has begun in this folder; this job of an earlier one wrote nothing"
    assert (a_log.read_text(), a_log.stat().st_ino) == before


def test_a_job_writes_nothing_once_a_later_run_has_begun(function, a_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plans.VARIABLE, "")
    plans.begin([])

    def begin_another(*_, **__):
        earlier = os.environ[plans.VARIABLE]
        plans.begin([])
        monkeypatch.setenv(plans.VARIABLE, earlier)
        with files.replacing(a_job.output["out"]) as partial:
            partial.write_text("too late")

    function.__globals__["print"] = begin_another
    with pytest.raises(SystemExit):
        job.run(function)
    assert log(a_job) == "error: a later run has begun in this folder; this job of an earlier one wrote nothing\n"


def test_a_plan_tells_jobs_by_what_snakemake_compares(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plans.VARIABLE, "")
    settings = {"b": {"x": 1}, "c": {"x": 2}}
    params = {
        "settings": lambda wildcards: settings[wildcards["variant"]],
        "code": "1f",
        "caption": lambda output: output,
    }
    plans.check_job("repeat", {"variant": "b"}, {"code": "no run, no plan"})
    plans.begin([("repeat", {"variant": name}, params) for name in settings])
    settings["c"] = {"x": 3}
    plans.check_job("repeat", {"variant": "b"}, params | {"caption": lambda output: "another"})
    for wildcards, changed in (({"variant": "c"}, params), ({"variant": "b"}, params | {"code": "2e"})):
        with pytest.raises(InputError, match=r"repeat variant=.: its code, settings or data were edited after"):
            plans.check_job("repeat", wildcards, changed)


def test_the_library_of_another_clone_is_refused(function, a_job, monkeypatch):
    monkeypatch.setattr(record, "__file__", "/elsewhere/scoredag/job/record.py")
    with pytest.raises(SystemExit):
        job.run(function)
    assert "error: /elsewhere/scoredag/job/record.py: belongs to another clone" in log(a_job)


def test_the_record_is_set_while_the_function_runs(function, a_job, monkeypatch):
    seen = []
    function.__globals__["print"] = lambda *_, **__: seen.append(stamp.record()[stamp.KEY]["rule"])
    job.run(function)
    assert set(seen) == {"script"} and stamp.record() == {}


def test_a_cached_job_is_answered_without_the_function(function, a_job, monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    for first in (True, False):
        Path(a_job.output["out"]).unlink(missing_ok=True)
        job.run(function, cached=True)
        assert Path(a_job.output["out"]).read_text() == "text 1 data 1.5 b 2\n"
        assert ("at work" in log(a_job), "taken from" in log(a_job)) == (first, not first)


def call(a_job, function):
    return arguments.by_name(function, a_job)


def test_arguments_go_by_name_in_any_order(a_job):
    found = call(a_job, lambda threads, settings, out_path, file_path, parts_paths: None)
    assert found == {
        "threads": 2, "settings": {"x": 1.5}, "out_path": a_job.output["out"],
        "file_path": a_job.input["file"], "parts_paths": a_job.input["parts"],
    }  # fmt: skip


def test_an_optional_input_that_is_not_there_is_none(a_job):
    a_job.input["file"] = []
    assert call(a_job, lambda file_path, parts_paths, out_path, settings: None)["file_path"] is None


def test_code_is_handed_over_if_the_function_wants_it(a_job):
    a_job.params["code"] = "digest"
    assert call(a_job, lambda file_path, parts_paths, out_path, settings, code: None)["code"] == "digest"


@pytest.mark.parametrize(
    ("function", "change", "words"),
    [
        (lambda file_path, parts_paths, out_path, settings, mistyped: None, {}, "does not fill 'mistyped'"),
        (lambda file_path, parts_paths, out_path: None, {}, "has 'settings', which the function does not take"),
        (lambda parts_paths, out_path, settings: None, {}, "has 'file_path', which the function does not take"),
        (lambda file_path, parts_path, out_path, settings: None, {}, "has 'parts_paths', .* not fill 'parts_path'"),
        (
            lambda file_path, parts_paths, out_path, settings: None,
            {"output": {"out": "a", "file": "b"}},
            "fills 'file_path' twice",
        ),
        (
            lambda file_path, parts_paths, out_path, settings: None,
            {"wildcards": {"settings": "b"}},
            "fills 'settings' twice",
        ),
    ],
    ids=["unknown", "left over", "input left over", "one for several", "double", "double with a wildcard"],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_one_line(a_job, function, change, words):
    for name, value in change.items():
        setattr(a_job, name, value)
    with pytest.raises(InputError, match=words) as refused:
        call(a_job, function)
    assert "\n" not in str(refused.value)


def by_hand(root, *words):
    command = [sys.executable, root / "scripts/plot_density.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "error: name a file that the rule makes"),
        (["parameters_path=x"], "error: 'figure_path' is missing; write parameters_path=.. figure_path=.. settings=.."),
        (["parameter_path=x"], "error: 'parameter_path' is unknown; write parameters_path=.."),
        (["parameters_path=x", "figure_path=x.png", "settings={"], "error: a value is no YAML"),
        (["parameters_path=x", "figure_path=x.png", "settings={}"], "error: x: cannot be read as Parquet"),
    ],
    ids=["none", "missing", "unknown", "no YAML", "no input"],
)
def test_a_script_started_by_hand_says_what_it_lacks(root, words, line):
    done = by_hand(root, *words)
    assert done.returncode == 1 and done.stderr.startswith(line) and done.stderr.count("\n") == 1, done.stderr
