"""Write the tables of config/README.md from config/schema.yaml, where all defaults are, and config/reruns.yaml.

python config/make_readme.py
"""

import fnmatch
import json
from pathlib import Path

import yaml

HERE = Path(__file__).parent
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
    """The key of `table` that fits the parts of `path`: as they are, or with the fewest `*`; None where none does."""
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
    """Which rules another value of a key reruns, in words; `keys` are those of reruns.yaml."""
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
    """The README with the part between the marks replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table(schema, keys) + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    readme = HERE / "README.md"
    schema, declared = (
        yaml.safe_load((HERE / name).read_text(encoding="utf-8")) for name in ("schema.yaml", "../tests/reruns.yaml")
    )
    readme.write_text(rewrite(readme.read_text(encoding="utf-8"), schema, declared["keys"]), encoding="utf-8")
