"""Draw the samples of one Langevin variant over the density."""

from scoredag import job
from scoredag.figures import plane, style
from scoredag.gmm import mixture, particles, views
from scoredag.store import tables


def plot_scatter(
    parameters_path: str, samples_path: str, shares_path: str | None, figure_path: str, settings: dict
) -> None:
    """Draw the samples at the last step, as markers, or in bins where they are too many for these."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    view, colour = views.view_of(gmm, settings["half_width"]), style.colour(settings["colour"])
    title = f"{settings['title']}\n{settings['description']}"
    shares = None if shares_path is None else tables.read(shares_path, tables.MODE_SHARES).dropna(subset="mode")
    if tables.greatest(samples_path, "particle") < settings["most_markers"]:
        drawn = plane.scatter(gmm, particles.read_last(samples_path), view, colour, title, shares)
    else:
        counts, lost = plane.count(particles.batches(samples_path), view)
        drawn = plane.binned(gmm, counts, lost, view, title)
    style.save(drawn, figure_path)


if __name__ == "__main__":
    job.run(plot_scatter)
