"""Read and check the mixture."""

from scoredag import logs, provenance, tables
from scoredag.gmm import mixture, readers


def read_mixture(path, parameters_path, settings):
    """Write the parameters of the mixture in the file `path`."""
    gmm = readers.read(path, settings["normalise"])
    tables.write(mixture.to_table(gmm), parameters_path, tables.GMM)


if __name__ == "__main__":
    with logs.of(snakemake), provenance.of(snakemake):
        read_mixture(snakemake.input.file, snakemake.output.parameters, snakemake.params.settings)
