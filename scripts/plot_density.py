"""Draw the log-density of the mixture."""

from scoredag import job
from scoredag.figures import plane, style
from scoredag.gmm import mixture, views
from scoredag.store import tables


def plot_density(parameters_path: str, figure_path: str, settings: dict) -> None:
    """Draw the log-density as a map of the plane."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    view = views.view_of(gmm, settings["half_width"])
    style.save(plane.density(gmm, view, settings["ellipses"]), figure_path)


if __name__ == "__main__":
    job.run(plot_density)
