"""Draw how the particles of each Langevin variant come near the mixture."""

from scoredag import job
from scoredag.figures import chains, style
from scoredag.store import tables


def plot_convergence(convergence_path: str, figure_path: str, settings: dict) -> None:
    """Draw all metrics over the steps; `settings["titles"]` are pairs of variant and title."""
    style.save(
        chains.convergence(tables.read(convergence_path, tables.CONVERGENCE), dict(settings["titles"])), figure_path
    )


if __name__ == "__main__":
    job.run(plot_convergence)
