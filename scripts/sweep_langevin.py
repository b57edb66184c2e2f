"""Measure the bias of Langevin kernels against their step size."""

import math

import numpy as np

from scoredag import job, streams
from scoredag.gmm import fields, langevin, mixture
from scoredag.store import tables


def sweep_langevin(parameters_path: str, sweep_path: str, settings: dict, threads: int) -> None:
    """Write the bias of the mean log-density (nats), with its standard error, for each kernel and step size.

    Particles start as exact samples and move for the same time, so that what has changed at the end is bias.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    field = fields.build(gmm, threads)
    seed = streams.seed(settings["seed"], "sweep")
    start = gmm.sample(settings["n_particles"], seed)
    before = fields.scores(start, field)[1]
    rows = []
    for kernel in settings["kernels"]:
        for tau in settings["step_sizes"]:
            n_steps = max(round(settings["time"] / tau), 1)
            result = langevin.run(
                gmm,
                n_particles=len(start),
                n_steps=n_steps,
                step_size=math.sqrt(2 * tau) if kernel == "underdamped" else tau,
                preconditioner=None if kernel == "underdamped" else np.eye(2),
                kernel=kernel,
                start=start,
                seed=streams.seed(seed, kernel, str(tau)),
                threads=threads,
            )
            gain = fields.scores(result.positions[-1], field)[1] - before
            rows.append((kernel, tau, n_steps, gain.mean(), gain.std() / math.sqrt(len(gain))))
    tables.write_rows(rows, sweep_path, tables.SWEEP)


if __name__ == "__main__":
    job.run(sweep_langevin, cached=True)
