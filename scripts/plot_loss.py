"""Draw the training history."""

from scoredag import job
from scoredag.figures import imputations, style
from scoredag.store import tables


def plot_loss(history_path: str, figure_path: str, settings: dict) -> None:
    """Draw training and validation loss."""
    history = tables.read(history_path, tables.HISTORY)
    style.save(imputations.history(history, style.colour(settings["colour"])), figure_path)


if __name__ == "__main__":
    job.run(plot_loss)
