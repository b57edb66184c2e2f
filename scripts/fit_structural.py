"""Estimate a structural model of each feature of a series from its training steps."""

import logging

import numpy as np

from scoredag import job
from scoredag.errors import InputError
from scoredag.series import components, profiles, structural, tidy, window_lengths, windows
from scoredag.store import tables


def fit_structural(
    series_path: str, profile_path: str, statistics_path: str, structural_path: str, settings: dict, dataset: str
) -> None:
    """Write the model of each feature, of z-scores; what cannot be estimated is left out, with a line in the log."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    wide = tidy.read(series_path)
    names, lengths = tidy.series_of(wide)
    chosen = window_lengths.choose(wide, lengths, *(settings[key] for key in ("length", "block", "shares", "held_out")))
    splits = windows.split(lengths, names is not None, chosen.block, chosen.shares, settings["split_seed"])
    scores = windows.z_scores(wide.to_numpy(), stats, profiles.read(profile_path))
    scores[splits != windows.SPLITS.index("train")] = np.nan
    times = wide.index.get_level_values(-1)
    models = {}
    for feature, values in zip(wide.columns, scores.T, strict=True):
        periods = structural.periods_of(times, values, lengths)
        try:
            models[feature] = structural.fit(values, ~np.isnan(values), periods, lengths)
        except InputError as error:
            logging.warning("%s: '%s': %s; it is left out", dataset, feature, error)
            continue
        logging.info("'%s': %s", feature, components.described(models[feature]))
    components.save(models, structural_path)


if __name__ == "__main__":
    job.run(fit_structural, cached=True)
