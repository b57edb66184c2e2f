"""Count the particles of a Langevin variant without noise at each mode of the mixture."""

import logging

import numpy as np

from scoredag import job
from scoredag.gmm import mixture, modes, particles
from scoredag.store import tables

log = logging.getLogger(__name__)
ARRIVED = 0.01  # nats below the mode


def count_modes(parameters_path: str, modes_path: str, samples_path: str, shares_path: str, settings: dict) -> None:
    """Write how many particles the density leads to each mode from where they end; in the last row, to none."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    table = tables.read(modes_path, tables.MODES)
    points = particles.read_last(samples_path, settings["n_particles"])
    numbers = modes.nearest(gmm, points, table[["x", "y"]].to_numpy())
    counts = np.bincount(np.where(numbers < 0, len(table), numbers), minlength=len(table) + 1)
    found = numbers >= 0
    below = table["log_density"].to_numpy()[numbers[found]] - gmm.log_density(points[found])
    log.info("%d of %d modes are reached", (counts[:-1] > 0).sum(), len(table))
    if n_late := int((below > ARRIVED).sum()):
        log.warning(
            "%d of %d particles are still more than %g nats below their mode; more steps bring them there",
            n_late, len(points), ARRIVED,
        )  # fmt: skip
    if counts[-1]:
        log.warning("%d of %d particles are at no mode that was found, or not finite", counts[-1], len(points))
    rows = table.drop(columns="mode").reindex(range(len(table) + 1))
    columns = {"mode": [*table["mode"], None], "n_particles": counts, "share": counts / len(points)}
    tables.write(columns | {name: rows[name] for name in rows}, shares_path, tables.MODE_SHARES)


if __name__ == "__main__":
    job.run(count_modes)
