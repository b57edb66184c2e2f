"""Tables in the forms that loggers, spreadsheets and services write: the right values, or one line with the cure."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
import reading
from reading import read_wide

from scoredag.errors import InputError
from scoredag.series import readers, times

NAN = np.nan


@pytest.fixture
def read(tmp_path, caplog):
    """Read a text as if it were a file; what the log says is the frame's attribute `said`."""

    def read(text, name="mine.csv", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_wide(caplog, path, **options)

    return read


def refused(call, *words):
    """The line names the file once."""
    line = reading.refused(call, *words)
    assert line.count("mine.") == 1, line
    return line


def table(*rows, names="time,x"):
    return "\n".join([names, *rows]) + "\n"


def hours(*cells, names="time,x", start="2020-01-01"):
    times = pd.date_range(start, periods=len(cells), freq="1h").strftime("%Y-%m-%d %H:%M")
    return table(*(f"{time},{cell}" for time, cell in zip(times, cells, strict=True)), names=names)


def semicolons(*cells):
    return hours(*cells).replace(",", ";", 1).replace(":00,", ":00;")


def values(wide, name="x"):
    return wide[name].tolist()


@pytest.mark.parametrize(
    ("cells", "keys", "first"),
    [
        (['"1,512"', "380", '"1,204"'], {"thousands": ","}, 1512),
        (['"1,512.25"', "380", '"12,345,204.5"'], {"thousands": ","}, 1512.25),
        (["2 338.5", "1"], {"thousands": " "}, 2338.5),
        (["2\N{NARROW NO-BREAK SPACE}338.5", "1"], {"thousands": " "}, 2338.5),
        (["2'338", "1"], {"thousands": "'"}, 2338),
    ],
)
def test_thousands_are_read_where_they_are_said(read, cells, keys, first):
    assert values(read(hours(*cells), **keys))[0] == first


def test_no_thousands_begin_with_zero(read):
    refused(lambda: read(hours('"0,512"', '"1,512"'), thousands=","), "'0,512' is not a finite number")


def test_blanks_of_any_width_separate_thousands(read):
    text = hours("2\N{NO-BREAK SPACE}338", "1\N{THIN SPACE}512")
    refused(lambda: read(text), "write thousands: ' '")
    assert values(read(text, thousands=" ")) == [2338, 1512]


def test_points_and_commas_of_europe(read):
    text = semicolons("2.338,52", "12,5", "1.000")
    line = refused(lambda: read(text), "'2.338,52'", "write thousands: '.', decimal: ','")
    assert "missing" not in line
    assert values(read(text, thousands=".", decimal=",")) == [2338.52, 12.5, 1000]


def test_advice_is_tried_on_the_whole_column(read):
    assert "decimal" not in refused(lambda: read(hours('"1,512"', '"2,590"')), "write thousands: ','")
    assert "thousands" not in refused(lambda: read(semicolons("1,512", "0,59")), "write decimal: ','")
    line = refused(lambda: read(semicolons("1,5", "n.v.", "-")), "write decimal: ','", 'missing: ["n.v.", "-"]')
    wide = read(semicolons("1,5", "n.v.", "-", "2"), decimal=",", missing=["n.v.", "-"])
    np.testing.assert_array_equal(values(wide), [1.5, NAN, NAN, 2])
    assert "set" not in line
    mixed = refused(lambda: read(semicolons("1,5", "2.5")), "'1,5'")
    assert "decimal" not in mixed and "thousands" not in mixed


def test_a_decimal_comma_that_may_separate_thousands_is_told(read):
    wide = read(hours('"1,512"', "380", '"1,204"'), decimal=",")
    assert values(wide)[0] == 1.512 and "write thousands: ','" in wide.attrs["said"]
    assert "thousands" not in read(semicolons("1,512", "0,5"), decimal=",").attrs["said"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"-0013,1"', ["several fields in one cell"]),
        ("18.00.00", ["looks like a time", "time: ['time', 'x']"]),
        ("18:30", ["looks like a time"]),
        ("<2.0", ["limit"]),
        ("5*", ["mark"]),
        ("12 %", ["unit, '%'"]),
        ("7.5 kWh", ["unit, 'kWh'"]),
    ],
)
def test_a_column_is_judged_whole(read, cell, words):
    line = refused(lambda: read(hours(cell, cell)), "column 'x', line 2", *words)
    assert "missing:" not in line and "decimal" not in line


def test_a_coded_field_is_no_number_with_a_decimal_comma(read):
    refused(lambda: read(hours('"-0013,1"', '"+0020,1"'), decimal=","), "'-0013,1' is not a finite number")


def test_what_stands_for_missing_is_told_at_once(read):
    text = hours("1,calm", "-,2", "--,3", names="time,x,y")
    refused(lambda: read(text), """missing: ["-", "--", "calm"]""")
    wide = read(text, missing=["-", "--", "calm"])
    np.testing.assert_array_equal(wide, [[1, NAN], [NAN, 2], [NAN, 3]])


def test_what_pandas_takes_as_missing_is(read):
    texts = ["NaN", "nan", "null", "NULL", "None", "N/A", "n/a", "#N/A", "<NA>", " null ", " NA"]
    np.testing.assert_array_equal(values(read(hours(1, *texts, 2))), [1, *[NAN] * len(texts), 2])
    np.testing.assert_array_equal(values(read(hours(1, " Null ", 2), missing=["Null"])), [1, NAN, 2])


def test_stamps_a_little_early_or_late(read):
    stamps = ["2020-01-01 00:00:01", "2020-01-01 00:59:58", "2020-01-01 02:00:02", "2020-01-01 02:59:59"]
    text = table(*(f"{stamp},{i}" for i, stamp in enumerate(stamps)))
    refused(lambda: read(text), "grid", "nearest")
    wide = read(text, resample="nearest")
    assert values(wide) == [0, 1, 2, 3] and "by up to 0 days 00:00:02" in wide.attrs["said"]
    assert wide.index[0] == pd.Timestamp("2020-01-01", tz="UTC")
    assert "2 of 4 times lie shortly before" in read(text, resample="mean").attrs["said"]


def test_the_nearest_of_several_rows_counts(read):
    wide = read(table("2020-01-01 00:20,1", "2020-01-01 00:01,2", "2020-01-01 01:00,3"), resample="nearest")
    assert values(wide) == [2, 3] and "1 rows are left out" in wide.attrs["said"]


def test_a_sum_of_a_part_of_an_interval_is_missing(read):
    minutes = pd.date_range("2020-01-01", periods=18, freq="10min").strftime("%Y-%m-%d %H:%M")
    rows = [f"{minute},{'' if i in (7, 8) else 1}" for i, minute in enumerate(minutes)]
    wide = read(table(*rows), resample="sum")
    np.testing.assert_array_equal(wide["x"], [6, NAN, 6])
    assert "1 of 3 sums are missing" in wide.attrs["said"]
    np.testing.assert_array_equal(read(table(*rows[:7], *rows[9:]), resample="sum")["x"], [6, NAN, 6])


def test_sums_of_events_are_of_what_is_there(read):
    rows = ["2020-01-01 00:07,1", "2020-01-01 00:11,1", "2020-01-01 01:31,1", "2020-01-01 02:59,1"]
    wide = read(table(*rows), resample="sum")
    assert values(wide) == [2, 1, 1] and "no usual distance" in wide.attrs["said"]


@pytest.mark.parametrize("sentinel", [-999, 9999, -200])
def test_a_value_that_recurs_far_from_all_others_is_told(read, sentinel):
    cells = np.random.default_rng(0).normal(20, 3, 200).round(1)
    cells[[5, 50, 51]] = sentinel
    said = read(hours(*cells)).attrs["said"]
    assert f"{sentinel} occurs 3 times in 'x'" in said and "write plausible: {x: [" in said
    assert "occurs" not in read(hours(*cells), plausible={"x": (0, 50)}).attrs["said"]


def test_zeros_and_ends_of_a_range_are_no_sentinels(read):
    rain = np.maximum(np.random.default_rng(0).normal(-2, 2, 300), 0).round(1)
    assert "occurs" not in read(hours(*rain)).attrs["said"]
    assert "occurs" not in read(hours(*[0, 1] * 50)).attrs["said"]


@pytest.mark.parametrize(
    ("stamp", "time_format", "zone", "utc"),
    [
        ("2023-01-01 00:00 EST", "%Y-%m-%d %H:%M %Z", "America/New_York", "2023-01-01 05:00"),
        ("2023-07-01 00:00 CET", "%Y-%m-%d %H:%M %Z", "Europe/Berlin", "2023-06-30 23:00"),
        ("2023-01-01 00:00 UTC", "%Y-%m-%d %H:%M %Z", "Europe/Berlin", "2023-01-01 00:00"),
        ("01-JAN-2023 00:00 MESZ", "%d-%b-%Y %H:%M %Z", "UTC", "2022-12-31 22:00"),
        ("2023-01-01 00:00 CST", "%Y-%m-%d %H:%M %Z", "America/Chicago", "2023-01-01 06:00"),
        ("2023-01-01 24:00", "%Y-%m-%d %H:%M", "UTC", "2023-01-02 00:00"),
        ("2023-01-01 00:00 - 2023-01-01 01:00", "%Y-%m-%d %H:%M", "UTC", "2023-01-01 00:00"),
        ("1672531200", "s", "UTC", "2023-01-01 00:00"),
        ("1672531200000", "ms", "UTC", "2023-01-01 00:00"),
        ("1672531200000000", "us", "UTC", "2023-01-01 00:00"),
        ("1672531200000000000", "ns", "UTC", "2023-01-01 00:00"),
    ],
)
def test_times_of_many_forms(read, stamp, time_format, zone, utc):
    later = f"{int(stamp) * 2}" if stamp.isdigit() else stamp.replace("2023", "2024", 1)
    wide = read(
        table(f"{stamp},1", f"{later},2"), time_format=time_format, time_zone=zone, resample="first", interval="1D"
    )
    assert wide.index[0] == pd.Timestamp(utc, tz="UTC").floor("1D")
    exact = times.parse("mine.csv", pd.Series([stamp], [2], name="time"), time_format, zone)
    exact = exact if exact.dt.tz else exact.dt.tz_localize("UTC")
    assert exact.iloc[0] == pd.Timestamp(utc, tz="UTC")


def test_a_zone_of_several_meanings_is_refused(read):
    text = table("2023-01-01 00:00 IST,1", "2023-01-01 01:00 IST,2")
    refused(lambda: read(text, time_format="%Y-%m-%d %H:%M %Z"), "'IST' is no zone that has one meaning")
    wide = read(text, time_format="%Y-%m-%d %H:%M %Z", time_zone="Asia/Kolkata", interval="1h", resample="mean")
    assert wide.index[0] == pd.Timestamp("2022-12-31 18:00", tz="UTC")


def test_numbers_that_count_from_1970_are_told(read, tmp_path):
    refused(lambda: read(table("1709251200000,1", "1709254800000,2")), "write time_format: ms")
    pd.DataFrame({"time": [1709251200, 1709254800], "x": [1.0, 2.0]}).to_parquet(tmp_path / "mine.parquet")
    refused(lambda: readers.read_wide(tmp_path / "mine.parquet"), "holds int64, not times", "time_format: s")
    wide = readers.read_wide(tmp_path / "mine.parquet", time_format="s")
    assert wide.index[0] == pd.Timestamp("2024-03-01", tz="UTC")


def test_numbers_count_from_a_start(read):
    text = table("0.0,1", "0.1,2", "0.2,3", "60.0,4")
    wide = read(text, time_format="s", start="2020-01-31T13:00", interval="100ms")
    assert len(wide) == 601 and values(wide)[:3] == [1, 2, 3]
    assert wide.index[-1] == pd.Timestamp("2020-01-31T13:01Z")


def test_a_time_of_several_columns(read):
    parts = "year,month,day,hour,x\n2010,1,2,0,5\n2010,1,2,1,6\n"
    assert read(parts, time=["year", "month", "day", "hour"]).index[0] == pd.Timestamp("2010-01-02", tz="UTC")
    two = "Date;Time;x\n10/03/2004;18.00.00;2,5\n10/03/2004;19.00.00;2\n"
    refused(lambda: read(two, time="Date", time_format="%d/%m/%Y", decimal=","), "time: ['Date', 'Time']")
    wide = read(two, time=["Date", "Time"], time_format="%d/%m/%Y %H.%M.%S", decimal=",")
    assert wide.index[0] == pd.Timestamp("2004-03-10 18:00", tz="UTC") and values(wide) == [2.5, 2]


def test_what_stands_above_and_below_a_table(read):
    plain = hours(1, 2, 3)
    assert values(read("# a logger\n#, with commas\n" + plain)) == [1, 2, 3]
    assert values(read("sep=;\n" + semicolons("1", "2", "3"))) == [1, 2, 3]
    assert values(read("Station 7\nheight,2 m\n" + plain, skip=2)) == [1, 2, 3]
    assert values(read(plain + "sum,6\nprinted on Monday,\n\n", skip_last=2)) == [1, 2, 3]
    assert values(read(plain.split("\n", 1)[1], columns=["time", "x"])) == [1, 2, 3]
    refused(lambda: read(plain.split("\n", 1)[1], columns=["time", "x", "y"]), "3 columns are named", "has 2")
    for before, keys, line in (("a\nb\n", {"skip": 2}, 7), ("# a\n", {}, 6)):
        refused(
            lambda before=before, keys=keys: read(f"{before}{plain}2020-01-02 00:00,1,2\n", **keys), f"line {line} has"
        )
    above = "latitude,longitude,elevation\n1,2,3\n\n" + hours(1, 2, 3, 4)
    refused(lambda: read(above), "line 4 has 2 fields, the header has 3", "write skip: 3")
    assert values(read(above, skip=3)) == [1, 2, 3, 4]


def test_the_separator_is_that_of_the_rows(read):
    text = "time;temp, deg C, 2 m;x\n" + "".join(f"2020-01-01 0{i}:00;1;{i}\n" for i in range(5))
    assert values(read(text)) == [0, 1, 2, 3, 4]


def test_stamps_at_the_end_of_their_interval(read):
    text = table("2020-01-01 05:50,0", "2020-01-01 06:00,1", "2020-01-01 06:10,0")
    wide = read(text, resample="median", interval="10min", label="end")
    assert wide.index[0] == pd.Timestamp("2020-01-01 05:40", tz="UTC")
    shifted = read(hours(1, 2), label="end")
    assert shifted.index[0] == pd.Timestamp("2019-12-31 23:00", tz="UTC")


def test_rows_that_are_there_twice(read):
    rows = ["2020-01-01 00:00,1", "2020-01-01 01:00,2", "2020-01-01 01:00,2", "2020-01-01 02:00,3"]
    wide = read(table(*rows))
    assert values(wide) == [1, 2, 3] and "1 rows are equal to another one" in wide.attrs["said"]
    rows[2:3] = ["2020-01-01 01:00,4", "2020-01-01 02:00,7"]
    refused(lambda: read(table(*rows)), "line 4", "occurs twice, as 1 more do", "duplicates: first")
    assert [values(read(table(*rows), duplicates=which)) for which in ("first", "last", "mean")] == [
        [1, 2, 7],
        [1, 4, 3],
        [1, 3, 5],
    ]


def test_an_hour_that_clocks_skip_or_have_twice(read):
    spring = table("2022-03-27 01:00,1", "2022-03-27 02:00,", "2022-03-27 03:00,3")
    wide = read(spring, time_zone="Europe/Berlin")
    assert values(wide) == [1, 3]
    refused(lambda: read(spring.replace("02:00,", "02:00,2"), time_zone="Europe/Berlin"), "does not occur")
    autumn = table("2021-10-31 01:00,1", "2021-10-31 02:00,2", "2021-10-31 03:00,3")
    refused(lambda: read(autumn, time_zone="Europe/Berlin"), "only once here", "ambiguous: winter")
    results = [
        values(read(autumn, time_zone="Europe/Berlin", interval="1h", ambiguous=which))
        for which in ("summer", "winter", "missing")
    ]
    np.testing.assert_array_equal(results, [[1, 2, NAN, 3], [1, NAN, 2, 3], [1, NAN, NAN, 3]])


def test_an_hour_that_is_there_twice_may_be_of_local_clocks(read):
    autumn = table("2021-10-31 01:00,1", "2021-10-31 02:00,2", "2021-10-31 02:00,3", "2021-10-31 03:00,4")
    refused(lambda: read(autumn), "02:00", "occurs twice", "write time_zone, as Europe/Berlin")
    assert values(read(autumn, time_zone="Europe/Berlin")) == [1, 2, 3, 4]
    noon = autumn.replace(" 02:", " 12:")
    with pytest.raises(InputError) as caught:
        read(noon)
    assert "time_zone" not in str(caught.value)


def test_a_first_column_without_a_name_is_the_time(read):
    wide = read(hours(1, 2).replace("time", "", 1))
    assert values(wide) == [1, 2] and "no name, is taken as the time" in wide.attrs["said"]


def test_most_times_may_be_absent(read):
    chosen = np.r_[0, 2 * np.arange(1, 12), 25, 40]
    rows = [f"2020-01-{1 + i // 24:02d} {i % 24:02d}:00,{i}" for i in chosen]
    assert len(read(table(*rows))) == 41
    assert len(read(table(*rows[:12]))) == 12
    refused(lambda: read(table(*rows[:12]), interval="1h"), "most times are 0 days 02:00:00 apart")


def test_months_and_business_days(read):
    months = table(*(f"{2000 + i // 12}-{1 + i % 12:02d}-01,{i}" for i in range(30)))
    refused(lambda: read(months, interval="1M"), "MS, QS or YS", "first of a month")
    refused(lambda: read(months, interval="ME"), "write interval: MS")
    assert len(read(months, interval="MS")) == len(read(months)) == 30
    days = pd.bdate_range("2020-01-01", periods=40)
    text = table(*(f"{day:%Y-%m-%d},{i}" for i, day in enumerate(days)))
    assert "no value is on Saturdays and Sundays" in read(text, interval="1D").attrs["said"]
    assert not read(text, interval="B")["x"].isna().any()
    assert "the times are B apart" in read(text).attrs["said"]
    with_one_saturday = text.replace(f"{days[7]:%Y-%m-%d}", f"{days[7] + pd.Timedelta('1D'):%Y-%m-%d}")
    assert days[7].day_name() == "Friday" and "1D apart" in read(with_one_saturday).attrs["said"]
    three_weeks = table(*(f"{day:%Y-%m-%d},{i}" for i, day in enumerate(days[:12])))
    assert "1D apart" in read(three_weeks).attrs["said"]  # perhaps by chance


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ("1h", None),
        ("15min", "15min"),
        ("1D", "1D"),
        ("7D", "7D"),
        ("3h", "3h"),
        ("QS", "QS"),
        ("ME", "ME"),
        ("YS", "YS"),
    ],
)
def test_the_spacing_of_times_is_found(read, interval, said):
    times = pd.date_range("2020-01-01", periods=40, freq=interval).delete([5, 6, 20])
    wide = read(table(*(f"{time:%Y-%m-%d %H:%M},{i}" for i, time in enumerate(times))))
    assert len(wide) == 40
    assert said is None or f"the times are {said} apart" in wide.attrs["said"]


def test_a_feature_called_as_a_column_of_every_table_is_refused(read):
    for name in ("time", "series"):
        text = hours("1,2", "3,4", names=f"date,{name},y")
        refused(lambda text=text: read(text, time="date"), f"a feature is called '{name}'")


def spreadsheet():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    return stream.getvalue()


def feather():
    stream = io.BytesIO()
    pa.feather.write_feather(pd.DataFrame({"x": [1.0]}), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"BZh91AY&SY", ["bzip2"]),
        (b"\xfd7zXZ\x00\x00", ["xz"]),
        (b"\x28\xb5\x2f\xfd\x00\x00", ["Zstandard"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", [".xls"]),
        (b"\x89HDF\r\n\x1a\n", ["HDF5"]),
        (b"CDF\x01\x00\x00", ["NetCDF"]),
        (b"\x80\x04\x95\x00\x00", ["pickle"]),
        (spreadsheet(), ["spreadsheet"]),
        (feather(), ["Feather"]),
        (gzip.compress(b"x", mtime=0), ["gzipped"]),
    ],
)
def test_a_binary_file_is_told_by_its_first_bytes(read, content, words):
    assert "UTF" not in refused(lambda: read(content), *words)


def test_the_one_file_of_a_zip_archive_is_read(read):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inside.csv", hours(1, 2))
    assert values(read(stream.getvalue(), name="mine.zip")) == [1, 2]
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("more.csv", hours(1, 2))
    refused(lambda: read(stream.getvalue(), name="mine.zip"), "holds 2 files")
