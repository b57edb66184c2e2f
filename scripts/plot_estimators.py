"""Draw error and cost of estimators of the bound."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_estimators(estimators_path: str, figure_path: str) -> None:
    """Draw the deviation of a draw, and the error at a number of evaluations of the score."""
    style.save(likelihoods.estimators(tables.read(estimators_path, tables.ESTIMATORS)), figure_path)


if __name__ == "__main__":
    job.run(plot_estimators)
