"""Follow the first particles of one Langevin variant on their way."""

import math

import numpy as np

from scoredag import job, streams
from scoredag.gmm import langevin, mixture
from scoredag.store import tables


def trace_langevin(
    parameters_path: str,
    history_path: str,
    chains_path: str,
    rates_path: str,
    settings: dict,
    variant: str,
    threads: int,
) -> None:
    """Write snapshots of some particles, whole chains of a few, and how often steps were accepted."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    history, options = settings["history"], settings["variant"]
    n_steps, n_particles = options["n_steps"], min(settings["n_particles"], history["n_particles"])
    logarithmic = np.geomspace(1, n_steps, history["n_snapshots"] - 1).round()
    snapshots = np.unique([0, *logarithmic]).astype(int)
    stride = math.ceil(n_steps / history["n_chain_steps"])
    chain = np.arange(n_steps % stride, n_steps + 1, stride)
    seed = streams.seed(settings["seed"], "langevin", variant)
    options |= {"snapshots": np.union1d(snapshots, chain).tolist()}
    n_moved = min(settings["n_particles"], -(-n_particles // langevin.BLOCK) * langevin.BLOCK)  # whole blocks
    result = langevin.run(gmm, n_particles=n_moved, seed=seed, threads=threads, **options)
    for path, steps, n in ((history_path, snapshots, n_particles), (chains_path, chain, history["n_chains"])):
        kept = np.isin(result.steps, steps)
        part = result._replace(steps=result.steps[kept], positions=result.positions[kept, :n])
        tables.write(langevin.table(part), path, tables.PARTICLES)
    rates = {"acceptance": result.acceptance, "swap_acceptance": result.swap_acceptance}
    rows = [(variant, metric, value) for metric, value in rates.items() if not math.isnan(value)]
    tables.write_rows(rows, rates_path, tables.LANGEVIN_METRICS)


if __name__ == "__main__":
    job.run(trace_langevin, cached=True)
