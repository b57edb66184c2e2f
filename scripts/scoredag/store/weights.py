"""Weights as safetensors, with metadata and a checksum."""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from scoredag.errors import InputError
from scoredag.store import files

ENTRY = "scoredag"  # of the file's metadata, with ours as JSON: of several entries the order is random
CHECKSUM = "checksum"  # in our metadata: SHA-256 of the file with zeros in its place
_MARK, _ZEROS = b"scoredag-sha256=", b"0" * 64
PathLike = str | os.PathLike[str]


def write(path: PathLike, metadata: dict[str, Any], serialise: Callable[[dict[str, str]], bytes]) -> None:
    """Write a .safetensors file that carries its checksum.

    Args:
        path: the file.
        metadata: a dict of what JSON can hold.
        serialise: a function of what safetensors calls metadata, a dict of texts, that returns the file's bytes.
    """
    text = json.dumps(metadata | {CHECKSUM: (_MARK + _ZEROS).decode()}, sort_keys=True)
    content = serialise({ENTRY: text})
    with files.replacing(path) as partial:
        partial.write_bytes(content.replace(_MARK + _ZEROS, _MARK + hashlib.sha256(content).hexdigest().encode(), 1))


def check(path: PathLike) -> None:
    """Raise InputError if the file is not what was written; a file without a checksum passes."""
    with open(path, "rb") as stream:
        before, mark, rest = stream.read().partition(_MARK)
    checksum = hashlib.sha256(before + mark + _ZEROS + rest[len(_ZEROS) :]).hexdigest()
    if mark and checksum.encode() != rest[: len(_ZEROS)]:
        raise InputError(files.DAMAGED.format(path=path))


def metadata(path: PathLike) -> dict[str, Any]:
    """The metadata that `write` was given; an empty dict for any other file."""
    try:
        with open(path, "rb") as stream:
            own = json.loads(header(stream)["__metadata__"][ENTRY])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return {}
    own.pop(CHECKSUM, None)
    return own


def header(stream: BinaryIO) -> dict[str, Any]:
    """The header of a .safetensors file; the stream is at the tensors then."""
    (size,) = struct.unpack("<Q", stream.read(8))
    return json.loads(stream.read(min(size, 1 << 26)))
