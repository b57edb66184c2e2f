"""Draw the samples of one Langevin variant over the density."""

from scoredag import logs, tables
from scoredag.figures import plane, style
from scoredag.gmm import mixture, particles


def plot_scatter(parameters_path, samples_path, figure_path, settings):
    """Draw the samples at the last step."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    points = particles.last_positions(tables.read(samples_path, tables.PARTICLES))
    view = plane.view_of(gmm, settings["half_width"])
    style.save(plane.scatter(gmm, points, view, style.colour(settings["colour"]), settings["title"]), figure_path)


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        plot_scatter(
            snakemake.input.parameters,
            snakemake.input.samples,
            snakemake.output.figure,
            snakemake.params.settings,
        )
