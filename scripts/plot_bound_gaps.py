"""Draw maps of the gap between bound and negative log-likelihood."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.gmm import mixture
from scoredag.store import tables


def plot_bound_gaps(
    parameters_path: str, maps_paths: list[str], quantities_paths: list[str], figure_path: str, settings: dict
) -> None:
    """Draw one map a score model, over contours of the mixture, with the mean gap over the whole law."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    maps = {}
    for name, path in zip(settings["score_models"], maps_paths, strict=True):
        table = tables.read(path, tables.LIKELIHOOD_MAP)
        sides = table["x"].unique(), table["y"].unique()
        maps[name] = table["gap"].to_numpy().reshape(len(sides[1]), len(sides[0]))
    log_density = gmm.log_density(table[["x", "y"]].to_numpy()).reshape(maps[name].shape)
    gaps = {
        name: tables.read_quantities(path).at["gap", "value"]
        for name, path in zip(settings["score_models"], quantities_paths, strict=True)
    }
    style.save(likelihoods.bound_gaps(log_density, maps, sides, gaps), figure_path)


if __name__ == "__main__":
    job.run(plot_bound_gaps)
