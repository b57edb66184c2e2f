"""Impute the held-out entries of the validation and the test windows by simpler methods."""

import logging
import time
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from scoredag import gaussian, job
from scoredag.series import baselines, components, profiles, structural, tidy, transforms, windows
from scoredag.store import tables

SPLITS = ("valid", "test")


def impute_baselines(
    series_path: str,
    profile_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    gaussian_path: str,
    structural_path: str,
    baselines_path: str,
    dataset: str,
) -> None:
    """Write each method's forecast of every target in physical units, and its deviation where the method has one.

    A deviation is that of the transformed value, where its feature has a transform.
    """
    paths = (series_path, profile_path, windows_path, starts_path, statistics_path, gaussian_path, structural_path)
    write_forecasts(*paths, baselines_path, dataset)


def write_forecasts(
    series_path: str,
    profile_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    gaussian_path: str,
    structural_path: str,
    baselines_path: str,
    dataset: str,
    methods: Collection[str] = baselines.NAMES,
    written: Sequence[str] = SPLITS,
) -> None:
    """Write the forecasts of some methods, and always of the structural model, for the targets of some splits."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    rows = {name: windows.table(windows_path, name) for name in SPLITS}
    splits = {name: windows.to_arrays(table, stats) for name, table in rows.items()}
    subtracted = {name: windows.profile(table, len(stats)) for name, table in rows.items()}
    _, values, roles = windows.read(windows_path, stats, "train")
    law = gaussian.load(gaussian_path)
    if law is None:
        logging.warning("%s is left out, as it could not be estimated (fit_gaussian.log)", baselines.GAUSSIAN)
    with tables.writing(baselines_path, tables.BASELINES) as write:
        begin = time.perf_counter()
        for method, forecast in baselines.fitted(values, roles == windows.OBSERVED, law, methods):
            for split in written:
                numbers, hidden, here = splits[split]
                filled = forecast(hidden, here == windows.OBSERVED)
                write(_rows(split, method, numbers, here == windows.TARGET, *filled, stats, subtracted[split]))
            begin = _told(dataset, method, begin)
        models = components.load(structural_path)
        wide = tidy.from_tidy(tables.read(series_path, tables.SERIES))
        scores = windows.z_scores(wide.to_numpy(), stats, profiles.read(profile_path))
        smoothed = _smoothed(models, wide, scores, starts_path, splits, stats)
        for split in written:
            numbers, _, here = splits[split]
            targets, more = here == windows.TARGET, (stats, subtracted[split])
            write(_rows(split, baselines.STRUCTURAL, numbers, targets, *smoothed[split], *more))
        _told(dataset, baselines.STRUCTURAL, begin)


def _told(dataset, method, begin):
    """Log how long a method took since `begin`, fitting included; the time now."""
    now = time.perf_counter()
    logging.info("%s: %s, %.1f s", dataset, method, now - begin)
    return now


def _smoothed(models, wide, scores, starts_path, splits, stats):
    """Means and deviations (N, K, L) of the windows of each split, all targets of one pattern hidden at once.

    `scores` are the z-scores (T, K) of the series `wide`.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")
    steps, patterns, result = {}, {}, {}
    for split, (numbers, _, roles) in splits.items():
        rows = starts.loc[numbers]
        places = rows["start"] if wide.index.nlevels == 1 else pd.MultiIndex.from_frame(rows[["series", "start"]])
        firsts = wide.index.get_indexer(places)
        steps[split] = windows.steps_of(firsts, roles.shape[2], len(wide))
        codes = rows["held_out"].cat.codes.to_numpy()
        turns = pd.DataFrame({"code": codes, "first": firsts}).groupby(["code", "first"]).cumcount().to_numpy()
        patterns[split] = codes + turns * len(rows["held_out"].cat.categories)  # windows that are there again, apart
        result[split] = np.empty((2, *roles.shape))
    for code in np.unique(np.concatenate(list(patterns.values()))):
        hidden = scores.copy()
        for split, (_, _, roles) in splits.items():
            window, feature, step = np.nonzero((roles == windows.TARGET) & (patterns[split] == code)[:, None, None])
            hidden[steps[split][window, step], feature] = np.nan
        smoothed = structural.smooth_all(models, list(stats["feature"]), hidden, tidy.series_of(wide)[1])
        for split, which in patterns.items():
            here = which == code
            for part, of_series in zip(result[split], smoothed, strict=True):
                part[here] = of_series[steps[split][here]].transpose(0, 2, 1)
    return result


def _rows(split, method, numbers, targets, filled, deviations, stats, profile):
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
        "value": transforms.inverse(profile[entries] + mean + std * filled[entries], stats, feature),
        "deviation": np.full(n, np.nan) if deviations is None else std * deviations[entries],
    }


if __name__ == "__main__":
    job.run(impute_baselines, cached=True)
