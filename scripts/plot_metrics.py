"""Draw the scores of CSDI, of simpler methods and of their average."""

from scoredag import job
from scoredag.figures import imputations, style
from scoredag.store import tables


def plot_metrics(metrics_path: str, figure_path: str, settings: dict) -> None:
    """Draw CRPS, MAE and RMSE of all features together, for each pattern and method."""
    table = tables.read(metrics_path, tables.CSDI_METRICS)
    style.save(imputations.metrics(table, style.colour(settings["colour"])), figure_path)


if __name__ == "__main__":
    job.run(plot_metrics)
