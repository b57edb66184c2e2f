"""Draw the bias of Langevin kernels against their step size."""

from scoredag.figures import chains, style
from scoredag.job import logs
from scoredag.store import tables


def plot_sweep(sweep_path, figure_path):
    """Draw it with the line of order tau."""
    style.save(chains.sweep(tables.read(sweep_path, tables.SWEEP)), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_sweep(snakemake.input.sweep, snakemake.output.figure)
