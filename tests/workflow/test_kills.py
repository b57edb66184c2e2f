"""Kills at any moment: the next run ends well, with the same bytes, repeats nothing, and goes on with a training."""

import os
import random
import re
import signal
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

TRAINING = "csdi: {runs: {nyc-weather: {training: {n_steps: 150, validate_every: 50, dropout: 0.1, save_every: %d%s}}}}"
SLOWER = "csdi: {runs: {nyc-weather: {training: {n_steps: 40, save_every: 4, validate_every: 20, dropout: 0.1}}}}"
MODEL = "results/csdi/nyc-weather/model.safetensors"
STATE = "results/csdi/nyc-weather/unfinished.pt"
OPTIONS = {"configfiles": ("config/presets/tiny.yaml", "overlay.yaml")}
KINDS = ("job", "snakemake", "group")
N_KILLS = 30


def write_overlay(project, more="", save_every=5):
    (project.folder / "overlay.yaml").write_text(TRAINING % (save_every, more), encoding="utf-8")


def training_log(project):
    return (project.folder / "logs/csdi/nyc-weather/train_csdi.log").read_text(encoding="utf-8")


def trained(project):
    """The bytes of the model after a run to the end, and its log."""
    done = project.snakemake(MODEL, **OPTIONS)
    assert done.returncode == 0, done.stdout
    assert not (project.folder / STATE).exists()
    return (project.folder / MODEL).read_bytes(), training_log(project)


def kill_training(project, n_saves, delay):
    """Kill a training, Snakemake included, some time after its state was saved for the n-th time."""
    process = project.start(MODEL, **OPTIONS)
    path, seen = project.folder / STATE, set()
    if path.exists():
        seen.add(path.stat().st_mtime_ns)
    n_saves += len(seen)
    while len(seen) < n_saves and process.poll() is None:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.001)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL and not (project.folder / MODEL).exists(), output
    unlocked = project.snakemake("--unlock", **OPTIONS)
    assert unlocked.returncode == 0, unlocked.stdout


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    """The model of a training that nothing has disturbed."""
    project = finished.copy(tmp_path_factory.mktemp("undisturbed") / "project")
    write_overlay(project)
    return trained(project)[0]


def test_a_training_killed_at_several_moments_ends_with_the_same_bytes(edited, undisturbed):
    write_overlay(edited)
    rng = random.Random(0)
    for _ in range(3):
        kill_training(edited, rng.randint(1, 7), rng.uniform(0, 0.05))
    model, log = trained(edited)
    assert "going on after step" in log
    assert model == undisturbed


def test_a_setting_changed_in_between_starts_afresh(edited, undisturbed, tmp_path):
    again = edited.copy(tmp_path / "again")
    for project in (edited, again):
        write_overlay(project, ", learning_rate: 0.004")
    expected, _ = trained(again)
    write_overlay(edited)
    kill_training(edited, 2, 0.0)
    write_overlay(edited, ", learning_rate: 0.004")
    model, log = trained(edited)
    assert "of other settings, data or code, starting afresh" in log and "going on" not in log
    assert model == expected != undisturbed


def test_how_often_it_is_saved_may_change_in_between(edited, undisturbed):
    write_overlay(edited)
    kill_training(edited, 2, 0.0)
    write_overlay(edited, save_every=9)
    model, log = trained(edited)
    assert "going on after step" in log
    assert model == undisturbed


@pytest.fixture(scope="module")
def whole(root, project_class, tmp_path_factory):
    """A run from nothing to the end that nothing has disturbed: its sums, how many seconds it took, and jobs it had."""
    project = project_class(root, tmp_path_factory.mktemp("whole") / "project")
    (project.folder / "overlay.yaml").write_text(SLOWER, encoding="utf-8")
    start = time.monotonic()
    done = project.snakemake(**OPTIONS)
    assert done.returncode == 0, done.stdout
    return project.sums(), time.monotonic() - start, len(outputs(project, done.stdout)[0])


def jobs_of(process):
    """Processes of scripts that a Snakemake process has started, directly or not."""
    found = []
    for child in process.children(recursive=True):
        try:
            if any(".snakemake/scripts/" in word for word in child.cmdline()) and "python" in child.name():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(process, kind, rng, n_finished, delay):
    """Kill one job, Snakemake alone or all of them, some seconds after so many jobs were finished.

    Returns:
        the orphans, and what Snakemake had printed until it ended.
    """
    printed = []
    while sum(line.startswith("Finished jobid") for line in printed) < n_finished:
        printed.append(process.stdout.readline())
        assert printed[-1], "".join(printed)
    time.sleep(delay)
    jobs = jobs_of(psutil.Process(process.pid))
    if kind == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif kind == "snakemake":
        process.kill()
    else:
        while not jobs and process.poll() is None:
            time.sleep(0.02)
            jobs = jobs_of(psutil.Process(process.pid))
        if jobs:
            rng.choice(jobs).kill()
    if kind != "snakemake":
        return [], "".join(printed) + process.communicate()[0]
    process.wait()
    os.set_blocking(process.stdout.fileno(), False)  # orphans hold it open
    while line := process.stdout.readline():
        printed.append(line)
    return jobs, "".join(printed)


def outputs(project, printed):
    """{jobid: outputs} of the jobs that a run has started, and the jobids of those that it has finished."""
    started = {}
    for _, block in project.announced(printed):
        output, jobid = (re.search(rf"^    {name}: (.*)$", block, re.MULTILINE) for name in ("output", "jobid"))
        if output and jobid:
            started[jobid[1]] = output[1].split(", ")
    return started, re.findall(r"^Finished jobid: (\d+) ", printed, re.MULTILINE)


@pytest.mark.parametrize("number", range(N_KILLS))
def test_a_run_that_was_killed_is_finished_by_the_next(project, whole, number):
    expected, seconds, n_jobs = whole
    (project.folder / "overlay.yaml").write_text(SLOWER, encoding="utf-8")
    rng, kind = random.Random(number), KINDS[number % len(KINDS)]
    process = project.start(**OPTIONS)
    n_finished = rng.randrange(n_jobs)
    orphans, printed = kill(process, kind, rng, n_finished, rng.uniform(0, 2 * seconds / n_jobs))
    kept = (project.folder / STATE).exists()
    again = project.snakemake(**OPTIONS)
    if "Directory cannot be locked" in again.stdout:
        assert kind != "job"
        assert project.snakemake("--unlock", **OPTIONS).returncode == 0
        again = project.snakemake(**OPTIONS)
    assert again.returncode == 0, again.stdout
    psutil.wait_procs(orphans, timeout=120)
    assert project.sums() == expected
    started, finished = outputs(project, printed)
    repeated = {path for paths in outputs(project, again.stdout)[0].values() for path in paths}
    assert not [path for jobid in finished for path in started.get(jobid, []) if path in repeated]
    if kept and kind != "snakemake":  # an orphan may have ended it
        assert "going on after step" in training_log(project)
    nothing = project.snakemake(**OPTIONS)
    assert "Nothing to be done" in nothing.stdout, nothing.stdout
