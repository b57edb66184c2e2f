"""Draw the spread of estimators of the bound."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_estimators(estimators_path: str, figure_path: str) -> None:
    """Draw the deviation of a draw, with and without importance sampling."""
    style.save(likelihoods.estimators(tables.read(estimators_path, tables.ESTIMATORS)), figure_path)


if __name__ == "__main__":
    job.run(plot_estimators)
