"""Draw the bound of each point against its negative log-likelihood."""

from scoredag.figures import likelihoods, style
from scoredag.job import logs
from scoredag.store import tables


def plot_bounds(bounds_path, figure_path):
    """Draw one panel a score model."""
    style.save(likelihoods.bounds(tables.read(bounds_path, tables.BOUNDS)), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_bounds(snakemake.input.bounds, snakemake.output.figure)
