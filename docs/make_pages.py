"""Write what pages of docs/ take from the workflow: the tables of keys.md, and the graph of graph.md.

The tables come from config/schema.yaml, which has all defaults, and tests/reruns.yaml.

python docs/make_pages.py
"""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def resolve(schema, node):
    """`node` with its $ref followed; what stands beside the $ref wins."""
    if "$ref" not in node:
        return node
    target = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return resolve(schema, target) | {key: value for key, value in node.items() if key != "$ref"}


def leaves(schema, node, path=()):
    """(key path, node) of every key that holds a value, in the schema's order."""
    node = resolve(schema, node)
    for name, child in node.get("properties", {}).items():
        yield from leaves(schema, child, (*path, name))
    entries = node.get("additionalProperties")
    if isinstance(entries, dict) and "properties" in resolve(schema, entries):
        if node.get("default"):
            yield path, node  # a map that is not empty by default is worth a row itself
        yield from leaves(schema, entries, (*path, "{name}"))
    elif "properties" not in node:
        yield path, node


def pattern(table, path, separator):
    """The key of `table` that matches `path`: the exact one, else that with the fewest `*`; None without a match."""
    exact = separator.join(path)
    fits = [
        key
        for key in table
        if len(key.split(separator)) == len(path)
        and all(fnmatch.fnmatchcase(part, glob) for part, glob in zip(path, key.split(separator), strict=True))
    ]
    return exact if exact in table else min(fits, key=lambda key: key.count("*"), default=None)


def lookup(table, path, separator):
    """The entry of `table` under the `pattern` of `path`, or None."""
    return table.get(pattern(table, path, separator))


def allowed(node):
    """What values a key takes, in words."""
    if "enum" in node:
        return ", ".join(f"`{'null' if value is None else value}`" for value in node["enum"])
    if "oneOf" in node:
        return "matrix or null"
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    words = " or ".join({"object": "map", "array": "list"}.get(kind, kind) for kind in kinds)
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[bound]}" for bound, sign in bounds.items() if bound in node]
    return f"{words} {', '.join(limits)}".strip()


def _after_last_name(path):
    """How much of `path` leads to the keys of the innermost named entry; 0 without one."""
    return max((i + 1 for i, key in enumerate(path) if key == "{name}"), default=0)


def reruns(keys, path):
    """The rules that another value of a key reruns, in words; `keys` is the table of that name in reruns.yaml."""
    rules = lookup(keys, ["*" if name == "{name}" else name for name in path], ".")
    return ", ".join(f"`{rule}`" for rule in rules or []) or "nothing"


def table(schema, keys):
    """The Markdown tables, one a section of the config."""
    sections = {}
    for path, node in leaves(schema, schema):
        depth = _after_last_name(path) or min(1, len(path) - 1)
        depth += len(path) > depth + 1  # a group of keys has a table of its own
        title, key = (".".join(part) for part in (path[:depth], path[depth:]))
        default = f"`{json.dumps(node['default'], ensure_ascii=False)}`" if "default" in node else "required"
        row = f"| `{key}` | {allowed(node)} | {default} | {node['description']} | {reruns(keys, path)} |"
        sections.setdefault(title or "top level", []).append(row)
    head = "| key | value | default | meaning | reruns |\n|---|---|---|---|---|\n"
    return "\n".join(f"### {title}\n\n{head}" + "\n".join(rows) + "\n" for title, rows in sections.items())


def rewrite(text, schema, keys):
    """The page of keys with the part between the marks replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table(schema, keys) + "\n" + END + rest.split(END)[1]


def edges(rulegraph):
    """(rule, rule that reads its results) for all edges of Snakemake's `--rulegraph mermaid-js` but those to `all`."""
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", rulegraph))
    pairs = [(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", rulegraph)]
    return [pair for pair in pairs if pair[1] != "all"]


def _read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def _make_keys():
    schema, snapshot = (yaml.safe_load(_read(name)) for name in ("config/schema.yaml", "tests/reruns.yaml"))
    page = rewrite(_read("docs/keys.md"), schema, snapshot["keys"])
    (ROOT / "docs/keys.md").write_text(page, encoding="utf-8")


def _make_graph():
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js"]
    rulegraph = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    order = re.findall(r"id\d+\[(\w+)\]", rulegraph)
    lines = sorted(edges(rulegraph), key=lambda pair: [order.index(rule) for rule in pair])
    diagram = "flowchart LR\n" + "".join(f"    {a} --> {b}\n" for a, b in lines)
    page = re.sub(r"(```mermaid\n).*?(```)", rf"\1{diagram}\2", _read("docs/graph.md"), flags=re.DOTALL)
    (ROOT / "docs/graph.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    _make_keys()
    _make_graph()
