"""Draw how often held-out values fall inside the intervals."""

import numpy as np

from scoredag import logs, metrics, tables
from scoredag.figures import imputations, style


def plot_calibration(samples_path, figure_path, settings):
    """Draw coverage against the nominal level of central intervals."""
    targets, samples = tables.read_imputations(samples_path)
    truth = targets["truth"].to_numpy()
    nominal = np.arange(1, 20) / 20
    everywhere = np.ones(len(truth), bool)
    actual = [metrics.coverage(samples, truth, everywhere, level) for level in nominal]
    drawn = imputations.calibration(nominal, actual, len(truth), len(samples), style.colour(settings["colour"]))
    style.save(drawn, figure_path)


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        plot_calibration(snakemake.input.samples, snakemake.output.figure, snakemake.params.settings)
