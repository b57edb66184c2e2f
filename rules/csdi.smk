include: "csdi_selectors.smk"


CSDI_FILES = [
    *expand(
        "results/csdi/{run}/{file}",
        run=runs(),
        file=["model.safetensors", "model-card.md", "history.parquet", "samples.parquet", "window_scores.parquet"]
        + ["metrics.parquet", "validation_samples.parquet", "validation_metrics.parquet"]
        + ["surprise.png", "loss.png", "imputation.png", "calibration.png", "metrics.png", "joint_scores.png"]
        + ["explore.html"],
    ),
    *expand("results/csdi/{run}/{file}", run=runs("fill_gaps"), file=["imputed.parquet", "imputed.csv", "gaps.png"]),
]


rule train_csdi:
    """Train or fine-tune CSDI on the training windows of a dataset."""
    input:
        init=lambda wildcards: input_file(init_checkpoint(wildcards)),
        windows=dataset_file("windows.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        model="results/csdi/{run}/model.safetensors",
        history="results/csdi/{run}/history.parquet",
    threads: run_setting("training", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        content=lambda wildcards: content(init_checkpoint(wildcards)),
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["conditional", "dataset", "device", "init"],
            covariates=lambda wildcards: covariates(dataset_of_run(wildcards)),
            training=settings("csdi", "runs", "{run}", "training", without=["save_every"]),
            init_sha256=lambda wildcards: (init_checkpoint(wildcards) or {}).get("sha256"),
            seed=config["seed"],
        ),
        save_every=save_every,
    script:
        "../scripts/train_csdi.py"


rule choose_start:
    """Choose where the reverse process starts, by the CRPS of validation windows."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        choice="results/csdi/{run}/start_choice.parquet",
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["device"],
            sampling=settings("csdi", "runs", "{run}", "sampling", without=["n_samples", "start", "threads"]),
            seed=config["seed"],
        ),
    script:
        "../scripts/choose_start.py"


rule impute_csdi:
    """Impute the held-out entries of the test windows (of the validation windows: impute_validation)."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        choice=start_choice,
        windows=dataset_file("windows.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        samples="results/csdi/{run}/samples.parquet",
    wildcard_constraints:
        run=either(in_shards(False)),
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=imputation_settings(),
        split="test",
    script:
        "../scripts/impute_csdi.py"


use rule impute_csdi as impute_validation with:
    output:
        samples="results/csdi/{run}/validation_samples.parquet",
    wildcard_constraints:
        run=either(in_shards(False)),
    params:
        split="valid",


use rule impute_csdi as impute_shard with:
    output:
        samples=temp("results/csdi/{run}/shards/{shard}/samples.parquet"),
    wildcard_constraints:
        run=either(in_shards(True)),
    params:
        settings=imputation_settings(shard=shard),


use rule impute_validation as impute_validation_shard with:
    output:
        samples=temp("results/csdi/{run}/shards/{shard}/validation_samples.parquet"),
    wildcard_constraints:
        run=either(in_shards(True)),
    params:
        settings=imputation_settings(shard=shard),


rule score_windows:
    """Bound the negative log-likelihood of the held-out entries of each test window."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        choice=start_choice,
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        scores="results/csdi/{run}/window_scores.parquet",
    wildcard_constraints:
        run=either(in_shards(False)),
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=score_settings(),
    script:
        "../scripts/score_windows.py"


use rule score_windows as score_shard with:
    output:
        scores=temp("results/csdi/{run}/shards/{shard}/window_scores.parquet"),
    wildcard_constraints:
        run=either(in_shards(True)),
    params:
        settings=score_settings(shard=shard),


rule draw_gaps:
    """Draw values for the series' own gaps, in one shard of their windows (for completed series: draw_completion)."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        choice=start_choice,
        windows=dataset_file("windows.parquet"),
        series=dataset_file("series.parquet"),
        profile=dataset_file("profile.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        samples=temp("results/csdi/{run}/shards/{shard}/gap_samples.parquet"),
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=gap_sampling_settings(sampling, shard=shard),
    script:
        "../scripts/draw_gaps.py"


use rule draw_gaps as draw_completion with:
    output:
        samples=temp("results/csdi/{run}/shards/{shard}/completion_samples.parquet"),
    params:
        settings=gap_sampling_settings(completion_sampling, shard=shard),


rule gather_windows:
    """Join the shards of a run's table, in the order of its windows."""
    input:
        shards=shards_of_run,
    output:
        table="results/csdi/{run}/{table}.parquet",
    wildcard_constraints:
        run=either(in_shards(True)),
        table="samples|validation_samples|window_scores",
    resources:
        runtime=60,
    params:
        settings=table_settings,
    script:
        "../scripts/gather_windows.py"


use rule gather_windows as gather_gaps with:
    output:
        table=temp("results/csdi/{run}/{table}.parquet"),
    wildcard_constraints:
        run=either(in_shards(True)),
        table="gap_samples|completion_samples",


rule fill_gaps:
    """Fill the series' own gaps with a trained CSDI, with intervals."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        choice=start_choice,
        validation=for_calibration("results/csdi/{run}/validation_samples.parquet"),
        baselines=for_calibration("results/datasets/{dataset}/baselines.parquet"),
        structural=for_calibration("results/datasets/{dataset}/structural.parquet"),
        windows=dataset_file("windows.parquet"),
        starts=for_calibration("results/datasets/{dataset}/window_starts.parquet"),
        series=dataset_file("series.parquet"),
        profile=dataset_file("profile.parquet"),
        statistics=dataset_file("statistics.parquet"),
        drawn=drawn_in_shards("gap_samples"),
    output:
        imputed="results/csdi/{run}/imputed.parquet",
        csv="results/csdi/{run}/imputed.csv",
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["device", "level", "max_gap", "method"],
            dataset=gap_settings,
            sampling=sampling,
            seed=config["seed"],
        ),
    script:
        "../scripts/fill_gaps.py"


rule plot_gaps:
    """Draw the longest gaps of the series as they were filled."""
    input:
        imputed="results/csdi/{run}/imputed.parquet",
        windows=dataset_file("windows.parquet"),
    output:
        figure=figure(
            "results/csdi/{run}/gaps.png",
            "CSDI",
            "The longest gaps of the series as filled by run {run}: observed values (dots), the median of the "
            "samples (line) and their central interval (band, 5 to 95 % by default). The longest gap of every "
            "feature comes first. Where a value is observed, the band closes. A gap that does not fit into a "
            "window, as its title then says, is filled from several windows; its middle does not see its "
            "ends.",
            run="{run}",
        ),
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"], level=level, units=units),
    script:
        "../scripts/plot_gaps.py"


rule complete_series:
    """Fill the series' own gaps with joint draws, of which sums and means have honest intervals."""
    input:
        model="results/csdi/{run}/model.safetensors",
        gaussian=dataset_file("gaussian.safetensors"),
        choice=start_choice,
        validation=for_calibration("results/csdi/{run}/validation_samples.parquet"),
        baselines=for_calibration("results/datasets/{dataset}/baselines.parquet"),
        structural=for_calibration("results/datasets/{dataset}/structural.parquet"),
        windows=dataset_file("windows.parquet"),
        starts=for_calibration("results/datasets/{dataset}/window_starts.parquet"),
        series=dataset_file("series.parquet"),
        profile=dataset_file("profile.parquet"),
        statistics=dataset_file("statistics.parquet"),
        drawn=drawn_in_shards("completion_samples"),
    output:
        completed="results/csdi/{run}/completed.parquet",
    threads: run_setting("sampling", "threads")
    resources:
        gpu=n_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["device", "max_gap", "method"],
            dataset=gap_settings,
            draws=run_setting("completed", "draws"),
            sampling=completion_sampling,
            seed=config["seed"],
        ),
    script:
        "../scripts/complete_series.py"


rule aggregate_series:
    """Sum and average the completed series by period, with intervals."""
    input:
        completed="results/csdi/{run}/completed.parquet",
        series=dataset_file("series.parquet"),
    output:
        aggregates="results/csdi/{run}/aggregates.parquet",
    resources:
        mem_mb=4000,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["level"],
            circular=lambda wildcards: dataset_of_run(wildcards)["circular"],
            group=lambda wildcards: dataset_of_run(wildcards)["group"],
            period=run_setting("aggregates", "period"),
            shift=run_setting("aggregates", "shift"),
        ),
    script:
        "../scripts/aggregate_series.py"


rule plot_aggregates:
    """Draw means by period with their intervals."""
    input:
        aggregates="results/csdi/{run}/aggregates.parquet",
    output:
        figure=figure(
            "results/csdi/{run}/aggregates.png",
            "CSDI",
            "Means of the series by period, of the features of which most is missing, as run {run} completes them: "
            "the median over completed series and their central interval (90 % by default) where values were missing, "
            "black where none was. Below, the ends of the intervals less the median.",
            run="{run}",
        ),
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"], level=level, units=units),
    script:
        "../scripts/plot_aggregates.py"


rule plot_explore:
    """Write the page to explore a series, its gaps and the worst test windows."""
    input:
        imputed=filled_series,
        series=dataset_file("series.parquet"),
        samples="results/csdi/{run}/samples.parquet",
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        page=figure(
            "results/csdi/{run}/explore.html",
            "CSDI",
            "A page to look at the series of run {run}: zoom and move, choose features, go to the longest gaps, with "
            "the median and the interval where the run fills them, and to the test windows with the highest CRPS, "
            "with held-out values (diamonds), the median of the samples and their interval.",
            run="{run}",
        ),
    resources:
        mem_mb=4000,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            "figure",
            only=["colour"],
            dataset=run_setting("dataset"),
            level=level,
            units=units,
        ),
    script:
        "../scripts/plot_explore.py"


rule evaluate_csdi:
    """Score the imputation of the test windows beside simpler methods (of validation windows: evaluate_validation)."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        validation="results/csdi/{run}/validation_samples.parquet",
        scores="results/csdi/{run}/window_scores.parquet",
        baselines=dataset_file("baselines.parquet"),
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        metrics="results/csdi/{run}/metrics.parquet",
    threads: run_setting("sampling", "threads")
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings("csdi", "runs", "{run}", "sampling", only=["antithetic"], seed=config["seed"]),
        split="test",
    script:
        "../scripts/evaluate_csdi.py"


use rule evaluate_csdi as evaluate_validation with:
    input:
        samples="results/csdi/{run}/validation_samples.parquet",
        validation="results/csdi/{run}/validation_samples.parquet",
        scores=[],
        baselines=dataset_file("baselines.parquet"),
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        metrics="results/csdi/{run}/validation_metrics.parquet",
    params:
        split="valid",


rule write_card:
    """Write the model card of a run from its tables."""
    input:
        model="results/csdi/{run}/model.safetensors",
        history="results/csdi/{run}/history.parquet",
        choice=start_choice,
        metrics="results/csdi/{run}/metrics.parquet",
        series=dataset_file("series.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        card=figure(
            "results/csdi/{run}/model-card.md",
            "CSDI",
            "What the model of run {run} was trained on, how it is used, its scores and intervals on held-out "
            "values of the test split, and its limits, in Markdown.",
            run="{run}",
        ),
    resources:
        mem_mb=2000,
    params:
        settings=settings(
            "csdi",
            "runs",
            "{run}",
            only=["level", "method"],
            held_out=held_out,
            interval=interval,
            sampling=settings("csdi", "runs", "{run}", "sampling", only=["antithetic", "sampler", "start"]),
            units=units,
        ),
    script:
        "../scripts/write_card.py"


rule plot_loss:
    """Draw the training history."""
    input:
        history="results/csdi/{run}/history.parquet",
        scratch=lambda wildcards: expand("results/csdi/{run}/history.parquet", run=from_scratch(wildcards)),
    output:
        figure=figure(
            "results/csdi/{run}/loss.png",
            "CSDI",
            "Training history of run {run}. Both losses weigh noise levels alike. That of validation has the averaged "
            "weights, fixed noise and the held-out values; the circle marks the weights that were kept. That of "
            "training has the weights of the step and other targets (`training.masks`). Runs of this dataset from "
            "scratch stand beside it, if their noise levels are weighed in the same way.",
            run="{run}",
        ),
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"], scratch=from_scratch),
    script:
        "../scripts/plot_loss.py"


rule plot_imputation:
    """Draw a test window under each pattern, or windows of one, with their held-out entries imputed."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        series=dataset_file("series.parquet"),
    output:
        figure=figure(
            "results/csdi/{run}/imputation.png",
            "CSDI",
            "A test window of run {run} under each pattern of missing entries, or windows of the one that "
            "`figure.held_out` names: given values (dots), held-out values (diamonds), the median of the samples "
            "(line, squares) and their central interval (bars, and a band where several in a row are held out; 5 to "
            "95 % by default).",
            run="{run}",
        ),
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", level=level, units=units),
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
        figure=figure(
            "results/csdi/{run}/surprise.png",
            "CSDI",
            "Above, how surprising the held-out values of each test window are to run {run}, under one "
            "pattern of missing entries: the variational bound on their negative log-likelihood in nats per "
            "target, in z-scores, with two standard errors of the estimate. It is that of ancestral sampling "
            "from where the run's reverse process starts. Below, the two most and the two "
            "least surprising windows, each with the three features that contribute most: given values "
            "(dots), held-out values (diamonds), the median of the samples (line) and their central interval "
            "(band, 5 to 95 % by default).",
            run="{run}",
        ),
    resources:
        mem_mb=2000,
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour", "held_out"], level=level, units=units),
    script:
        "../scripts/plot_surprise.py"


rule plot_calibration:
    """Draw how often held-out values fall inside the intervals."""
    input:
        samples="results/csdi/{run}/samples.parquet",
        validation="results/csdi/{run}/validation_samples.parquet",
        baselines=dataset_file("baselines.parquet"),
        windows=dataset_file("windows.parquet"),
        starts=dataset_file("window_starts.parquet"),
        statistics=dataset_file("statistics.parquet"),
    output:
        figure=figure(
            "results/csdi/{run}/calibration.png",
            "CSDI",
            "Above, how far the coverage of central intervals of run {run} on the held-out values of the test split is "
            "off what they promise, one line for each pattern of missing entries. Below 0 intervals are too narrow, "
            "above it too wide. Left, "
            "CSDI by independent draws (one of each antithetic pair): ends of intervals lie between order statistics, "
            "so that calibrated draws lie on the line at 0, up to the level that so many can serve. Middle, as the "
            "validation windows correct them (split conformal prediction, Romano et al. 2019). Right, `auto`, the "
            "average of CSDI and simpler methods. Below, rank histograms: how often a held-out value has each rank "
            "among the draws, or quantiles; even where they are calibrated, a U where they are too narrow.",
            run="{run}",
        ),
    params:
        settings=settings(
            "csdi", "runs", "{run}", "figure", only=["colour"], antithetic=run_setting("sampling", "antithetic")
        ),
    script:
        "../scripts/plot_calibration.py"


rule plot_metrics:
    """Draw the scores of CSDI, of simpler methods and of their average."""
    input:
        metrics="results/csdi/{run}/metrics.parquet",
    output:
        figure=figure(
            "results/csdi/{run}/metrics.png",
            "CSDI",
            "Scores of run {run} on the held-out values of the test split, for each pattern of missing "
            "entries, beside simpler methods; all see the same window, `structural` the whole series. `auto` is the "
            "average of CSDI, ridge, joint Gaussian and structural. MAE and RMSE are those of the median in "
            "z-scores; CRPS is normalised as in the paper, and that of a simpler method takes the quantiles of its "
            "errors on validation windows. Lines are 95 % bootstrap intervals over stretches of windows. "
            "Below, CRPS of CSDI for each feature beside the simpler method that is best on average. Axes are "
            "logarithmic. Coverage and width of intervals are in metrics.parquet.",
            run="{run}",
        ),
    params:
        settings=settings("csdi", "runs", "{run}", "figure", only=["colour"]),
    script:
        "../scripts/plot_metrics.py"


rule plot_joint_scores:
    """Draw the scores of joint draws."""
    input:
        metrics="results/csdi/{run}/metrics.parquet",
    output:
        figure=figure(
            "results/csdi/{run}/joint_scores.png",
            "CSDI",
            "Scores of run {run} that see how hidden values of a window belong together: energy score and variogram "
            "score of all of them, and CRPS and coverage of the mean over those of a feature, by independent draws. "
            "Grey, the draws of `auto` with each entry in another order: single values are as good, "
            "sums and means are not.",
            run="{run}",
        ),
    resources:
        mem_mb=2000,
    script:
        "../scripts/plot_joint_scores.py"
