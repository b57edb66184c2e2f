"""Draw samples directly from the mixture."""

import numpy as np
import pandas as pd

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.store import tables


def draw_exact(parameters_path: str, exact_path: str, settings: dict) -> None:
    """Write `n_exact` exact samples of the mixture."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    x = gmm.sample(settings["n_exact"], streams.seed(settings["seed"], "exact"))
    frame = pd.DataFrame({"particle": np.arange(len(x)), "x": x[:, 0], "y": x[:, 1]})
    tables.write(frame, exact_path, tables.POINTS)


if __name__ == "__main__":
    job.run(draw_exact)
