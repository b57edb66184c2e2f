"""From scores to samples: Langevin dynamics and the likelihood bound on a mixture, and CSDI on a time series."""

import re

from snakemake.utils import min_version

min_version("9.0")


configfile: workflow.source_path("config/config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/gmm.smk"
include: "rules/langevin.smk"
include: "rules/likelihood.smk"
include: "rules/datasets.smk"
include: "rules/csdi.smk"


compare_contents(workflow.rules)


rule all:
    """Everything that the config describes."""
    default_target: True
    input:
        # tables, too: Snakemake does not miss a file that lies between two others
        expand("results/gmm/{file}", file=["parameters.parquet", "exact.parquet", "density.png"]),
        expand(
            "results/langevin/{variant}/{file}",
            variant=config["langevin"]["variants"],
            file=["samples.parquet", "scatter.png", "trajectories.png"]
            + ["history.parquet", "chains.parquet", "rates.parquet"],
        ),
        expand("results/langevin/{table}.parquet", table=["metrics", "convergence", "sweep"]),
        expand("results/langevin/{figure}.png", figure=["comparison", "convergence", "sweep"]),
        animations(),
        likelihood_files(),
        expand(
            "results/datasets/{dataset}/{table}.parquet",
            dataset=datasets_in_use(),
            table=["series", "windows", "window_starts", "statistics"],
        ),
        expand(
            "results/csdi/{run}/{file}",
            run=config["csdi"]["runs"],
            file=["model.safetensors", "history.parquet", "samples.parquet", "window_scores.parquet"]
            + ["metrics.parquet", "surprise.png", "loss.png", "imputation.png", "calibration.png", "metrics.png"],
        ),
        optional_files(),
