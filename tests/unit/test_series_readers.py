"""Readers of series: groups, grid, plausible ranges, and the one line for each bad file."""

import csv
import datetime
import gzip
import logging
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from scoredag.errors import InputError
from scoredag.intake import archives, delimited
from scoredag.job import checks
from scoredag.series import readers
from scoredag.store import files

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


def test_times_with_offsets_are_brought_to_utc(read):
    wide = read("time,a\n2020-01-01T00:00:00+02:00,1\n2020-01-01T00:00:00+01:00,2\n2020-01-01 00:00Z,3\n")
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
        ("01T04:00", "01T25:00", ["'time'", "line 4", "T25"]),
        ("2020-01-01T01:00:00Z", "noon", ["'time'", "line 3", "noon"]),
        ("2020-01-01T01:00:00Z", "", ["'time'", "line 3"]),
        ("01T01:00", "01T00:00", ["'time', line 3", "2020-01-01 00:00", "twice", "'group' or 'series'"]),
        ("01T01:00", "01T01:10", ["'time', line 3", "2020-01-01 01:10", "grid", "1h", "set 'resample'"]),
        ("01T01:00:00Z", "01T01:00:00", ["'time', line 3", "no offset from UTC", "write all alike"]),
        ("01T04:00", "01T04:00" * 1000, ["'time', line 4", "...' is not a time"]),
        ("4.5", '"4\n5"', ["'temp', line 4", r"'4\n5'"]),
        ("20\n", "-\n", ["'wind', line 3", "'-'", """write missing: ["-"]"""]),
        ("NA,20", "\nNA,20", []),
    ],
)
def test_bad_cell_is_named(read, path, old, new, words):
    assert old in PLAIN
    refused(lambda: read(PLAIN.replace(old, new)), path, *words)


def test_line_is_the_one_in_the_file_though_others_are_blank(read, path):
    refused(lambda: read(PLAIN.replace("20\n", "20\n\n\n").replace("4.5", "calm")), path, "line 6", "calm")


@pytest.mark.parametrize("options", [{}, {"resample": "mean"}])
def test_a_wrong_year_is_named_before_its_grid_fills_the_memory(read, path, options):
    words = ["'time', line 4", "9020-01-01 04:00", "after the one before", "6.1e+07 times for 3", "mend the time"]
    refused(lambda: read(PLAIN.replace("2020-01-01T04", "9020-01-01T04"), **options), path, *words)
    refused(lambda: read(PLAIN, interval="1ns", **options), path, "line 4", "grid of 1ns", "1.4e+13 times for 3")


def test_months_and_years_are_intervals_though_they_differ(read):
    months = pd.date_range("2020-02-01", periods=14, freq="1MS").delete(5)
    wide = read("time,x\n" + "".join(f"{month:%Y-%m-%d},1\n" for month in months), interval="1MS")
    assert len(wide) == 14 and np.flatnonzero(wide["x"].isna()).tolist() == [5]
    assert len(read("time,x\n" + "".join(f"{year}-01-01,1\n" for year in range(2000, 2020)), interval="1YS")) == 20


def test_an_interval_longer_than_the_series_is_refused(read, path):
    text = "time,x\n" + "".join(f"2020-01-01T{hour:02d}:00,1\n" for hour in range(12))
    refused(lambda: read(text, interval="1D"), path, "most times are 0 days 01:00:00 apart", "interval is 1D")


def test_features_of_one_name_are_refused(read, path):
    refused(lambda: read(PLAIN.replace("temp", "wind_sin"), circular={"wind": 360}), path, "two", "'wind_sin'")
    text = "place,time,x,b_x\n" + "".join(
        f"{place},2020-01-01T0{hour}:00,1,2\n" for place in ("a", "a_b") for hour in "01"
    )
    refused(lambda: read(text, group="place"), path, "two features", "'a_b_x'")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_or_tabs_separate_fields_too(read, path, separator):
    expected = read(PLAIN)
    pd.testing.assert_frame_equal(read(PLAIN.replace(",", separator)), expected)
    text = PLAIN.replace(",", separator).replace("temp", '"temp, °C"')
    assert read(text).columns.tolist() == ["temp, °C", "wind"]
    refused(lambda: read(text + f"2020-01-01T05:00Z{separator * 3}1\n"), path, "line 5 has 4 fields", "too many")


def test_a_decimal_comma_is_one_where_it_is_said(read, path):
    text = PLAIN.replace(",", ";").replace(".", ",")
    refused(lambda: read(text), path, "'temp', line 2", "'1,5'", "write decimal: ','")
    pd.testing.assert_frame_equal(read(text, decimal=","), read(PLAIN))
    refused(lambda: read(text.replace("1,5", "1.001,5"), decimal=","), path, "'temp', line 2", "'1.001,5'")
    refused(lambda: read(PLAIN, decimal=","), path, "'temp', line 2", "'1.5'")


def test_texts_for_missing_values_can_be_named(read, path):
    text = PLAIN.replace("NA", "NaN").replace("20\n", "-\n")
    expected = read(PLAIN.replace("20\n", "\n"))
    pd.testing.assert_frame_equal(read(text, missing=["NaN", "-"]), expected)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.to_parquet(path.with_suffix(".parquet"))
    pd.testing.assert_frame_equal(readers.read_wide(path.with_suffix(".parquet"), missing=["NaN", "-"]), expected)


def test_blanks_around_names_are_no_part_of_them(read):
    wide = read(GROUPED.replace("A,", "A ,").replace("temp", '" temp\n(F)"'), group="place")
    assert set(wide.columns) == {"A_temp (F)", "A_wind", "B_temp (F)", "B_wind"}


def test_a_feature_that_would_be_taken_for_the_total_is_refused(read, path):
    refused(lambda: read(PLAIN.replace("wind", "all")), path, "a feature is called 'all'")


def test_line_breaks_in_cells_of_a_long_file_do_no_harm(read, path, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK", 256)
    times = pd.date_range("2020-01-01", periods=100, freq="1h")
    rows = [f'{time:%Y-%m-%dT%H:%M},{i},"a note{chr(10)}of two lines, with a comma"' for i, time in enumerate(times)]
    text = "\n".join(["time,x,note", *rows])
    assert read(text, features=["x"])["x"].tolist() == list(range(100))
    refused(
        lambda: read(text.replace(f",7,{chr(34)}", ",7,", 1), features=["x"]),
        path,
        "line 17 has 2 fields, the header has 3",
    )
    refused(lambda: read(text.replace(",70,", ",cold,"), features=["x"]), path, "'x', line 142", "'cold'")


def test_a_message_lists_few_of_many_columns(path, read):
    text = ",".join(f"x{i}" for i in range(500)) + "\n"
    refused(lambda: read(text), path, "no time column 'time'", "x0, x1", "x19 and 480 more")


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
    ("content", "words"),
    [
        (b"", ["nothing on its first line"]),
        (b"\n" + PLAIN.encode(), ["nothing on its first line"]),
        (
            PLAIN.replace("temp", "temp \N{DEGREE SIGN}F").encode("latin-1"),
            ["line 1 is not UTF-8 text; save it as UTF-8", "encoding: cp1252"],
        ),
        (PLAIN.replace("4.5", "4\N{DEGREE SIGN}").encode("latin-1"), ["line 4 is not UTF-8"]),
        (PLAIN.encode("utf-16"), ["not UTF-8 text but UTF-16"]),
        (PLAIN.encode("utf-16-le"), ["not UTF-8", "UTF-16"]),
        (
            PLAIN.encode() + b"2020-01-01T05:00:00Z,1,2,3,4\n",
            ["line 5 has 5 fields, the header has 3", "comma too many"],
        ),
        (PLAIN.replace("Z,", "Z,,").encode(), ["line 2 has 4 fields, the header has 3", "comma too many"]),
        (PLAIN.encode() + b"2020-01-0", ["line 5 has 1 fields, the header has 3", "cut off"]),
        (PLAIN.replace(",", "|").encode(), ["no time column", "time|temp|wind", "semicolons or tabs"]),
        (b"from a logger\n" + PLAIN.encode(), ["line 2 has 3 fields, the header has 1", "first line has to name"]),
        (gzip.compress(PLAIN.encode()), ["is gzipped; name it .csv.gz"]),
        (b"PK\x03\x04" + bytes(100), ["a zip archive or an Excel file"]),
        (b"PAR1" + bytes(100), ["is a Parquet file; name it .parquet"]),
        (PLAIN.replace("wind", "temp").encode(), ["two columns 'temp'"]),
        (PLAIN.replace("wind", "").encode(), ["column 3 has no name"]),
    ],
    ids=lambda part: "" if isinstance(part, bytes) else part[0],
)
def test_what_is_not_such_a_table_is_refused(path, content, words):
    path.write_bytes(content)
    refused(lambda: readers.read_wide(path, time="time"), path, *words)


def test_an_interval_that_is_not_the_series_own_is_refused(tmp_path):
    path = tmp_path / "daily.csv"
    days = pd.date_range("2020-01-01", periods=20, freq="1D")
    path.write_text("time,x\n" + "".join(f"{day:%Y-%m-%d},1\n" for day in days), encoding="utf-8")
    with pytest.raises(InputError, match=r"daily\.csv: most times are 1 days .* interval is 1h"):
        readers.read_wide(path, time="time", interval="1h")
    assert len(readers.read_wide(path, time="time", interval="1D")) == 20


ODD = PLAIN.replace("temp", "temp \N{DEGREE SIGN}F")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "UTF-16-LE", "utf-8-sig"])
@pytest.mark.parametrize("gzipped", [False, True])
def test_text_of_other_encodings_is_read_where_it_is_said(read, tmp_path, encoding, gzipped):
    expected = read(PLAIN).set_axis(["temp \N{DEGREE SIGN}F", "wind"], axis=1)
    path = tmp_path / ("odd.csv.gz" if gzipped else "odd.csv")
    content = ODD.encode(encoding)
    path.write_bytes(gzip.compress(content) if gzipped else content)
    pd.testing.assert_frame_equal(readers.read_wide(path, encoding=encoding), expected)


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (ODD.encode(), "ascii", ["line 1 is not ASCII text"]),
        (ODD.replace("4.5", "\x81").encode("latin-1"), "cp1252", ["line 4 is not CP1252 text"]),
        (ODD.encode(), "utf-16", ["is not UTF-16 text"]),
        (ODD.encode("utf-16"), "utf-8", ["is not UTF-8 text but UTF-16", "encoding: utf-16"]),
        (ODD.encode("utf-16"), "latin-1", ["is not ISO8859-1 text (UTF-16, perhaps)"]),
        (ODD.encode(), "bz2", ["the encoding 'bz2' is unknown", "cp1252"]),
        (ODD.encode(), "utf-7.5", ["the encoding 'utf-7.5' is unknown"]),
        (ODD.encode("latin-1") + b"2020-01-01T05:00:00Z,1\n", "latin-1", ["line 5 has 2 fields"]),
    ],
)
def test_text_that_is_not_of_its_encoding_is_refused(path, content, encoding, words):
    path.write_bytes(content)
    refused(lambda: readers.read_wide(path, encoding=encoding), path, *words)


# --- Parquet and gzip ------------------------------------------------------------------------


def test_parquet_and_gzip_give_the_same_as_csv(read, tmp_path):
    expected = read(PLAIN)
    with gzip.open(tmp_path / "mine.csv.gz", "wt") as stream:
        stream.write(PLAIN)
    frame = pd.DataFrame({"temp": [1.5, NAN, 4.5], "wind": [10, 20, None]}, expected.index[[0, 1, 4]])
    frame.to_parquet(tmp_path / "mine.parquet")
    frame.tz_localize(None).reset_index().to_parquet(tmp_path / "naive.parquet")
    frame.reset_index().astype({"time": str}).to_parquet(tmp_path / "text.parquet")
    for name in ("mine.csv.gz", "mine.parquet", "naive.parquet", "text.parquet"):
        pd.testing.assert_frame_equal(readers.read_wide(tmp_path / name), expected)


def test_a_byte_order_mark_blanks_in_the_header_and_a_last_comma_do_no_harm(path, read):
    expected = read(PLAIN)
    text = PLAIN.replace(",wind", ", wind").replace("\n", ",\n")
    path.write_text(text, encoding="utf-8-sig")
    pd.testing.assert_frame_equal(readers.read_wide(path), expected)


def test_numbers_of_other_kinds_in_parquet_are_numbers(tmp_path):
    path = tmp_path / "mine.parquet"
    table = pa.table(
        {
            "time": pa.array([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]),
            "switch": pa.array([True, None]),
            "price": pa.array([Decimal("1.25"), Decimal("2.50")]),
            "count": pa.array([3, 4], pa.int16()),
        }
    )
    pq.write_table(table, path)
    wide = readers.read_wide(path, interval="1D")
    assert wide.columns.tolist() == ["switch", "price", "count"]
    np.testing.assert_array_equal(wide, [[1, 1.25, 3], [NAN, 2.5, 4]])


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"x": ["1.5", "calm"]}, {}, ["'x', row 2", "calm"]),
        ({"x": [[1.0], [2.0]]}, {}, ["'x' holds ndarray, not numbers"]),
        ({"x": [{"a": 1}, {"a": 2}]}, {}, ["'x' holds dict, not numbers"]),
        ({"x": [datetime.time(1), datetime.time(2)]}, {"time": "x"}, ["'x' holds time, not times"]),
        ({"x": np.array([0, 2**62], "datetime64[us]"), "y": [1, 2]}, {"time": "x"}, ["'x', row 2", "years 1 to 9999"]),
        ({"x": pd.Categorical(["1.5", "calm"])}, {}, ["'x', row 2", "calm"]),
        ({"x": pd.to_datetime(["2020-01-01", "2020-01-02"])}, {}, ["'x'", "datetime64", "not numbers"]),
        ({"x": [1, 2]}, {"time": "x"}, ["'x'", "int64", "not times"]),
        ({"x": [1.0, np.inf]}, {}, ["'x', row 2", "inf"]),
    ],
)
def test_parquet_with_other_columns_is_refused(tmp_path, columns, options, words):
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"time": pd.date_range("2020", periods=2, freq="1h")} | columns).to_parquet(path)
    refused(lambda: readers.read_wide(path, **options), path, *words)


@pytest.mark.parametrize(
    "content", [b"", PLAIN.encode(), b"PAR1" + bytes(100) + b"PAR1"], ids=["empty", "csv", "zeros"]
)
def test_what_is_no_parquet_is_refused(tmp_path, content):
    path = tmp_path / "mine.parquet"
    path.write_bytes(content)
    refused(lambda: readers.read_wide(path), path, "cannot be read as Parquet")


@pytest.mark.parametrize("change", [lambda data: data[:-20], lambda data: PLAIN.encode()], ids=["cut off", "plain"])
def test_damaged_gzip_is_refused(tmp_path, change):
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(change(gzip.compress(PLAIN.encode() + b"\n" * 1000)))
    refused(lambda: readers.read_wide(path), path, "cannot be read as CSV")


def test_parquet_of_other_zones_and_of_dictionaries_is_the_same(read, tmp_path):
    expected = read(PLAIN)
    frame = pd.DataFrame({"temp": [1.5, NAN, 4.5], "wind": [10, 20, None]}, expected.index[[0, 1, 4]])
    frame.tz_convert("America/New_York").to_parquet(tmp_path / "zone.parquet")
    frame.tz_convert(datetime.timezone(datetime.timedelta(hours=5.5))).to_parquet(tmp_path / "offset.parquet")
    frame.reset_index().astype("category").to_parquet(tmp_path / "categories.parquet")
    frame.reset_index().astype({"temp": str}).replace("nan", "NA").to_parquet(tmp_path / "text.parquet")
    for name in ("zone", "offset", "categories", "text"):
        pd.testing.assert_frame_equal(readers.read_wide(tmp_path / f"{name}.parquet"), expected)


def test_a_zip_bomb_of_a_table_is_refused_in_little_memory(tmp_path):
    """Gzipped lines, a gzipped line that does not end, and a Parquet file of one value many times."""
    lines, line, table = (tmp_path / name for name in ("lines.csv.gz", "line.csv.gz", "mine.parquet"))
    lines.write_bytes(gzip.compress(PLAIN.encode()) + gzip.compress(b"2020-01-01T05:00:00Z,1,2\n" * (1 << 20)) * 20)
    line.write_bytes(gzip.compress(b"time,x" * (1 << 22)) * 20)
    zeros = pa.array(np.zeros(1 << 23))
    pq.write_table(pa.table({"time": zeros.cast(pa.int64()).cast(pa.timestamp("us")), "x": zeros}), table)
    for path in (lines, line, table):
        assert path.stat().st_size < 1 << 22
        tracemalloc.start()
        try:
            refused(lambda path=path: readers.read_wide(path), path, "zip bomb")
            assert tracemalloc.get_traced_memory()[1] < 4 * archives.SLACK
        finally:
            tracemalloc.stop()


# --- tidy tables and several series ----------------------------------------------------------

TIDY = """time,feature,value
2020-01-01T00:00:00Z,wind,10
2020-01-01T00:00:00Z,temp,1.5
2020-01-01T04:00:00Z,temp,4.5
2020-01-01T01:00:00Z,wind,20
2020-01-01T01:00:00Z,temp,NA
"""
PATIENTS = """id,when,name,reading
b,2020-01-05 00:00,HR,70
b,2020-01-05 03:00,HR,73
a,2020-02-01 02:00,T,37
a,2020-02-01 01:00,HR,81
a,2020-02-01 01:00,T,36
"""
COLUMNS = {"time": "when", "feature": "name", "value": "reading", "series": "id"}


def test_a_tidy_table_gives_the_same_as_a_wide_one(read, path):
    expected = read(PLAIN)
    path.write_text(TIDY)
    pd.testing.assert_frame_equal(readers.read_tidy(path), expected)
    assert readers.read_tidy(path, features=["wind", "temp"]).columns.tolist() == ["wind", "temp"]
    frame = pd.read_csv(path, parse_dates=["time"]).astype({"feature": "category"})
    frame.to_parquet(path.with_suffix(".parquet"))
    pd.testing.assert_frame_equal(readers.read_tidy(path.with_suffix(".parquet")), expected)


def check_patients(wide):
    assert wide.index.names == ["series", "time"]
    assert wide.columns.tolist() == ["HR", "T"]
    assert wide.index.tolist() == [
        *(("a", time) for time in hours("2020-02-01T01:00", 2)),
        *(("b", time) for time in hours("2020-01-05", 4)),
    ]
    np.testing.assert_array_equal(wide["HR"], [81, NAN, 70, NAN, NAN, 73])
    np.testing.assert_array_equal(wide["T"], [36, 37, NAN, NAN, NAN, NAN])


def test_each_series_of_a_tidy_table_has_a_grid_of_its_own(path):
    path.write_text(PATIENTS)
    check_patients(readers.read_tidy(path, **COLUMNS))


def test_each_series_of_a_wide_table_has_a_grid_of_its_own(read):
    text = "id,time,HR,T\nb,2020-01-05,70,\nb,2020-01-05T03:00,73,\na,2020-02-01T02:00,,37\na,2020-02-01T01:00,81,36\n"
    check_patients(read(text, series="id"))


def test_series_are_resampled_one_by_one(path):
    path.write_text(PATIENTS.replace("03:00", "03:50").replace("02:00,T,37", "01:20,T,37"))
    wide = readers.read_tidy(path, **COLUMNS, resample="mean")
    assert wide.index.get_level_values("series").tolist() == ["a"] + ["b"] * 4
    assert wide.loc["a"].to_numpy().tolist() == [[81, 36.5]]
    np.testing.assert_array_equal(wide.loc["b", "HR"], [70, NAN, NAN, 73])


def test_a_series_of_one_time_is_one(path):
    path.write_text(PATIENTS + "c,2020-03-01 05:00,T,38\n")
    assert readers.read_tidy(path, **COLUMNS).loc["c"].shape == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "options", "words"),
    [
        ("03:00", "00:00", {}, ["line 3", "2020-01-05 00:00", "of 'HR' of 'b' occurs twice", "remove one"]),
        ("03:00", "03:30", {"interval": "1h"}, ["line 3", "2020-01-05 03:30", "of 'b'", "grid of 1h", "resample"]),
        ("81", "fast", {}, ["'reading', line 5", "'fast'"]),
        ("a,2020-02-01 02", ",2020-02-01 02", {}, ["'id', line 4", "empty"]),
        ("T,37", ",37", {}, ["'name', line 4", "empty"]),
        ("", "", {"features": ["HR", "Na"]}, ["'name' names no 'Na'", "HR, T"]),
        ("", "", {"plausible": {"Na": [0, 1]}}, ["'name' names no 'Na'", "HR, T"]),
        ("", "", {"value": "level"}, ["no column 'level'", "reading"]),
        ("", "", {"series": "patient"}, ["no column 'patient'", "id"]),
    ],
)
def test_a_bad_tidy_table_is_refused(path, old, new, options, words):
    path.write_text(PATIENTS.replace(old, new) if old else PATIENTS)
    refused(lambda: readers.read_tidy(path, **COLUMNS | options), path, *words)


def test_an_empty_tidy_table_is_refused(path):
    path.write_text("time,feature,value\n")
    refused(lambda: readers.read_tidy(path), path, "0 rows")


def test_implausible_values_of_a_tidy_table_become_missing(path, caplog):
    caplog.set_level(logging.INFO)
    path.write_text(PATIENTS.replace("37", "370"))
    wide = readers.read_tidy(path, **COLUMNS, plausible={"T": [30, 45]})
    np.testing.assert_array_equal(wide["T"].loc["a"], [36, NAN])
    assert "'T', line 4: 370" in caplog.text


# --- zones -----------------------------------------------------------------------------------

NEW_YORK = "America/New_York"


def local(*times):
    return "time,x\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times))


def test_naive_times_are_those_of_the_zone(read):
    wide = read(local("2020-01-01 00:00", "2020-01-01 01:00"), time_zone=NEW_YORK)
    assert wide.index.equals(hours("2020-01-01T05:00", 2))
    summer = read(local("2020-07-01 00:00", "2020-07-01 01:00"), time_zone=NEW_YORK)
    assert summer.index.equals(hours("2020-07-01T04:00", 2))


def test_times_with_offsets_do_not_ask_for_the_zone(read):
    text = local("2020-01-01 00:00Z", "2020-01-01 01:00Z")
    pd.testing.assert_frame_equal(read(text, time_zone=NEW_YORK), read(text))


def test_clocks_that_are_not_moved_have_an_offset_for_a_zone(read):
    """Both hours that New York leaves out, or has twice."""
    spring = read(local("2013-03-10 01:00", "2013-03-10 02:00", "2013-03-10 03:00"), time_zone="-05:00")
    assert spring.index.equals(hours("2013-03-10T06:00", 3))
    autumn = read(local("2013-11-03 00:00", "2013-11-03 01:00", "2013-11-03 02:00"), time_zone="-05:00")
    assert autumn.index.equals(hours("2013-11-03T05:00", 3))


def test_the_hour_that_occurs_twice_is_told_by_the_order_of_its_rows(read):
    text = local("2013-11-03 00:00", "2013-11-03 01:00", "2013-11-03 01:00", "2013-11-03 02:00")
    wide = read(text, time_zone=NEW_YORK)
    assert wide.index.equals(hours("2013-11-03T04:00", 4))
    assert wide["x"].tolist() == [0, 1, 2, 3]


def test_the_hour_that_occurs_twice_is_told_group_by_group(read):
    rows = [f"{place},2013-11-03 0{hour}:00,{hour}" for hour in (0, 1, 1, 2) for place in "AB"]
    wide = read("\n".join(["place,time,x", *rows]), time_zone=NEW_YORK, group="place")
    assert wide.index.equals(hours("2013-11-03T04:00", 4))
    assert wide["A_x"].tolist() == wide["B_x"].tolist() == [0, 1, 1, 2]


def test_the_hour_that_is_left_out_is_no_gap(read):
    wide = read(local("2013-03-10 01:00", "2013-03-10 03:00"), time_zone=NEW_YORK)
    assert wide.index.equals(hours("2013-03-10T06:00", 2))


@pytest.mark.parametrize(
    ("times", "zone", "words"),
    [
        (["2013-11-03 00:00", "2013-11-03 01:00"], NEW_YORK, ["line 3", "twice in America/New_York", "01:00-04:00"]),
        (["2013-11-03 01:00"] * 3, NEW_YORK, ["line 4", "2013-11-03 06:00", "twice"]),
        (["2013-03-10 01:00", "2013-03-10 02:00"], NEW_YORK, ["line 3", "does not occur", "as time_zone: '+01:00'"]),
        (["2013-03-10 01:00", "2013-03-10 02:00"], "New York", ["'New York' is unknown", "Europe/Berlin"]),
        (["2013-03-10 01:00Z", "2013-03-10 02:00"], NEW_YORK, ["line 3", "no offset", "write all alike"]),
        (["2013-03-10", "2013-03-11T00:00-04:00"], NEW_YORK, ["line 3", "an offset", "write all alike"]),
    ],
)
def test_times_that_no_zone_has_are_refused(read, path, times, zone, words):
    refused(lambda: read(local(*times), time_zone=zone), path, *words)


def test_times_are_read_by_their_format(read, path):
    text = "time,x\n31.01.2020 23:00,1\n01.02.2020 00:00,2\n"
    refused(lambda: read(text), path, "'time', line 2", "'31.01.2020 23:00'", "write a time_format, as '%d.%m.%Y")
    wide = read(text, time_format="%d.%m.%Y %H:%M", time_zone="Europe/Berlin")
    assert wide.index.equals(hours("2020-01-31T22:00", 2))
    with_offset = read(text.replace(":00,", ":00 -0500,"), time_format="%d.%m.%Y %H:%M %z", time_zone="Europe/Berlin")
    assert with_offset.index.equals(hours("2020-02-01T04:00", 2))
    refused(lambda: read(text, time_format="%m/%d/%Y"), path, "'time', line 2", "is not a time (%m/%d/%Y)")
    refused(lambda: read(text, time_format="%d.%m.%Q"), path, "the time_format '%d.%m.%Q' will not do")


# --- resampling, circles, order, width -------------------------------------------------------

MINUTES = """time,x
2020-01-01T00:10Z,1
2020-01-01T00:20Z,2
2020-01-01T00:50Z,6
2020-01-01T01:30Z,NA
2020-01-01T02:00Z,4
"""


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("7D", {"2020-01-02": 2, "2020-01-09": 4}),  # 1970-01-01 was a Thursday, too
        ("1W", {"2019-12-29": 1, "2020-01-05": 3.5}),
        ("1MS", {"2020-01-01": 8 / 3}),
    ],
)
def test_all_that_is_before_the_next_time_of_the_grid_belongs_to_the_one_before(read, interval, expected):
    text = "time,x\n2020-01-03,1\n2020-01-08T23:00,3\n2020-01-09,4\n2020-06-01T13:00,9\n"
    found = read(text, interval=interval, resample="mean")["x"].dropna().iloc[:-1]
    assert {f"{time:%Y-%m-%d}": value for time, value in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize(("method", "first"), [("mean", 3), ("median", 2), ("first", 1), ("sum", 9)])
def test_values_between_two_times_of_the_grid_become_one(read, method, first):
    wide = read(MINUTES, resample=method)
    assert wide.index.equals(hours("2020-01-01", 3))
    np.testing.assert_array_equal(wide["x"], [first, NAN, 4])


def test_the_resampled_grid_does_not_depend_on_the_first_time(read):
    wide = read(MINUTES, resample="mean", interval="2h")
    later = read(MINUTES.replace("2020-01-01T00:10Z,1\n", ""), resample="mean", interval="2h")
    assert wide.index.equals(later.index)
    assert wide["x"].tolist() == [3, 4] and later["x"].tolist() == [4, 4]


def test_rows_in_any_order_are_resampled_alike(read):
    header, *rows = MINUTES.splitlines()
    text = "\n".join([header, *rows[::-1]])
    pd.testing.assert_frame_equal(read(text, resample="first"), read(MINUTES, resample="first"))


def test_a_time_that_is_there_twice_is_refused_though_it_is_resampled(read, path):
    refused(lambda: read(MINUTES.replace("00:20", "00:10"), resample="mean"), path, "line 3", "twice")


def test_angles_become_sine_and_cosine_where_they_stood(read):
    text = "time,a,dir,b\n2020-01-01T00:00Z,1,90,3\n2020-01-01T01:00Z,1,NA,3\n2020-01-01T02:00Z,1,180,3\n"
    wide = read(text, circular={"dir": 360})
    assert wide.columns.tolist() == ["a", "dir_sin", "dir_cos", "b"]
    np.testing.assert_allclose(wide["dir_sin"], [1, NAN, 0], atol=1e-15)
    np.testing.assert_allclose(wide["dir_cos"], [0, NAN, -1], atol=1e-15)


def test_angles_are_averaged_as_directions(read):
    text = "time,dir\n2020-01-01T00:00Z,350\n2020-01-01T00:30Z,10\n2020-01-01T01:00Z,10\n"
    wide = read(text, circular={"dir": 360}, resample="mean")
    assert np.degrees(np.arctan2(wide["dir_sin"], wide["dir_cos"]).iloc[0]) == pytest.approx(0, abs=1e-9)


def test_angles_of_groups_and_of_tidy_tables_become_sine_and_cosine(read, path):
    grouped = read(GROUPED, group="place", circular={"wind": 12})
    assert set(grouped.columns) == {f"{place}_{name}" for place in "AB" for name in ("temp", "wind_sin", "wind_cos")}
    path.write_text(TIDY)
    tidy = readers.read_tidy(path, circular={"wind": 40})
    assert tidy.columns.tolist() == ["temp", "wind_sin", "wind_cos"]
    np.testing.assert_allclose(tidy["wind_sin"].iloc[:2], [1, 0], atol=1e-15)


def test_a_calm_is_taken_out_by_its_range_before_it_becomes_a_direction(read):
    text = "time,dir\n2020-01-01T00:00Z,0\n2020-01-01T01:00Z,360\n"
    wide = read(text, circular={"dir": 360}, plausible={"dir": [1, 360]})
    np.testing.assert_allclose(wide["dir_cos"], [NAN, 1])


def test_a_circular_column_that_is_not_there_is_named(read, path):
    refused(lambda: read(PLAIN, circular={"dir": 360}), path, "'dir'", "temp, wind")


def test_log_says_where_rows_are_out_of_order(read, caplog):
    caplog.set_level(logging.INFO)
    header, *rows = PLAIN.splitlines()
    read("\n".join([header, rows[0], rows[2], rows[1]]))
    assert "line 4 is earlier than the one before" in caplog.text
    caplog.clear()
    read(PLAIN)
    read(GROUPED, group="place")
    assert "earlier" not in caplog.text


def test_log_names_few_of_many_implausible_values(read, caplog):
    caplog.set_level(logging.INFO)
    times = pd.date_range("2020-01-01", periods=50, freq="1h")
    text = "time,x\n" + "".join(f"{time.isoformat()},{i}\n" for i, time in enumerate(times))
    assert read(text, plausible={"x": [0, 9]})["x"].count() == 10
    assert caplog.text.count("taken as missing") == 10
    assert "30 more values" in caplog.text


@pytest.fixture
def broad(tmp_path):
    """A file of two rows and ten thousand features, and their names."""
    names = [f"x{i}" for i in range(10_000)]
    path = tmp_path / "broad.csv"
    rows = [",".join([f"2020-01-01T0{hour}:00Z", *map(str, range(10_000))]) for hour in range(2)]
    path.write_text("\n".join([",".join(["time", *names]), *rows]))
    return path, names


def test_ten_thousand_columns_are_refused_with_what_they_cost(broad):
    path, _ = broad
    words = ["10000 features", "GB of memory", "CSDI 7", "times as long as 18 features", "name those", "'features'"]
    refused(lambda: readers.read_wide(path), path, *words)


def test_ten_thousand_columns_are_read_when_they_are_named(broad, caplog):
    caplog.set_level(logging.INFO)
    path, names = broad
    assert readers.read_wide(path, features=names).shape == (2, 10_000)
    assert "10000 features take about" in caplog.text
    assert readers.read_wide(path, features=names[5:7]).shape == (2, 2)


def test_etth1_is_read_by_the_csv_reader(mirror):
    path = mirror / "ETTh1.csv"
    if not path.exists():
        pytest.skip("the mirror holds no ETTh1.csv")
    wide = readers.read_wide(path, time="date")
    assert wide.shape == (17_420, 7) and not wide.isna().any(axis=None)
    assert wide.columns.tolist() == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]


def test_the_small_series_is_what_its_script_makes_of_the_weather(tmp_path):
    script = ROOT / "data/make_own_series.py"
    subprocess.run([sys.executable, script, "--output", tmp_path / "own-series.csv"], check=True)
    assert (tmp_path / "own-series.csv").read_bytes() == (ROOT / "data/own-series.csv").read_bytes()


def test_the_schema_names_the_readers_and_what_they_take(root):
    schema = checks.load_schema(root)["$defs"]["dataset"]["properties"]
    assert list(readers.READERS) == schema["reader"]["enum"]
    takes = {key: part.get("readers", list(readers.READERS)) for key, part in schema.items()}
    for name, reader in readers.READERS.items():
        assert reader.refuses == {key for key, names in takes.items() if name not in names}


def test_options_are_the_keys_of_a_dataset_with_its_defaults(root):
    schema = checks.load_schema(root)["$defs"]["dataset"]["properties"]
    for key, default in readers.Options._field_defaults.items():
        assert (default or None) == (schema[key]["default"] or None), key
