"""A SLURM of two nodes on this host, for tests: each node a daemon that claims to have four cores."""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CONFIG = Path("/etc/slurm/slurm.conf")  # where commands inside a job look for it, whatever SLURM_CONF says
NODES = {"n1": 17001, "n2": 17002}
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
JobRequeue=0
MinJobAge=3600
SlurmdTimeout=20
KillWait=5
MailProg=/bin/true
PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefMemPerCPU=500 State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=16000\n"


def missing():
    """What this host lacks, in a line; empty where a cluster can be started."""
    absent = [command for command in COMMANDS if not shutil.which(command, path="/usr/sbin:" + os.environ["PATH"])]
    if os.geteuid() != 0:
        return "only root can start a SLURM of its own"
    if absent:
        return f"no {absent[0]}; on Debian: apt-get install slurmctld slurmd slurm-client munge"
    if CONFIG.exists() or CONFIG.is_symlink():
        return f"{CONFIG} is there: this host belongs to a cluster, or a test did not end; move it away"
    return ""


def wait_for(what, condition, seconds):
    """What `condition` returns, once it is true; an error that tells `what` did not come after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return value


def ask(*command):
    """What a command of SLURM prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Slurm:
    """The daemons, their folder, and what may happen to them."""

    def __init__(self):
        self.daemons = {}

    @property
    def jobs(self):
        """{id: (state, node, comment)} of all jobs; the plugin's comment names the rule or the group."""
        rows = ask("squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%k").splitlines()
        return {id: tuple(rest) for id, *rest in (row.split("|") for row in rows)}

    def start(self, name, *command):
        """Start a daemon in a session of its own."""
        with open(self.folder / f"{name}.out", "ab") as stream:
            options = {"stdin": subprocess.DEVNULL, "stdout": stream, "stderr": stream, "start_new_session": True}
            self.daemons[name] = subprocess.Popen(command, **options)

    def start_node(self, name):
        """Start the daemon of a node."""
        self.start(name, "/usr/sbin/slurmd", "-D", "-N", name)

    def kill_node(self, name):
        """Kill a node's daemon and all that runs on the node, as a loss of power does."""
        for id in [
            id for id, (state, node, _) in self.jobs.items() if state in ("RUNNING", "COMPLETING") and node == name
        ]:
            for process in self.processes(id):
                process.kill()
        self.daemons[name].kill()
        self.daemons.pop(name).wait()

    @staticmethod
    def processes(id):
        """The processes of a job: those that keep it, and all below them."""
        found = []
        for step in psutil.process_iter(["cmdline"]):
            if " ".join(step.info["cmdline"] or []).startswith(f"slurmstepd: [{id}."):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found += [step, *step.children(recursive=True)]
        return found

    def __enter__(self):
        host = platform.node()
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/run"))
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        text = SETTINGS.format(host=host, folder=self.folder)
        nodes = "".join(NODE.format(name=name, host=host, port=port) for name, port in NODES.items())
        place = text.index("PartitionName")
        (self.folder / "slurm.conf").write_text(text[:place] + nodes + text[place:], encoding="utf-8")
        for name in NODES:
            (self.folder / f"spool-{name}").mkdir()
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.symlink_to(self.folder / "slurm.conf")
        try:
            files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
            self.start("munged", "/usr/sbin/munged", "-F", f"--socket={self.folder}/munge.socket", *files)
            wait_for("munge", (self.folder / "munge.socket").exists, 10)
            self.start("slurmctld", "/usr/sbin/slurmctld", "-D", "-i")
            for name in NODES:
                self.start_node(name)
            wait_for("idle nodes", self.is_up, 30)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def is_up(self):
        """Whether both nodes wait for jobs."""
        with contextlib.suppress(RuntimeError):
            return len(ask("sinfo", "--noheader", "-N", "-t", "idle", "-o", "%N").split()) == len(NODES)
        return False

    def __exit__(self, *error):
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            for id, (state, _, _) in self.jobs.items():
                if state in ("RUNNING", "COMPLETING"):
                    for process in self.processes(id):
                        with contextlib.suppress(psutil.NoSuchProcess):
                            process.send_signal(signal.SIGCONT)
            ask("scancel", "--user=root")
            wait_for("an end of all jobs", lambda: not ask("squeue", "--noheader").strip(), 20)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        CONFIG.unlink()
        shutil.rmtree(self.folder)
