"""Weights as safetensors: with metadata of ours, and a checksum, so that a flipped bit is told."""

import hashlib
import io
import json
import struct

from scoredag import files
from scoredag.errors import InputError

ENTRY = "scoredag"  # of the file's metadata, with ours as JSON: of several entries the order is random
SUM = "tensors_sha256"


def write(path, metadata, serialise):
    """Write a .safetensors file.

    Args:
        path: the file.
        metadata: a dict of what JSON can hold.
        serialise: a function of what safetensors calls metadata, a dict of texts, that returns the file's bytes.
    """
    text = json.dumps(metadata | {SUM: _sum(io.BytesIO(serialise({})))}, sort_keys=True)
    with files.replacing(path) as partial:
        partial.write_bytes(serialise({ENTRY: text}))


def metadata(path):
    """The metadata that `write` was given, with its checksum of the tensors; an empty dict for any other file."""
    try:
        with open(path, "rb") as stream:
            return json.loads(header(stream)["__metadata__"][ENTRY])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return {}


def check(path):
    """Raise InputError if the tensors in the file are not those that `write` has put there; other files pass."""
    expected = metadata(path).get(SUM)
    if expected:
        with open(path, "rb") as stream:
            if _sum(stream) != expected:
                raise InputError(f"{path}: is damaged, its tensors are not those that were written; make it anew")


def header(stream):
    """The header of a .safetensors file, a dict; the stream is at the tensors then."""
    (size,) = struct.unpack("<Q", stream.read(8))
    return json.loads(stream.read(min(size, 1 << 26)))


def _sum(stream):
    header(stream)
    return hashlib.sha256(stream.read()).hexdigest()
