def csdi_files():
    """What `rule all` makes of the runs of CSDI."""
    files = ["model.safetensors", "history.parquet", "samples.parquet", "window_scores.parquet", "metrics.parquet"]
    files += ["surprise.png", "loss.png", "imputation.png", "calibration.png", "metrics.png"]
    on_request = {
        "fill_gaps": ["imputed.parquet", "imputed.csv", "gaps.png"],
        "conformal": ["validation_samples.parquet"],
    }
    paths = []
    for name, run in config["csdi"]["runs"].items():
        more = [file for key in on_request if run[key] for file in on_request[key]]
        paths += [f"results/csdi/{name}/{file}" for file in files + more]
    return paths


def run_setting(*keys):
    """A function of the wildcards: a setting of a run."""
    return lambda wildcards: section("csdi", "runs", wildcards.run, *keys)


def dataset_of_run(wildcards):
    """The settings of the dataset that the run is about."""
    return section("datasets", run_setting("dataset")(wildcards))


def dataset_file(name):
    """A function of the wildcards: a file of the dataset that the run is about."""
    return lambda wildcards: f"results/datasets/{run_setting('dataset')(wildcards)}/{name}"


def init_checkpoint(wildcards):
    """The checkpoint that the run starts from, an entry of csdi.checkpoints; None from scratch."""
    init = run_setting("init")(wildcards)
    return None if init == "scratch" else section("csdi", "checkpoints", init)


def validation_samples(wildcards):
    """The imputed validation windows where the run's intervals are corrected by them; else []."""
    corrected = run_setting("conformal")(wildcards)
    return f"results/csdi/{wildcards.run}/validation_samples.parquet" if corrected else []


def units(wildcards):
    """Units of the columns of the dataset that the run is about."""
    return dataset_of_run(wildcards)["units"]


def window_length(wildcards):
    """Steps of a window of the dataset that the run is about."""
    return dataset_of_run(wildcards)["windows"]["length"]


def gap_settings(wildcards):
    """What filling the gaps takes of the dataset that the run is about."""
    dataset = dataset_of_run(wildcards)
    return {key: dataset[key] for key in ("circular", "group", "plausible")} | {"length": window_length(wildcards)}


def save_every(wildcards, output):
    """Steps between two saved states of a training; as it asks for `output`, Snakemake never compares it."""
    return run_setting("training", "save_every")(wildcards)


# without the threads, which do not change samples
sampling = settings("csdi", "runs", "{run}", "sampling", without=["threads"])


rule train_csdi:
    """Train or fine-tune CSDI on the training windows of a dataset."""
    input:
        init=lambda wildcards: input_file(init_checkpoint(wildcards)),
        windows=dataset_file("windows.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        model="results/csdi/{run}/model.safetensors",
        history="results/csdi/{run}/history.parquet",
    log:
        "logs/csdi/{run}/train_csdi.log",
    benchmark:
        "logs/csdi/{run}/train_csdi.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: run_setting("training", "threads")
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        content=lambda wildcards: content(init_checkpoint(wildcards)),
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["conditional", "dataset", "device", "init"],
            training=settings("csdi", "runs", "{run}", "training", without=["save_every"]),
            init_sha256=lambda wildcards: (init_checkpoint(wildcards) or {}).get("sha256"),
            seed=config["seed"],
        ),
        save_every=save_every,
    script:
        "../scripts/train_csdi.py"


rule impute_csdi:
    """Impute the held-out entries of the test windows (of the validation windows: impute_validation)."""
    input:
        model="results/csdi/{run}/model.safetensors",
        windows=dataset_file("windows.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        samples="results/csdi/{run}/samples.parquet",
    log:
        "logs/csdi/{run}/impute_csdi.log",
    benchmark:
        "logs/csdi/{run}/impute_csdi.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: run_setting("sampling", "threads")
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("csdi", "runs", "{run}", only=["device"], sampling=sampling, seed=config["seed"]),
        split="test",
    script:
        "../scripts/impute_csdi.py"


use rule impute_csdi as impute_validation with:
    output:
        samples="results/csdi/{run}/validation_samples.parquet",
    log:
        "logs/csdi/{run}/impute_validation.log",
    benchmark:
        "logs/csdi/{run}/impute_validation.tsv"
    params:
        split="valid",


rule score_windows:
    """Bound the negative log-likelihood of the held-out entries of each test window."""
    input:
        model="results/csdi/{run}/model.safetensors",
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        scores="results/csdi/{run}/window_scores.parquet",
    log:
        "logs/csdi/{run}/score_windows.log",
    benchmark:
        "logs/csdi/{run}/score_windows.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: run_setting("sampling", "threads")
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["device", "likelihood"],
            chunk=run_setting("sampling", "chunk"),
            seed=config["seed"],
        ),
    script:
        "../scripts/score_windows.py"


rule fill_gaps:
    """Fill the series' own gaps with a trained CSDI, with intervals."""
    input:
        model="results/csdi/{run}/model.safetensors",
        series=dataset_file("series.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        imputed="results/csdi/{run}/imputed.parquet",
        csv="results/csdi/{run}/imputed.csv",
    log:
        "logs/csdi/{run}/fill_gaps.log",
    benchmark:
        "logs/csdi/{run}/fill_gaps.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: run_setting("sampling", "threads")
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings(
            "csdi", "runs", "{run}", only=["device"], dataset=gap_settings, sampling=sampling, seed=config["seed"]
        ),
    script:
        "../scripts/fill_gaps.py"


rule plot_gaps:
    """Draw the longest gaps of the series as they were filled."""
    input:
        imputed="results/csdi/{run}/imputed.parquet",
    output:
        figure=report(
            "results/csdi/{run}/gaps.png",
            caption="../report/gaps.rst",
            category="CSDI",
            labels={"figure": "gaps", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_gaps.log",
    benchmark:
        "logs/csdi/{run}/plot_gaps.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"], length=window_length, units=units),
    script:
        "../scripts/plot_gaps.py"


rule evaluate_csdi:
    """Score the imputation of held-out entries beside the baselines."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        scores="results/csdi/{run}/window_scores.parquet",
        validation=validation_samples,
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        metrics="results/csdi/{run}/metrics.parquet",
    log:
        "logs/csdi/{run}/evaluate_csdi.log",
    benchmark:
        "logs/csdi/{run}/evaluate_csdi.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings(seed=config["seed"]),
    script:
        "../scripts/evaluate_csdi.py"


rule plot_loss:
    """Draw the training history."""
    input:
        history="results/csdi/{run}/history.parquet",
    output:
        figure=report(
            "results/csdi/{run}/loss.png",
            caption="../report/loss.rst",
            category="CSDI",
            labels={"figure": "loss", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_loss.log",
    benchmark:
        "logs/csdi/{run}/plot_loss.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"]),
    script:
        "../scripts/plot_loss.py"


rule plot_imputation:
    """Draw test windows with their held-out entries imputed."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
    output:
        figure=report(
            "results/csdi/{run}/imputation.png",
            caption="../report/imputation.rst",
            category="CSDI",
            labels={"figure": "imputation", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_imputation.log",
    benchmark:
        "logs/csdi/{run}/plot_imputation.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", units=units),
    script:
        "../scripts/plot_imputation.py"


rule plot_surprise:
    """Draw the most and the least surprising test windows."""
    input:
        scores="results/csdi/{run}/window_scores.parquet",
        samples="results/csdi/{run}/samples.parquet",
        windows=dataset_file("windows.parquet"),
        series=dataset_file("series.parquet"),
    output:
        figure=report(
            "results/csdi/{run}/surprise.png",
            caption="../report/surprise.rst",
            category="CSDI",
            labels={"figure": "surprise", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_surprise.log",
    benchmark:
        "logs/csdi/{run}/plot_surprise.tsv"
    conda:
        "../envs/scoredag.yaml"
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour", "held_out"], units=units),
    script:
        "../scripts/plot_surprise.py"


rule plot_calibration:
    """Draw how often held-out values fall inside the intervals."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        validation=validation_samples,
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        figure=report(
            "results/csdi/{run}/calibration.png",
            caption="../report/calibration.rst",
            category="CSDI",
            labels={"figure": "calibration", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_calibration.log",
    benchmark:
        "logs/csdi/{run}/plot_calibration.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"]),
    script:
        "../scripts/plot_calibration.py"


rule plot_metrics:
    """Draw the scores of CSDI and the baselines."""
    input:
        metrics="results/csdi/{run}/metrics.parquet",
    output:
        figure=report(
            "results/csdi/{run}/metrics.png",
            caption="../report/metrics.rst",
            category="CSDI",
            labels={"figure": "metrics", "run": "{run}"},
        ),
    log:
        "logs/csdi/{run}/plot_metrics.log",
    benchmark:
        "logs/csdi/{run}/plot_metrics.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"]),
    script:
        "../scripts/plot_metrics.py"
