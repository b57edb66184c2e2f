"""What a result was made of: a record in the metadata of tables and weights.

It holds the rule, its settings, digests of its inputs and of its code, and the versions of the packages at
work; no times, no host and no paths, so that the same result has the same record everywhere.

    python -m scoredag.job.record results/langevin/b/samples.parquet
"""

import hashlib
import json
import struct
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoredag.errors import InputError
from scoredag.store import files, stamp, weights

PACKAGES = {  # by the name of their module; those that can change a number or a byte
    "PIL": "pillow",
    "arviz_stats": "arviz-stats",
    "duckdb": "duckdb",
    "llvmlite": "llvmlite",
    "matplotlib": "matplotlib",
    "netCDF4": "netCDF4",
    "numba": "numba",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "python_calamine": "python-calamine",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "xarray": "xarray",
}


def build(job: Any, script: Path, code: str) -> dict[str, Any]:
    """What a job depends on, as a dict of what JSON can hold.

    Args:
        job: has as mappings `wildcards`, `params` (with `settings` and `split`, if any) and `input`, paths by name,
            one or a list.
        script: of its rule. Its name stands for the rule's, which another workflow may change.
        code: digest of the script and the modules that it imports.

    Raises:
        InputError: an input cannot be read.
    """
    return {
        "rule": script.stem,
        "wildcards": dict(job.wildcards.items()),
        "settings": job.params.get("settings", {}),
        **{name: value for name, value in job.params.items() if name == "split"},  # tells rules of one script apart
        "inputs": {
            name: digest(paths) if isinstance(paths, str) else [digest(path) for path in paths]
            for name, paths in job.input.items()
        },
        "code": code,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of those of `PACKAGES` that are in use."""
    in_use = {name: metadata.version(name) for module, name in PACKAGES.items() if module in sys.modules}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **in_use}


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal: without the record in it, so that its own past does not count.

    Of files without a record it is that of all their bytes.

    Raises:
        InputError: the file cannot be read.
    """
    content = hashlib.sha256()
    if str(path).endswith(".parquet") and _parquet_record(path):
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(size - 8)
            (footer,) = struct.unpack("<I4x", stream.read(8))
            stream.seek(0)
            for left in range(size - 8 - footer, 0, -(1 << 20)):
                content.update(stream.read(min(left, 1 << 20)))
        content.update(pq.read_schema(path).remove_metadata().to_string().encode())
    elif str(path).endswith(".safetensors") and (own := weights.metadata(path)).pop(stamp.KEY, None):
        with open(path, "rb") as stream:
            tensors = weights.header(stream)
            content.update(json.dumps([tensors | {"__metadata__": own}], sort_keys=True).encode())
            while part := stream.read(1 << 20):
                content.update(part)
    else:
        return files.sha256(path)
    return content.hexdigest()


def read(path: str | Path) -> dict[str, Any]:
    """The record in a file.

    Raises:
        InputError: there is none, or no such file.
    """
    files.sha256(path)
    stored = _parquet_record(path) or weights.metadata(path).get(stamp.KEY)
    if not stored:
        raise InputError(f"{path}: carries no record; tables (.parquet) and weights (.safetensors) of a run do")
    return stored


def _parquet_record(path):
    try:
        return json.loads((pq.read_metadata(path).metadata or {}).get(stamp.KEY.encode(), b"null"))
    except (OSError, pa.ArrowInvalid, ValueError):
        return None


if __name__ == "__main__":
    try:
        print(json.dumps(read(sys.argv[1]), indent=2, ensure_ascii=False))
    except IndexError:
        sys.exit("error: name a file, as in: make explain FILE=results/langevin/b/samples.parquet")
    except InputError as error:
        sys.exit(f"error: {error}")
