"""Lengths of windows and blocks that the series itself chooses."""

import logging

import numpy as np
import pandas as pd
import pytest

from cut_windows import cut_windows
from scoredag.series import tidy, window_lengths
from scoredag.store import tables


def series(n, n_features=2, seed=0):
    times = pd.date_range("2020-01-01", periods=n, freq="h", tz="UTC", name="time").as_unit("us")
    values = np.random.default_rng(seed).normal(size=(n, n_features))
    return pd.DataFrame(values, times, [f"x{k}" for k in range(n_features)])


def chosen(wide, length="auto", block="auto", run=1):
    return window_lengths.choose(wide, [len(wide)], length, block, held_out=[("runs", {"length": run})])


def test_a_long_series_without_cycles_and_gaps_has_the_usual_windows_and_blocks():
    assert chosen(series(4000)) == (24, 240, window_lengths.SHARES, "as usual")


@pytest.mark.parametrize(("n", "length", "block"), [(203, 12, 12), (100, 8, 8), (550, 24, 24), (1461, 24, 96)])
def test_a_short_series_has_shorter_windows_and_blocks(n, length, block):
    found = chosen(series(n))
    assert found[:2] == (length, block)
    assert n // found.block >= window_lengths.BLOCKS - 2
    assert found.why == (f"the series has {n} steps" if length < 24 else "as usual")


def test_a_cycle_that_is_a_little_longer_than_a_window_fits_into_one():
    wide = series(3000)
    wide += 5 * np.sin(2 * np.pi * np.arange(3000) / 40)[:, None]
    assert chosen(wide) == (40, 200, window_lengths.SHARES, "its cycle has 40 steps")
    one = series(3000)
    one["x0"] = wide["x0"]  # half of the features
    assert chosen(one).length == 24
    assert chosen(series(3000) + 5 * np.sin(2 * np.pi * np.arange(3000) / 100)[:, None]).length == 24


def test_gaps_that_hardly_fit_into_a_window_make_it_longer():
    wide = series(3000)
    for first in range(100, 2900, 200):
        wide.iloc[first : first + 30, 0] = np.nan
    assert chosen(wide) == (48, 192, window_lengths.SHARES, "most missing values lie in gaps of 30 steps or more")
    wide.iloc[:2000, 1] = np.nan  # so long that no window holds it
    assert chosen(wide).length == 24


def test_what_is_written_stays_and_windows_fit_into_blocks_and_hold_runs():
    wide = series(4000)
    assert chosen(wide, 12)[:2] == (12, 120) and chosen(wide, 12, 60)[:2] == (12, 60)
    assert chosen(wide, "auto", 20).length == 20
    assert chosen(series(100), run=12).length == 12


@pytest.mark.parametrize(("n", "shares"), [(1919, (0.6, 0.2, 0.2)), (1920, (0.7, 0.1, 0.2))])
def test_a_series_of_few_validation_windows_has_more_of_them(n, shares):
    """Of 24 steps, 1,920 leave eight by the usual shares."""

    def found(lengths, written):
        wide = series(sum(lengths))
        return window_lengths.choose(wide, lengths, 24, 24, written).shares

    assert found([n], "auto") == shares
    assert found([n - 1200, 1200], "auto") == shares
    assert found([n], [0.5, 0.2, 0.3]) == (0.5, 0.2, 0.3)


def test_the_log_says_what_was_chosen_and_why(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    paths = [tmp_path / f"{name}.parquet" for name in ("series", "windows", "starts", "statistics", "profile")]
    tables.write(tidy.to_tidy(series(203)), paths[0], tables.SERIES)
    settings = {"seed": 1, "length": "auto", "block": "auto", "shares": "auto", "train_stride": 6}
    settings |= {
        "split_seed": 1,
        "statistics": "train",
        "max_windows": None,
        "max_validation_windows": 50,
        "profile": "none",
    }
    settings |= {"file": None, "circular": {}, "covariates": [], "group": None, "plausible": {}, "transform": {}}
    settings["held_out"] = [["few", {"pattern": "random", "share": 0.2, "length": None}]]
    cut_windows(*paths, settings, "mine")
    assert "mine: windows of 12 steps (the series has 203 steps), blocks of 12" in caplog.text
    assert "mine: a short series: training, validation and test have shares 0.6 : 0.2 : 0.2" in caplog.text
    assert tables.greatest(paths[1], "step") == 11
