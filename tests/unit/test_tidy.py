"""Wide series as tidy tables: their order, and back."""

import numpy as np
import pandas as pd
import pytest

from scoredag.series import tidy


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
