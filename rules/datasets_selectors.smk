"""What the rules of datasets ask of the config."""

DOWNLOADS = checks.downloads(config)


def download_sources(wildcards, output):
    """Where a download may come from, in order: a file that is there, the mirror, its urls.

    It asks for `output` since Snakemake never compares such params: the sha256 says what
    the file is, and where it comes from is no reason to fetch it again.
    """
    path = sources.shipped(wildcards.file, HOME)
    mirror = os.environ.get("SCOREDAG_MIRROR") or config["mirror"]
    return {
        "local": path if os.path.isfile(path) else None,
        "mirror": mirror and sources.expanded(mirror),
        "url": DOWNLOADS[wildcards.file]["url"],
    }


def dataset_files(wildcards):
    """The files of a dataset; none of a simulated one."""
    dataset = section("datasets", wildcards.dataset)
    if dataset["file"] is None or dataset["url"]:
        return [path for path in [input_file(dataset)] if path]
    return [local(path) for path in sources.matching(dataset["file"], HOME)]


def dataset_content(wildcards):
    """The SHA-256 of the file of a dataset, or of each of several, whatever its time; None for a download or no file."""
    if section("datasets", wildcards.dataset, "url"):
        return None
    digests = [sources.content(path) for path in dataset_files(wildcards)]
    return digests if len(digests) > 1 else next(iter(digests), None)


def dataset_setting(key):
    """A function of the wildcards: a setting of a dataset."""
    return lambda wildcards: section("datasets", wildcards.dataset, key)


def covariates(dataset):
    """What tells which features of a dataset are never hidden."""
    return {"columns": dataset["covariates"], "circular": dataset["circular"], "group": dataset["group"]}


def trained_model(wildcards):
    """The weights whose statistics normalise a dataset, where it names a checkpoint; else []."""
    of = section("datasets", wildcards.dataset, "windows", "statistics")
    return input_file(config["csdi"]["checkpoints"].get(of))


def logit_ranges(wildcards):
    """The plausible ranges of the columns of a dataset that have a logit."""
    dataset = section("datasets", wildcards.dataset)
    return {name: ends for name, ends in dataset["plausible"].items() if dataset["transform"].get(name) == "logit"}


def patterns(wildcards):
    """Pairs of a name and a pattern of missing entries, in the config's order, which sorted keys would lose."""
    return list(map(list, checks.patterns(section("datasets", wildcards.dataset, "windows"))))


def datasets_in_shards(are):
    """The names of the datasets whose windows simpler methods impute in several shards, or of the others."""
    return [name for name, dataset in config["datasets"].items() if (dataset["shards"] > 1) == are]


def baselines_shard(wildcards):
    """The number of a shard, and of how many; the number after the last one is that of the structural model."""
    return [int(wildcards.shard), section("datasets", wildcards.dataset, "shards")]


def shards_of_baselines(wildcards):
    """The tables of all shards of a dataset's simpler methods, in order, that of the structural model last."""
    folder = f"results/datasets/{wildcards.dataset}/shards"
    return [f"{folder}/{i}/baselines.parquet" for i in range(section("datasets", wildcards.dataset, "shards") + 1)]
