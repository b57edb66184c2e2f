"""Impute the held-out entries of the validation and the test windows by simpler methods."""

import logging
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from scoredag import gaussian, job
from scoredag.series import baselines, components, profiles, structural, tidy, transforms, windows
from scoredag.store import tables

SPLITS = ("valid", "test")


class Part(NamedTuple):
    """Some windows: their numbers (N,); values, codes of roles, and what is subtracted, (N, K, L).

    `targets` are window, feature and step of each target, by window, step and feature.
    """

    numbers: np.ndarray
    values: np.ndarray
    roles: np.ndarray
    profile: np.ndarray
    targets: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, rows: pd.DataFrame, stats: pd.DataFrame) -> Self:
        """From rows of the table of windows."""
        numbers, values, roles = windows.to_arrays(rows, stats)
        window, step, feature = np.nonzero(roles.transpose(0, 2, 1) == windows.TARGET)
        return cls(numbers, values, roles, windows.profile(rows, len(stats)), (window, feature, step))


def impute_baselines(
    series_path: str,
    profile_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    gaussian_path: str,
    structural_path: str,
    baselines_path: str,
    settings: dict,
    dataset: str,
) -> None:
    """Write each method's forecast of every target in physical units, and its deviation where the method has one.

    A deviation is that of the transformed value, where its feature has a transform. Of `settings["shard"]`, its number
    and of how many, the methods that see a window alone have some of the windows; the number after the last one is that
    of the structural model, which sees the whole series.
    """
    paths = (series_path, profile_path, windows_path, starts_path, statistics_path, gaussian_path, structural_path)
    number, n_shards = settings.get("shard", windows.WHOLE)
    if number == n_shards:
        write_forecasts(*paths, baselines_path, dataset, [baselines.STRUCTURAL])
    elif n_shards > 1:
        of_windows = [name for name in baselines.NAMES if name != baselines.STRUCTURAL]
        write_forecasts(*paths, baselines_path, dataset, of_windows, shard=(number, n_shards))
    else:
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
    shard: tuple[int, int] = windows.WHOLE,
) -> None:
    """Write the forecasts of some methods for the targets of some splits, or of a shard of their windows."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    size = windows.in_a_part(windows_path, stats)
    numbers = {split: windows.share(windows.numbers(windows_path, split), size, *shard) for split in SPLITS}
    of_windows = [name for name in methods if name != baselines.STRUCTURAL and any(map(len, numbers.values()))]

    def parts(split):
        for _, rows in windows.parts(windows_path, stats, split, numbers[split]):
            yield Part.of(rows, stats)

    with tables.writing(baselines_path, tables.BASELINES) as write:
        begin = time.perf_counter()
        for method, forecast in _fitted(windows_path, stats, gaussian_path, of_windows):
            for split in written:
                for part in parts(split):
                    filled, deviations = forecast(part.values, part.roles == windows.OBSERVED)
                    of_targets = None if deviations is None else deviations[part.targets]
                    write(_rows(split, method, part, stats, filled[part.targets], of_targets))
            begin = _told(dataset, method, begin)
        if baselines.STRUCTURAL not in methods:
            return
        models = components.load(structural_path)
        wide = tidy.read(series_path)
        scores = windows.z_scores(wide.to_numpy(), stats, profiles.read(profile_path))
        hidden = {split: _hidden(parts(split)) for split in SPLITS}
        smoothed = _smoothed(models, wide, scores, starts_path, numbers, hidden, stats)
        for split in written:
            first = 0
            for part in parts(split):
                last = first + len(part.targets[0])
                write(_rows(split, baselines.STRUCTURAL, part, stats, *smoothed[split][:, first:last]))
                first = last
        _told(dataset, baselines.STRUCTURAL, begin)


def _fitted(windows_path, stats, gaussian_path, methods):
    """(name, forecast) of each of the methods, which see a window alone; of no methods nothing is read."""
    if methods:
        _, values, roles = windows.read_some(windows_path, stats, "train", baselines.N_TRAINING)
        law = gaussian.load(gaussian_path)
        if law is None:
            logging.warning("%s is left out, as it could not be estimated (fit_gaussian.log)", baselines.GAUSSIAN)
        yield from baselines.fitted(values, roles == windows.OBSERVED, law, methods)


def _told(dataset, method, begin):
    """Log how long a method took since `begin`, fitting included; the time now."""
    now = time.perf_counter()
    logging.info("%s: %s, %.1f s", dataset, method, now - begin)
    return now


def _hidden(parts):
    """The targets of windows, boolean (N, L, K)."""
    return np.concatenate([part.roles.transpose(0, 2, 1) == windows.TARGET for part in parts])


def _smoothed(models, wide, scores, starts_path, numbers, hidden, stats):
    """Means and deviations (2, n) of the targets of each split, all of one pattern hidden at once.

    `scores` are the z-scores (T, K) of the series `wide`; `hidden` (N, L, K), boolean, are the targets of the windows
    `numbers`.
    """
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")
    steps, patterns, result = {}, {}, {}
    for split, targets in hidden.items():
        rows = starts.loc[numbers[split]]
        places = rows["start"] if wide.index.nlevels == 1 else pd.MultiIndex.from_frame(rows[["series", "start"]])
        firsts = wide.index.get_indexer(places)
        steps[split] = windows.steps_of(firsts, targets.shape[1], len(wide))
        codes = rows["held_out"].cat.codes.to_numpy()
        turns = pd.DataFrame({"code": codes, "first": firsts}).groupby(["code", "first"]).cumcount().to_numpy()
        patterns[split] = codes + turns * len(rows["held_out"].cat.categories)  # windows that are there again, apart
        result[split] = np.empty((2, targets.sum()))
    for code in np.unique(np.concatenate(list(patterns.values()))):
        masked = scores.copy()
        entries = {}
        for split, targets in hidden.items():
            here = patterns[split] == code
            window, step, feature = np.nonzero(targets[here])
            entries[split] = steps[split][here][window, step], feature
            masked[entries[split]] = np.nan
        smoothed = structural.smooth_all(models, list(stats["feature"]), masked, tidy.series_of(wide)[1])
        for split, targets in hidden.items():
            of_code = np.repeat(patterns[split] == code, targets.sum(axis=(1, 2)))
            result[split][:, of_code] = [moments[entries[split]] for moments in smoothed]
    return result


def _rows(split, method, part, stats, filled, deviations):
    """The table's rows of a method, by window, step and feature, from its forecasts of the targets of some windows."""
    window, feature, step = part.targets
    mean, std = (stats[name].to_numpy()[feature] for name in ("mean", "std"))
    n = len(window)
    return {
        "split": pd.Categorical.from_codes(np.full(n, windows.SPLITS.index(split)), windows.SPLITS),
        "window": part.numbers[window],
        "step": step,
        "feature": pd.Categorical.from_codes(feature, stats["feature"]),
        "method": pd.Categorical.from_codes(np.full(n, baselines.NAMES.index(method)), baselines.NAMES),
        "value": transforms.inverse(part.profile[part.targets] + mean + std * filled, stats, feature),
        "deviation": np.full(n, np.nan) if deviations is None else std * deviations,
    }


if __name__ == "__main__":
    job.run(impute_baselines, cached=True)
