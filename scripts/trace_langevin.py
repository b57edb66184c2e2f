"""Follow the first particles of one Langevin variant on their way."""

import logging
import math

import numpy as np

from scoredag import job, streams
from scoredag.gmm import drift, langevin, mixture
from scoredag.store import tables

log = logging.getLogger(__name__)


def trace_langevin(
    parameters_path: str,
    history_path: str,
    chains_path: str,
    rates_path: str,
    settings: dict,
    variant: str,
    threads: int,
) -> None:
    """Write snapshots of some particles, whole chains of a few, how often steps were accepted, and drifts."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    history, options = settings["history"], settings["variant"]
    n_steps, n_particles = options["n_steps"], min(settings["n_particles"], history["n_particles"])
    logarithmic = np.geomspace(1, n_steps, history["n_snapshots"] - 1).round()
    snapshots = np.unique([0, *logarithmic]).astype(int)
    stride = math.ceil(n_steps / history["n_chain_steps"])
    chain = np.arange(n_steps % stride, n_steps + 1, stride)
    seed = streams.seed(settings["seed"], "langevin", variant)
    drifts = {}
    if settings["has_noise"]:
        drifts = _drifts(gmm, settings["n_particles"], options, variant, seed=seed, threads=threads)
    options |= {"snapshots": np.union1d(snapshots, chain).tolist()}
    n_moved = min(settings["n_particles"], -(-n_particles // langevin.BLOCK) * langevin.BLOCK)  # whole blocks
    result = langevin.run(gmm, n_particles=n_moved, seed=seed, threads=threads, **options)
    for path, steps, n in ((history_path, snapshots, n_particles), (chains_path, chain, history["n_chains"])):
        kept = np.isin(result.steps, steps)
        part = result._replace(steps=result.steps[kept], positions=result.positions[kept, :n])
        tables.write(langevin.table(part), path, tables.PARTICLES)
    rates = {"acceptance": result.acceptance, "swap_acceptance": result.swap_acceptance} | drifts
    rows = [(variant, metric, value) for metric, value in rates.items() if not math.isnan(value)]
    tables.write_rows(rows, rates_path, tables.LANGEVIN_METRICS)


def _drifts(gmm, n_particles, options, variant, **more):
    """The metrics of `drift.measure` from the middle to the last step, which the log tells."""
    n_steps = options["n_steps"]
    middle = drift.middle(n_steps, len(options["noise_levels"]) or 1)
    n_compared = min(n_particles, drift.N_PARTICLES)
    result = langevin.run(gmm, n_particles=n_compared, **options | {"snapshots": [middle]} | more)
    measured = drift.measure(gmm, *result.positions)
    name = drift.clearest(measured)
    if name is None:
        log.info("from step %d to %d no mean of x, y or log-density moves clearly and far", middle, n_steps)
    else:
        log.warning(
            "variant %s still moves: from step %d to %d the mean of %s changes by %.2g (%.1f standard errors), so that "
            "its stationary law is not reached; more steps bring it there",
            variant, middle, n_steps, name, measured[f"drift_{name}"], abs(measured[f"drift_z_{name}"]),
        )  # fmt: skip
    return measured


if __name__ == "__main__":
    job.run(trace_langevin, cached=True)
