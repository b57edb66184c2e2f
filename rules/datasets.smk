DOWNLOADS = checks.downloads(config)


def dataset_files():
    """What `rule all` makes of the datasets that some run is about."""
    datasets = sorted({run["dataset"] for run in config["csdi"]["runs"].values()})
    tables = ["series", "windows", "window_starts", "statistics"]
    return [f"results/datasets/{dataset}/{table}.parquet" for dataset in datasets for table in tables]


def download_sources(wildcards, output):
    """Where a download may come from, in order: a file that is there, the mirror, its urls.

    It asks for `output` since Snakemake never compares such params: the sha256 says what
    the file is, and where it comes from is no reason to fetch it again.
    """
    local = sources.shipped(wildcards.file, HOME)
    return {
        "local": local if os.path.isfile(local) else None,
        "mirror": os.environ.get("SCOREDAG_MIRROR") or config["mirror"],
        "url": DOWNLOADS[wildcards.file]["url"],
    }


def dataset_setting(key):
    """A function of the wildcards: a setting of a dataset."""
    return lambda wildcards: section("datasets", wildcards.dataset, key)


def patterns(wildcards):
    """Pairs of a name and a pattern of missing entries, in the config's order, which sorted keys would lose."""
    return [[name, entry] for name, entry in section("datasets", wildcards.dataset, "windows", "held_out").items()]


rule fetch_file:
    """Fetch a file from the first source that has it and check its sha256."""
    output:
        file="results/downloads/{file}",
    log:
        "logs/downloads/{file}.log",
    benchmark:
        "logs/downloads/{file}.tsv"
    wildcard_constraints:
        file=either(DOWNLOADS),
    localrule: True  # compute nodes often reach no network
    conda:
        "../envs/scoredag.yaml"
    resources:
        runtime=30,
    params:
        settings=lambda wildcards: DOWNLOADS[wildcards.file]["checksum"],
        sources=download_sources,
    script:
        "../scripts/fetch_file.py"


rule tidy_series:
    """Read a dataset into one tidy series on a regular time grid."""
    input:
        file=lambda wildcards: input_file(section("datasets", wildcards.dataset)),
    output:
        series="results/datasets/{dataset}/series.parquet",
    log:
        "logs/datasets/{dataset}/tidy_series.log",
    benchmark:
        "logs/datasets/{dataset}/tidy_series.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=2000,
    params:
        content=lambda wildcards: content(section("datasets", wildcards.dataset)),
        settings=settings("datasets", "{dataset}", without=["file", "units", "url", "windows"], seed=config["seed"]),
    script:
        "../scripts/tidy_series.py"


rule cut_windows:
    """Cut a series into windows, split them by time and hold targets out."""
    input:
        series="results/datasets/{dataset}/series.parquet",
    output:
        windows="results/datasets/{dataset}/windows.parquet",
        starts="results/datasets/{dataset}/window_starts.parquet",
        statistics="results/datasets/{dataset}/statistics.parquet",
    log:
        "logs/datasets/{dataset}/cut_windows.log",
    benchmark:
        "logs/datasets/{dataset}/cut_windows.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=2000,
    params:
        settings=settings(
            "datasets",
            "{dataset}",
            "windows",
            circular=dataset_setting("circular"),
            file=dataset_setting("file"),
            group=dataset_setting("group"),
            held_out=patterns,
            seed=config["seed"],
        ),
    script:
        "../scripts/cut_windows.py"
