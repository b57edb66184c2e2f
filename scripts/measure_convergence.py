"""Measure how the particles of each Langevin variant come near the mixture, over its steps."""

from scoredag import job, streams
from scoredag.gmm import diagnostics, mixture, particles, views
from scoredag.store import tables


def measure_convergence(parameters_path: str, history_paths: list[str], convergence_path: str, settings: dict) -> None:
    """Write the metrics of each variant at each snapshot, and those of exact samples, the noise floor, at step 0."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    n_particles, seed = settings["n_particles"], streams.seed(settings["seed"], "convergence")
    exact, again = (gmm.sample(n_particles, streams.seed(seed, name)) for name in ("exact", "noise floor"))
    reference = diagnostics.reference(gmm, exact, views.view_of(gmm), settings["n_cells"])
    clouds = {("exact", 0): again}
    for variant, path in zip(settings["variants"], history_paths, strict=True):
        history = particles.positions_by_step(tables.read(path, tables.PARTICLES))
        clouds |= {(variant, step): points for step, points in history.items()}
    rows = [
        (*key, metric, value)
        for key, points in clouds.items()
        for metric, value in diagnostics.compare(reference, points, settings["n_projections"], seed).items()
    ]
    tables.write_rows(rows, convergence_path, tables.CONVERGENCE)


if __name__ == "__main__":
    job.run(measure_convergence, cached=True)
