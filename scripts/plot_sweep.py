"""Draw the bias of Langevin kernels against their step size."""

from scoredag import job
from scoredag.figures import chains, style
from scoredag.store import tables


def plot_sweep(sweep_path: str, figure_path: str) -> None:
    """Draw it with the line of order tau."""
    style.save(chains.sweep(tables.read(sweep_path, tables.SWEEP)), figure_path)


if __name__ == "__main__":
    job.run(plot_sweep)
