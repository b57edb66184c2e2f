"""Read and check the mixture."""

from scoredag import job
from scoredag.gmm import mixture, mixture_files
from scoredag.store import tables


def read_mixture(file_path: str, parameters_path: str, settings: dict) -> None:
    """Write the parameters of the mixture in the file `file_path`."""
    gmm = mixture_files.read(file_path, settings["normalise"])
    tables.write(mixture.to_table(gmm), parameters_path, tables.GMM)


if __name__ == "__main__":
    job.run(read_mixture)
