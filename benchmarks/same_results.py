"""Compare the results of two runs by what they hold: tables and weights by value, all other files by byte.

    python benchmarks/same_results.py ../before/results results [--without csdi/*/history.parquet:seconds ..]

For changes of the code that may change no number: records inside tables and weights name the code, and are left out.
"""

import argparse
import sys
from pathlib import Path

import pyarrow.parquet as pq
import safetensors.numpy


def content(path, without):
    """What a file holds, so that `==` compares it; columns in `without` are left out."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        table = table.drop_columns([name for name in without if name in table.column_names])
        # NaN is equal to NaN by text, and every other float is told apart
        return table.schema.remove_metadata(), repr(table.to_pydict())
    if path.suffix == ".safetensors":
        return {
            name: (array.dtype, array.shape, array.tobytes())
            for name, array in safetensors.numpy.load_file(path).items()
        }
    return path.read_bytes()


def main():
    """Print each difference; the status is 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--without", nargs="*", default=[], metavar="PATTERN:COLUMN")
    options = parser.parse_args()
    files = [
        {path.relative_to(top) for path in top.rglob("*") if path.is_file()} for top in (options.before, options.after)
    ]
    differences = [f"{path}: only in one of both" for path in sorted(files[0] ^ files[1])]
    for path in sorted(files[0] & files[1]):
        without = [word.split(":")[1] for word in options.without if path.match(word.split(":")[0])]
        if content(options.before / path, without) != content(options.after / path, without):
            differences.append(f"{path}: differs")
    print("\n".join([*differences, f"{len(files[0] & files[1])} files compared, {len(differences)} differences"]))
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
