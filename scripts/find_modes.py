"""Find the modes of the mixture."""

import numpy as np

from scoredag import job
from scoredag.gmm import mixture, modes
from scoredag.store import tables


def find_modes(parameters_path: str, modes_path: str) -> None:
    """Write the modes, numbered from the highest."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    places, log_densities = modes.find(gmm)
    columns = {"mode": np.arange(len(places)), "x": places[:, 0], "y": places[:, 1], "log_density": log_densities}
    tables.write(columns, modes_path, tables.MODES)


if __name__ == "__main__":
    job.run(find_modes)
