"""Results kept by what they were made of, so that an edit that is taken back need not compute anything again.

The folder that SCOREDAG_CACHE names has an entry for each job: its outputs, and their checksums. The entry's
name is a digest of the job's record (see `record`), which holds the contents of all that went in. Any
entry, or all of them, may be deleted at any time.
"""

import contextlib
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scoredag.errors import InputError
from scoredag.store import files

VARIABLE = "SCOREDAG_CACHE"
CHECKSUMS = "sha256.json"
log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A job's place in the cache."""

    folder: Path
    outputs: dict[str, str]  # {name in the folder: path of the output}

    def fill(self, compute: Callable[[], None], is_current: Callable[[], bool]) -> None:
        """Copy the outputs from the cache, or compute them and keep them if they are of what is there still."""
        if self.fetch():
            log.info("taken from %s", self.folder)
            return
        compute()
        if is_current():
            self.keep()
        else:
            log.warning("its inputs or its code have changed meanwhile: not kept in the cache")

    def fetch(self) -> bool:
        """Copy the kept files to the outputs; whether all of them were there, undamaged."""
        if not self.folder.exists():
            return False
        try:
            checksums = json.loads((self.folder / CHECKSUMS).read_text(encoding="utf-8"))
            with contextlib.ExitStack() as partials:
                for name, path in self.outputs.items():
                    partial = partials.enter_context(files.replacing(path))
                    shutil.copyfile(self.folder / name, partial)
                    if files.sha256(partial) != checksums[name]:
                        raise ValueError(name)
        except InputError:  # about the output, not about the entry
            raise
        except (FileNotFoundError, ValueError, KeyError) as error:
            log.warning("%s: damaged (%s), computed anew", self.folder, error)
            shutil.rmtree(self.folder, ignore_errors=True)
            return False
        except OSError as error:
            log.warning("%s: cannot be read (%s), computed anew", self.folder, error.strerror or error)
            return False
        return True

    def keep(self) -> None:
        """Copy the outputs into the cache; where that fails the job has done its work all the same."""
        parent = self.folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=parent, prefix=".", ignore_cleanup_errors=True) as temporary:
                new = Path(temporary) / "entry"
                new.mkdir()
                for name, path in self.outputs.items():
                    shutil.copyfile(path, new / name)
                checksums = {name: files.sha256(path) for name, path in self.outputs.items()}
                (new / CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
                if not self.folder.exists():
                    new.rename(self.folder)
        except OSError as error:
            log.warning("%s: not kept (%s)", self.folder, error.strerror or error)


def entry(job: Any, record: dict[str, Any]) -> Entry | None:
    """A job's place in the cache; None where there is no cache.

    Args:
        job: as for `record.build`, with `output`, paths by name.
        record: of the job.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    outputs = {f"{name}{Path(path).suffix}": path for name, path in job.output.items()}
    return Entry(Path(folder).expanduser() / key(job, record), outputs)


def key(job: Any, record: dict[str, Any]) -> str:
    """The name of a job's entry: a digest of its record, of its code and data when it was planned, and the hardware."""
    planned = {name: job.params.get(name) for name in ("code", "content")}
    return files.combined([json.dumps([record, planned, sorted(job.output.keys()), *_hardware(job)], sort_keys=True)])


def _hardware(job):
    """The kind of processor, and the GPU that a job takes, if any: their numbers differ."""
    device, torch = job.params.get("settings", {}).get("device", "cpu"), sys.modules.get("torch")
    if device == "cpu" or torch is None or not torch.cuda.is_available():
        return platform.machine(), None
    return platform.machine(), torch.cuda.get_device_name()
