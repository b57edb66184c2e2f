"""Fetch a file from the mirror or its url and check its sha256."""

import os

from scoredag import download, logs


def fetch_file(path, settings, mirror):
    """See `scoredag.download.fetch`."""
    download.fetch(path, mirror=mirror, **settings)


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        # not a parameter: where a file comes from does not change what it is
        mirror = os.environ.get("SCOREDAG_MIRROR") or snakemake.config["mirror"]
        fetch_file(snakemake.output[0], snakemake.params.settings, mirror)
