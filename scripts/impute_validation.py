"""Impute the held-out entries of the validation windows, to correct intervals by them."""

from impute_csdi import impute_csdi
from scoredag.job import cache, logs

if __name__ == "__main__":
    with logs.of(snakemake), cache.of(snakemake):
        impute_csdi(
            snakemake.input.model,
            snakemake.input.windows,
            snakemake.input.statistics,
            snakemake.output.samples,
            snakemake.params.settings,
            snakemake.wildcards.run,
            snakemake.threads,
            split="valid",
        )
