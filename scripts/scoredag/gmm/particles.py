"""Tables of particles, as the samplers return them."""

import os
from collections.abc import Iterator

import numpy as np
import pandas as pd

from scoredag.store import tables


def last_positions(samples: pd.DataFrame) -> np.ndarray:
    """Positions (N, 2) at the last step, by particle; `samples` has particle, step, x, y."""
    return samples.loc[samples["step"] == samples["step"].max(), ["x", "y"]].to_numpy()


def read_last(path: str | os.PathLike[str], n_most: int | None = None) -> np.ndarray:
    """Positions (N, 2) at the last step in the file `path`, of the first `n_most` particles or of all."""
    filters = [("step", "==", tables.greatest(path, "step"))]
    if n_most is not None:
        filters.append(("particle", "<", n_most))
    return tables.read(path, tables.PARTICLES, ["x", "y"], filters).to_numpy()


def batches(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """Yield the positions (n, 2) at the last step in the file `path`, part by part."""
    last = tables.greatest(path, "step")
    for part in tables.batches(path, tables.PARTICLES, ["step", "x", "y"]):
        positions = part.loc[part["step"] == last, ["x", "y"]].to_numpy()
        if len(positions):
            yield positions


def positions_by_step(samples: pd.DataFrame) -> dict[int, np.ndarray]:
    """{step: positions (N, 2)} of a table with particle, step, x, y."""
    return {int(step): part[["x", "y"]].to_numpy() for step, part in samples.groupby("step")}
