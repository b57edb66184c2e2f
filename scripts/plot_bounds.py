"""Draw the bound of each point against its negative log-likelihood."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_bounds(bounds_path: str, figure_path: str) -> None:
    """Draw one panel a score model."""
    style.save(likelihoods.bounds(tables.read(bounds_path, tables.BOUNDS)), figure_path)


if __name__ == "__main__":
    job.run(plot_bounds)
