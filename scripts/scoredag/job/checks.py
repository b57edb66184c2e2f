"""What is wrong with a config, in one line that names the key.

Rules import it while Snakemake parses them: nothing but what Snakemake itself needs.
"""

import copy
import datetime
import itertools
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonschema import Draft202012Validator, validators

from scoredag.errors import InputError
from scoredag.job import sources

Config = dict[str, Any]
OWN = "own"  # the pattern of gaps like the series' own
EXACT_SCORE = {"scale": 1, "bias": [0, 0], "variance": 1}  # a score model without errors
ZERO_SHOT = {  # the run of a dataset that has none
    "init": "base",
    "training": {"n_steps": 0},
    "in_all": False,
    "fill_gaps": True,
}
REFUSALS = {  # what a reader says of keys that it does not take
    "physionet-2012": "the physionet-2012 reader takes the 35 features as they are; leave it out",
    "tidy": "a tidy table has none; rename its features, or see 'series'",
}
FROM_COMMAND = "values inside --config a={...} arrive as text: put them into a file for --configfile"


def check(config: Config, home: Path) -> None:
    """Leave out what is null, fill in the schema's defaults, and check all values.

    Args:
        config: Snakemake's; it is changed in place.
        home: the workflow's own folder, with config/schema.yaml and the files that ship.

    Raises:
        InputError: `config: key: what is wrong`.
    """
    schema = load_schema(home)
    check_keys(config)
    drop_nulls(config)
    add_runs(config)
    check_schema(config, schema)
    for name in ("mirror", "cache"):
        check_path(name, config[name])
    check_container(config["container"])
    for name, variant in config["langevin"]["variants"].items():
        check_variant(f"langevin.variants.{name}", variant, schema["$defs"]["variant"])
    check_likelihood(config["likelihood"])
    for name, dataset in config["datasets"].items():
        check_dataset(f"datasets.{name}", dataset, schema["$defs"]["dataset"], home)
        known = ["train", "all", *config["csdi"]["checkpoints"]]
        if dataset["windows"]["statistics"] not in known:
            fault = f"'{dataset['windows']['statistics']}' is unknown; known are {', '.join(known)}"
            fail(f"datasets.{name}.windows.statistics", fault)
    for name, checkpoint in config["csdi"]["checkpoints"].items():
        if run_of(checkpoint, config["csdi"]["runs"]) is None:
            check_file(f"csdi.checkpoints.{name}", checkpoint, home)
    for name, run in config["csdi"]["runs"].items():
        check_run(f"csdi.runs.{name}", run, config)
    check_file("gmm", config["gmm"], home)
    downloads(config)


def load_schema(home: Path) -> Config:
    """The schema of the config."""
    with open(home / "config" / "schema.yaml", encoding="utf-8") as stream:
        return yaml.load(stream, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # ten times as fast


def fail(key: str, message: str) -> NoReturn:
    """Raise InputError with one line that names the config key."""
    raise InputError(f"config: {key}: {message}") from None


def drop_nulls(config: Config) -> None:
    """Leave out entries that a preset set to null: that is how an overlay removes one."""
    csdi = config.get("csdi") or {}
    langevin = config.get("langevin") or {}
    likelihood = config.get("likelihood") or {}
    if not all(isinstance(part, dict) for part in (csdi, langevin, likelihood)):
        return  # the schema says what is wrong
    maps = [config.get("datasets"), langevin.get("variants"), csdi.get("checkpoints"), csdi.get("runs")]
    if likelihood.get("score_models", {}) is None:
        del likelihood["score_models"]  # all of them
    maps.append(likelihood.get("score_models"))
    datasets = maps[0].values() if isinstance(maps[0], dict) else []
    windows = [dataset.get("windows") for dataset in datasets if isinstance(dataset, dict)]
    maps += [part.get("held_out") for part in windows if isinstance(part, dict)]
    for entries in (entries for entries in maps if isinstance(entries, dict)):
        for name in [name for name, entry in entries.items() if entry is None]:
            del entries[name]


def add_runs(config: Config) -> None:
    """Give each dataset a run of its name that fills its gaps without training, and a run the dataset of its name."""
    csdi = config.get("csdi")
    runs, datasets = (part.get(name) for part, name in ((csdi or {}, "runs"), (config, "datasets")))
    if not (isinstance(csdi, dict) and isinstance(datasets, dict) and (runs is None or isinstance(runs, dict))):
        return  # the schema says what is wrong
    runs = csdi.setdefault("runs", runs or {})
    if ZERO_SHOT["init"] in (csdi.get("checkpoints") or {}):
        runs |= {name: copy.deepcopy(ZERO_SHOT) for name in datasets if name not in runs}
    for name, run in runs.items():
        if isinstance(run, dict):
            run.setdefault("dataset", name)


def check_keys(part: Any, key: str = "") -> None:
    """Refuse keys that YAML does not read as text, as NO, 2020 and ~: all keys of a config are texts."""
    if isinstance(part, dict):
        for name, value in part.items():
            if not isinstance(name, str):
                fail(key or "top level", f"{_as_read(name, 'one of its keys')}; put it into quotes, as {_quoted(name)}")
            check_keys(value, f"{key}.{name}" if key else name)
    elif isinstance(part, list):
        for place, value in enumerate(part):
            check_keys(value, f"{key}.{place}")


def check_schema(config: Config, schema: Config) -> None:
    """Fill in defaults; refuse what the schema refuses."""
    for error in Validator(schema).iter_errors(config):
        key = ".".join(map(str, error.absolute_path)) or "top level"
        message = error.message
        if error.validator == "oneOf":
            message = f"{error.instance} will not do: {error.schema['description']}"
        elif "propertyNames" in error.absolute_schema_path:
            message = f"'{error.instance}' is not a name: letters, digits, '_', '-' and '.'; a number needs quotes"
        elif error.validator == "required" and key == "top level":
            message += "; a file that replaces the default config, or a module's config, begins with config/config.yaml"
        elif error.validator == "type":
            message = _of_other_type(error, key)
        fail(key, message + _without_quotes(error))


def _of_other_type(error, key):
    """What to write for a value of another type than the schema's: quotes, or a list."""
    wanted, value = _types(error.schema), error.instance
    if isinstance(value, (dict, list)):
        return error.message
    if "string" in wanted:
        leave = "leave it out, or " if value is None and not key[-1:].isdigit() else ""
        return f"{_as_read(value)}; {leave}put it into quotes, as {_quoted(value, key)}"
    if "array" in wanted and value is not None and error.schema.get("minItems", 1) < 2 and not _without_quotes(error):
        if "string" in _types(error.schema["items"]) and not isinstance(value, str):
            return f"{_as_read(value)}; write a list, as [{_quoted(value)}]"
        return f"{error.message}; write a list, as [{value}]"
    return error.message


def _without_quotes(error):
    """A hint for text that would be right without its quotes; else nothing."""
    wanted, value = _types(error.schema), error.instance
    if not isinstance(value, str) or ("string" in wanted and not _is_null(value)):
        return ""
    meant = _unquoted(value)
    is_removed = meant is None and "object" in wanted  # an entry that null leaves out
    if isinstance(meant, str) or not (is_removed or any(Validator({}).is_type(meant, name) for name in wanted)):
        return ""
    example = "0.001 or 1.0e-3" if isinstance(yaml.safe_load(value), str) else value  # 1e-3 is text to YAML
    return f"; write it without quotes, as {example} ({FROM_COMMAND})"


def _types(schema):
    """The types that a part of the schema takes, with null where that is one of its choices."""
    types = schema.get("type", [])
    parts = [_types(part) for part in schema.get("oneOf", [])]
    nulls = ["null"] if None in schema.get("enum", []) else []
    return [*([types] if isinstance(types, str) else types), *itertools.chain(*parts), *nulls]


def _unquoted(text):
    """What YAML reads without the quotes; 1e-3, too, is a number."""
    try:
        number = float(text)
        if math.isfinite(number):
            return number
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _is_null(text):
    return text.lower() in ("null", "~")


def _as_read(value, what="this"):
    """What YAML makes of a text that it does not read as text."""
    kinds = {bool: "the boolean", int: "the number", float: "the number", type(None): "nothing,"}
    shown = value if isinstance(value, datetime.date) else json.dumps(value)
    others = f" (as it does {'yes and on' if value else 'NO and off'})" if isinstance(value, bool) else ""
    return f"YAML reads {what} as {kinds.get(type(value), 'the date')} {shown}{others}"


def _quoted(value, key=""):
    """A text in quotes that YAML reads as `value` without them."""
    if isinstance(value, bool):
        return '"ON"' if value else '"NO"'
    if isinstance(value, int) and abs(value) >= 60 and key.endswith(("time_zone", "interval")):
        hours, minutes = divmod(abs(value), 60)  # 10:00 is a number to base 60
        return f'"{"-" if value < 0 else "+" if key.endswith("time_zone") else ""}{hours}:{minutes:02d}"'
    return json.dumps({"None": "null", "nan": "NaN"}.get(str(value), str(value)))


def _fill_in_defaults(validator, properties, instance, schema):
    """What the keyword `properties` does in `Validator`: absent keys get their defaults before they are checked."""
    if isinstance(instance, dict):
        for name, part in properties.items():
            if "default" in part:
                instance.setdefault(name, copy.deepcopy(part["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


Validator = validators.extend(Draft202012Validator, {"properties": _fill_in_defaults})


def check_variant(key: str, variant: Config, schema: Config) -> None:
    """Refuse values of a Langevin variant that the schema cannot judge."""
    if not math.isfinite(variant["step_size"]):
        fail(f"{key}.step_size", f"{variant['step_size']} is not a finite number")
    late = [step for step in variant["snapshots"] if step > variant["n_steps"]]
    if late:
        fail(f"{key}.snapshots", f"{late[0]} comes after the last step, n_steps = {variant['n_steps']}")
    for name, least in {"noise_covariance": 0, "preconditioner": 1e-15}.items():
        if variant[name] is not None:
            (xx, xy), (yx, yy) = variant[name]
            scale = (xx + yy) ** 2
            if not (xy == yx and xx >= 0 and yy >= 0 and xx * yy - xy * xy >= (least or -1e-12) * scale):
                what = "definite" if least else "semidefinite"
                fail(f"{key}.{name}", f"{variant[name]} is not symmetric positive {what}")
    for name, kernels in _not_taken(variant, schema, "kernels", variant["kernel"]):
        fail(f"{key}.{name}", f"the kernel '{variant['kernel']}' takes none; it is for {' and '.join(kernels)}")
    levels, ladder = variant["noise_levels"], variant["temperatures"]
    if variant["kernel"] == "annealed" and not (0 < len(levels) <= variant["n_steps"] and _is_falling(levels)):
        fail(f"{key}.noise_levels", f"{levels} do not fall; write some, at most n_steps, as [4.0, 1.0, 0.1]")
    if variant["kernel"] == "tempering" and not (len(ladder) > 1 and ladder[0] == 1 and _is_falling(ladder[::-1])):
        fail(f"{key}.temperatures", f"{ladder} do not rise from 1; write two or more, as [1, 2, 4]")


def _not_taken(entry: Config, schema: Config, keyword: str, choice: str) -> Iterator[tuple[str, list[str]]]:
    """Keys of an entry that are set, though the choice does not take them, and the choices that do.

    The schema says `kernels: [mala]`, or `readers: [csv]`, of a key that only these take; that is the `keyword`.
    """
    for name, part in schema["properties"].items():
        if choice not in part.get(keyword, [choice]) and entry[name] != part["default"]:
            yield name, part[keyword]


def _is_falling(numbers):
    return all(after < before for before, after in itertools.pairwise(numbers))


def check_likelihood(likelihood: Config) -> None:
    """Refuse values of the likelihood's part that the schema cannot judge."""
    for name in ("beta", "sigma"):
        lowest, highest = likelihood[name]
        if not (lowest < highest and math.isfinite(highest)):
            fail(f"likelihood.{name}", f"{likelihood[name]} does not rise; write the lowest and the highest")
    chosen = likelihood["dynamics"]["score_model"]
    if chosen is not None and chosen not in likelihood["score_models"]:
        known = ", ".join(likelihood["score_models"]) or "none"
        fail("likelihood.dynamics.score_model", f"'{chosen}' is not in score_models; known are {known}")
    for name, model in likelihood["score_models"].items():
        for error, none in EXACT_SCORE.items():
            key = f"likelihood.score_models.{name}.{error}"
            if model["weighting"] and model[error] != none:
                fail(key, "is an error of the exact score; leave it out, or the weighting")
            if not all(map(math.isfinite, model[error] if isinstance(none, list) else [model[error]])):
                fail(key, f"{model[error]} is not finite")


def check_dataset(key: str, dataset: Config, schema: Config, home: Path) -> None:
    """Refuse values of a dataset that the schema cannot judge."""
    check_reader(key, dataset, schema)
    windows = dataset["windows"]
    if windows["shares"] != "auto" and abs(sum(windows["shares"]) - 1) > 1e-9:
        fail(f"{key}.windows.shares", f"they sum to {sum(windows['shares']):g}, not 1")
    if "auto" not in (windows["length"], windows["block"]) and windows["length"] > windows["block"]:
        fail(f"{key}.windows.length", "is longer than a block of the split (windows.block)")
    check_patterns(f"{key}.windows.held_out", windows)
    for column, (lowest, highest) in dataset["plausible"].items():
        if lowest > highest:
            fail(f"{key}.plausible.{column}", f"the lowest, {lowest:g}, exceeds the highest, {highest:g}")
    check_round(f"{key}.round", dataset)
    check_transform(f"{key}.transform", dataset)
    check_query(key, dataset, schema)
    check_files(key, dataset, home)


def check_query(key: str, dataset: Config, schema: Config) -> None:
    """Refuse, beside a query, keys that say how a file is read: DuckDB reads them."""
    if dataset["query"] is None:
        return
    if dataset["reader"] == "simulated":
        fail(f"{key}.query", "is for a dataset with files; leave it out")
    for name in ("skip", "skip_last", "columns", "sheet", "encoding"):
        if dataset[name] != schema["properties"][name]["default"]:
            fail(
                f"{key}.{name}", "is not for a query, which may say it: FROM read_csv('a.csv', skip = 2); leave it out"
            )


def check_files(key: str, dataset: Config, home: Path) -> None:
    """Refuse a dataset with a file that is not there, and several where one is needed."""
    files = dataset["file"]
    if files is None or dataset["url"]:
        if isinstance(files, list):
            fail(f"{key}.file", "a download is one file; write its name alone")
        check_file(key, dataset, home)
        return
    for file in sources.files_of(files):
        if not sources.is_pattern(file, home):
            check_file(key, {"file": file}, home)
        elif not sources.matching(file, home):
            fail(f"{key}.file", f"no file matches '{file}'")
    if len(sources.matching(files, home)) > 1:
        if dataset["reader"] == "physionet-2012":
            fail(f"{key}.file", "the physionet-2012 reader takes one archive")
        for name in ("sha256", "contents_sha256"):
            if dataset[name] is not None:
                fail(f"{key}.{name}", "is of one file; leave it out of a dataset of several")


def check_round(key: str, dataset: Config) -> None:
    """Refuse steps that nothing can be rounded to, as far as the config shows it."""
    for column, step in dataset["round"].items():
        if not math.isfinite(step):
            fail(f"{key}.{column}", f"{step} is not a finite number; write a step, as 1 or 0.2")
        _check_column(f"{key}.{column}", column, dataset, "step")


def check_transform(key: str, dataset: Config) -> None:
    """Refuse transforms of columns that can have none, and a logit without a range."""
    for column, name in dataset["transform"].items():
        _check_column(f"{key}.{column}", column, dataset, "transform")
        if name == "logit":
            lowest, highest = dataset["plausible"].get(column, (0, 0))
            if not (lowest < highest and math.isfinite(highest - lowest)):
                fail(f"{key}.{column}", f"logit needs a range; write plausible: {{{column}: [0, 100]}}, say")


def _check_column(key, column, dataset, what):
    """Refuse a column of which there is no feature, or a sine and a cosine, which have no such thing as `what`."""
    if re.sub("_(sin|cos)$", "", column) in dataset["circular"]:
        fail(key, f"is circular: sine and cosine are filled in, which have no {what}; leave it out")
    if column not in (dataset["features"] or [column]):
        fail(key, f"is not one of the features, {', '.join(dataset['features'])}")


def check_reader(key: str, dataset: Config, schema: Config) -> None:
    """Refuse settings that a dataset's reader does not take."""
    if dataset["reader"] != "simulated" and dataset["file"] is None:
        fail(f"{key}.file", f"the {dataset['reader']} reader needs a file")
    for name, readers in _not_taken(dataset, schema, "readers", dataset["reader"]):
        other = f"is for the readers {' and '.join(readers)}; leave it out"
        fail(f"{key}.{name}", REFUSALS.get(dataset["reader"], other))
    if dataset["resample"] == "sum" and dataset["circular"]:
        fail(f"{key}.resample", "sums of angles mean nothing; write mean, or leave circular out")


def patterns(windows: Config) -> list[tuple[str, Config]]:
    """Names and patterns of missing entries that windows have, in the config's order."""
    own = [(OWN, {"pattern": OWN, "share": None, "length": None})] if windows["own_gaps"] else []
    return [*windows["held_out"].items(), *own]


def check_patterns(key: str, windows: Config) -> None:
    """Refuse patterns of missing entries that the schema cannot judge."""
    if not windows["held_out"]:
        fail(key, "holds no pattern; write one, as random-10: {pattern: random, share: 0.1}, or leave the key out")
    if OWN in windows["held_out"]:
        fail(f"{key}.{OWN}", "is the name of the pattern that own_gaps adds; write another")
    for name, entry in windows["held_out"].items():
        if entry["pattern"] != "blocks" and entry["length"] is not None:
            fail(f"{key}.{name}.length", f"the pattern '{entry['pattern']}' has none; leave it out")
        if entry["pattern"] == "blocks":
            if entry["length"] is None:
                fail(f"{key}.{name}.length", "the pattern 'blocks' needs it: write the steps of a run, as length: 6")
            if windows["length"] != "auto" and entry["length"] > windows["length"]:
                limit = f"a window has {windows['length']} (windows.length)"
                fail(
                    f"{key}.{name}.length",
                    f"{entry['length']} steps are too many: {limit}; write fewer, or a held_out of your own",
                )


def check_run(key: str, run: Config, config: Config) -> None:
    """Refuse values of a run of CSDI that the schema cannot judge, and names that no entry has."""
    names = {"dataset": list(config["datasets"]), "init": ["scratch", *config["csdi"]["checkpoints"]]}
    for field, known in names.items():
        if run[field] not in known:
            fail(f"{key}.{field}", f"'{run[field]}' is unknown; known are {', '.join(known)}")
    if run["init"] != "scratch":
        name = key.rpartition(".")[2]
        if run_of(config["csdi"]["checkpoints"][run["init"]], {name: run}):
            fail(f"{key}.init", f"'{run['init']}' is this run's own model; name the one to start from")
    if run["init"] == "scratch" and not run["training"]["n_steps"]:
        fail(f"{key}.training.n_steps", "0 takes a checkpoint as it is, and 'scratch' is none; write 1 or more")
    for field in ("crop_features", "crop_steps"):
        lowest, highest = run["training"][field] or (1, 1)
        if lowest > highest:
            message = f"the lowest, {lowest}, exceeds the highest, {highest}; write [{highest}, {lowest}]"
            fail(f"{key}.training.{field}", message)
    pattern, held_out = run["figure"]["held_out"], dict(patterns(config["datasets"][run["dataset"]]["windows"]))
    if pattern is not None and pattern not in held_out:
        fail(f"{key}.figure.held_out", f"'{pattern}' is unknown; known are {', '.join(held_out)}")


def run_of(checkpoint: Config, runs: Config) -> str | None:
    """The run whose model a checkpoint is, if it is one of these: it need not be there yet."""
    found = re.fullmatch(r"results/csdi/([^/]+)/model\.safetensors", str(checkpoint["file"]))
    return found[1] if found and found[1] in runs else None


def check_file(key: str, entry: Config, home: Path) -> None:
    """Refuse an entry whose file neither exists nor comes from a url with a checksum."""
    if entry.get("url"):
        if entry["sha256"] is None and entry.get("contents_sha256") is None:
            fail(f"{key}.sha256", "a download needs its sha256")
        if entry["file"] is None:
            fail(f"{key}.file", "a download needs a name")
        if os.path.isabs(entry["file"]) or ".." in Path(entry["file"]).parts:
            fail(f"{key}.file", f"'{entry['file']}' names a download; write a name below the working directory")
    elif entry["file"] and not os.path.exists(sources.shipped(entry["file"], home)):
        check_path(f"{key}.file", entry["file"])
        path = sources.expanded(entry["file"])
        read = "" if path == entry["file"] else f" ({path})"
        fail(f"{key}.file", f"there is no file '{entry['file']}'{read}")


def check_path(key: str, path: str | None) -> None:
    """Refuse a path that names an environment variable which is not set, or that is a null in quotes."""
    if path is None:
        return
    if path.lower() == "null" and not os.path.exists(path):
        fail(key, f"'{path}' is text; write it without quotes, or leave the key out ({FROM_COMMAND})")
    if unset := re.search(r"\$(\w+|\{\w+\})", sources.expanded(path)):
        fail(key, f"'{path}': the environment variable {unset[1].strip('{}')} is not set; export it, or write the path")


def check_container(image: str | None) -> None:
    """Refuse an image that is neither a file nor an address."""
    check_path("container", image)
    if image and "://" not in image and not os.path.exists(sources.expanded(image)):
        fail("container", f"there is no file '{image}'; build it (docs/container.md), or write an address, docker://..")


def check_interpreter(path: str) -> None:
    """Refuse a Python with a blank in its path."""
    if re.search(r"\s", path):
        raise InputError(f"error: {path}: Snakemake runs no script by a Python in a path with blanks; move the project")


def check_command(words: list[str]) -> None:
    """Refuse an option of Snakemake's command line that is given twice: of these it takes the last alone, silently."""
    for options, values in {("--configfile", "--configfiles"): "FILE", ("--config", "-C"): "KEY=VALUE"}.items():
        given = [_values(words[place:]) for place, word in enumerate(words) if word.partition("=")[0] in options]
        if len(given) > 1:
            form = " ".join([options[0], *itertools.chain(*given)])
            message = f"is given {len(given)} times, of which Snakemake takes the last alone"
            fail(options[0], f"{message}; write each {values} after one, as {form}")


def values_of(option: str, words: list[str]) -> list[str]:
    """The values of an option of Snakemake's command line; [] where it is not given."""
    return _values(words[words.index(option) :]) if option in words else []


def _values(words):
    """The values of the option that `words` begin with."""
    _, is_joined, first = words[0].partition("=")
    return [first] if is_joined else list(itertools.takewhile(lambda word: not word.startswith("-"), words[1:]))


def downloads(config: Config) -> dict[str, Config]:
    """{file: {checksum, url}} of what has a url; the urls of entries that share a file are joined."""
    entries: dict[str, Config] = {}
    for key, entry in _entries_with_files(config):
        if entry["url"]:
            first = entries.setdefault(entry["file"], {"key": key, "checksum": _checksum(entry), "url": []})
            if first["checksum"] != _checksum(entry):
                fail(f"{key}.sha256", f"is not that of {first['key']}, which names '{entry['file']}' too; rename one")
            urls = [entry["url"]] if isinstance(entry["url"], str) else entry["url"]
            first["url"] += [url for url in urls if url not in first["url"]]
    return entries


def _entries_with_files(config: Config) -> Iterator[tuple[str, Config]]:
    yield from ((f"datasets.{name}", entry) for name, entry in config["datasets"].items())
    yield from ((f"csdi.checkpoints.{name}", entry) for name, entry in config["csdi"]["checkpoints"].items())


def _checksum(entry):
    """The sha256 of a file, or else of its archive's contents, as `downloads.fetch` takes it."""
    contents = entry["sha256"] is None
    return {"contents": contents, "sha256": entry.get("contents_sha256") if contents else entry["sha256"]}
