# Rules of priority 1 come before all that trainings, which take all cores, can wait for.
include: "datasets_selectors.smk"


DATASET_FILES = expand(
    "results/datasets/{dataset}/{file}",
    dataset=sorted({run["dataset"] for run in config["csdi"]["runs"].values() if run["in_all"]}),
    file=["series.parquet", "missingness.parquet", "windows.parquet", "window_starts.parquet"]
    + ["statistics.parquet", "structural.parquet", "missingness.png"],
)


rule fetch_file:
    """Fetch a file from the first source that has it and check its sha256."""
    output:
        file="results/downloads/{file}",
    wildcard_constraints:
        file=either(DOWNLOADS),
    localrule: True  # compute nodes often reach no network
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
        file=dataset_files,
    output:
        series="results/datasets/{dataset}/series.parquet",
    resources:
        mem_mb=2000,
    params:
        content=dataset_content,
        settings=settings(
            "datasets",
            "{dataset}",
            without=["file", "round", "shards", "transform", "units", "url", "windows"],
            seed=config["seed"],
        ),
    script:
        "../scripts/tidy_series.py"


rule measure_missingness:
    """Count what is missing in a series: by feature, by time, by length of the gaps, together with what."""
    input:
        series="results/datasets/{dataset}/series.parquet",
    output:
        missingness="results/datasets/{dataset}/missingness.parquet",
    resources:
        mem_mb=2000,
    script:
        "../scripts/measure_missingness.py"


rule plot_missingness:
    """Draw what is missing in a series, before anything is filled."""
    input:
        missingness="results/datasets/{dataset}/missingness.parquet",
    output:
        figure=figure(
            "results/datasets/{dataset}/missingness.png",
            "Datasets",
            "What is missing in {dataset}, before anything is filled. Above, the share of missing values of each feature "
            "over time, from none (light grey) to all (dark; white where there is no series), and beside it over the "
            "whole series; features with the most missing values come first. Below, how long the gaps are: shares of all "
            "gaps, whose number stands at the bars, and of all missing values; of the steps at which one feature is "
            "missing, the share at which another is missing as well (of two to forty features with gaps); and the share "
            "by hour of the day where steps are less than a day apart, and by month where all months occur.",
            dataset="{dataset}",
        ),
    script:
        "../scripts/plot_missingness.py"


rule cut_windows:
    """Cut a series into windows, split them by time and hold targets out."""
    input:
        series="results/datasets/{dataset}/series.parquet",
        model=trained_model,
    output:
        windows="results/datasets/{dataset}/windows.parquet",
        starts="results/datasets/{dataset}/window_starts.parquet",
        statistics="results/datasets/{dataset}/statistics.parquet",
        profile="results/datasets/{dataset}/profile.parquet",
    priority: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings(
            "datasets",
            "{dataset}",
            "windows",
            circular=dataset_setting("circular"),
            covariates=dataset_setting("covariates"),
            file=dataset_setting("file"),
            group=dataset_setting("group"),
            held_out=patterns,
            plausible=logit_ranges,
            seed=config["seed"],
            transform=dataset_setting("transform"),
        ),
    script:
        "../scripts/cut_windows.py"


rule fit_gaussian:
    """Estimate the joint Gaussian of a dataset's windows."""
    input:
        windows="results/datasets/{dataset}/windows.parquet",
        statistics="results/datasets/{dataset}/statistics.parquet",
    output:
        gaussian="results/datasets/{dataset}/gaussian.safetensors",
    priority: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/fit_gaussian.py"


rule fit_structural:
    """Estimate a structural model of each feature of a series from its training steps."""
    input:
        series="results/datasets/{dataset}/series.parquet",
        profile="results/datasets/{dataset}/profile.parquet",
        statistics="results/datasets/{dataset}/statistics.parquet",
    output:
        structural="results/datasets/{dataset}/structural.parquet",
    priority: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=settings(
            "datasets",
            "{dataset}",
            "windows",
            only=["block", "length", "shares", "split_seed"],
            held_out=patterns,
        ),
    script:
        "../scripts/fit_structural.py"


rule impute_baselines:
    """Impute the held-out entries of the validation and the test windows by simpler methods."""
    input:
        series="results/datasets/{dataset}/series.parquet",
        profile="results/datasets/{dataset}/profile.parquet",
        windows="results/datasets/{dataset}/windows.parquet",
        starts="results/datasets/{dataset}/window_starts.parquet",
        statistics="results/datasets/{dataset}/statistics.parquet",
        gaussian="results/datasets/{dataset}/gaussian.safetensors",
        structural="results/datasets/{dataset}/structural.parquet",
    output:
        baselines="results/datasets/{dataset}/baselines.parquet",
    wildcard_constraints:
        dataset=either(datasets_in_shards(False)),
    priority: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings={},
    script:
        "../scripts/impute_baselines.py"


use rule impute_baselines as impute_baselines_shard with:
    output:
        baselines=temp("results/datasets/{dataset}/shards/{shard}/baselines.parquet"),
    wildcard_constraints:
        dataset=either(datasets_in_shards(True)),
    params:
        settings=settings(shard=baselines_shard),


rule gather_baselines:
    """Join the shards of a dataset's table of simpler methods."""
    input:
        shards=shards_of_baselines,
    output:
        baselines="results/datasets/{dataset}/baselines.parquet",
    wildcard_constraints:
        dataset=either(datasets_in_shards(True)),
    priority: 1
    resources:
        runtime=60,
    script:
        "../scripts/gather_baselines.py"
