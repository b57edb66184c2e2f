"""Weights as safetensors, with metadata of ours."""

import json
import struct

from scoredag.store import files, seals

ENTRY = "scoredag"  # of the file's metadata, with ours as JSON: of several entries the order is random


def write(path, metadata, serialise):
    """Write a sealed .safetensors file (see `seals`).

    Args:
        path: the file.
        metadata: a dict of what JSON can hold.
        serialise: a function of what safetensors calls metadata, a dict of texts, that returns the file's bytes.
    """
    text = json.dumps(metadata | {seals.KEY: seals.BLANK}, sort_keys=True)
    with files.replacing(path) as partial:
        partial.write_bytes(serialise({ENTRY: text}))
        seals.seal(partial)


def metadata(path):
    """The metadata that `write` was given; an empty dict for any other file."""
    try:
        with open(path, "rb") as stream:
            own = json.loads(header(stream)["__metadata__"][ENTRY])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return {}
    own.pop(seals.KEY, None)
    return own


def header(stream):
    """The header of a .safetensors file, a dict; the stream is at the tensors then."""
    (size,) = struct.unpack("<Q", stream.read(8))
    return json.loads(stream.read(min(size, 1 << 26)))
