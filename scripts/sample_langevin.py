"""Move particles by one Langevin variant and keep the asked-for steps."""

from scoredag import job, streams
from scoredag.gmm import langevin, mixture
from scoredag.store import tables


def sample_langevin(parameters_path: str, samples_path: str, settings: dict, variant: str, threads: int) -> None:
    """Write the particles of one variant at its last step and its snapshots."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    options = {key: value for key, value in settings.items() if key != "seed"}
    seed = streams.seed(settings["seed"], "langevin", variant)
    samples = langevin.simulate(gmm, seed=seed, threads=threads, **options)
    tables.write(samples, samples_path, tables.PARTICLES)


if __name__ == "__main__":
    job.run(sample_langevin, cached=True)
