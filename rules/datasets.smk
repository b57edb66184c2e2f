# compute nodes often reach no network
localrules:
    fetch_file,


rule fetch_file:
    """Fetch a file from the first source that has it and check its sha256."""
    input:
        code=code("fetch_file.py"),
    output:
        "results/downloads/{file}",
    log:
        "logs/downloads/{file}.log",
    benchmark:
        "logs/downloads/{file}.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=30,
    params:
        settings=lambda wildcards: DOWNLOADS[wildcards.file]["checksum"],
        sources=sources,
    script:
        "../scripts/fetch_file.py"


rule tidy_series:
    """Read a dataset into one tidy series on a regular time grid."""
    input:
        file=lambda wildcards: source(section("datasets", wildcards.dataset)),
        code=code("tidy_series.py"),
    output:
        series="results/datasets/{dataset}/series.parquet",
    log:
        "logs/datasets/{dataset}/tidy_series.log",
    benchmark:
        "logs/datasets/{dataset}/tidy_series.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        content=lambda wildcards: content(section("datasets", wildcards.dataset)),
        settings=settings("datasets", "{dataset}", without=["file", "units", "url", "windows"], seed=config["seed"]),
    script:
        "../scripts/tidy_series.py"


rule cut_windows:
    """Cut a series into windows, split them by time and hold targets out."""
    input:
        series="results/datasets/{dataset}/series.parquet",
        code=code("cut_windows.py"),
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
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=settings(
            "datasets",
            "{dataset}",
            "windows",
            circular=of_the_dataset("circular"),
            file=of_the_dataset("file"),
            group=of_the_dataset("group"),
            held_out=patterns,
            seed=config["seed"],
        ),
    script:
        "../scripts/cut_windows.py"
