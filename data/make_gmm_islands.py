"""Draw data/gmm-islands.csv: nine Gaussian components that lie far apart.

    python data/make_gmm_islands.py [--output data/gmm-islands.csv]

Each component is a mode of its own, an island. They stand on a square lattice, moved a little, with
unequal weights. The lattice is off the origin, where particles start: they reach four islands and not
the others. Deviations are about 0.6 and neighbours about seven apart, so that the log-density halfway
is 12 nats or more below the modes.
"""

import numpy as np
from make_gmm import table, write

SIDE = 3  # islands along each axis
SPACING = 7.0
MIDDLE = (3.0, 2.0)  # of the lattice
VARIANCE = (0.25, 0.5)  # range of the variances along both axes of an island


def components(rng):
    """The mixture as a data frame, one row an island."""
    places = (np.arange(SIDE) - (SIDE - 1) / 2) * SPACING
    means = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2) + MIDDLE
    means += rng.uniform(-0.5, 0.5, means.shape)
    weights = rng.gamma(2.0, size=len(means)) + 0.4
    first, second = rng.uniform(*VARIANCE, (2, len(means)))
    angles = rng.uniform(0, np.pi, len(means))
    return table(weights, means, angles, first, second)


if __name__ == "__main__":
    write(components(np.random.default_rng(9)), "data/gmm-islands.csv", __doc__.splitlines()[0])
