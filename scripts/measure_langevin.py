"""Measure how far the samples of each Langevin variant are from the mixture."""

import logging

import numpy as np
from arviz_stats.base import array_stats

from scoredag import job, streams
from scoredag.gmm import diagnostics, mixture, particles, views
from scoredag.store import tables

log = logging.getLogger(__name__)


def measure_langevin(
    parameters_path: str,
    exact_path: str,
    samples_paths: list[str],
    chains_paths: list[str],
    rates_paths: list[str],
    metrics_path: str,
    settings: dict,
) -> None:
    """Write the metrics of each variant, and as `exact` those of a second exact sample.

    The row `exact` is the noise floor: what a perfect sampler would get.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    exact = tables.read(exact_path, tables.POINTS)[["x", "y"]].to_numpy()[: settings["n_particles"]]
    reference = diagnostics.reference(gmm, exact, views.view_of(gmm), settings["n_cells"])
    options = {"n_projections": settings["n_projections"], "seed": streams.seed(settings["seed"], "projections")}
    again = gmm.sample(len(exact), streams.seed(settings["seed"], "noise floor"))
    measures = {"exact": diagnostics.compare(reference, again, **options)}
    paths = zip(settings["variants"], samples_paths, chains_paths, rates_paths, strict=True)
    for variant, samples_path, chains_path, rates_path in paths:
        points = particles.read_last(samples_path, settings["n_particles"])
        n_lost = sum(int((~np.isfinite(part).all(axis=1)).sum()) for part in particles.batches(samples_path))
        rates = tables.read(rates_path, tables.LANGEVIN_METRICS).set_index("metric")["value"].to_dict()
        measured = diagnostics.compare(reference, points, **options) | {"non_finite": float(n_lost)}
        of_chains = {}
        if variant in settings["without_noise"]:
            log.info("variant %s has no noise: no R-hat, effective sample size or drift", variant)
        else:
            of_chains = _of_chains(tables.read(chains_path, tables.PARTICLES))
        measures[variant] = measured | of_chains | rates
    rows = [(variant, metric, value) for variant, measured in measures.items() for metric, value in measured.items()]
    tables.write_rows(rows, metrics_path, tables.LANGEVIN_METRICS)


def _of_chains(table):
    """Split R-hat and effective sample size, per coordinate, of the second halves of the chains that stay finite."""
    later = table[table["step"] > table["step"].max() / 2]
    measured = {}
    for axis in ("x", "y"):
        chains = later.pivot(index="particle", columns="step", values=axis).to_numpy()
        chains = chains[np.isfinite(chains).all(axis=1)]
        if len(chains) and chains.std() > 0:
            axes = {"chain_axis": 0, "draw_axis": 1}
            measured[f"split_r_hat_{axis}"] = float(array_stats.rhat(chains, method="split", **axes))
            measured[f"effective_sample_size_{axis}"] = float(array_stats.ess(chains, method="mean", **axes))
    return measured


if __name__ == "__main__":
    job.run(measure_langevin, cached=True)
