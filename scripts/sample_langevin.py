"""Move particles by one Langevin variant and keep the asked-for steps."""

from scoredag import streams
from scoredag.gmm import langevin, mixture
from scoredag.job import cache, logs
from scoredag.store import tables


def sample_langevin(parameters_path, samples_path, settings, variant, threads):
    """Write the particles of one variant at its last step and its snapshots."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    options = {key: value for key, value in settings.items() if key != "seed"}
    seed = streams.seed(settings["seed"], "langevin", variant)
    samples = langevin.simulate(gmm, seed=seed, threads=threads, **options)
    tables.write(samples, samples_path, tables.PARTICLES)


if __name__ == "__main__":
    with logs.of(snakemake), cache.of(snakemake):
        sample_langevin(
            snakemake.input.parameters,
            snakemake.output.samples,
            snakemake.params.settings,
            snakemake.wildcards.whole,
            snakemake.threads,
        )
