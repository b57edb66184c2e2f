"""Draw the divergence and its bound against the error of the score."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_score_errors(score_errors_path: str, figure_path: str) -> None:
    """Draw one panel a kind of error."""
    style.save(likelihoods.score_errors(tables.read(score_errors_path, tables.SCORE_ERRORS)), figure_path)


if __name__ == "__main__":
    job.run(plot_score_errors)
