"""Many faults at random moments of the tiny preset on a cluster, beside an undisturbed local run.

    .venv-cluster/bin/python tests/cluster/campaign.py    # half an hour; --seed, --jobs, --nodes and --kills for others

It ends with a table of the faults, and with status 1 unless all results are the same bytes, none is missing, nothing is
left to be done, and no file that Snakemake knew to be finished when it was killed was made anew.
"""

import argparse
import base64
import collections
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import check
import psutil
import slurm

KINDS = ("at work", "stopped", "waiting")  # what becomes an orphan when Snakemake is killed
PATIENCE = 300  # seconds for a moment that a fault can come
LONGEST = 8.0  # seconds after which it comes then, at most


class Campaign:
    """One project on a cluster, run again and again until it is done."""

    def __init__(self, cluster, project, rng):
        self.cluster, self.project, self.rng = cluster, project, rng
        self.run, self.n_runs = None, 0
        self.held, self.stopped, self.known = [], [], {}
        self.counts, self.repeated = collections.Counter(), set()

    def go_on(self):
        """Start Snakemake where it is not at work; whether anything is left to be done."""
        if self.run is not None and self.run.poll() is None:
            return True
        if self.run is not None and self.run.returncode == 0:
            return False
        if self.run is not None:
            self.project.run("--unlock")
        plan = self.project.folder / ".snakemake/scoredag.run"
        before = plan.read_text(encoding="utf-8") if plan.exists() else None
        self.run, self.n_runs = self.project.start(*check.CLUSTER), self.n_runs + 1
        slurm.wait_for("a plan", lambda: self.run.poll() is not None or changed(plan, before), 120)
        for id in self.held:
            slurm.ask("scontrol", "release", id)
        self.held = []
        return True

    def moment(self):
        """Scripts at work, {process: log}, at a random moment; None where the run has ended before there was one."""
        slurm.wait_for("a script at work", lambda: self.run.poll() is not None or self.at_work(), PATIENCE)
        time.sleep(self.rng.uniform(0, LONGEST))
        return None if self.run.poll() is not None else self.at_work() or None

    def at_work(self):
        """Scripts at work that were not stopped."""
        stopped = {script for script, _, _ in self.stopped}
        return {script: log for script, log in self.project.scripts().items() if script not in stopped}

    def jobs(self, state):
        """Ids of the jobs in a state."""
        return [id for id, (found, _, _) in self.cluster.jobs.items() if found == state]

    def strike(self, fault):
        """Whether one of the faults could be done."""
        if fault in KINDS:
            return self.kill_snakemake(fault)
        return self.kill_job() if fault == "job" else self.kill_node()

    def kill_job(self):
        """Cancel a job at work."""
        ids = self.jobs("RUNNING")
        if ids:
            slurm.ask("scancel", self.rng.choice(ids))
        return bool(ids)

    def kill_node(self):
        """Kill a node with a job, and start it again once that was noticed."""
        busy = [node for state, node, _ in self.cluster.jobs.values() if state == "RUNNING"]
        if not busy:
            return False
        node = self.rng.choice(busy)
        lost = [id for id, (state, where, _) in self.cluster.jobs.items() if state == "RUNNING" and where == node]
        self.cluster.kill_node(node)
        slurm.wait_for("its jobs to fail", lambda: not set(lost) & set(self.jobs("RUNNING")), 120)
        self.cluster.start_node(node)
        return True

    def kill_snakemake(self, kind):
        """Kill it, with a script stopped, or jobs waiting, or as it is."""
        if kind == "stopped":
            scripts = self.at_work()
            if not scripts:
                return False
            script, log = self.rng.choice(list(scripts.items()))
            script.send_signal(signal.SIGSTOP)
            self.stopped.append((script, log, log.read_bytes()))
        if kind == "waiting":
            slurm.ask("scontrol", "update", "PartitionName=main", "State=DOWN")
            end = time.monotonic() + 40
            while not self.jobs("PENDING") and time.monotonic() < end and self.run.poll() is None:
                time.sleep(0.2)
            self.held = self.jobs("PENDING")
            for id in self.held:
                slurm.ask("scontrol", "hold", id)
        self.run.kill()
        self.run.wait()
        slurm.ask("scontrol", "update", "PartitionName=main", "State=UP")
        self.note()
        return kind != "waiting" or bool(self.held)

    def note(self):
        """Remember what Snakemake knew to be finished, as no later run is to make it anew."""
        marks = (self.project.folder / ".snakemake/incomplete").iterdir()  # a file for each output of jobs on their way
        unfinished = {base64.urlsafe_b64decode(mark.name).decode() for mark in marks if mark.is_file()}
        for path in (self.project.folder / "results").rglob("*"):
            own = path.is_file() and not path.name.startswith(".") and path.name != "unfinished.pt"
            if own and str(path.relative_to(self.project.folder)) not in unfinished:
                self.known.setdefault(path, path.stat().st_ino)  # a file that is written anew is another one

    def wake(self):
        """Let stopped scripts go on, and say whether one of them wrote to its log."""
        for script, _, _ in self.stopped:
            if script.is_running():
                script.send_signal(signal.SIGCONT)
        psutil.wait_procs([script for script, _, _ in self.stopped], 60)
        slurm.wait_for("an end of all jobs", lambda: not {"RUNNING", "PENDING"} & {*self.states()}, 120)
        self.stopped = []

    def states(self):
        """The states of all jobs."""
        return [state for state, _, _ in self.cluster.jobs.values()]

    def made_anew(self):
        """Files that were finished when Snakemake was killed, and are missing or others now."""
        return sorted(
            str(path.relative_to(self.project.folder))
            for path, before in self.known.items()
            if not path.exists() or path.stat().st_ino != before
        )


def changed(path, before):
    """Whether a file is there with another text than `before`."""
    return path.exists() and path.read_text(encoding="utf-8") != before


def named(paths):
    """Paths in words."""
    return ", ".join(paths) or "none"


def main(folder, options):
    """Run, disturb, compare; the exit status."""
    rng = random.Random(options.seed)
    faults = ["job"] * options.jobs + ["node"] * options.nodes
    faults += [KINDS[i % len(KINDS)] for i in range(options.kills)]
    rng.shuffle(faults)
    local = check.Project(folder / "local", [])
    status, printed, seconds = local.run("--cores", "2")
    assert status == 0, printed
    expected = local.results()
    print(f"local run: {seconds:.0f} s, {len(expected)} files", flush=True)
    bad, done, rounds = 0, collections.Counter(), 0
    with slurm.Slurm() as cluster:
        while faults:
            rounds += 1
            begin, n_before = time.monotonic(), len(cluster.jobs)
            campaign = Campaign(cluster, check.Project(folder / f"cluster-{rounds}", []), rng)
            while campaign.go_on():
                if not faults:
                    campaign.run.wait(1200)
                elif campaign.moment():
                    fault = faults.pop()
                    if campaign.strike(fault):
                        done[fault] += 1
                        print(f"{time.monotonic() - begin:.0f} s: {fault}", flush=True)
                    else:
                        faults.insert(0, fault)
            campaign.wake()
            found, anew = campaign.project.results(), campaign.made_anew()
            other = sorted(path for path in expected | found if expected.get(path) != found.get(path))
            _, printed, _ = campaign.project.run("--cores", "1", "--dry-run")
            idle = "Nothing to be done" in printed
            print(f"round {rounds}: {time.monotonic() - begin:.0f} s, {campaign.n_runs} runs of Snakemake,")
            print(f"  {len(cluster.jobs) - n_before} submissions;")
            print(f"  {len(expected) - len(other)} of {len(expected)} files are the same, others: {named(other)};")
            print(f"  of {len(campaign.known)} files that were finished at a kill made anew: {named(anew)};")
            print(f"  a dry run then says {'nothing to be done' if idle else printed}", flush=True)
            bad += bool(other or anew or not idle)
    print("| fault | times |\n|---|---|")
    for fault, n in sorted(done.items()):
        print(f"| {f'Snakemake killed, a job {fault}' if fault in KINDS else f'{fault} killed'} | {n} |")
    return int(bool(bad))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("seed", 1), ("jobs", 10), ("nodes", 5), ("kills", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch), parser.parse_args()))
