"""A Python that has imported what scripts need, and forks for each start: importing costs more than most tiny jobs.

    python tests/workflow/forks.py FOLDER

makes FOLDER/python, which takes a script or `-m MODULE` with arguments, as Python does, and serves it until standard
input ends. Other packages alone are imported, so a fork imports the library from PYTHONPATH as it is by then.
Packages have read the number of their threads from the environment before, and it stays one.
"""

import atexit
import contextlib
import gc
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "numba.core.compiler",
    "pandas",
    "pyarrow.parquet",
    "safetensors.torch",
    "scipy.stats",
    "snakemake.cli",
    "torch.optim.swa_utils",
)
# what tells of itself in records once it is imported, with what it imports of these
RECORDED = {
    "PIL": (),
    "llvmlite": (),
    "matplotlib": ("numpy", "PIL"),
    "numba": ("llvmlite", "numpy", "scipy"),
    "numpy": (),
    "pandas": ("numpy", "pyarrow"),
    "pyarrow": ("numpy",),
    "safetensors": (),
    "scipy": ("numpy",),
    "torch": ("numpy",),
}
CLIENT = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    with server.makefile("rw") as stream:
        print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]), file=stream, flush=True)
        status = int(stream.readline())
sys.exit(status) if status >= 0 else os.kill(os.getpid(), -status)
"""


class Hidden(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Takes packages out of `sys.modules`, and finds them once they are imported again."""

    def __init__(self, names):
        # of SciPy its parts as well: one that is there is imported without it
        hidden = [name for name in sys.modules if name in names or name.startswith("scipy.")]
        self.modules = {name: sys.modules.pop(name) for name in hidden}
        self.specs = {name: module.__spec__ for name, module in self.modules.items()}

    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in self.modules else None

    def create_module(self, spec):
        return self.modules[spec.name]

    def exec_module(self, module):
        module.__spec__ = self.specs[module.__name__]
        for name in RECORDED.get(module.__name__, ()):
            importlib.import_module(name)


def serve(listener):
    """Fork for each connection; returns in a fork that is to run something, with its arguments."""
    children = set()
    while listener in select.select([listener, 0], [], [])[0]:
        connection, _ = listener.accept()
        children = {child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)}
        child = os.fork()
        if not child:
            listener.close()
            return attend(connection)
        children.add(child)
        connection.close()
    for child in children:
        os.waitpid(child, 0)
    sys.exit()


def attend(connection):
    """Fork once more and hand on the status of that fork; returns in it."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection, connection.makefile("rw") as stream:
        order = json.loads(stream.readline())
        child = os.fork()
        if child:
            for descriptor in (0, 1, 2, *descriptors):
                os.close(descriptor)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(status, file=stream, flush=True)
            os._exit(0)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    return order


outcome = {"status": 0}


def leave():
    """End as Python does, but for taking all modules apart, which costs more than many a job."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(outcome["status"])


def run(words, folder, environment):
    """Do what a Python that is started with `words` does, within this process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    is_module = words[0] == "-m"
    sys.argv = words[is_module:]
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [folder if is_module else str(Path(words[0]).resolve().parent), *paths]
    if is_module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


@contextlib.contextmanager
def python():
    """The path of such a Python, which is there as long as the block runs."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    with tempfile.TemporaryDirectory() as folder:
        command, pipe = [sys.executable, __file__, folder], subprocess.PIPE
        with subprocess.Popen(command, env=os.environ | threads, stdin=pipe, stdout=pipe) as server:
            assert server.stdout.readline(), "the server of forks has ended"
            yield str(Path(folder, "python"))
            server.stdin.close()


def main(folder):
    """Import, serve, and run in forks."""
    atexit.register(leave)  # before all others, so that it comes last
    for name in PACKAGES:
        importlib.import_module(name)
    sys.meta_path.insert(0, Hidden(RECORDED))
    address, python = str(Path(folder, "socket")), Path(folder, "python")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    python.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    python.chmod(0o755)
    print("ready", flush=True)
    gc.freeze()  # else the first collection of each fork would copy everything
    order = serve(listener)
    sys.executable = str(python)
    try:
        run(*order)
    except SystemExit as ended:
        outcome["status"] = ended.code if isinstance(ended.code, int) else bool(ended.code)
        raise
    except BaseException:
        outcome["status"] = 1
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
