"""Read and check the mixture."""

from scoredag.gmm import mixture, mixture_files
from scoredag.job import logs, record
from scoredag.store import tables


def read_mixture(path, parameters_path, settings):
    """Write the parameters of the mixture in the file `path`."""
    gmm = mixture_files.read(path, settings["normalise"])
    tables.write(mixture.to_table(gmm), parameters_path, tables.GMM)


if __name__ == "__main__":
    with logs.of(snakemake), record.of(snakemake):
        read_mixture(snakemake.input.file, snakemake.output.parameters, snakemake.params.settings)
