"""Draw how the particles of each Langevin variant come near the mixture."""

from scoredag.figures import chains, style
from scoredag.job import logs
from scoredag.store import tables


def plot_convergence(convergence_path, figure_path, titles):
    """Draw all metrics over the steps; `titles` are [variant, title] in order."""
    style.save(chains.convergence(tables.read(convergence_path, tables.CONVERGENCE), dict(titles)), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_convergence(snakemake.input.convergence, snakemake.output.figure, snakemake.params.settings["titles"])
