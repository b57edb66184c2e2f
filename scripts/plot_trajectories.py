"""Draw the way of a few particles of one Langevin variant over the density."""

import numpy as np

from scoredag import job
from scoredag.figures import plane, style
from scoredag.gmm import mixture, views
from scoredag.store import tables


def plot_trajectories(parameters_path: str, chains_path: str, figure_path: str, settings: dict) -> None:
    """Draw the first particles of the chains."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    table = tables.read(chains_path, tables.PARTICLES).pivot(index="particle", columns="step", values=["x", "y"])
    chains = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=-1)[: settings["n_trajectories"]]
    view, steps = views.view_of(gmm, settings["half_width"]), table["x"].columns.to_numpy()
    title = f"{settings['title']}\n{settings['description']}"
    style.save(plane.trajectories(gmm, chains, steps, view, title), figure_path)


if __name__ == "__main__":
    job.run(plot_trajectories)
