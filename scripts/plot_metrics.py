"""Draw the scores of CSDI and the baselines."""

from scoredag.figures import imputations, style
from scoredag.job import logs
from scoredag.store import tables


def plot_metrics(metrics_path, figure_path, settings):
    """Draw CRPS, MAE and RMSE of all features together, for each pattern and method."""
    table = tables.read(metrics_path, tables.CSDI_METRICS)
    style.save(imputations.metrics(table, style.colour(settings["colour"])), figure_path)


if __name__ == "__main__":
    with logs.of(snakemake):
        plot_metrics(snakemake.input.metrics, snakemake.output.figure, snakemake.params.settings)
