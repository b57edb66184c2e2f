"""What holds for every input: tables of text, windows, gaps, and the schemas of our tables."""

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoredag.errors import InputError
from scoredag.intake import delimited
from scoredag.series import gaps, readers, windows
from scoredag.store import tables

settings.register_profile("project", derandomize=True, max_examples=60, deadline=None)
settings.load_profile("project")

NUMBERS = st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats(-1e9, 1e9, allow_subnormal=False))


@given(
    rows=st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t"),
    decimal=st.sampled_from(".,"),
    missing=st.sampled_from(["", "NA", "-", "n/a"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\N{ZERO WIDTH NO-BREAK SPACE}"]),
)
def test_a_table_of_text_is_read_with_the_values_that_were_written(
    rows, separator, decimal, missing, quoting, line_end, mark
):
    """Or refused in one line. The first column keeps a row from being empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=line_end)
    writer.writerow(["key", "x", "y"])
    for i, row in enumerate(rows):
        cells = [missing if value is None else repr(float(value)).replace(".", decimal) for value in row]
        writer.writerow([f"k{i}", *cells])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes((mark + stream.getvalue()).encode())
        try:
            table = delimited.read(path, [missing])
            found = np.stack([delimited.numbers(path, table[name], decimal) for name in ("x", "y")], axis=1)
        except InputError as error:
            assert "\n" not in str(error)
            raise
    assert table["key"].tolist() == [f"k{i}" for i in range(len(rows))]
    expected = np.array([[np.nan if value is None else float(value) for value in row] for row in rows])
    np.testing.assert_array_equal(found, expected)


@given(st.binary(max_size=200), st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_bytes_of_any_kind_are_read_or_refused_in_one_line(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        path.write_bytes(content)
        try:
            delimited.read(path)
        except InputError as error:
            assert "\n" not in str(error) and str(path) in str(error)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    length=st.integers(1, 8),
    strides=st.lists(st.integers(1, 8), min_size=3, max_size=3),
    data=st.data(),
)
def test_windows_lie_in_one_split_and_one_series(lengths, length, strides, data):
    n_steps = sum(lengths)
    splits = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n_steps, max_size=n_steps)))
    first_steps, codes = windows.starts(splits, length, strides, lengths)
    series = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    for first, code in zip(first_steps, codes, strict=True):
        steps = np.arange(first, min(first + length, ends[series[first]]))
        assert (splits[steps] == code).all() and (series[steps] == series[first]).all()
        # only a series that is shorter than a window may leave it before its end
        assert first + length <= ends[series[first]] or lengths[series[first]] < length
    assert (np.diff(first_steps) > 0).all()
    runs = np.flatnonzero(np.r_[True, (np.diff(splits) != 0) | (np.diff(series) != 0)])
    for begin, end in zip(runs, [*runs[1:], n_steps], strict=True):
        if end - begin >= length:  # none that fits is left out
            expected = set(range(begin, end - length + 1, strides[splits[begin]]))
            assert expected <= set(first_steps.tolist())


@given(
    lengths=st.lists(st.integers(6, 25), min_size=1, max_size=3),
    length=st.integers(2, 6),
    n_features=st.integers(1, 3),
    seed=st.integers(0, 10**6),
    share=st.floats(0, 1),
)
def test_every_missing_entry_is_filled_once_from_a_window_that_holds_it(lengths, length, n_features, seed, share):
    missing = np.random.default_rng(seed).random((sum(lengths), n_features)) < share
    found = gaps.find(missing, lengths)
    assert (found["stop"] - found["first"]).sum() == missing.sum()
    plan = gaps.plan(found, lengths, length)
    # a sample of a window is the number of its step, so that a merged entry says which step it is of
    drawn = (np.tile(np.arange(first, first + length), (4, n_features, 1)).astype(float) for first in plan)
    filled = np.zeros(missing.shape, int)
    for steps, features, samples in gaps.merge(plan, drawn, length):
        np.add.at(filled, (steps, features), 1)
        np.testing.assert_array_equal(samples, np.tile(steps, (4, 1)))
    np.testing.assert_array_equal(filled, missing.astype(int))


SCHEMAS = {name: schema for name, schema in vars(tables).items() if isinstance(schema, pa.Schema)}


def columns(kind):
    """Values of a column of an Arrow type, missing ones included where the type has a text for them."""
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_timestamp(kind):
        limit = 4 * 10**15
        return st.integers(-limit, limit).map(lambda us: pd.Timestamp(us, unit="us", tz="UTC"))
    if pa.types.is_integer(kind):
        return st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    return st.floats(width=64)


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=8)
@given(data=st.data())
def test_every_table_comes_back_as_it_was_written(name, data):
    schema = SCHEMAS[name]
    n_rows = data.draw(st.integers(0, 4))
    rows = {field.name: data.draw(st.lists(columns(field.type), min_size=n_rows, max_size=n_rows)) for field in schema}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        tables.write(rows, path, schema)
        found = tables.read(path, schema)
    assert list(found.columns) == schema.names and len(found) == n_rows
    for field in schema:
        if pa.types.is_floating(field.type):
            np.testing.assert_array_equal(found[field.name].to_numpy(), np.array(rows[field.name], float))
        else:
            assert found[field.name].tolist() == rows[field.name]


def test_all_schemas_are_among_them():
    assert len(SCHEMAS) > 20


FORMATS = ["ISO", "%d.%m.%Y %H:%M", "%m/%d/%y %H:%M", "%Y%m%d%H%M", "%Y-%m-%d %H:%M %Z", "s", "ms"]
TEXTS = ["", "NA", "NaN", "null", "-", "n.v.", " - ", "9999x"]


def written(time, form):
    if form in ("s", "ms"):
        return str(int(time.timestamp()) * (1000 if form == "ms" else 1))
    return time.isoformat() if form == "ISO" else time.strftime(form)


def one_table(data):
    """Text of a table, the keys that describe it, and the values in it."""
    draw = data.draw
    n, names = draw(st.integers(2, 12)), draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True))
    number = st.one_of(st.none(), st.integers(-99999, 99999), st.decimals(-9999, 9999, places=draw(st.integers(1, 3))))
    values = [[draw(number) for _ in names] for _ in range(n)]
    separator, decimal = draw(st.sampled_from(",;\t")), draw(st.sampled_from(".,"))
    thousands = draw(st.sampled_from([None, *(mark for mark in (",", ".", " ", "'") if mark != decimal)]))
    missing, form = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(FORMATS))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]))
    skip, skip_last = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    times = pd.date_range("2021-03-05 07:00", periods=n, freq="1h", tz="UTC" if "%Z" in form else None)
    grouped = str.maketrans({",": thousands or "", ".": decimal})

    def cell(value):
        text = missing if value is None else f"{value:,}".translate(grouped)
        return f" {text}" if draw(st.booleans()) else text

    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])))
    writer.writerow(["when", *names])
    order = draw(st.permutations(range(n)))
    for i in order:
        writer.writerow([written(times[i], form), *map(cell, values[i])])
    text = "a logger\r\n" * skip + stream.getvalue() + "the end\r\n" * skip_last
    keys = {"time": "when", "decimal": decimal, "thousands": thousands, "missing": [missing.strip()]}
    keys |= {"time_format": None if form == "ISO" else form, "encoding": encoding.removesuffix("-sig")}
    keys |= {"skip": skip, "skip_last": skip_last if encoding != "utf-16" else 0}
    if encoding == "utf-16":
        text = text.removesuffix("the end\r\n" * skip_last)
    truth = pd.DataFrame(
        [[np.nan if value is None else float(value) for value in row] for row in values], columns=names
    )
    return text.encode(encoding), keys, truth


@pytest.mark.parametrize("n_examples", [150, pytest.param(20_000, marks=pytest.mark.slow)])
def test_tables_of_all_forms_have_their_values_or_are_refused_in_one_line(n_examples):
    refusals = []

    @settings(max_examples=n_examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def try_one(data):
        content, keys, truth = one_table(data)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(content)
            try:
                wide = readers.read_wide(path, **keys)
            except InputError as error:
                refusals.append(str(error))
                assert "\n" not in str(error)
                return
        np.testing.assert_array_equal(wide.to_numpy(), truth[list(wide.columns)].to_numpy())

    try_one()
    assert len(refusals) < n_examples / 2
