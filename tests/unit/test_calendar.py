"""Covariates that are those of the times."""

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.series import angles, calendar


def hourly(freq="1h", columns=("x",)):
    times = pd.date_range("2024-02-28", periods=200, freq=freq, tz="UTC", name="time")
    return pd.DataFrame(np.ones((200, len(columns))), times, list(columns))


def test_hour_weekday_and_month_are_angles_of_the_times():
    wide = calendar.add(hourly(), ["x", "hour", "weekday", "month"], False)
    assert list(wide) == ["x", *(f"{name}_{part}" for name in calendar.PERIODS for part in ("sin", "cos"))]
    joined = angles.join(wide, calendar.PERIODS, {}, False)
    np.testing.assert_allclose(joined["hour"], np.arange(200) % 24, atol=1e-9)
    assert joined["weekday"].iloc[[0, 24, 96]].tolist() == pytest.approx([2, 3, 6])  # a Wednesday
    assert joined["month"].iloc[[0, 48]].tolist() == pytest.approx([1 + 27 / 29, 2])  # of a leap year
    found = angles.features_of(list(wide), ["hour", "month"], {}, None)
    assert found == ["hour_sin", "hour_cos", "month_sin", "month_cos"]
    grouped = calendar.add(hourly(columns=("EWR_x", "JFK_x")), ["hour", "x"], True)
    assert angles.features_of(list(grouped), ["hour"], {}, "origin") == ["hour_sin", "hour_cos"]


def test_a_column_of_that_name_stays_and_what_never_changes_is_refused():
    beside = ["x", "x_sin", "x_cos"]
    assert angles.features_of(beside, ["x"], {}, None) == ["x"]  # a feature, whatever stands beside it
    wide = hourly(columns=("hour", "EWR_month", "weekday_sin", "weekday_cos"))
    assert calendar.add(wide, ["hour", "weekday"], False) is wide
    assert calendar.add(wide[["EWR_month"]], ["month"], True).columns.tolist() == ["EWR_month"]
    with pytest.raises(InputError, match=r"^covariates: 'hour' is the same at every step; leave it out$"):
        calendar.add(hourly("1D"), ["hour"], False)
    times = hourly().index
    series = pd.MultiIndex.from_arrays([["a"] * 100 + ["b"] * 100, times], names=["series", "time"])
    both = calendar.add(hourly().set_axis(series), ["hour"], False)
    assert both.index.equals(series) and both["hour_cos"].iloc[100] == pytest.approx(np.cos(2 * np.pi * 4 / 24))
