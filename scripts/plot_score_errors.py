"""Draw the divergence and its bound against the error of the score."""

from scoredag.figures import likelihoods, style
from scoredag.job import logs
from scoredag.store import tables


def plot_score_errors(score_errors_path, figure_path):
    """Draw one panel a kind of error."""
    style.save(likelihoods.score_errors(tables.read(score_errors_path, tables.SCORE_ERRORS)), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_score_errors(snakemake.input.score_errors, snakemake.output.figure)
