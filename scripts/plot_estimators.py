"""Draw the spread of estimators of the bound."""

from scoredag.figures import likelihoods, style
from scoredag.job import logs
from scoredag.store import tables


def plot_estimators(estimators_path, figure_path):
    """Draw the deviation of a draw, with and without importance sampling."""
    style.save(likelihoods.estimators(tables.read(estimators_path, tables.ESTIMATORS)), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_estimators(snakemake.input.estimators, snakemake.output.figure)
