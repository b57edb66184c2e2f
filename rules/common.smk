"""What all rules share. The config is checked here; its sections, code and data become inputs."""

import ast
import contextlib
import functools
import hashlib
import math
import os
from pathlib import Path

from jsonschema.exceptions import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

HOME = Path(workflow.basedir)
SCRIPTS = HOME / "scripts"
OF_KERNELS = {
    "noise_covariance": ("overdamped",),
    "preconditioner": ("overdamped", "mala"),
    "noise_levels": ("annealed",),
    "temperatures": ("tempering",),
}
NO_ERROR = {"scale": 1, "bias": [0, 0], "variance": 1}  # of a score model
PHYSIONET_TAKES_NO = ("circular", "features", "group", "missing", "plausible", "resample", "series")


def fail(key, message):
    """Stop with one line that names the config key."""
    raise WorkflowError(f"config: {key}: {message}") from None


def drop_nulls(config):
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


def check_schema(config):
    """Fill in defaults; refuse what the schema refuses, in one line."""
    try:
        validate(config, schema=str(HOME / "config" / "schema.yaml"))
    except WorkflowError as error:
        cause = error.__context__
        if not isinstance(cause, ValidationError):
            raise
        message = cause.message
        if cause.validator == "oneOf":
            message = f"{cause.instance} will not do: {cause.schema['description']}"
        elif "propertyNames" in cause.absolute_schema_path:
            message = f"'{cause.instance}' is not a name: letters, digits, '_', '-' and '.'; a number needs quotes"
        elif cause.validator == "type" and looks_like_number(cause.instance):
            message += (
                "; write it without quotes, as 0.001 or 1.0e-3 "
                "(numbers inside --config a={...} arrive as text: put them into a file for --configfile)"
            )
        fail(".".join(map(str, cause.absolute_path)) or "top level", message)


def looks_like_number(value):
    """Whether `value` is text that reads as a number."""
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def check_variant(key, variant):
    """Refuse numbers of a Langevin variant that the schema cannot judge."""
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
    for name, kernels in OF_KERNELS.items():
        if variant[name] and variant["kernel"] not in kernels:
            fail(f"{key}.{name}", f"the kernel '{variant['kernel']}' takes none; it is for {' and '.join(kernels)}")
    levels, ladder = variant["noise_levels"], variant["temperatures"]
    if variant["kernel"] == "annealed" and not (0 < len(levels) <= variant["n_steps"] and falling(levels)):
        fail(f"{key}.noise_levels", f"{levels} do not fall; write some, at most n_steps, as [4.0, 1.0, 0.1]")
    if variant["kernel"] == "tempering" and not (len(ladder) > 1 and ladder[0] == 1 and falling(ladder[::-1])):
        fail(f"{key}.temperatures", f"{ladder} do not rise from 1; write two or more, as [1, 2, 4]")


def check_likelihood(likelihood):
    """Refuse numbers of the likelihood's part that the schema cannot judge."""
    for name in ("beta", "sigma"):
        lowest, highest = likelihood[name]
        if not (lowest < highest and math.isfinite(highest)):
            fail(f"likelihood.{name}", f"{likelihood[name]} does not rise; write the lowest and the highest")
    for name, model in likelihood["score_models"].items():
        for error, none in NO_ERROR.items():
            if model["weighting"] and model[error] != none:
                key = f"likelihood.score_models.{name}.{error}"
                fail(key, "is an error of the exact score; leave it out, or the weighting")
            if not all(map(math.isfinite, model[error] if isinstance(none, list) else [model[error]])):
                fail(f"likelihood.score_models.{name}.{error}", f"{model[error]} is not finite")


def falling(numbers):
    """Whether each number is less than the one before."""
    return all(after < before for before, after in zip(numbers, numbers[1:]))


def check_reader(key, dataset):
    """Refuse settings of a reader that the schema cannot judge."""
    if dataset["reader"] != "simulated" and dataset["file"] is None:
        fail(f"{key}.file", f"the {dataset['reader']} reader needs a file")
    for field in PHYSIONET_TAKES_NO if dataset["reader"] == "physionet-2012" else ():
        if dataset[field]:
            fail(f"{key}.{field}", "the physionet-2012 reader takes the 35 features as they are; leave it out")
    if dataset["reader"] == "tidy" and dataset["group"] is not None:
        fail(f"{key}.group", "a tidy table has none; rename its features, or see 'series'")
    if dataset["resample"] == "sum" and dataset["circular"]:
        fail(f"{key}.resample", "sums of angles mean nothing; write mean, or leave circular out")


def check_patterns(key, windows):
    """Refuse patterns of missing entries that the schema cannot judge."""
    if not windows["held_out"]:
        fail(key, "holds no pattern; write one, as random-10: {pattern: random, share: 0.1}, or leave the key out")
    for name, entry in windows["held_out"].items():
        if entry["pattern"] != "blocks" and entry["length"] is not None:
            fail(f"{key}.{name}.length", f"the pattern '{entry['pattern']}' has none; leave it out")
        if entry["pattern"] == "blocks":
            if entry["length"] is None:
                fail(f"{key}.{name}.length", "the pattern 'blocks' needs it: write the steps of a run, as length: 6")
            if entry["length"] > windows["length"]:
                limit = f"a window has {windows['length']} (windows.length)"
                fail(
                    f"{key}.{name}.length",
                    f"{entry['length']} steps are too many: {limit}; write fewer, or a held_out of your own",
                )


def check_references(config):
    """Refuse what only a look at several keys can find."""
    for name, variant in config["langevin"]["variants"].items():
        check_variant(f"langevin.variants.{name}", variant)
    check_likelihood(config["likelihood"])
    for name, dataset in config["datasets"].items():
        key = f"datasets.{name}"
        check_reader(key, dataset)
        if abs(sum(dataset["windows"]["shares"]) - 1) > 1e-9:
            fail(f"{key}.windows.shares", f"they sum to {sum(dataset['windows']['shares']):g}, not 1")
        if dataset["windows"]["length"] > dataset["windows"]["block"]:
            fail(f"{key}.windows.length", "is longer than a block of the split (windows.block)")
        check_patterns(f"{key}.windows.held_out", dataset["windows"])
        for column, (lowest, highest) in dataset["plausible"].items():
            if lowest > highest:
                fail(f"{key}.plausible.{column}", f"the lowest, {lowest:g}, exceeds the highest, {highest:g}")
        check_source(key, dataset)
    for name, checkpoint in config["csdi"]["checkpoints"].items():
        check_source(f"csdi.checkpoints.{name}", checkpoint)
    for name, run in config["csdi"]["runs"].items():
        known = {"dataset": list(config["datasets"]), "init": ["scratch", *config["csdi"]["checkpoints"]]}
        for field, names in known.items():
            if run[field] not in names:
                fail(f"csdi.runs.{name}.{field}", f"'{run[field]}' is unknown; known are {', '.join(names)}")
        if run["init"] == "scratch" and not run["training"]["n_steps"]:
            fail(
                f"csdi.runs.{name}.training.n_steps",
                "0 takes a checkpoint as it is, and 'scratch' is none; write 1 or more",
            )
        for field in ("crop_features", "crop_steps"):
            lowest, highest = run["training"][field] or (1, 1)
            if lowest > highest:
                key = f"csdi.runs.{name}.training.{field}"
                fail(key, f"the lowest, {lowest}, exceeds the highest, {highest}; write [{highest}, {lowest}]")
        shown, names = run["figure"]["held_out"], list(config["datasets"][run["dataset"]]["windows"]["held_out"])
        if shown is not None and shown not in names:
            fail(f"csdi.runs.{name}.figure.held_out", f"'{shown}' is unknown; known are {', '.join(names)}")
    check_source("gmm", config["gmm"])


def check_source(key, entry):
    """A file has to be there, or to come from a url with a checksum."""
    if entry.get("url"):
        if entry["sha256"] is None and entry.get("contents_sha256") is None:
            fail(f"{key}.sha256", "a download needs its sha256")
        if entry["file"] is None:
            fail(f"{key}.file", "a download needs a name")
        if os.path.isabs(entry["file"]) or ".." in Path(entry["file"]).parts:
            fail(f"{key}.file", f"'{entry['file']}' names a download; write a name below the working directory")
    elif entry["file"] and not os.path.exists(shipped(entry["file"])):
        fail(f"{key}.file", f"there is no file '{entry['file']}'")


def shipped(path):
    """`path` where it exists below the working directory, else below the workflow's own folder."""
    return path if os.path.exists(path) else os.path.relpath(HOME / path)


def source(entry):
    """The file of a dataset or checkpoint, which is a download where it has a url; [] for none."""
    if entry is None or entry["file"] is None:
        return []
    # by the config alone: a file that comes or goes would be another input, and everything would run again
    return f"results/downloads/{entry['file']}" if entry.get("url") else shipped(entry["file"])


def checksum(entry):
    """The sha256 of a file, or else of its archive's contents, as `download.fetch` wants it."""
    contents = entry["sha256"] is None
    return {"contents": contents, "sha256": entry.get("contents_sha256") if contents else entry["sha256"]}


def downloads(config):
    """{file: {checksum, url}} of what has a url; the urls of entries that share a file are joined."""
    entries = {f"datasets.{name}": entry for name, entry in config["datasets"].items()}
    entries |= {f"csdi.checkpoints.{name}": entry for name, entry in config["csdi"]["checkpoints"].items()}
    found = {}
    for key, entry in entries.items():
        if entry["url"]:
            known = found.setdefault(entry["file"], {"key": key, "checksum": checksum(entry), "url": []})
            if known["checksum"] != checksum(entry):
                fail(f"{key}.sha256", f"is not that of {known['key']}, which names '{entry['file']}' too; rename one")
            urls = [entry["url"]] if isinstance(entry["url"], str) else entry["url"]
            known["url"] += [url for url in urls if url not in known["url"]]
    return found


def sources(wildcards, output):
    """Where a download may come from, in order: a file that is there, the mirror, its urls.

    It asks for `output` since Snakemake never compares such params: the sha256 says what
    the file is, and where it comes from is no reason to fetch it again.
    """
    there = shipped(wildcards.file)
    return {
        "local": there if os.path.isfile(there) else None,
        "mirror": os.environ.get("SCOREDAG_MIRROR") or config["mirror"],
        "url": DOWNLOADS[wildcards.file]["url"],
    }


def section(*keys):
    """The part of the config below `keys`."""
    return functools.reduce(lambda part, key: part[key], keys, config)


def ordered(value):
    """Dicts by key and 1 for 1.0, all the way down: Snakemake compares params by their text."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(entry) for entry in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if whole else value


def settings(*keys, only=None, without=(), **more):
    """A function of the wildcards for `params`: one sorted dict of what is below `keys`.

    Wildcards in `keys` are filled in; `only` and `without` narrow the dict, `more` adds to it
    (a function is called with the wildcards). Keep it narrow: a change reruns the rule.
    """

    def of(wildcards):
        part = section(*(key.format(**dict(wildcards.items())) for key in keys)) if keys else {}
        chosen = {key: part[key] for key in part if key not in without and (only is None or key in only)}
        added = {key: value(wildcards) if callable(value) else value for key, value in more.items()}
        return ordered(chosen | added)

    return of


def code(*scripts):
    """The scripts and every module below scripts/ that they import, directly or not.

    As inputs they are compared by content, so that an edit reruns exactly what it can change.
    """
    found = set()
    todo = [SCRIPTS / script for script in scripts]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(imported(path))
    return [os.path.relpath(path) for path in sorted(found)]


def compare_contents(steps):
    """Give every rule among `steps` a digest of its code as a parameter more.

    Snakemake looks into an input only if it is newer than the output. So it would miss code that came
    with an older time, from another machine, or that was edited while the job ran.
    """
    for step in steps:
        if "code" in step.input.keys():
            step.set_params(code=digest(step.input.code))


def digest(paths):
    """SHA-256 of the contents of some files, in hexadecimal."""
    return hashlib.sha256("\n".join(map(str, map(sha256, paths))).encode()).hexdigest()


@functools.cache
def sha256(path):
    """SHA-256 of a file's content, in hexadecimal; None where it cannot be read, which its reader will tell."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def forget_compiled():
    """Remove compiled code that may be of other sources: Python and numba go by their times and sizes alone."""
    os.environ.update(PYTHONDONTWRITEBYTECODE="1")
    kernels = digest(sorted(path for path in SCRIPTS.rglob("*.py") if b"njit" in path.read_bytes()))
    record = SCRIPTS / "__pycache__" / "kernels.sha256"
    with contextlib.suppress(OSError):  # not ours to change
        known = record.is_file() and record.read_text() == kernels
        for path in SCRIPTS.rglob("__pycache__/*.*"):
            if path.suffix == ".pyc" or (path.suffix in (".nbi", ".nbc") and not known):
                path.unlink(missing_ok=True)
        if not known:
            record.parent.mkdir(exist_ok=True)
            record.write_text(kernels)


def content(entry):
    """The SHA-256 of the file of a dataset or checkpoint, whatever its time; None for a download or no file."""
    path = source(entry)
    return sha256(path) if path and not entry.get("url") else None


@functools.cache
def imported(path):
    """The modules below scripts/ that the file `path` names in an import."""
    names = set()
    for node in statements(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    # a.b.c runs a/__init__.py, a/b/__init__.py and a/b/c.py
    stems = {SCRIPTS.joinpath(*name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    candidates = {stem.with_suffix(".py") for stem in stems} | {stem / "__init__.py" for stem in stems}
    return sorted(candidate for candidate in candidates if candidate.is_file())


def statements(node):
    """All statements within a node: imports are among them, and expressions, which are many, are passed by."""
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        nested = getattr(node, part, ())
        for statement in nested if isinstance(nested, list) else ():
            yield statement
            yield from statements(statement)


def dataset_of(run):
    """The name of the dataset that a run is about."""
    return section("csdi", "runs", run, "dataset")


def datasets_in_use():
    """The names of the datasets that some run is about."""
    return sorted({dataset_of(run) for run in config["csdi"]["runs"]})


def of_dataset(name):
    """A function of the wildcards: a file of the dataset that the run is about."""
    return lambda wildcards: f"results/datasets/{dataset_of(wildcards.run)}/{name}"


def of_the_dataset(key):
    """A function of the wildcards: a setting of a dataset."""
    return lambda wildcards: section("datasets", wildcards.dataset, key)


def patterns(wildcards):
    """Pairs of a name and a pattern of missing entries, in the config's order, which sorted keys would lose."""
    return [[name, entry] for name, entry in section("datasets", wildcards.dataset, "windows", "held_out").items()]


def units(wildcards):
    """Units of the columns of the dataset that the run is about."""
    return section("datasets", dataset_of(wildcards.run), "units")


def length_of(wildcards):
    """Steps of a window of the dataset that the run is about."""
    return section("datasets", dataset_of(wildcards.run), "windows", "length")


def filling(wildcards):
    """What filling the gaps has to know of the dataset that the run is about."""
    dataset = section("datasets", dataset_of(wildcards.run))
    only = ("circular", "group", "plausible")
    return {key: dataset[key] for key in only} | {"length": length_of(wildcards)}


def save_every(wildcards, output):
    """Steps between two saved states of a training; as it asks for `output`, Snakemake never compares it."""
    return section("csdi", "runs", wildcards.run, "training", "save_every")


# but for the threads, of which samples keep no trace
sampling_of = settings("csdi", "runs", "{run}", "sampling", without=["threads"])


def validation_of(wildcards):
    """The imputed validation windows where the run's intervals are corrected by them; else []."""
    corrected = section("csdi", "runs", wildcards.run, "conformal")
    return f"results/csdi/{wildcards.run}/validation_samples.parquet" if corrected else []


def animations():
    """The animations that `rule all` makes."""
    entries = config["langevin"]["variants"].items()
    return [f"results/langevin/{name}/animation.gif" for name, variant in entries if variant["animate"]]


def optional_files():
    """What `rule all` makes of the runs that ask for more than the others."""
    files = {
        "fill_gaps": ["imputed.parquet", "imputed.csv", "gaps.png"],
        "conformal": ["validation_samples.parquet"],
    }
    runs = config["csdi"]["runs"].items()
    return [f"results/csdi/{name}/{file}" for name, run in runs for key in files if run[key] for file in files[key]]


def checkpoint_of(wildcards):
    """The checkpoint that the run starts from, an entry of csdi.checkpoints; None from scratch."""
    init = section("csdi", "runs", wildcards.run, "init")
    return None if init == "scratch" else section("csdi", "checkpoints", init)


def variants(*, sharded):
    """The Langevin variants that are moved in shards, or those that one job moves."""
    limit = config["langevin"]["shard_size"]
    entries = config["langevin"]["variants"].items()
    return [name for name, variant in entries if (variant["n_particles"] > limit) == sharded]


def of_shards():
    """The settings of a sharded Langevin variant: of each of its shards, and of the table that joins them."""
    return settings(
        n_particles=lambda wildcards: section("langevin", "variants", wildcards.sharded, "n_particles"),
        seed=config["seed"],
        shard_size=config["langevin"]["shard_size"],
        variant=settings("langevin", "variants", "{sharded}", without=["animate", "label", "n_particles"]),
    )


def shards_of(wildcards):
    """The tables of all shards of a variant, in order."""
    n_shards = -(-section("langevin", "variants", wildcards.sharded, "n_particles") // config["langevin"]["shard_size"])
    return [f"results/langevin/{wildcards.sharded}/shards/{i}.parquet" for i in range(n_shards)]


def process():
    """The forward SDE of the likelihood's part, with the numbers that it depends on."""
    part = config["likelihood"]
    span = part["sigma" if part["sde"] == "ve" else "beta"]
    return {"name": part["sde"], "smallest_time": part["smallest_time"], "span": span}


def errors_of(wildcards):
    """The errors of a score model; an empty map for a network."""
    model = section("likelihood", "score_models", wildcards.score_model)
    return {} if model["weighting"] else {error: model[error] for error in NO_ERROR}


def networks():
    """The names of the score models that are networks."""
    return [name for name, model in config["likelihood"]["score_models"].items() if model["weighting"]]


def weights_of(wildcards):
    """The weights of a score model that is a network; else []."""
    return (
        f"results/likelihood/{wildcards.score_model}/model.safetensors" if wildcards.score_model in networks() else []
    )


def likelihood_files():
    """What `rule all` makes of the likelihood's part, where there is a score model."""
    names = list(config["likelihood"]["score_models"])
    tables = ["likelihoods", "map", "quantities", "estimates", "estimated_quantities"]
    joint = ["bounds.parquet", "summary.parquet", "estimators.parquet", "score_errors.parquet"]
    joint += ["bounds.png", "gaps.png", "statements.png", "estimators.png", "score_errors.png"]
    files = [f"{name}/{table}.parquet" for name in names for table in tables]
    files += [f"{name}/model.safetensors" for name in networks()] + (joint if names else [])
    return [f"results/likelihood/{file}" for file in files]


def either(names):
    """A regular expression of the names; of none, one that matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def title(variant):
    """What a Langevin variant is called in figures: its name, and its label if it has one."""
    label = section("langevin", "variants", variant, "label")
    return f"{variant}: {label}" if label else variant


drop_nulls(config)
check_schema(config)
check_references(config)

DOWNLOADS = downloads(config)
forget_compiled()
# jobs get it from the environment: as a parameter it would be a reason to run again
if config["cache"] is not None:
    os.environ.setdefault("SCOREDAG_CACHE", os.path.abspath(os.path.expanduser(config["cache"])))


def check_writable():
    """Refuse a folder of results or logs that cannot be written, before any old result is removed."""
    for top in ("results", "logs"):
        for folder, _, _ in os.walk(top):
            if not os.access(folder, os.W_OK):
                raise WorkflowError(f"error: {folder}: cannot be written (a read-only disk, or someone else's folder)")


onstart:
    check_writable()


wildcard_constraints:
    variant=either(config["langevin"]["variants"]),
    whole=either(variants(sharded=False)),
    sharded=either(variants(sharded=True)),
    shard=r"\d+",
    score_model=either(config["likelihood"]["score_models"]),
    network=either(networks()),
    dataset=either(config["datasets"]),
    run=either(config["csdi"]["runs"]),
    file=either(DOWNLOADS),
