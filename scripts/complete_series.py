"""Fill the series' own gaps with joint draws, of which sums and means have honest intervals."""

import numpy as np
import pandas as pd

from fill_gaps import fill
from scoredag import job
from scoredag.series import tidy
from scoredag.store import tables

MEDIANS = {"level": 0.5}  # `fill` also takes an interval, which nobody reads here


def complete_series(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    validation_path: str | None,
    baselines_path: str | None,
    structural_path: str | None,
    windows_path: str,
    starts_path: str | None,
    series_path: str,
    profile_path: str,
    statistics_path: str,
    drawn_path: str | None,
    completed_path: str,
    settings: dict,
    run: str,
    threads: int,
) -> None:
    """Write independent joint draws of the missing values, by time, feature and draw; a window at a time."""
    wide = tidy.read(series_path)
    several, lengths = tidy.series_of(wide)
    times = wide.index.get_level_values(-1)
    series = np.repeat(np.arange(len(lengths)), lengths)
    n_draws = settings["draws"]
    schema = tables.COMPLETED if several is None else tables.of_several(tables.COMPLETED)
    paths = (model_path, gaussian_path, choice_path, validation_path, baselines_path, structural_path)
    more = (windows_path, starts_path, series_path, profile_path, statistics_path)
    with tables.writing(completed_path, schema) as write:

        def keep(steps, features, draws):
            steps, features = np.repeat(steps, n_draws), np.repeat(features, n_draws)
            rows = {} if several is None else {"series": pd.Categorical.from_codes(series[steps], several)}
            rows |= {
                "draw": np.tile(np.arange(n_draws, dtype=np.int32), draws.shape[1]),
                "time": times[steps],
                "feature": pd.Categorical.from_codes(features, wide.columns),
                "value": draws[:n_draws].T.ravel(),
            }
            write(rows)

        fill(*paths, *more, settings | MEDIANS, run, threads, keep, drawn_path=drawn_path)


if __name__ == "__main__":
    job.run(complete_series, cached=True)
