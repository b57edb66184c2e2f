"""Join the shards of a Langevin variant, by step and particle."""

from scoredag.job import logs, record
from scoredag.store import tables


def gather_shards(shard_paths, samples_path):
    """Write one table, a shard and step at a time in memory."""
    steps = tables.read(shard_paths[0], tables.PARTICLES, ["step"])["step"].unique()
    with tables.writing(samples_path, tables.PARTICLES) as write_part:
        for step in steps:
            for path in shard_paths:
                write_part(tables.read(path, tables.PARTICLES, filters=[("step", "==", step)]))


if __name__ == "__main__":
    with logs.of(snakemake), record.of(snakemake):
        gather_shards(snakemake.input.shards, snakemake.output.samples)
