"""Join the shards of a run's table, in the order of its windows."""

import logging

from scoredag import job
from scoredag.store import tables


def gather_windows(shards_paths: list[str], table_path: str, settings: dict) -> None:
    """Write one table, a row group at a time in memory."""
    logging.info("%d shards", settings["shards"])
    tables.join(shards_paths, table_path)


if __name__ == "__main__":
    job.run(gather_windows)
