"""Move one shard of a Langevin variant's particles."""

from scoredag import streams
from scoredag.gmm import langevin, mixture
from scoredag.job import cache, logs
from scoredag.store import tables


def sample_shard(parameters_path, samples_path, settings, variant, shard, threads):
    """Write the particles of one shard at the variant's last step and its snapshots."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    first = shard * settings["shard_size"]
    options = settings["variant"] | {"n_particles": min(settings["shard_size"], settings["n_particles"] - first)}
    seed = streams.seed(settings["seed"], "langevin", variant)
    samples = langevin.simulate(gmm, seed=seed, first=first, threads=threads, **options)
    tables.write(samples, samples_path, tables.PARTICLES)


if __name__ == "__main__":
    with logs.of(snakemake), cache.of(snakemake):
        sample_shard(
            snakemake.input.parameters,
            snakemake.output.samples,
            snakemake.params.settings,
            snakemake.wildcards.sharded,
            int(snakemake.wildcards.shard),
            snakemake.threads,
        )
