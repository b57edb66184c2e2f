"""Measure how far the samples of each Langevin variant are from the mixture."""

import numpy as np

from scoredag import logs, streams, tables
from scoredag.gmm import diagnostics, mixture, particles


def measure_langevin(parameters_path, exact_path, samples_paths, metrics_path, settings):
    """Write the metrics of each variant, and as `exact` those of a second exact sample.

    The row `exact` is the noise floor: what a perfect sampler would get.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    exact = tables.read(exact_path, tables.POINTS)[["x", "y"]].to_numpy()
    clouds = {"exact": gmm.sample(len(exact), streams.seed(settings["seed"], "noise floor"))}
    for variant, path in zip(settings["variants"], samples_paths, strict=True):
        clouds[variant] = particles.last_positions(tables.read(path, tables.PARTICLES))
    rows = [
        (variant, metric, value)
        for variant, points in clouds.items()
        for metric, value in _measures(gmm, points, exact, settings).items()
    ]
    columns = zip(*rows, strict=True)
    tables.write(dict(zip(tables.LANGEVIN_METRICS.names, columns, strict=True)), metrics_path, tables.LANGEVIN_METRICS)


def _measures(gmm, points, exact, settings):
    finite = points[np.isfinite(points).all(axis=1)]
    seed = streams.seed(settings["seed"], "projections")
    measures = {"non_finite": float(len(points) - len(finite))}
    if len(finite):
        measures |= {
            "sliced_wasserstein2": diagnostics.sliced_wasserstein2(finite, exact, settings["n_projections"], seed),
            "energy_distance": diagnostics.energy_distance(finite, exact),
            "mean_log_density": float(gmm.log_density(finite).mean()),
            "occupancy_total_variation": diagnostics.occupancy_total_variation(gmm, finite),
        }
    return measures


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        measure_langevin(
            snakemake.input.parameters,
            snakemake.input.exact,
            snakemake.input.samples,
            snakemake.output.metrics,
            snakemake.params.settings,
        )
