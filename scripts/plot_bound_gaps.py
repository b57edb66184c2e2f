"""Draw maps of the gap between bound and negative log-likelihood."""

from scoredag.figures import likelihoods, style
from scoredag.gmm import mixture
from scoredag.job import logs
from scoredag.store import tables


def plot_bound_gaps(parameters_path, map_paths, figure_path, score_models):
    """Draw one map a score model, over contours of the mixture."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    maps = {}
    for name, path in zip(score_models, map_paths, strict=True):
        table = tables.read(path, tables.LIKELIHOOD_MAP)
        sides = table["x"].unique(), table["y"].unique()
        maps[name] = table["gap"].to_numpy().reshape(len(sides[1]), len(sides[0]))
    log_density = gmm.log_density(table[["x", "y"]].to_numpy()).reshape(maps[name].shape)
    style.save(likelihoods.bound_gaps(log_density, maps, sides), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_bound_gaps(
            snakemake.input.parameters,
            snakemake.input.maps,
            snakemake.output.figure,
            snakemake.params.settings["score_models"],
        )
