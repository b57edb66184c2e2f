"""The tiny preset on a cluster on which jobs, a node and Snakemake itself are killed, beside an undisturbed local run.

    make test-cluster

It ends with a table of what was done and what became of it, and with status 1 unless all results are the same bytes,
nothing is left to be done, and few jobs were submitted.
"""

import argparse
import importlib.util
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import slurm

from scoredag.store import files

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "data", "docs", "envs", "notebooks", "profiles", "report", "rules", "scripts")
OVERLAY = """
csdi: {runs: {nyc-weather: {device: cpu, training: {n_steps: 400, save_every: 5, validate_every: 100}}}}
"""
CONFIG = ("--configfile", "config/presets/tiny.yaml", "overlay.yaml")
CLUSTER = ("--profile", "profiles/slurm", "--seconds-between-status-checks", "2", "--retries", "2")
STATE = "results/csdi/nyc-weather/unfinished.pt"
MOST_SUBMISSIONS = 25


class Project:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder, targets):
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Snakefile", folder)
        (folder / "overlay.yaml").write_text(OVERLAY, encoding="utf-8")
        self.folder, self.targets = folder, targets
        self.printed = folder / "printed.txt"

    def start(self, *arguments):
        """Start Snakemake; what it prints goes to the end of `printed`."""
        command = [sys.executable, "-m", "snakemake", *self.targets, *arguments, *CONFIG]
        with self.printed.open("ab") as stream:
            options = {"stdin": subprocess.DEVNULL, "stdout": stream, "stderr": stream, "start_new_session": True}
            return subprocess.Popen(command, cwd=self.folder, **options)

    def run(self, *arguments):
        """Run Snakemake to its end: its status, what it printed, and how many seconds it took."""
        before, begin = self.printed.stat().st_size if self.printed.exists() else 0, time.monotonic()
        status = self.start(*arguments).wait(1200)
        return status, self.printed.read_bytes()[before:].decode(), time.monotonic() - begin

    def results(self):
        """{path: SHA-256} of all results."""
        paths = [path for path in (self.folder / "results").rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): files.sha256(path) for path in paths}

    def scripts(self):
        """{process of a script at work: its log}."""
        found = {}
        for log in (self.folder / "logs").rglob("*.log"):
            claim = re.match(r"job \w+, process (\d+) on", log.read_text(encoding="utf-8"))
            if claim and psutil.pid_exists(int(claim[1])):
                found[psutil.Process(int(claim[1]))] = log
        return found


def ended(run):
    """False while Snakemake is at work, else an error: a fault would come too late."""
    if run.poll() is not None:
        raise RuntimeError(f"Snakemake has ended before, with status {run.returncode}")
    return False


class Faults:
    """Faults on the way of a run, and what is known of them: rows of a table."""

    def __init__(self, cluster, project):
        self.cluster, self.project, self.rows = cluster, project, []

    def jobs(self, *states):
        """Ids of the jobs in these states, the oldest first."""
        return sorted((id for id, (state, _, _) in self.cluster.jobs.items() if state in states), key=int)

    def state(self, id):
        """The state of a job, with what it is of."""
        state, _, comment = self.cluster.jobs[id]
        return f"job {id} ({comment}): {state}"

    def kill_snakemake(self):
        """Kill Snakemake while a job of it is stopped, the training is at work and another job waits."""
        run = self.project.start(*CLUSTER)

        def beside():
            return [item for item in self.project.scripts().items() if "langevin" in item[1].parts]

        script, log = slurm.wait_for("a script that no training waits for", beside, 200)[0]
        script.send_signal(signal.SIGSTOP)
        slurm.wait_for("a training at work", (self.project.folder / STATE).exists, 300)
        training = next(script for script, log in self.project.scripts().items() if log.stem == "train_csdi")
        training.send_signal(signal.SIGSTOP)  # until Snakemake is killed: it is not to end before
        slurm.ask("scontrol", "update", "PartitionName=main", "State=DOWN")
        slurm.wait_for("a job that waits", lambda: self.jobs("PENDING"), 120)
        waiting = self.jobs("PENDING")
        for id in waiting:
            slurm.ask("scontrol", "hold", id)
        run.kill()
        run.wait()
        training.send_signal(signal.SIGCONT)
        self.waiting, self.running, self.stopped = waiting, self.jobs("RUNNING"), (script, log, log.read_bytes())
        slurm.ask("scontrol", "update", "PartitionName=main", "State=UP")
        status, printed, _ = self.project.run("--unlock")
        assert status == 0, printed

    def start_again(self):
        """Start Snakemake once more, and once its run has begun let the jobs of the first one start that had waited."""
        plan = self.project.folder / ".snakemake/scoredag.run"
        before = plan.read_text(encoding="utf-8")
        run = self.project.start(*CLUSTER)
        slurm.wait_for("a second run", lambda: plan.read_text(encoding="utf-8") != before, 60)
        for id in self.waiting:
            slurm.ask("scontrol", "release", id)
        return run

    def own(self):
        """Jobs of the second run at work."""
        return [id for id in self.jobs("RUNNING") if id not in self.running + self.waiting]

    def cancel(self, run):
        """Cancel a job at work."""
        id = slurm.wait_for("a job to cancel", lambda: (self.own() or [None])[0] or ended(run), 120)
        name = self.cluster.jobs[id][2]
        slurm.ask("scancel", id)
        self.rows.append((f"job {id} ({name}) cancelled at work", lambda: self.state(id)))

    def kill_node(self, run):
        """Kill a node with a job of the second run, and start it again once that was noticed."""

        def busy():
            jobs = self.cluster.jobs
            held = {jobs[id][1] for id in self.running if jobs[id][0] == "RUNNING"}
            mine = [jobs[id][1] for id in self.own() if id in jobs]
            return next((node for node in mine if node not in held), None) or ended(run)

        node = slurm.wait_for("a job on a node without an orphan", busy, 300)
        lost = [id for id in self.own() if self.cluster.jobs[id][1] == node]
        self.cluster.kill_node(node)
        slurm.wait_for("NODE_FAIL", lambda: set(lost) <= set(self.jobs("NODE_FAIL", "COMPLETED", "FAILED")), 90)
        self.cluster.start_node(node)
        self.rows.append((f"node {node} killed with {len(lost)} jobs", lambda: "; ".join(map(self.state, lost))))

    def interrupt_training(self, run):
        """Cancel the training of the second run once it has saved its state."""
        log, state = self.project.folder / "logs/csdi/nyc-weather/train_csdi.log", self.project.folder / STATE

        def training():
            ids = [id for id in self.own() if "train_csdi" in self.cluster.jobs[id][2]]
            scripts = {script for script, path in self.project.scripts().items() if path == log}
            return next((id for id in ids if scripts & {*self.cluster.processes(id)}), None) or ended(run)

        id = slurm.wait_for("the second run's training", training, 300)
        begin = time.time()
        slurm.wait_for("its state", lambda: (state.exists() and state.stat().st_mtime > begin) or ended(run), 300)
        slurm.ask("scancel", id)

        def outcome():
            return f"{self.state(id)}; then {re.findall('going on after step.*', log.read_text(encoding='utf-8'))[0]}"

        self.rows.append(("training cancelled", outcome))

    def wake(self):
        """Let the stopped orphan go on, now that all is made anew: its job's log has to stay the later one's."""
        script, log, before = self.stopped
        after = log.read_bytes()
        if script.is_running():
            script.send_signal(signal.SIGCONT)
            psutil.wait_procs([script], 60)
        slurm.wait_for("an end of the orphans", lambda: not self.jobs("RUNNING", "COMPLETING", "PENDING"), 60)
        assert log.read_bytes() == after != before
        self.rows = [
            *((f"Snakemake killed, {id} waited", lambda id=id: self.state(id)) for id in self.waiting),
            *((f"Snakemake killed, {id} at work", lambda id=id: self.state(id)) for id in self.running),
            *self.rows,
        ]


def main(folder, targets):
    """Run, disturb, compare; the exit status."""
    local, remote = (Project(folder / name, targets) for name in ("local", "cluster"))
    status, printed, seconds = local.run("--cores", "2")
    assert status == 0, printed
    print(f"local run: {seconds:.0f} s, {len(local.results())} files", flush=True)
    with slurm.Slurm() as cluster:
        faults, begin = Faults(cluster, remote), time.monotonic()
        faults.kill_snakemake()
        n_first = len(cluster.jobs)
        run = faults.start_again()
        for fault in (faults.cancel, faults.interrupt_training, faults.kill_node):
            fault(run)
        status = run.wait(900)
        seconds = time.monotonic() - begin
        n_jobs = len(cluster.jobs) - n_first
        faults.wake()
        for what, outcome in faults.rows:
            print(f"| {what} | {outcome()} |")
    sums = {"local": local.results(), "cluster": remote.results()}
    other = sorted(path for path in sums["local"] | sums["cluster"] if len({s.get(path) for s in sums.values()}) > 1)
    _, printed, _ = remote.run("--cores", "1", "--dry-run")
    idle = "Nothing to be done" in printed
    print(
        f"cluster: status {status}, {seconds:.0f} s, {n_jobs} submissions after Snakemake was killed, {n_first} before"
    )
    n_same = len(sums["local"].keys() | sums["cluster"].keys()) - len(other)
    print(f"{n_same} of {len(sums['local'])} files are the same; others: {', '.join(other) or 'none'}")
    print("a dry run then says", "nothing to be done" if idle else printed)
    return int(bool(status or other or not idle or n_jobs > MOST_SUBMISSIONS + 4))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="an empty folder for both runs, which stays")
    parser.add_argument("targets", nargs="*", help="files to make; else all")
    options = parser.parse_args()
    lack = slurm.missing()
    if not lack and importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        lack = "the packages of envs/requirements-cluster.txt are not installed"
    if lack:
        sys.exit(f"error: no cluster to test: {lack}")
    if options.keep:
        sys.exit(main(options.keep.resolve(), options.targets))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch), options.targets))
