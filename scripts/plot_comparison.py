"""Draw all Langevin variants and the exact samples on the same axes."""

from scoredag import job
from scoredag.figures import plane, style
from scoredag.gmm import mixture, particles, views
from scoredag.store import tables


def plot_comparison(
    parameters_path: str, exact_path: str, samples_paths: list[str], figure_path: str, settings: dict
) -> None:
    """Draw one panel a variant, beside the density and the exact samples."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    samples = {"exact samples": tables.read(exact_path, tables.POINTS)[["x", "y"]].to_numpy()}
    for title, path in zip(settings["titles"], samples_paths, strict=True):
        samples[title] = particles.read_last(path, settings["most_markers"])
    view = views.view_of(gmm, settings["half_width"])
    style.save(plane.comparison(gmm, samples, view, style.colour(settings["colour"])), figure_path)


if __name__ == "__main__":
    job.run(plot_comparison)
