"""Files other than CSV, several files, and queries: the right values, or one line with the cure."""

import datetime
import json
import sqlite3
import sys
from contextlib import closing
from functools import partial

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray
from reading import read_wide, refused

from scoredag.intake import archives, netcdf, workbooks
from scoredag.series import readers

TIMES = pd.date_range("2020-01-01", periods=30, freq="1h")
VALUES = 0.5 * np.arange(30.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read(caplog):
    """Read files; what the log says is the frame's attribute `said`."""
    return partial(read_wide, caplog)


def frame(**columns):
    return pd.DataFrame({"time": TIMES, "x": VALUES, **columns})


def workbook(path, sheets):
    """Write an Excel file: {name: rows}, the first cell being B3, as below a title."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                sheet.cell(3 + i, 2 + j, cell)
    book.save(path)


def rows(*, times=None, values=VALUES):
    times = [time.to_pydatetime() for time in TIMES] if times is None else times
    return [["time", "x"], *map(list, zip(times, values, strict=True))]


def test_a_sheet_of_an_excel_file(folder, read):
    workbook("mine.xlsx", {"data": rows(), "notes": [["nothing"]]})
    wide = read("mine.xlsx")
    assert wide["x"].tolist() == VALUES.tolist() and wide.index.tz_localize(None).equals(TIMES.rename("time"))
    assert "its first sheet, 'data', is read" in wide.attrs["said"]
    assert "sheet" not in read("mine.xlsx", sheet="data").attrs["said"]
    refused(lambda: read("mine.xlsx", sheet="Data"), "mine.xlsx", "'Data'", "data, notes")
    refused(lambda: read("mine.xlsx", sheet="notes"), "mine.xlsx", "time")


def test_cells_of_an_excel_file_that_are_none_of_numbers(folder, read):
    cells = [*VALUES[:-3], "n.v.", None, "#N/A"]
    workbook("mine.xlsx", {"data": [*rows(values=cells), [None, None], ["sum", 99.0]]})
    refused(lambda: read("mine.xlsx", skip_last=1), "column 'x', row 31", "'n.v.'", 'missing: ["n.v."]')
    wide = read("mine.xlsx", skip_last=1, missing=["n.v."])
    assert np.array_equal(wide["x"], [*VALUES[:-3], *[np.nan] * 3], equal_nan=True)


def test_dates_and_times_of_an_excel_file_in_two_columns(folder, read):
    table = [["day", "clock", "x"], *([t.date(), t.time(), x] for t, x in zip(TIMES, VALUES, strict=True))]
    workbook("mine.xlsx", {"data": table})
    wide = read("mine.xlsx", time=["day", "clock"])
    assert wide.index.tz_localize(None).equals(TIMES.rename("time"))


def test_times_of_an_excel_file_are_fractions_of_days_and_still_on_the_grid(folder, read):
    workbook("mine.xlsx", {"data": rows(times=[43831 + i / 24 for i in range(30)])})
    book = openpyxl.load_workbook("mine.xlsx")
    for row in range(4, 34):
        book["data"].cell(row, 2).number_format = "yyyy-mm-dd hh:mm"
    book.save("mine.xlsx")
    assert read("mine.xlsx").index.tz_localize(None).equals(TIMES.rename("time"))


def test_rows_of_a_sheet_above_the_names_and_names_that_are_not_there(folder, read):
    workbook("mine.xlsx", {"data": [["Station 7", None], *rows()]})
    refused(lambda: read("mine.xlsx"), "there is no time column 'time'")
    assert len(read("mine.xlsx", skip=3)) == 30
    workbook("mine.xlsx", {"data": rows()[1:]})
    assert len(read("mine.xlsx", columns=["time", "x"])) == 30
    refused(lambda: read("mine.xlsx", columns=["time"]), "1 columns are named, but the first row has 2")
    workbook("mine.xlsx", {"data": [[]]})
    refused(lambda: read("mine.xlsx"), "there is nothing in the sheet")


def test_what_is_no_excel_file_and_no_sheet(folder, read):
    (folder / "mine.xlsx").write_text("time,x\n")
    refused(lambda: read("mine.xlsx"), "mine.xlsx: cannot be read as .xlsx")
    frame().to_csv("mine.csv", index=False)
    refused(lambda: read("mine.csv", sheet="data"), "mine.csv: has no sheets")
    workbook("mine.xlsx", {"data": [["time", "x", "x"], [TIMES[0].to_pydatetime(), 1, 2]]})
    refused(lambda: read("mine.xlsx"), "two columns 'x'")


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(folder, read, root, monkeypatch):
    workbook("mine.xlsx", {"data": rows()})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    refused(lambda: read("mine.xlsx"), "python-calamine", str(root / "envs/requirements-tables.txt"))
    assert "python-calamine==" in (root / "envs/requirements-tables.txt").read_text()
    monkeypatch.setitem(sys.modules, "duckdb", None)
    refused(lambda: read("mine.xlsx", query="SELECT 1"), "query: DuckDB")


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_variables_of_a_netcdf_file(folder, read, form):
    there = frame().set_index("time")["x"].to_numpy()
    data = xarray.Dataset(
        {"x": (("time", "station"), np.stack([there, -there], 1)), "height": ("station", [10.0, 20.0])},
        {"time": TIMES, "station": ["a", "b"], "lat": ("station", [50.0, 51.0])},
    )
    data["x"][4, 1] = np.nan
    data.to_netcdf("mine.nc", format=form, encoding={"x": {"_FillValue": -999.0, "scale_factor": 0.5}})
    wide = read("mine.nc", group="station")
    assert list(wide) == ["a_x", "b_x"] and wide["a_x"].tolist() == VALUES.tolist()
    assert np.isnan(wide["b_x"].iloc[4]) and wide["b_x"].notna().sum() == 29
    assert "left out: height" in wide.attrs["said"]


def test_what_is_no_netcdf_file(folder, read):
    (folder / "mine.nc").write_text("time,x\n")
    refused(lambda: read("mine.nc"), "mine.nc: cannot be read as NetCDF")
    xarray.Dataset({"x": 1.0}).to_netcdf("mine.nc")
    refused(lambda: read("mine.nc"), "no variable with a dimension")


def test_files_that_would_become_far_too_large(folder, read, monkeypatch):
    frame().set_index("time").to_xarray().to_netcdf("mine.nc")
    monkeypatch.setattr(netcdf, "MAX_VALUES", 29)
    refused(lambda: read("mine.nc"), "mine.nc: 1 variables of {'time': 30} are 30 values, more than 29")
    workbook("mine.xlsx", {"data": rows()})
    monkeypatch.setattr(archives, "RATIO", 1)
    monkeypatch.setattr(archives, "SLACK", 0)
    refused(lambda: read("mine.xlsx"), "mine.xlsx: unpacks to more than 1 times its size")
    refused(lambda: read("mine.xlsx", query="FROM mine"), "mine.xlsx: unpacks to more than 1 times its size")


def test_files_are_read_as_one_table(folder, read):
    frame()[:20].to_csv("2019.csv", index=False)
    frame(y=1.0)[18:].to_csv("2020.csv", index=False)
    wide = read(["2019.csv", "2020.csv"], duplicates="first")
    assert wide["x"].tolist() == VALUES.tolist() and wide["y"].isna().sum() == 20
    assert "2019.csv: has no column 'y'" in wide.attrs["said"]
    frame(x="?")[20:].to_csv("2020.csv", index=False)
    refused(lambda: read(["2019.csv", "2020.csv"]), "2019.csv and 1 more: column 'x', line 2 of 2020.csv: '?'")


def test_files_of_two_kinds_are_one_table(folder, read):
    frame()[:20].to_csv("first.csv", index=False)
    workbook("then.xlsx", {"data": [rows()[0], *rows()[21:]]})
    assert read(["first.csv", "then.xlsx"])["x"].tolist() == VALUES.tolist()


def test_each_file_is_a_station_or_a_series(folder, read):
    frame().to_csv("rome.csv", index=False)
    frame(x=-VALUES).to_csv("oslo.csv.gz", index=False)
    paths = ["rome.csv", "oslo.csv.gz"]
    refused(lambda: read(paths), "line 2 of oslo.csv.gz", "occurs twice", "write group: file")
    assert read(paths, group="file")["oslo_x"].tolist() == (-VALUES).tolist()
    assert list(read(paths, series="file").index.levels[0]) == ["oslo", "rome"]
    tidy = frame().melt("time", var_name="feature")
    for path in paths:
        tidy.to_csv(path, index=False)
    assert readers.read_tidy(paths, series="file").shape == (60, 1)


@pytest.mark.parametrize(
    ("units", "is_told"),
    [(",°C,%", True), ("UTC,m s-1,-", True), ("YYYY-MM-DD,W/m2,", True), (",3,4", False), (",1.5 m,", False)],
)
def test_a_row_of_units(folder, read, units, is_told):
    text = frame(y=1.0).to_csv(index=False)
    (folder / "mine.csv").write_text(text.replace("\n", f"\n{units}\n", 1), encoding="utf-8")
    if is_told:
        wide = read("mine.csv")
        assert wide.shape == (30, 2) and "line 2 is taken as units" in wide.attrs["said"]
    else:
        refused(lambda: read("mine.csv"), "line 2", "empty")


@pytest.mark.parametrize(
    ("texts", "interval", "first", "last"),
    [
        ([f"2020-W{i:02d}" for i in range(1, 54)], "7D", "2019-12-30", "2020-12-28"),
        ([f"2020w{i:02d}-4" for i in range(1, 54)], "7D", "2020-01-02", "2020-12-31"),
        ([f"{year}Q{i}" for year in (2019, 2020) for i in range(1, 5)], "QS", "2019-01-01", "2020-10-01"),
        ([f"Q{i} {year}" for year in (2019, 2020) for i in range(1, 5)], "QS", "2019-01-01", "2020-10-01"),
        ([f"{i}Q{year}" for year in (2019, 2020) for i in range(1, 5)], "QS", "2019-01-01", "2020-10-01"),
        ([f"{year}M{i:02d}" for year in (2019, 2020) for i in range(1, 13)], "MS", "2019-01-01", "2020-12-01"),
    ],
)
def test_weeks_quarters_and_months_as_text(folder, read, texts, interval, first, last):
    pd.DataFrame({"time": texts, "x": range(len(texts))}).to_csv("mine.csv", index=False)
    wide = read("mine.csv", interval=interval)
    assert not wide["x"].isna().any() and len(wide) == len(texts)
    assert [f"{time:%Y-%m-%d}" for time in wide.index[[0, -1]]] == [first, last]
    assert ("ISO 8601" in wide.attrs["said"]) == ("w" in texts[0].lower())


def test_periods_that_do_not_occur(folder, read):
    for text in ("2021-W53", "2020Q5", "2020M13", "2020-W00"):
        pd.DataFrame({"time": ["2020-W01" if "W" in text else "2020Q1", text], "x": [1, 2]}).to_csv("mine.csv")
        refused(lambda: read("mine.csv", interval="7D", features=["x"]), "line 3", text, "is not a time")


def test_a_week_takes_seven_days(folder, read):
    pd.DataFrame({"time": [f"2020-W{i:02d}" for i in range(1, 54)], "x": 1}).to_csv("mine.csv", index=False)
    refused(lambda: read("mine.csv", interval="W"), "write interval: 7D")


def database(path):
    with closing(sqlite3.connect(path)) as connection:
        frame().assign(time=TIMES.astype("str")).to_sql("Measured", connection, index=False)


def test_a_query_over_files_of_each_kind(folder, read):
    frame().to_csv("a.csv", index=False)
    frame(x=2 * VALUES).to_parquet("b.parquet")
    (folder / "c.json").write_text(json.dumps(frame().assign(time=TIMES.astype("str")).to_dict("records")))
    workbook("d.xlsx", {"data": rows(), "more": rows(values=3 * VALUES), "empty": []})
    database("e.db")
    query = """SELECT a.time, a.x, b.x AS b, c.x AS c, d.x AS d, m.x AS m, e.x AS e
               FROM a JOIN b USING (time) JOIN c USING (time) JOIN d USING (time) JOIN "d.more" AS m USING (time)
               JOIN measured AS e ON e.time::TIMESTAMP = a.time"""
    wide = read(["a.csv", "b.parquet", "c.json", "d.xlsx", "e.db"], query=query)
    assert np.array_equal(wide.to_numpy(), np.outer(VALUES, [1, 2, 1, 1, 3, 1]))


def test_a_query_is_the_same_from_run_to_run_and_goes_through_all_checks(folder, read):
    frame(z=np.random.default_rng(1).random(30)).to_csv("a.csv", index=False)
    query = "SELECT date_trunc('day', time) AS time, sum(z)::DECIMAL(9, 3) AS z, random() AS r FROM a GROUP BY 1"
    once, again = (read("a.csv", query=query, interval="1D") for _ in range(2))
    assert once.equals(again) and len(once) == 2
    refused(lambda: read("a.csv", query="SELECT time, 'high' AS x FROM a"), "query: column 'x', row 1: 'high'")
    refused(lambda: read("a.csv", query="SELECT time, x FROM a UNION ALL FROM (SELECT time, 1 FROM a)"), "twice")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT time, y FROM a", ["query: ", '"y" not found', "its tables are a"]),
        ("SELEC", ["syntax error"]),
        ("CREATE TABLE b AS FROM a", ["query: "]),
        ("FROM 'other.csv'", ["query: "]),
        ("FROM read_csv('other.csv')", ["disabled by configuration"]),
        ("COPY a TO 'out.csv'", ["disabled by configuration"]),
        ("INSTALL httpfs", ["disabled by configuration"]),
        ("SET enable_external_access = true", ["query: "]),
        ("FROM frame", ["query: "]),
    ],
)
def test_a_query_reaches_the_files_of_the_dataset_alone(folder, read, query, words):
    frame().to_csv("a.csv", index=False)
    frame().to_csv("other.csv", index=False)
    refused(lambda: read("a.csv", query=query), *words)
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "other.csv"]


def test_files_that_take_a_query_and_files_that_no_query_takes(folder, read):
    (folder / "c.json").write_text("[]")
    refused(lambda: read("c.json"), 'query: "SELECT * FROM c"')
    database("e.db")
    refused(lambda: read("e.db"), "takes a query")
    assert len(read("e.db", query="SELECT time, x FROM measured")) == 30
    (folder / "a.pdf").write_text("")
    refused(lambda: read("a.pdf", query="FROM a"), "a.pdf: a query reads files that end in .csv")
    frame().to_csv("measured.csv", index=False)
    refused(lambda: read(["measured.csv", "e.db"], query="FROM measured"), "two tables 'Measured'")
    (folder / "bad.db").write_text("no database, though it is long enough to be one" * 10)
    refused(lambda: read("bad.db", query="FROM x"), "bad.db: cannot be read as an SQLite database")


def test_a_workbook_of_empty_sheets_is_no_table_of_a_query(folder, read):
    workbook("mine.xlsx", {"first": [], "second": []})
    refused(lambda: read("mine.xlsx", query="FROM mine"), "mine.xlsx: there is nothing in its sheets")


def test_names_of_sheets(folder):
    workbook("mine.xlsx", {"first": rows(), "second": rows()})
    assert list(workbooks.read_all("mine.xlsx")) == ["first", "second"]
    assert workbooks.read("mine.xlsx", sheet="second").index[0] == 4
    assert isinstance(workbooks.read("mine.xlsx")["time"].iloc[0], datetime.datetime)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("year,month,day,hour,x\n2020,1,1,0,5\n", {"time": "hour"}, ["time: [year, month, day, hour]"]),
        ("Year,Month,x\n2020,1,5\n", {"time": "Month"}, ["time: [Year, Month]"]),
        ("time,x\n0.0,1\n0.1,2\n", {}, ["time_format: s", "start: "]),
        ("time,x\n2020-01-01,1\n2020-01-02,2\nSum,3\nMean,1.5\n", {}, ["line 4", "skip_last: 2"]),
    ],
)
def test_times_that_are_none_name_the_key_that_reads_them(folder, read, text, options, words):
    (folder / "mine.csv").write_text(text)
    refused(lambda: read("mine.csv", **options), "is not a time", *words)


def test_a_column_of_times_is_named_with_the_one_of_dates(folder, read):
    (folder / "mine.csv").write_text("Date,Time,x\n2020-01-01,18.00.00,5\n")
    refused(lambda: read("mine.csv", time="Date"), "time: ['Date', 'Time']")
