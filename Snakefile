"""From scores to samples: Langevin dynamics on a mixture, and CSDI on a time series."""

import re

from snakemake.utils import min_version

min_version("9.0")


configfile: workflow.source_path("config/config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/gmm.smk"
include: "rules/langevin.smk"
include: "rules/datasets.smk"
include: "rules/csdi.smk"


rule all:
    """Everything that the config describes."""
    default_target: True
    input:
        "results/gmm/density.png",
        expand("results/langevin/{variant}/scatter.png", variant=config["langevin"]["variants"]),
        "results/langevin/comparison.png",
        "results/langevin/metrics.parquet",
        expand(
            "results/csdi/{run}/{figure}.png",
            run=config["csdi"]["runs"],
            figure=["loss", "imputation", "calibration", "metrics"],
        ),
