"""Fetch a file from the first source that has it and check its sha256."""

from scoredag.intake import downloads
from scoredag.job import logs


def fetch_file(path, settings, sources):
    """See `scoredag.download.fetch`."""
    downloads.fetch(path, **settings, **sources)


if __name__ == "__main__":
    with logs.of(snakemake):
        fetch_file(snakemake.output[0], snakemake.params.settings, snakemake.params.sources)
