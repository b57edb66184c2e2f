"""Wide series as tidy tables: their order, and back."""

import numpy as np
import pandas as pd
import pytest

from scoredag.series import tidy
from scoredag.store import tables


@pytest.fixture
def wide():
    times = pd.date_range("2020-01-01", periods=5, freq="1h", tz="UTC", name="time")
    return pd.DataFrame({"wind": [10, 20, np.nan, np.nan, np.nan], "temp": [1.5, np.nan, np.nan, np.nan, 4.5]}, times)


def test_tidy_table_is_ordered_by_time_then_feature(wide):
    table = tidy.to_tidy(wide)
    assert table.columns.tolist() == ["time", "feature", "value"]
    assert table["feature"].tolist() == ["wind", "temp"] * 5
    assert table["time"].tolist() == [time for time in wide.index for _ in range(2)]
    np.testing.assert_array_equal(table["value"][:4], [10, 1.5, 20, np.nan])


def test_tidy_round_trip_gives_the_series_back(wide):
    pd.testing.assert_frame_equal(tidy.from_tidy(tidy.to_tidy(wide)), wide, check_freq=False, check_column_type=False)


@pytest.mark.parametrize("several", [False, True], ids=["one series", "several series"])
def test_a_file_is_read_in_parts_as_it_is_whole(tmp_path, monkeypatch, several):
    monkeypatch.setattr(tables, "ROW_GROUP", 7)  # which three features do not divide
    times = pd.date_range("2020-01-01", periods=20, freq="1h", tz="UTC", name="time")
    index = pd.MultiIndex.from_product([["b", "a"], times[:10]], names=["series", "time"]) if several else times
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), index, ["wind", "temp", "dew"])
    path = tmp_path / "series.parquet"
    tables.write(tidy.to_tidy(wide), path, tables.SERIES)
    pd.testing.assert_frame_equal(tidy.read(path), wide, check_freq=False, check_column_type=False)


def test_a_file_without_rows_is_an_empty_series(tmp_path):
    tables.write_rows([], tmp_path / "profile.parquet", tables.SERIES)
    assert tidy.read(tmp_path / "profile.parquet").empty
