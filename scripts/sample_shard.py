"""Move one shard of a Langevin variant's particles."""

from scoredag import job, streams
from scoredag.gmm import langevin, mixture
from scoredag.store import tables


def sample_shard(
    parameters_path: str, samples_path: str, settings: dict, variant: str, shard: str, threads: int
) -> None:
    """Write the particles of one shard at the variant's last step and its snapshots."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    first = int(shard) * settings["shard_size"]
    options = settings["variant"] | {"n_particles": min(settings["shard_size"], settings["n_particles"] - first)}
    seed = streams.seed(settings["seed"], "langevin", variant)
    samples = langevin.simulate(gmm, seed=seed, first=first, threads=threads, **options)
    tables.write(samples, samples_path, tables.PARTICLES)


if __name__ == "__main__":
    job.run(sample_shard, cached=True)
