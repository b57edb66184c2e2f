"""Draw the training history."""

from scoredag import job
from scoredag.figures import imputations, style
from scoredag.store import tables


def plot_loss(history_path: str, scratch_paths: list[str], figure_path: str, settings: dict) -> None:
    """Draw training and validation loss, beside that of the runs `settings["scratch"]`, in the order of their paths."""
    history, *others = (tables.read(path, tables.HISTORY) for path in (history_path, *scratch_paths))
    scratch = dict(zip(settings["scratch"], others, strict=True))
    style.save(imputations.history(history, style.colour(settings["colour"]), scratch), figure_path)


if __name__ == "__main__":
    job.run(plot_loss)
