"""Readers of series: groups, grid, plausible ranges, and the one line for each bad file."""

import csv
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from scoredag import files
from scoredag.errors import InputError
from scoredag.series import readers, tidy

ROOT = Path(__file__).parents[2]
PLAIN = """time,temp,wind
2020-01-01T00:00:00Z,1.5,10
2020-01-01T01:00:00Z,NA,20
2020-01-01T04:00:00Z,4.5,
"""
GROUPED = """place,time,temp,wind
B,2020-01-01T01:00:00Z,21,-21
A,2020-01-01T00:00:00Z,10,-10
A,2020-01-01T01:00:00Z,11,-11
B,2020-01-01T02:00:00Z,22,-22
"""
NAN = np.nan


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.csv"


@pytest.fixture
def read(path):
    """Read a text as if it were the file."""

    def read(text, **options):
        path.write_text(text)
        return readers.read_wide(path, **{"time": "time"} | options)

    return read


def hours(first, n):
    return pd.date_range(first, periods=n, freq="1h", tz="UTC", name="time")


def test_absent_hours_and_empty_cells_are_missing(read):
    wide = read(PLAIN)
    assert wide.index.equals(hours("2020-01-01", 5))
    assert wide.columns.tolist() == ["temp", "wind"]
    np.testing.assert_array_equal(wide["temp"], [1.5, NAN, NAN, NAN, 4.5])
    np.testing.assert_array_equal(wide["wind"], [10, 20, NAN, NAN, NAN])


def test_rows_may_come_in_any_order(read):
    header, *rows = PLAIN.splitlines()
    pd.testing.assert_frame_equal(read("\n".join([header, *rows[::-1]])), read(PLAIN))


def test_features_are_kept_in_the_asked_order(read):
    assert read(PLAIN, features=["wind", "temp"]).columns.tolist() == ["wind", "temp"]
    assert read(PLAIN, features=["wind"]).columns.tolist() == ["wind"]


def test_interval_sets_the_grid(read):
    wide = read(PLAIN.replace("T04", "T02"), interval="30min")
    assert len(wide) == 5
    np.testing.assert_array_equal(wide["wind"], [10, NAN, 20, NAN, NAN])


def test_times_with_another_zone_are_brought_to_utc(read):
    wide = read("time,a\n2020-01-01T00:00:00+02:00,1\n2020-01-01T00:00:00+01:00,2\n2020-01-01 00:00,3\n")
    assert wide.index.equals(hours("2019-12-31T22:00", 3))
    assert wide["a"].tolist() == [1, 2, 3]


def test_each_group_has_its_own_features(read):
    wide = read(GROUPED, group="place")
    assert wide.index.equals(hours("2020-01-01", 3))
    assert set(wide.columns) == {"A_temp", "A_wind", "B_temp", "B_wind"}
    np.testing.assert_array_equal(wide["A_temp"], [10, 11, NAN])
    np.testing.assert_array_equal(wide["B_temp"], [NAN, 21, 22])
    np.testing.assert_array_equal(wide["B_wind"], [NAN, -21, -22])


def test_a_row_without_a_group_is_not_lost_silently(read):
    with pytest.raises(InputError, match="place"):
        read(GROUPED + "NA,2020-01-01T02:00:00Z,5,5\n", group="place")


def test_implausible_values_become_missing_and_others_stay(read):
    text = PLAIN.replace("T04:00:00Z,4.5,", "T02:00:00Z,4.5,1048.36")
    wide = read(text, plausible={"wind": [10, 20]})
    np.testing.assert_array_equal(wide["wind"], [10, 20, NAN])
    np.testing.assert_array_equal(wide["temp"], [1.5, NAN, 4.5])


def test_values_below_the_plausible_range_become_missing(read):
    np.testing.assert_array_equal(read(PLAIN, plausible={"wind": [11, 200]})["wind"], [NAN, 20, NAN, NAN, NAN])


def test_implausible_values_of_a_group_become_missing(read):
    wide = read(GROUPED, group="place", plausible={"temp": [0, 21]})
    np.testing.assert_array_equal(wide["A_temp"], [10, 11, NAN])
    np.testing.assert_array_equal(wide["B_temp"], [NAN, 21, NAN])


def test_log_names_each_implausible_value(read, caplog):
    caplog.set_level(logging.INFO)
    read(PLAIN, plausible={"temp": [0, 2], "wind": [0, 15]})
    lines = [record.getMessage() for record in caplog.records if "plausible" in record.getMessage()]
    assert len(lines) == 2
    for words, line in zip([("'temp'", "line 4", "4.5"), ("'wind'", "line 3", "20")], lines, strict=True):
        assert all(word in line for word in words)


def test_log_counts_absent_times(read, caplog):
    caplog.set_level(logging.INFO)
    read(PLAIN)
    assert "5 times x 2 features, 2 times absent" in caplog.text
    assert "60.00 %" in caplog.text


def test_tidy_table_is_ordered_by_time_then_feature(read):
    table = tidy.to_tidy(read(PLAIN, features=["wind", "temp"]))
    assert table.columns.tolist() == ["time", "feature", "value"]
    assert table["feature"].tolist() == ["wind", "temp"] * 5
    assert table["time"].tolist() == [time for time in hours("2020-01-01", 5) for _ in range(2)]
    np.testing.assert_array_equal(table["value"][:4], [10, 1.5, 20, NAN])


def test_tidy_round_trip_gives_the_series_back(read):
    wide = read(GROUPED, group="place")
    pd.testing.assert_frame_equal(tidy.from_tidy(tidy.to_tidy(wide)), wide, check_freq=False, check_column_type=False)


@pytest.fixture(scope="module")
def weather():
    """The shipped file as the default run reads it, what the log said, and its rows."""
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())["datasets"]["nyc-weather"]
    path = ROOT / settings["file"]
    files.check_sha256(path, settings["sha256"])
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    options = {key: settings[key] for key in ("time", "group", "features", "plausible")}
    return readers.read_wide(path, **options), rows, settings


def test_shipped_weather_has_its_hours_and_features(weather):
    wide, rows, settings = weather
    assert wide.shape == (8730, 18)
    assert set(wide.columns) == {f"{place}_{name}" for place in ("EWR", "JFK", "LGA") for name in settings["features"]}
    assert wide.index[0] == pd.Timestamp(min(row["time_hour"] for row in rows))
    assert wide.index[-1] == pd.Timestamp(max(row["time_hour"] for row in rows))
    assert (np.diff(wide.index) == np.timedelta64(1, "h")).all()


def test_shipped_weather_keeps_every_plausible_value(weather):
    wide, rows, settings = weather
    expected = pd.DataFrame(NAN, wide.index, wide.columns)
    for name in settings["features"]:
        highest = 200 if name == "wind_speed" else np.inf
        for place in ("EWR", "JFK", "LGA"):
            found = {
                row["time_hour"]: float(row[name])
                for row in rows
                if row["origin"] == place and row[name] != "NA" and float(row[name]) <= highest
            }
            expected.loc[pd.DatetimeIndex(found), f"{place}_{name}"] = list(found.values())
    np.testing.assert_array_equal(wide, expected)


def test_the_reading_of_1048_mph_is_missing(weather):
    wide, rows, _ = weather
    wrong = [row for row in rows if row["wind_speed"] != "NA" and float(row["wind_speed"]) > 200]
    assert [round(float(row["wind_speed"]), 2) for row in wrong] == [1048.36]
    assert np.isnan(wide.loc[wrong[0]["time_hour"], f"{wrong[0]['origin']}_wind_speed"])
    assert np.nanmax(wide.filter(like="wind_speed")) < 60


def refused(call, path, *words):
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


def test_missing_file_is_refused(path):
    refused(lambda: readers.read_wide(path, time="time"), path, "no such file")


def test_folder_is_refused(tmp_path):
    refused(lambda: readers.read_wide(tmp_path, time="time"), tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "hour"}, ["'hour'", "temp, wind"]),
        ({"features": ["temp", "rain"]}, ["'rain'", "temp, wind"]),
        ({"group": "place"}, ["'place'"]),
        ({"plausible": {"rain": [0, 1]}}, ["'rain'"]),
    ],
)
def test_missing_column_is_named_with_those_there_are(read, path, options, words):
    refused(lambda: read(PLAIN, **options), path, *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("20\n", "calm\n", ["'wind'", "line 3", "calm"]),
        ("1.5", "inf", ["'temp'", "line 2", "inf"]),
        ("1.5", "nan", ["'temp'", "line 2", "nan"]),
        ("01T04:00", "01T25:00", ["'time'", "line 4", "T25"]),
        ("2020-01-01T01:00:00Z", "noon", ["'time'", "line 3", "noon"]),
        ("2020-01-01T01:00:00Z", "", ["'time'", "line 3"]),
        ("01T01:00", "01T00:00", ["2020-01-01 00:00", "twice", "group"]),
        ("01T01:00", "01T01:10", ["2020-01-01 01:10", "grid", "1h"]),
        ("NA,20", "\nNA,20", []),
    ],
)
def test_bad_cell_is_named(read, path, old, new, words):
    assert old in PLAIN
    refused(lambda: read(PLAIN.replace(old, new)), path, *words)


def test_line_is_the_one_in_the_file_though_others_are_blank(read, path):
    refused(lambda: read(PLAIN.replace("20\n", "20\n\n\n").replace("4.5", "calm")), path, "line 6", "calm")


def test_duplicate_time_within_a_group_is_refused(read, path):
    refused(lambda: read(GROUPED + "A,2020-01-01T01:00:00Z,5,5\n", group="place"), path, "2020-01-01 01:00", "twice")


def test_feature_without_a_value_is_named(read, path):
    refused(lambda: read(PLAIN.replace("10\n", "\n").replace("20\n", "\n")), path, "'wind'")
    refused(lambda: read(PLAIN, plausible={"wind": [500, 600]}), path, "'wind'")


def test_feature_without_a_value_in_one_group_is_named(read, path):
    refused(lambda: read(GROUPED.replace("-10", "").replace("-11", ""), group="place"), path, "'A_wind'")


@pytest.mark.parametrize("interval", ["abc", "0h"])
def test_interval_that_is_none_is_named(read, path, interval):
    refused(lambda: read(PLAIN, interval=interval), path, interval)


def test_table_without_features_is_refused(read, path):
    refused(lambda: read("time\n2020-01-01T00:00Z\n2020-01-01T01:00Z\n"), path)


@pytest.mark.parametrize("n_rows", [0, 1])
@pytest.mark.parametrize(("text", "group"), [(PLAIN, None), (GROUPED, "place")], ids=["plain", "grouped"])
def test_fewer_than_two_rows_are_refused(read, path, text, group, n_rows):
    short = "\n".join(text.splitlines()[: 1 + n_rows]) + "\n"
    refused(lambda: read(short, group=group), path, f"{n_rows} row")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", ""),
        (PLAIN.replace("temp", "temp \N{DEGREE SIGN}F").encode("latin-1"), "UTF-8"),
        (PLAIN.encode() + b"2020-01-01T05:00:00Z,1,2,3,4\n", ""),
    ],
    ids=["empty", "latin-1", "ragged"],
)
def test_what_is_not_such_a_table_is_refused(path, content, word):
    path.write_bytes(content)
    refused(lambda: readers.read_wide(path, time="time"), path, word)


def test_an_interval_that_is_not_the_series_own_is_refused(tmp_path):
    path = tmp_path / "daily.csv"
    days = pd.date_range("2020-01-01", periods=20, freq="1D")
    path.write_text("time,x\n" + "".join(f"{day:%Y-%m-%d},1\n" for day in days), encoding="utf-8")
    with pytest.raises(InputError, match=r"daily\.csv: most times are 1 days .* interval is 1h"):
        readers.read_wide(path, time="time", interval="1h")
    assert len(readers.read_wide(path, time="time", interval="1D")) == 20


@pytest.mark.parametrize("text", ["time,x\n2020-01-01,1,\n2020-01-02,2,\n", "time,x\n2020-01-01,1,5\n2020-01-02,2\n"])
def test_rows_longer_than_the_header_are_refused(tmp_path, text):
    path = tmp_path / "long.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"long\.csv: .*(more fields than the header|cannot be read)"):
        readers.read_wide(path, time="time", interval="1D")
