"""Jobs that wait or outlive a killed Snakemake, as on a cluster: they spoil no later result, and say so in a line."""

import importlib.util
import os
import re
import signal
import time

import psutil
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_cluster_generic") is None,
    reason="envs/requirements-cluster.txt is not installed",
)

EXACT = "results/gmm/exact.parquet"
LOG = "logs/gmm/draw_exact.log"
# a stand-in for a cluster: a job starts once no file `hold` is there
SUBMIT = """
(while [ -e hold ]; do sleep 0.1; done; exec sh "$1") >>cluster.log 2>&1 </dev/null &
echo $!
"""
CLUSTER = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sh submit.sh", "--jobs", "1"]
CLUSTER += ["--seconds-between-status-checks", "1", "--latency-wait", "1"]


@pytest.fixture
def cluster(project):
    """A project with a stand-in for a cluster, in which the mixture is there."""
    (project.folder / "submit.sh").write_text(SUBMIT, encoding="utf-8")
    (project.folder / "many.yaml").write_text("gmm: {n_exact: 4_000_000}", encoding="utf-8")
    done = project.snakemake("results/gmm/parameters.parquet")
    assert done.returncode == 0, done.stdout
    return project


def submit(project, *more, **options):
    """Start Snakemake, which submits the job of EXACT; its process, and that of the job."""
    run = project.start(EXACT, *CLUSTER, *more, **options)
    printed = ""
    while not (submitted := re.search(r"external jobid '(\d+)'", printed)):
        printed += (line := run.stdout.readline())
        assert line, printed
    return run, psutil.Process(int(submitted[1]))


def kill_and_draw_anew(project, run):
    """Kill Snakemake alone, draw EXACT by another run with another seed; the bytes."""
    run.kill()
    run.wait()
    run.stdout.close()
    assert project.snakemake("--unlock").returncode == 0
    again = project.snakemake(EXACT, "--config", "seed=7")
    assert again.returncode == 0, again.stdout
    return (project.folder / EXACT).read_bytes()


def check_unspoilt(project, orphan, drawn):
    """The orphan ends, and the other run's result is still there."""
    psutil.wait_procs([orphan], timeout=60)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert (project.folder / EXACT).read_bytes() == drawn
    nothing = project.snakemake("--dry-run", EXACT, "--config", "seed=7")
    assert "Nothing to be done" in nothing.stdout, nothing.stdout


def test_a_job_that_still_waited_does_nothing_once_a_later_run_has_begun(cluster):
    (cluster.folder / "hold").touch()
    run, orphan = submit(cluster)
    drawn = kill_and_draw_anew(cluster, run)
    (cluster.folder / "hold").unlink()
    check_unspoilt(cluster, orphan, drawn)
    refusal = "\nerror: a later run has begun in this folder; this job of an earlier one wrote nothing\n"
    assert refusal in (cluster.folder / "cluster.log").read_text(encoding="utf-8")


def test_a_job_that_was_stopped_does_nothing_once_it_was_started_again(cluster):
    run, orphan = submit(cluster, configfiles=("config/presets/tiny.yaml", "many.yaml"))
    log, start = cluster.folder / LOG, time.monotonic()
    while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
        assert time.monotonic() < start + 60, "the job has not begun"
        time.sleep(0.001)
    script = int(re.match(r"job \w+, process (\d+) on", log.read_text(encoding="utf-8"))[1])
    os.kill(script, signal.SIGSTOP)
    assert not (cluster.folder / EXACT).exists()
    drawn = kill_and_draw_anew(cluster, run)
    said = log.read_bytes()
    os.kill(script, signal.SIGCONT)
    check_unspoilt(cluster, orphan, drawn)
    assert log.read_bytes() == said
    assert not list(cluster.folder.glob("results/gmm/.*"))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("scripts/draw_exact.py", "Draw samples", "Draw all samples"),
        ("config/presets/tiny.yaml", "n_exact: 400", "n_exact: 401"),
    ],
)
def test_a_job_whose_code_or_config_was_edited_before_it_began_is_refused(cluster, path, old, new):
    text = (cluster.folder / path).read_text(encoding="utf-8")
    (cluster.folder / "hold").touch()
    run, _ = submit(cluster, "--config", "seed=7")
    cluster.edit(path, old, new)
    (cluster.folder / "hold").unlink()
    run.communicate()
    (cluster.folder / path).write_text(text, encoding="utf-8")
    assert run.returncode == 1
    assert not (cluster.folder / EXACT).exists()
    refusal = "error: draw_exact: its code, settings or data were edited after the run had been planned; "
    assert f"\n{refusal}once it has ended, run again\n" in (cluster.folder / "cluster.log").read_text(encoding="utf-8")
    again, _ = submit(cluster, "--config", "seed=7")
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    drawn = (cluster.folder / EXACT).read_bytes()
    (cluster.folder / EXACT).unlink()
    here = cluster.snakemake(EXACT, "--config", "seed=7")
    assert here.returncode == 0, here.stdout
    assert (cluster.folder / EXACT).read_bytes() == drawn


def test_a_result_is_not_taken_for_that_of_a_job_that_never_began(cluster):
    assert cluster.snakemake(EXACT).returncode == 0
    (cluster.folder / "submit.sh").write_text("exit 1", encoding="utf-8")
    run = cluster.snakemake(EXACT, *CLUSTER, "--config", "seed=7")
    assert run.returncode == 1
    assert cluster.dry_run(EXACT, "--config", "seed=7") == {"draw_exact"}


def test_a_device_that_nodes_would_choose_is_refused_at_once(cluster):
    target = "results/csdi/nyc-weather/model.safetensors"
    run = cluster.snakemake(target, *CLUSTER)
    assert run.returncode == 1 and not (cluster.folder / "results/datasets").exists()
    refusal = "error: config: csdi.runs.nyc-weather.device: auto would take what each node of a cluster has; "
    assert f"\n{refusal}write cpu or cuda\n" in run.stdout
