"""Trend and cycles that are subtracted before windows are cut, and added back to what is written."""

import logging

import numpy as np
import pandas as pd
import pytest

from cut_windows import cut_windows
from impute_baselines import impute_baselines
from scoredag import gaussian
from scoredag.series import components, profiles, tidy, windows
from scoredag.store import tables

N = 48 * 60  # half-hours of 60 days
SETTINGS = {"seed": 1, "length": 24, "block": 240, "shares": (0.7, 0.1, 0.2), "train_stride": 6, "split_seed": 1}
SETTINGS |= {
    "statistics": "train",
    "max_windows": None,
    "max_validation_windows": 50,
    "file": None,
    "circular": {},
    "covariates": [],
}
SETTINGS |= {"plausible": {}, "transform": {}}
SETTINGS |= {"group": None, "held_out": [["random-50", {"pattern": "random", "share": 0.5, "length": None}]]}


def series(cycle, noise=0.1, seed=0):
    """Two features with a trend and a day of two waves, times `cycle`, and noise."""
    times = pd.date_range("2020-01-01", periods=N, freq="30min", tz="UTC", name="time").as_unit("us")
    steps = np.arange(N)
    day = np.sin(2 * np.pi * steps / 48) + 0.5 * np.cos(4 * np.pi * steps / 48) + steps / N
    values = 100 + cycle * day[:, None] * [5, 20] + noise * np.random.default_rng(seed).normal(size=(N, 2)) * [5, 20]
    return pd.DataFrame(values, times, ["x", "y"])


@pytest.fixture
def cut(tmp_path):
    """A function of a series and the key `profile` that runs the script: folder and statistics."""
    names = ("series", "windows", "starts", "statistics", "profile")
    paths = [tmp_path / f"{name}.parquet" for name in names]

    def run(wide, profile):
        tables.write(tidy.to_tidy(wide), paths[0], tables.SERIES)
        cut_windows(*paths, SETTINGS | {"profile": profile}, "mine")
        return tmp_path, tables.read(paths[3], tables.STATISTICS)

    return run


def test_a_trend_and_a_day_are_found_from_training_steps_alone():
    wide = series(1.0)
    training = np.arange(N) % 480 < 336
    profile = profiles.estimate(wide, training)
    assert profile.parts == ("trend", "day", "week")
    rest = wide.to_numpy() - profile.values
    assert abs(rest.mean(axis=0)).max() < 0.1 and (rest.std(axis=0) < [0.55, 2.2]).all()
    spoilt = wide.where(np.column_stack([training, training]), 1e6)
    np.testing.assert_array_equal(profiles.estimate(spoilt, training).values, profile.values)
    wide.loc[training, "x"] = np.nan
    assert (profiles.estimate(wide, training).values[:, 0] == 0).all()  # nothing to estimate it from


def test_a_profile_is_the_same_some_steps_at_a_time(monkeypatch):
    wide, training = series(1.0).where(np.random.default_rng(1).random((N, 2)) < 0.9), np.arange(N) % 480 < 336
    whole = profiles.estimate(wide, training).values
    monkeypatch.setattr(profiles, "AT_ONCE", 1000)
    np.testing.assert_allclose(profiles.estimate(wide, training).values, whole, rtol=1e-9)


def test_a_cycle_that_windows_do_not_see_is_subtracted_and_noise_is_not(cut, caplog):
    caplog.set_level(logging.INFO)
    folder, stats = cut(series(1.0), "auto")
    assert "trend, day, week: CRPS of the joint Gaussian" in caplog.text and ": subtracted" in caplog.text
    assert (stats["std"] < [0.6, 2.4]).all()  # of what is left
    cut(series(0.0), "auto")
    assert ": not subtracted" in caplog.text
    assert profiles.read(folder / "profile.parquet") == 0.0
    table = tables.read(folder / "windows.parquet", tables.WINDOWS)
    assert "profile" not in table


def test_windows_are_z_scores_of_the_rest_and_values_stay_physical(cut):
    wide = series(1.0)
    folder, stats = cut(wide, "calendar")
    profile = profiles.read(folder / "profile.parquet")
    numbers, scores, roles = windows.read(folder / "windows.parquet", stats, "test")
    starts = tables.read(folder / "starts.parquet", tables.WINDOW_STARTS).set_index("window")
    first = wide.index.get_indexer([starts.loc[numbers[3], "start"]])[0]
    part = slice(first, first + 24)
    rest = (wide.to_numpy() - profile)[part]
    expected = (rest - stats["mean"].to_numpy()) / stats["std"].to_numpy()
    np.testing.assert_allclose(scores[3].T, expected, atol=1e-5)
    table = tables.read(folder / "windows.parquet", tables.WINDOWS)
    of_window = table[table["window"] == numbers[3]]
    np.testing.assert_array_equal(of_window["value"].to_numpy().reshape(24, 2), wide.to_numpy()[part])
    found = windows.profile(windows.table(folder / "windows.parquet", "test"), len(stats))
    np.testing.assert_array_equal(found[3].T, profile[part])
    assert (roles == windows.TARGET).any()


def test_forecasts_are_written_in_physical_units(cut):
    """The day is most of the series, and no window sees it as a whole: without the profile errors are far larger."""
    errors = {}
    for key in ("none", "calendar"):
        folder, _ = cut(series(1.0), key)
        gaussian.save(None, folder / "gaussian.safetensors", {})
        components.save({}, folder / "structural.parquet")
        names = ("series", "profile", "windows", "starts", "statistics")
        paths = {f"{name}_path": folder / f"{name}.parquet" for name in names}
        paths |= {"gaussian_path": folder / "gaussian.safetensors", "structural_path": folder / "structural.parquet"}
        impute_baselines(**paths, baselines_path=folder / "baselines.parquet", settings={}, dataset="mine")
        found = tables.read(folder / "baselines.parquet", tables.BASELINES, filters=[("split", "==", "test")])
        means = found[found["method"] == "mean"].set_index(["window", "step", "feature"])["value"]
        table = tables.read(folder / "windows.parquet", tables.WINDOWS).set_index(["window", "step", "feature"])
        errors[key] = (means - table.loc[means.index, "value"]).abs().groupby("feature", observed=True).mean()
    assert (errors["calendar"] < 0.2 * errors["none"]).all() and errors["calendar"]["y"] < 2.5


def test_a_profile_goes_on_as_it_was():
    """Its own values within the series, trend and cycles of the same coefficients before and after it."""
    wide = series(1.0)
    training = np.arange(N) < 0.7 * N
    profile = pd.DataFrame(profiles.estimate(wide, training).values, wide.index, wide.columns)
    steps = np.arange(-96, N + 96)
    longer = profiles.extended(profile, steps)
    assert (longer[96:-96] == profile.to_numpy()).all()
    day = profile.to_numpy()[96:] - profile.to_numpy()[:-96]  # two days of the trend alone, but for the week's cycle
    np.testing.assert_allclose(longer[-96:] - profile.to_numpy()[-96:], day[-7 * 48 : -5 * 48], atol=1e-8)
    np.testing.assert_allclose(profiles.extended(profile, steps[::-1])[::-1], longer, atol=1e-12)
