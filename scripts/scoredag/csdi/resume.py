"""The state of a training that may be killed at any moment: one file, replaced as a whole."""

import hashlib
import io
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from scoredag.store import files

log = logging.getLogger(__name__)


class Store:
    """Keeps the state of one training in a file.

    Args:
        path: the file.
        key: what the training depends on, from `fingerprint`; a state with another key is not
            taken up again.
    """

    def __init__(self, path: files.PathLike, key: str):
        self.path = Path(path)
        self.key = key

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None without one of this key."""
        if not self.path.exists():
            return None
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle can raise nearly anything
            log.info("%s: cannot be read (%s), starting afresh", self.path, type(error).__name__)
            return None
        if not isinstance(stored, dict) or stored.get("key") != self.key:
            log.info("%s: of other settings, data or code, starting afresh", self.path)
            return None
        return stored["state"]

    def save(self, state: dict[str, Any]) -> None:
        """Replace what is stored by `state`: tensors, numbers, text, lists and dicts."""
        content = io.BytesIO()  # torch's own writer does not say that a disk is full
        torch.save({"key": self.key, "state": state}, content)
        with files.replacing(self.path) as partial:
            partial.write_bytes(content.getbuffer())

    def remove(self) -> None:
        """Forget the state."""
        self.path.unlink(missing_ok=True)


def fingerprint(settings: Any, paths: Iterable[files.PathLike]) -> str:
    """SHA-256 of `settings` (what JSON can hold) and of the contents of the files at `paths`."""
    parts = [json.dumps(settings, sort_keys=True), *map(files.sha256, paths)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
