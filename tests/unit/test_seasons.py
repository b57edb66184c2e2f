"""Cycles longer than a window: found where there are some, and not where values are noise or wander."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from cut_windows import cut_windows
from scoredag.series import readers, seasons, tidy, windows
from scoredag.store import tables


def noise(n_steps, n_features, feedback=0.0, seed=0):
    """AR(1): white noise with a feedback of 0, random walks with one of 1."""
    steps = np.random.default_rng(seed).normal(size=(n_steps, n_features))
    return lfilter([1.0], [1.0, -feedback], steps, axis=0)


def wave(n_steps, period):
    return np.sin(2 * np.pi * np.arange(n_steps) / period)[:, None]


def as_trained(values, block, share=0.1):
    """`values` of the training blocks alone, and of these without a share."""
    splits = windows.assign_splits(len(values), block, (0.7, 0.1, 0.2))
    gone = np.random.default_rng(1).random(values.shape) < share
    return np.where(gone | (splits != 0)[:, None], np.nan, values)


def found(length, values):
    return seasons.longer_than(length, values, [len(values)])


@pytest.mark.parametrize(
    ("n_steps", "period", "length", "deviation"),
    [(240, 12, 6, 0.2), (732, 12, 6, 0.5), (3000, 168, 24, 0.5), (2000, 29.53, 24, 0.5), (1000, 7, 6, 0.7)],
)
def test_a_cycle_is_found_below_noise_and_gaps(n_steps, period, length, deviation):
    values = as_trained(wave(n_steps, period) + deviation * noise(n_steps, 50), block=max(n_steps // 30, 12))
    periods = found(length, values)
    assert (periods > 0).mean() > 0.95
    assert np.abs(periods[periods > 0] / period - 1).max() < 0.1
    assert not found(round(period), values).any()


def test_a_cycle_that_is_there_three_times_is_found_if_it_is_most_of_the_series():
    year, n_steps = 8766, 28_000
    values = as_trained(wave(n_steps, year) + 0.3 * wave(n_steps, 24) + 0.2 * noise(n_steps, 8), 240)
    np.testing.assert_allclose(found(24, values), year, rtol=0.03)
    assert not found(24, values[: int(2.9 * year)]).any()
    assert not found(24, as_trained(wave(n_steps, year) + 2 * noise(n_steps, 8), 240)).any()


@pytest.mark.parametrize("length", [6, 24, 30, 36, 100])
def test_multiples_of_a_shorter_cycle_are_none(length):
    values = wave(5000, 24) + 0.3 * wave(5000, 12) + 0.2 * noise(5000, 5)
    assert set(found(length, values)) == {24 if length < 24 else 0}


def test_a_trend_and_a_slow_wave_do_not_hide_a_cycle():
    values = wave(720, 12) + np.linspace(0, 20, 720)[:, None] + wave(720, 700) + 0.2 * noise(720, 5)
    assert set(found(6, values)) == {12}


@pytest.mark.parametrize("feedback", [0.0, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("n_steps", [60, 120, 400, 2000])
@pytest.mark.parametrize("length", [1, 6, 24])
def test_what_wanders_has_none(length, n_steps, feedback):
    """200 series with gaps and 200 without: at most one alarm, and four of the 24,000 of all cases."""
    values = noise(n_steps, 200, feedback, seed=n_steps)
    alarms = (found(length, values) > 0).sum() + (found(length, as_trained(values, n_steps // 30)) > 0).sum()
    assert alarms <= 1


def test_a_series_of_less_than_three_periods_or_with_few_values_has_none():
    assert not found(6, wave(35, 12)).any()
    assert not found(30, wave(80, 40)).any()
    assert found(6, wave(240, 12)) == [12]
    assert not found(6, np.where(np.arange(240)[:, None] % 12 == 3, wave(240, 12), np.nan)).any()
    assert not found(6, np.full((240, 1), np.nan)).any()
    assert not found(6, np.ones((240, 1))).any()


def test_several_series_count_together_and_none_goes_on_in_the_next():
    part = wave(60, 12) + 0.2 * noise(60, 1)
    assert seasons.longer_than(6, np.concatenate([part] * 6), [60] * 6) == [12]
    short = [20] * 18  # three windows, but not three periods
    assert seasons.longer_than(6, np.concatenate([part] * 6), short) == [0]


def test_a_long_series_takes_little_time():
    values = as_trained(wave(50_000, 24) + noise(50_000, 10), 240)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        assert set(found(6, values)) == {24}
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1  # about 0.35; machines differ


def test_the_shipped_weather_has_none_of_more_than_a_day(root):
    features = ["temp", "dewp", "humid", "pressure", "wind_speed", "visib"]
    wide = readers.read_wide(root / "data/nyc-weather.csv", time="time_hour", group="origin", features=features)
    assert not found(24, as_trained(wide.to_numpy(), 240, share=0)).any()


HELD_OUT = [["random-10", {"pattern": "random", "share": 0.1, "length": None}]]
SETTINGS = {
    "length": 6,
    "block": 24,
    "train_stride": 6,
    "split_seed": 1,
    "statistics": "train",
    "max_windows": None,
    "max_validation_windows": 50,
    "profile": "none",
    "shares": [0.7, 0.1, 0.2],
    "circular": {},
    "covariates": [],
    "plausible": {},
    "transform": {},
    "file": None,
    "group": None,
    "held_out": HELD_OUT,
    "seed": 1,
}


def told(folder, caplog, values, freq, **settings):
    """What the log warns of when a series is cut into windows."""
    times = pd.date_range("1950-01-01", periods=len(values), freq=freq, tz="UTC", name="time")
    wide = pd.DataFrame(values, times, [f"x{number}" for number in range(values.shape[1])])
    tables.write(tidy.to_tidy(wide), folder / "series.parquet", tables.SERIES)
    outputs = [folder / f"{name}.parquet" for name in ("windows", "starts", "statistics", "profile")]
    caplog.clear()
    cut_windows(folder / "series.parquet", *outputs, SETTINGS | settings, "sea")
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_one_line_names_features_period_and_key(tmp_path, caplog):
    values = np.concatenate([wave(720, 12) + 0.2 * noise(720, 2), noise(720, 1, seed=1)], axis=1)
    assert told(tmp_path, caplog, values, "MS") == [
        "windows of 6 steps see only a part of a cycle of about 12 steps (365 days) of 'x0', 'x1'; write "
        "datasets.sea.windows.length: 12 or more, as far as memory allows, or subtract the cycle from the file first"
    ]
    assert told(tmp_path, caplog, values, "MS", length=12) == []


def test_several_cycles_and_a_block_that_is_too_short_are_in_the_same_line(tmp_path, caplog):
    values = np.concatenate([wave(3000, 12), wave(3000, 168)], axis=1) + 0.1 * noise(3000, 2)
    (line,) = told(tmp_path, caplog, values, "1h")
    assert "a cycle of about 12 steps (12 hours) of 'x0', and of one of about 168 steps (7 days) of 'x1'; " in line
    assert "windows.length: 168 or more and windows.block: 168 or more, as far" in line
