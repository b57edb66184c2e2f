"""Draw the way of a few particles of one Langevin variant over the density."""

import numpy as np

from scoredag.figures import plane, style
from scoredag.gmm import mixture, views
from scoredag.job import logs
from scoredag.store import tables


def plot_trajectories(parameters_path, chains_path, figure_path, settings):
    """Draw the first particles of the chains."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    table = tables.read(chains_path, tables.PARTICLES).pivot(index="particle", columns="step", values=["x", "y"])
    chains = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=-1)[: settings["n_trajectories"]]
    view = views.view_of(gmm, settings["half_width"])
    style.save(plane.trajectories(gmm, chains, view, settings["title"]), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_trajectories(
            snakemake.input.parameters,
            snakemake.input.chains,
            snakemake.output.figure,
            snakemake.params.settings,
        )
