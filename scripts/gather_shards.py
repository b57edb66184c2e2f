"""Join the shards of a Langevin variant, by step and particle."""

from scoredag import job
from scoredag.store import tables


def gather_shards(shards_paths: list[str], samples_path: str, settings: dict) -> None:
    """Write one table, a shard and step at a time in memory."""
    steps = sorted({*settings["variant"]["snapshots"], settings["variant"]["n_steps"]})
    with tables.writing(samples_path, tables.PARTICLES) as write_part:
        for step in steps:
            for path in shards_paths:
                write_part(tables.read(path, tables.PARTICLES, filters=[("step", "==", step)]))


if __name__ == "__main__":
    job.run(gather_shards)
