"""Impute the held-out entries of the validation and the test windows by simpler methods."""

import logging

import numpy as np
import pandas as pd

from scoredag import gaussian, job
from scoredag.series import baselines, windows
from scoredag.store import tables


def impute_baselines(
    windows_path: str, statistics_path: str, gaussian_path: str, baselines_path: str, dataset: str
) -> None:
    """Write each method's forecast of every target in physical units, and its deviation where the method has one."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    splits = {name: windows.read(windows_path, stats, name) for name in ("valid", "test")}
    _, values, roles = windows.read(windows_path, stats, "train")
    law = gaussian.load(gaussian_path)
    if law is None:
        logging.warning("%s is left out, as it could not be estimated (fit_gaussian.log)", baselines.GAUSSIAN)
    with tables.writing(baselines_path, tables.BASELINES) as write:
        for method, forecast in baselines.fitted(values, roles == windows.OBSERVED, law):
            logging.info("%s: %s", dataset, method)
            for split, (numbers, hidden, here) in splits.items():
                filled, deviations = forecast(hidden, here == windows.OBSERVED)
                write(_rows(split, method, numbers, here == windows.TARGET, filled, deviations, stats))


def _rows(split, method, numbers, targets, filled, deviations, stats):
    """The table's rows of a method, by window, step and feature."""
    window, step, feature = np.nonzero(targets.transpose(0, 2, 1))
    entries = window, feature, step
    mean, std = (stats[name].to_numpy()[feature] for name in ("mean", "std"))
    n = len(window)
    return {
        "split": pd.Categorical.from_codes(np.full(n, windows.SPLITS.index(split)), windows.SPLITS),
        "window": numbers[window],
        "step": step,
        "feature": pd.Categorical.from_codes(feature, stats["feature"]),
        "method": pd.Categorical.from_codes(np.full(n, baselines.NAMES.index(method)), baselines.NAMES),
        "value": mean + std * filled[entries],
        "deviation": np.full(n, np.nan) if deviations is None else std * deviations[entries],
    }


if __name__ == "__main__":
    job.run(impute_baselines, cached=True)
