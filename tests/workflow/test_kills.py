"""A training that is killed goes on from its last saved state, to the same bytes."""

import os
import random
import signal
import time

import pytest

pytestmark = pytest.mark.slow

TRAINING = "csdi: {runs: {nyc-weather: {training: {n_steps: 150, save_every: 5, validate_every: 50, dropout: 0.1%s}}}}"
MODEL = "results/csdi/nyc-weather/model.safetensors"
STATE = "results/csdi/nyc-weather/unfinished.pt"
OPTIONS = {"configfiles": ("config/presets/tiny.yaml", "overlay.yaml")}


def write_overlay(project, more=""):
    (project.folder / "overlay.yaml").write_text(TRAINING % more, encoding="utf-8")


def trained(project):
    """The bytes of the model after a run to the end, and its log."""
    done = project.snakemake(MODEL, **OPTIONS)
    assert done.returncode == 0, done.stdout
    assert not (project.folder / STATE).exists()
    log = (project.folder / "logs/csdi/nyc-weather/train_csdi.log").read_text(encoding="utf-8")
    return (project.folder / MODEL).read_bytes(), log


def kill(project, n_saves, delay):
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
        kill(edited, rng.randint(1, 7), rng.uniform(0, 0.05))
    model, log = trained(edited)
    assert "going on after step" in log
    assert model == undisturbed


def test_a_setting_changed_in_between_starts_afresh(edited, undisturbed, tmp_path):
    again = edited.copy(tmp_path / "again")
    for project in (edited, again):
        write_overlay(project, ", learning_rate: 0.005")
    expected, _ = trained(again)
    write_overlay(edited)
    kill(edited, 2, 0.0)
    write_overlay(edited, ", learning_rate: 0.005")
    model, log = trained(edited)
    assert "of other settings, data or code, starting afresh" in log and "going on" not in log
    assert model == expected != undisturbed
