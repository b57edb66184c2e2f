"""Draw the training history."""

from scoredag.figures import imputations, style
from scoredag.job import logs
from scoredag.store import tables


def plot_loss(history_path, figure_path, settings):
    """Draw training and validation loss."""
    history = tables.read(history_path, tables.HISTORY)
    style.save(imputations.history(history, style.colour(settings["colour"])), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_loss(snakemake.input.history, snakemake.output.figure, snakemake.params.settings)
