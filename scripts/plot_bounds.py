"""Draw how far the bound of each point is above its negative log-likelihood."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_bounds(bounds_path: str, quantities_paths: list[str], figure_path: str, settings: dict) -> None:
    """Draw one panel a score model, with the mean gap over the whole law."""
    gaps = {
        name: tables.read_quantities(path).at["gap", "value"]
        for name, path in zip(settings["score_models"], quantities_paths, strict=True)
    }
    style.save(likelihoods.bounds(tables.read(bounds_path, tables.BOUNDS), gaps), figure_path)


if __name__ == "__main__":
    job.run(plot_bounds)
