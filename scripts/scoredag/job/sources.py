"""What Snakemake compares to decide what runs again: contents of code and data, and settings in one order.

Standard library alone: rules import it while Snakemake parses them, and jobs when they begin.
"""

import ast
import functools
import glob
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scoredag.errors import InputError
from scoredag.store import files


def digester() -> Callable[[Path], str]:
    """A function of a script: SHA-256 of its content and of every module below its folder that it imports.

    It reads each file once, so that it takes many scripts quickly; whoever wants to see edits takes a new one.
    """
    sha256, imports = functools.cache(files.sha256), functools.cache(imported)
    return functools.cache(lambda script: files.combined(map(sha256, modules(script, script.parent, imports))))


def modules(path: Path, folder: Path, imports: Callable[[Path, Path], list[Path]] | None = None) -> list[Path]:
    """The file `path` and every module below `folder` that it imports, directly or not, sorted."""
    imports = imports or imported
    seen: set[Path] = set()
    todo = [path]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(imports(path, folder))
    return sorted(seen)


def imported(path: Path, folder: Path) -> list[Path]:
    """The modules below `folder` that the file `path` names in an import."""
    try:
        stems = _stems(path.read_bytes())
    except SyntaxError as error:
        error.filename = str(path)
        raise
    candidates = (f"{folder}/{stem}{end}" for stem in stems for end in (".py", "/__init__.py"))
    return sorted(Path(candidate) for candidate in candidates if os.path.isfile(candidate))


@functools.cache
def _stems(content: bytes) -> frozenset[str]:
    """What a source names in imports, as paths: a.b.c runs a/__init__.py, a/b/__init__.py and a/b/c.py."""
    names: set[str] = set()
    for node in statements(ast.parse(content)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    parts = [name.split(".") for name in names]
    return frozenset("/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1))


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements within a node: imports are among them, and expressions, which are many, are skipped."""
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        nested = getattr(node, part, ())
        for statement in nested if isinstance(nested, list) else ():
            yield statement
            yield from statements(statement)


def content(path: str) -> str | None:
    """SHA-256 of a data file; None where it cannot be read, which the job that reads it will report."""
    try:
        return files.sha256(path)
    except InputError:
        return None


def shipped(path: str, home: Path) -> str:
    """`path` where it exists below the working directory, else below `home`, the workflow's own folder.

    `~` and environment variables are filled in, but for a file whose name has them.
    """
    path = path if os.path.exists(path) or os.path.exists(home / path) else expanded(path)
    return path if os.path.exists(path) else os.path.relpath(home / path)


def matching(paths: str | list[str], home: Path) -> list[str]:
    """The files that a path names, or several do, each once: with * and ? those that are there, sorted."""
    return list(dict.fromkeys(itertools.chain(*(_matching(path, home) for path in files_of(paths)))))


def files_of(paths: str | list[str]) -> list[str]:
    """Paths as a list."""
    return [paths] if isinstance(paths, str) else paths


def is_pattern(path: str, home: Path) -> bool:
    """Whether a path stands for the files that match it: it has * or ?, and no file has that name itself."""
    return bool(re.search(r"[*?]", path)) and not os.path.exists(shipped(path, home))


def _matching(path, home):
    if not is_pattern(path, home):
        return [shipped(path, home)]
    here = sorted(glob.glob(expanded(path)))
    return here or sorted(map(os.path.relpath, glob.glob(str(home / path))))


def expanded(path: str) -> str:
    """`path` with `~` and those environment variables filled in that are set."""
    return os.path.expanduser(os.path.expandvars(path))


def ordered(value: Any) -> Any:
    """`value` with dicts sorted by key and 1 for 1.0, all the way down: Snakemake compares params by their text."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(entry) for entry in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if whole else value
