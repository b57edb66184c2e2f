"""Results kept by what they were made of, so that an edit that is taken back need not compute anything again.

The folder that SCOREDAG_CACHE names has an entry for each job: its outputs, and their checksums. The entry's
name is a digest of the job's record (see `provenance`), which holds the contents of all that went in. Any
entry, or all of them, may be deleted at any time.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from scoredag.errors import InputError
from scoredag.job import record
from scoredag.store import files

VARIABLE = "SCOREDAG_CACHE"
SUMS = "sha256.json"
log = logging.getLogger(__name__)


@contextlib.contextmanager
def of(job):
    """As `record.of`; if the job's results are kept, take them and end the process, else keep them after the block.

    Args:
        job: as for `record.record`, with `output`, paths by name.
    """
    with record.of(job) as before:
        folder = os.environ.get(VARIABLE)
        if not folder:
            yield
            return
        entry = Path(folder).expanduser() / key(job, before)
        outputs = {f"{name}{Path(path).suffix}": path for name, path in job.output.items()}
        if _fetch(entry, outputs):
            log.info("taken from %s", entry)
            sys.exit(0)
        yield
        if record.record(job) == before:
            _keep(entry, outputs)
        else:
            log.warning("its inputs or its code have changed meanwhile: not kept in the cache")


def key(job, record):
    """The name of a job's entry: a digest of its record, of its inputs when it was planned, and of the hardware."""
    planned = {name: job.params.get(name) for name in ("code", "content")}
    text = json.dumps([record, planned, sorted(job.output.keys()), *_hardware(job)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hardware(job):
    """The kind of processor, and the GPU that a job takes, if any: their numbers differ."""
    device, torch = job.params.get("settings", {}).get("device", "cpu"), sys.modules.get("torch")
    with_gpu = device != "cpu" and torch is not None and torch.cuda.is_available()
    return platform.machine(), torch.cuda.get_device_name() if with_gpu else None


def _fetch(entry, outputs):
    """Copy the kept files to the outputs; whether they were there, all of them, undamaged."""
    if not entry.exists():
        return False
    try:
        sums = json.loads((entry / SUMS).read_text(encoding="utf-8"))
        with contextlib.ExitStack() as partials:
            for name, path in outputs.items():
                partial = partials.enter_context(files.replacing(path))
                shutil.copyfile(entry / name, partial)
                if files.sha256(partial) != sums[name]:
                    raise ValueError(name)
    except InputError:  # about the output, not about the entry
        raise
    except (FileNotFoundError, ValueError, KeyError) as error:
        log.warning("%s: damaged (%s), computed anew", entry, error)
        shutil.rmtree(entry, ignore_errors=True)
        return False
    except OSError as error:
        log.warning("%s: cannot be read (%s), computed anew", entry, error.strerror or error)
        return False
    return True


def _keep(entry, outputs):
    """Copy the outputs into the cache; where that fails the job has done its work all the same."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".", ignore_cleanup_errors=True) as folder:
            new = Path(folder) / "entry"
            new.mkdir()
            for name, path in outputs.items():
                shutil.copyfile(path, new / name)
            sums = {name: files.sha256(path) for name, path in outputs.items()}
            (new / SUMS).write_text(json.dumps(sums), encoding="utf-8")
            if not entry.exists():
                new.rename(entry)
    except OSError as error:
        log.warning("%s: not kept (%s)", entry, error.strerror or error)
