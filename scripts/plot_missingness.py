"""Draw what is missing in a series, before anything is filled."""

from scoredag import job
from scoredag.figures import absences, style
from scoredag.store import tables


def plot_missingness(missingness_path: str, figure_path: str, dataset: str) -> None:
    """Draw the table that `measure_missingness` writes."""
    style.save(absences.missingness(tables.read(missingness_path, tables.MISSINGNESS), dataset), figure_path)


if __name__ == "__main__":
    job.run(plot_missingness)
