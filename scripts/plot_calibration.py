"""Draw how often held-out values fall inside the intervals."""

import numpy as np

from scoredag import logs, metrics, tables
from scoredag.figures import imputations, style


def plot_calibration(samples_path, starts_path, figure_path, settings):
    """Draw coverage against the nominal level of central intervals, a line for each pattern.

    Only up to the level that so many samples can serve: see `metrics.interval`.
    """
    targets, samples = tables.read_imputations(samples_path)
    truth = targets["truth"].to_numpy()
    held_out = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")["held_out"][targets["window"]]
    n_samples = len(samples)
    nominal = np.arange(1, 20) / 20
    nominal = nominal[nominal <= (n_samples - 1) / (n_samples + 1)]
    curves = {
        name: _coverages(samples, truth, held_out.to_numpy() == name, nominal) for name in dict.fromkeys(held_out)
    }
    style.save(imputations.calibration(nominal, curves, n_samples, style.colour(settings["colour"])), figure_path)


def _coverages(samples, truth, chosen, nominal):
    """Coverage at each nominal level, and of how many targets."""
    return [metrics.coverage(samples, truth, chosen, level) for level in nominal], int(chosen.sum())


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        plot_calibration(
            snakemake.input.samples,
            snakemake.input.starts,
            snakemake.output.figure,
            snakemake.params.settings,
        )
