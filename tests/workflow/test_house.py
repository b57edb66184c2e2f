"""The project's own rules: formats, lint, anatomy, one place for each fact."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import plans
import pytest
import yaml

from scoredag.job import arguments

BIN = [sys.executable, "-m"]
SECTIONS = [
    "input",
    "output",
    "wildcard_constraints",
    "localrule",
    "priority",
    "threads",
    "resources",
    "params",
    "script",
]
OPTIONAL = {"input", "wildcard_constraints", "localrule", "priority", "threads", "resources", "params"}


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "rules"],
        ["snakemake", "--lint"],
        ["mypy"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_formats_and_lint_are_clean(root, command):
    done = subprocess.run([*BIN, *command], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rules(root):
    """The text of every rule below rules/, from its name on."""
    for path in sorted((root / "rules").glob("*.smk")):
        yield from re.findall(r"^rule (\w+:\n(?:    .*\n|\n)*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_rules_look_alike_and_scripts_are_named_as_their_rules(root):
    names = set()
    for text in rules(root):
        name = text.partition(":")[0]
        found = re.findall(r"^    (\w+):", text, flags=re.MULTILINE)
        assert found == [section for section in SECTIONS if section in found], name
        assert set(SECTIONS) - set(found) <= OPTIONAL, name
        assert re.match(rf'{name}:\n    """[^"\n]+\."""\n', text), f"{name} has no one-line docstring"
        assert f'script:\n        "../scripts/{name}.py"' in text, name
        names.add(name)
    assert {path.stem for path in (root / "scripts").glob("*.py")} == names


def test_scripts_end_in_one_way(root):
    """Which jobs the cache keeps is said there alone."""
    n_cached = 0
    for path in (root / "scripts").glob("*.py"):
        tail = path.read_text(encoding="utf-8").partition('if __name__ == "__main__":\n')[2]
        assert tail in (f"    job.run({path.stem})\n", f"    job.run({path.stem}, cached=True)\n"), path
        n_cached += "cached" in tail
    assert n_cached > 10


def signature(script):
    """The function of a script with its parameters, and nothing else: the script is not run."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == script.stem)
    function.body = [ast.Pass()]
    scope = {}
    exec(ast.unparse(function), scope)
    return scope[script.stem]


def job_of(step, parameters):
    """What a job of the rule `step` has for a function, with stand-ins for values."""

    def paths(part):
        return {name: ["a"] if f"{name}_paths" in parameters else "a" for name, _ in part.items()}

    wildcards = dict.fromkeys(step.wildcard_names, "a")
    params = dict(step.params.items())
    return SimpleNamespace(
        input=paths(step.input), output=paths(step.output), params=params, wildcards=wildcards, threads=1
    )


def test_each_rule_fills_the_parameters_of_its_script(root, tmp_path):
    steps = [step for step in plans.rules(root, tmp_path) if step.script]
    assert len(steps) > 40
    for step in steps:
        function = signature(root / "scripts" / Path(step.script).name)
        parameters = inspect.signature(function).parameters
        assert set(arguments.by_name(function, job_of(step, parameters))) == set(parameters), step.name


def test_each_job_has_a_log_and_timings_of_its_own(root, tmp_path):
    steps = [step for step in plans.rules(root, tmp_path) if step.script]
    for step in steps:
        (log,) = step.log
        assert re.fullmatch(rf"logs/\w+/({{.*}}/)?{step.name}\.log", log), log
        assert str(step.benchmark) == log.replace(".log", ".tsv")
        assert set(re.findall(r"{(\w+)", log)) == step.wildcard_names


def modules(root):
    return list((root / "scripts").rglob("*.py"))


def imports(path):
    return imports_of(path.read_text(encoding="utf-8"))


def imports_of(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def late_imports(path):
    """What the reader of mixtures imports within functions: PyTorch, for files of tensors."""
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.name == "mixture_files.py" else None
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)) if tree else ()
    found = (node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import))
    return {alias.name for node in found for alias in node.names}


TOP = ("applying", "imputer", "imputing")  # modules of the library above all rooms, which no other imports
UPPERMOST = [("__main__.py",), ("applying.py",), ("imputer.py",)]
WINGS = ("gmm", "likelihood", "series", "csdi", "figures")
BELOW = {  # the rooms that a room of the library may import
    "store": set(),
    "simd": set(),
    "job": {"store"},
    "intake": {"store", "job"},
    **{wing: {"store", "simd", "intake"} for wing in WINGS},
}


def test_imports_run_one_way(root):
    """script -> wing -> ground floor; csdi, and who trains, imports torch; scripts and job/ alone say `snakemake`."""
    library = root / "scripts" / "scoredag"
    for path in modules(root):
        named = set(imports(path))
        parts = path.relative_to(root / "scripts").parts
        room = parts[1] if len(parts) == 3 else None
        reached = {name.split(".")[1] for name in named if name.startswith("scoredag.")} & {*BELOW}
        assert parts[1:] in UPPERMOST or not {f"scoredag.{name}" for name in TOP} & {*named}, path
        if path.is_relative_to(library) and path.stem not in TOP:
            assert reached <= ({room} | BELOW[room] if room else {"store"}), f"{path} imports {reached}"
        if path.is_relative_to(library):
            assert (
                room == "job" or path.stem == "applying" or "snakemake" not in path.read_text(encoding="utf-8").lower()
            ), path
        if any(name.split(".")[0] == "torch" for name in named - late_imports(path)):
            trains = parts[0] == "train_csdi.py" or parts[1:] == ("likelihood", "score_matching.py")
            assert room == "csdi" or trains, f"{path} imports torch"


@pytest.fixture
def make_readme(root, monkeypatch):
    """The script docs/make_pages.py as a module."""
    monkeypatch.syspath_prepend(str(root / "docs"))
    return importlib.import_module("make_pages")


@pytest.fixture
def schema(root):
    return yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))


def test_every_key_is_described_and_listed(root, make_readme, schema):
    assert all(node.get("description") for _, node in make_readme.leaves(schema, schema))
    text = (root / "docs/keys.md").read_text(encoding="utf-8")
    keys = yaml.safe_load((root / "tests/reruns.yaml").read_text(encoding="utf-8"))["keys"]
    assert text == make_readme.rewrite(text, schema, keys), "run `make docs`"


def test_the_config_does_not_repeat_defaults(root, make_readme, schema):
    """config.yaml says what a run is; a value equal to the schema's default belongs to the schema alone."""
    config = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    repeated = []
    for path, node in make_readme.leaves(schema, schema):
        parts = [((), config)]
        for key in path:
            parts = [
                ((*place, name), part[name])
                for place, part in parts
                if isinstance(part, dict)
                for name in (part if key == "{name}" else [key])
                if name in part
            ]
        repeated += [".".join(place) for place, value in parts if "default" in node and value == node["default"]]
    assert repeated == ["langevin.variants.a.noise_covariance"]  # kept: it is what variant a is about


def test_versions_are_the_same_everywhere_and_each_has_its_reason(root):
    pins = [line for line in (root / "envs/requirements.txt").read_text().splitlines() if "==" in line]
    conda = yaml.safe_load((root / "envs/scoredag.yaml").read_text(encoding="utf-8"))
    assert conda["dependencies"][-1]["pip"] == pins
    more = [
        line
        for name in ("cluster", "tables", "test", "zoo")
        for line in (root / f"envs/requirements-{name}.txt").read_text().splitlines()
        if "==" in line
    ]
    reasons = (root / "envs/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([\w-]+) \| [^|]+\|$", reasons, re.MULTILINE)) - {"package"} == {
        pin.split("==")[0] for pin in pins + more
    }


def test_asking_imports_nothing_heavy(root):
    """What the Snakefile and rules/ import is the standard library and Snakemake's own needs, directly or not."""
    named = [
        line
        for path in [root / "Snakefile", *(root / "rules").glob("*.smk")]
        for line in re.findall(r"^(?:from|import) .*", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert any("scoredag" in line for line in named)
    first = ["import sys, jsonschema, snakemake.api", "before = set(sys.modules)"]
    last = ["print(*{name.split('.')[0] for name in set(sys.modules) - before})"]
    program = "\n".join([*first, *named, *last])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root / "scripts", capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {*sys.stdlib_module_names, "jsonschema", "snakemake", "scoredag", "yaml"}


def test_the_graph_that_is_shown_is_the_workflows(root):
    done = subprocess.run(
        [*BIN, "snakemake", "--rulegraph", "mermaid-js"], cwd=root, capture_output=True, text=True, check=True
    )
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", done.stdout))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", done.stdout)}
    expected = {edge for edge in edges if edge[1] != "all"}  # which has them all
    shown = re.search(r"```mermaid\n(.*?)```", (root / "docs/graph.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert expected and set(re.findall(r"(\w+) --> (\w+)", shown)) == expected


def anchors(page):
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere(root):
    pages, n_links = [*root.glob("*.md"), *root.glob("*/README.md"), *root.glob("docs/*.md")], 0
    for page in pages:
        for target, anchor in re.findall(
            r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")
        ):
            to = (page.parent / target).resolve() if target else page
            assert to.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(to), f"{page}: {target}#{anchor}"
            n_links += 1
    assert n_links > 30


def test_printed_commands_name_their_targets_before_the_configfiles(root):
    """`--configfile` takes every word that follows it for a file."""
    pages = [*root.glob("*.md"), *root.glob("*/README.md"), *root.glob("docs/*.md"), *root.glob("config/**/*.yaml")]
    commands = [line for page in pages for line in re.findall(r"snakemake --.*", page.read_text(encoding="utf-8"))]
    assert len(commands) > 8
    assert not [line for line in commands if re.search(r"--configfile( \S+\.yaml)+ (?!\S+\.yaml)[^-#|\s]", line)]


def unannotated(tree):
    """Public functions and methods without hints for all arguments and the return.

    Compiled functions are exempt, as Numba infers their types, and so is what is emitted into them.
    """
    compilers = {"njit", "vectorize", "guvectorize", "intrinsic", "overload", "compiled", "inner", "emitted"}
    todo = [(node, False) for node in tree.body]
    while todo:
        node, is_method = todo.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            todo += [(child, True) for child in node.body]
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        names = {part.id for mark in node.decorator_list for part in ast.walk(mark) if isinstance(part, ast.Name)}
        bound = is_method and "staticmethod" not in names
        arguments = [*node.args.posonlyargs, *node.args.args][bound:] + node.args.kwonlyargs
        arguments += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        if not names & compilers and not all([node.returns, *(argument.annotation for argument in arguments)]):
            yield node.name


def test_public_functions_have_type_hints(root):
    library = root / "scripts" / "scoredag"
    missing = {
        str(path.relative_to(library)): names
        for path in library.rglob("*.py")
        if (names := list(unannotated(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert not missing
