"""Draw how the particles of each Langevin variant come near the mixture."""

from scoredag import job
from scoredag.figures import chains, style
from scoredag.gmm import drift
from scoredag.store import tables


def plot_convergence(convergence_path: str, rates_paths: list[str], figure_path: str, settings: dict) -> None:
    """Draw all metrics over the steps; `settings["titles"]` are pairs of variant and title."""
    titles = dict(settings["titles"])
    moving = [variant for variant, path in zip(titles, rates_paths, strict=True) if _is_moving(path)]
    table = tables.read(convergence_path, tables.CONVERGENCE)
    style.save(chains.convergence(table, titles, moving, settings["n_particles"]), figure_path)


def _is_moving(path):
    rates = tables.read(path, tables.LANGEVIN_METRICS).set_index("metric")["value"]
    return drift.clearest(rates.to_dict()) is not None


if __name__ == "__main__":
    job.run(plot_convergence)
