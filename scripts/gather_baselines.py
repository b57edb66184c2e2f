"""Join the shards of a dataset's table of simpler methods."""

from scoredag import job
from scoredag.series import baselines
from scoredag.store import tables


def gather_baselines(shards_paths: list[str], baselines_path: str) -> None:
    """Write one table by method, split and window, as a job without shards does."""
    order = ({"method": method, "split": split} for method in baselines.NAMES for split in ("valid", "test"))
    tables.join_by(shards_paths, baselines_path, tables.BASELINES, order)


if __name__ == "__main__":
    job.run(gather_baselines)
