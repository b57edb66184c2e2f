"""From scores to samples: Langevin dynamics and the likelihood bound on a mixture, and CSDI on a time series."""

import os

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

if not os.path.isdir(str(workflow.current_basedir)):  # Snakemake hands a hosted workflow on file by file
    raise WorkflowError(
        f"error: {workflow.current_basedir}: this workflow runs from a folder, not from a host: clone it (git clone), "
        'then write snakefile: "scoredag/Snakefile", or --snakefile scoredag/Snakefile (docs/module.md)'
    )


configfile: f"{workflow.current_basedir}/config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/gmm.smk"
include: "rules/langevin.smk"
include: "rules/likelihood.smk"
include: "rules/datasets.smk"
include: "rules/csdi.smk"
include: "rules/notebooks.smk"
include: "rules/report.smk"


complete(workflow.rules)


rule all:
    """Everything that the config describes."""
    default_target: True
    input:
        # tables, too: Snakemake does not miss a file that lies between two others
        MIXTURE_FILES,
        LANGEVIN_FILES,
        LIKELIHOOD_FILES,
        DATASET_FILES,
        CSDI_FILES,
        NOTEBOOK_FILES,
