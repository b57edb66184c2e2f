"""What is missing in a series: counted as by hand, told in the log, and drawn."""

import itertools
import logging
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from measure_missingness import measure_missingness
from plot_missingness import plot_missingness
from scoredag.series import absences, gaps, tidy
from scoredag.store import tables


def hourly(n_steps, start="2020-01-01", freq="1h"):
    return pd.date_range(start, periods=n_steps, freq=freq, tz="UTC", name="time").as_unit("us")


def with_holes(n_steps, share, seed=0, **options):
    """A series of three features, b missing wherever a is, c never."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_steps, 4))
    values[rng.random(values.shape) < share] = np.nan
    values[np.isnan(values[:, 0]), 1] = np.nan
    values[:, 2] = 1.0
    return pd.DataFrame(values, hourly(n_steps, **options), list("abcd"))


def several():
    """Three series of one grid; the last one lies apart."""
    parts = {"p": with_holes(40, 0.4), "q": with_holes(1, 1.0, 1), "r": with_holes(300, 0.6, 2, start="2020-03-01")}
    return pd.concat(parts, names=["series"])


def counted(wide):
    _, lengths = tidy.series_of(wide)
    return absences.count(wide, lengths, gaps.find(wide.isna().to_numpy(), lengths))


def rows(table, kind, feature):
    """(bin or time, count, total) of each row."""
    part = table[(table["kind"] == kind) & (table["feature"] == feature)]
    where = part["time"] if kind == "time" else part["bin"].fillna(-1)
    return list(zip(where, part["count"], part["total"], strict=True))


def runs(wide, feature):
    """Lengths of the gaps of a feature, series by series, from first principles."""
    parts = [wide] if wide.index.nlevels == 1 else [part for _, part in wide.groupby(level=0)]
    return [
        len(list(run)) for part in parts for gone, run in itertools.groupby(part[feature].isna()) if gone
    ]  # fmt: skip


@pytest.fixture(params=["one", "several"])
def wide(request, monkeypatch):
    monkeypatch.setattr(absences, "CHUNK", 7)
    return with_holes(997, 0.3) if request.param == "one" else several()


def test_shares_are_those_of_missing_steps(wide):
    table = counted(wide)
    for feature in wide:
        assert rows(table, "feature", feature) == [(-1, wide[feature].isna().sum(), len(wide))]
    assert rows(table, "feature", "all") == [(-1, wide.isna().to_numpy().sum(), wide.size)]
    known = table["total"] > 0
    np.testing.assert_array_equal(table["share"][known], table["count"][known] / table["total"][known])
    assert table["share"][~known].isna().all()


def test_gaps_are_counted_by_length_and_none_spans_two_series(wide):
    table = counted(wide)
    for feature in wide:
        lengths = runs(wide, feature)
        classes = Counter(2 ** int(np.log2(length)) for length in lengths)
        inside = Counter()
        for length in lengths:
            inside[2 ** int(np.log2(length))] += length
        for kind, expected in (("gaps", classes), ("in_gaps", inside)):
            found = rows(table, kind, feature)
            assert {first: count for first, count, _ in found if count} == expected
            assert {total for *_, total in found} == {sum(expected.values())}
        assert rows(table, "longest_gap", feature) == [(-1, max(lengths, default=0), len(wide))]
    longest = max(length for feature in wide for length in runs(wide, feature))
    assert rows(table, "longest_gap", "all") == [(-1, longest, len(wide))]


def test_pairs_are_missing_at_once(wide):
    table = counted(wide)
    pairs = table[table["kind"] == "pair"].set_index(["feature", "other"])[["count", "total"]]
    gone = wide.isna()
    expected = {
        (one, other): ((gone[one] & gone[other]).sum(), gone[one].sum())
        for one, other in itertools.permutations(wide, 2)
        if (gone[one] & gone[other]).any()
    }
    assert {key: tuple(row) for key, row in zip(pairs.index, pairs.to_numpy(), strict=True)} == expected
    assert ("a", "b") in expected and ("a", "c") not in expected


def test_bins_of_time_hold_every_step_once(wide):
    table = counted(wide)
    times = wide.index.get_level_values(-1)
    starts = [start for start, *_ in rows(table, "time", "a")]
    assert len(starts) <= absences.MOST_BINS and starts[0] == times.min() and starts == sorted(starts)
    assert len(set(np.diff(starts))) == 1
    which = np.searchsorted(pd.DatetimeIndex(starts), times, side="right") - 1
    for feature in wide:
        for number, (_, count, total) in enumerate(rows(table, "time", feature)):
            assert count == wide[feature].isna()[which == number].sum()
            assert total == (which == number).sum()


def test_the_time_between_two_series_is_in_bins_of_no_step():
    found = rows(counted(several()), "time", "a")
    assert (0, 0) in {(count, total) for _, count, total in found}
    assert sum(total for *_, total in found) == len(several())


def test_steps_of_months_are_in_bins_of_their_own():
    found = rows(counted(with_holes(60, 0.3, freq="MS")), "time", "a")
    assert [start for start, *_ in found] == list(hourly(60, freq="MS")) and {total for *_, total in found} == {1}


def test_hours_and_months_are_those_of_the_times():
    wide = pd.DataFrame(1.0, hourly(2 * 8784), ["x", "y"])
    wide.loc[wide.index.hour == 3, "x"] = np.nan
    wide.loc[wide.index.month == 2, "y"] = np.nan
    table = counted(wide)
    shares = table.set_index(["kind", "feature", "bin"])["share"].sort_index()
    assert shares["hour", "x"].to_dict() == {hour: float(hour == 3) for hour in range(24)}
    assert shares["month", "y"].to_dict() == {month: float(month == 2) for month in range(1, 13)}
    np.testing.assert_allclose(shares["month", "x"], 1 / 24)


@pytest.mark.parametrize(
    ("wide", "kinds"),
    [
        (with_holes(400, 0.3), {"hour"}),
        (with_holes(20, 0.3), set()),  # less than a day
        (with_holes(400, 0.3, freq="1D"), {"month"}),
        (with_holes(300, 0.3, freq="1D"), set()),  # less than twelve months
        (with_holes(40, 0.3, freq="QS"), set()),
        (with_holes(1500, 0.3, freq="6h"), {"hour", "month"}),
        (pd.concat({i: with_holes(2, 0.5, i, start=f"2020-{i}-01", freq="1D") for i in range(1, 13)}), {"month"}),
    ],
)
def test_hours_and_months_are_told_where_they_say_something(wide, kinds):
    assert {"hour", "month"} & {*counted(wide)["kind"]} == kinds


def test_hours_that_do_not_occur_have_no_rows():
    assert [hour for hour, *_ in rows(counted(with_holes(1500, 0.3, freq="6h")), "hour", "all")] == [0, 6, 12, 18]


def test_features_that_are_always_missing_together_are_found():
    gone = np.random.default_rng(0).random((200, 2)) < 0.2
    wide = pd.DataFrame(np.where(gone[:, [0, 1, 0, 1, 0, 0]], np.nan, 1.0), hourly(200), list("abcdef"))
    wide["e"] = 1.0
    wide.iloc[np.flatnonzero(gone[:, 0])[0], 5] = 1.0  # f is there once
    assert absences.together(counted(wide)) == [["a", "c"], ["b", "d"]]


@pytest.fixture
def measure(tmp_path, caplog):
    """A function of a series: the table that the script writes, and the lines of its log; draws the figure, too."""

    def run(wide):
        paths = [tmp_path / name for name in ("series.parquet", "missingness.parquet", "missingness.png")]
        tables.write(tidy.to_tidy(wide), paths[0], tables.SERIES)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            measure_missingness(paths[0], paths[1], "mine")
        plot_missingness(paths[1], paths[2], "mine")
        assert paths[2].stat().st_size > 1000
        return tables.read(paths[1], tables.MISSINGNESS), [record.getMessage() for record in caplog.records]

    return run


def test_the_log_tells_the_main_facts_in_three_lines(measure):
    wide = pd.DataFrame(1.0, hourly(100), ["x", "y", "z"])
    for first, stop in ((3, 4), (50, 57), (70, 71)):
        wide.iloc[first:stop, :2] = np.nan
    _, lines = measure(wide)
    assert lines == [
        "mine: 6 % of the values are missing, most of 'x' (9 %)",
        "mine: 6 gaps; their lengths in steps: median 1, longest 7 (of 'x')",
        "mine: always missing together: 'x', 'y'",
    ]


def test_a_series_without_gaps_says_so(measure):
    table, lines = measure(pd.DataFrame(1.0, hourly(50), ["x", "y"]))
    assert lines == ["mine: no value is missing"]
    assert not table["count"].any()


@pytest.mark.parametrize(
    "wide",
    [
        pd.DataFrame({"x": [1.0, np.nan, 3.0]}, hourly(3)),
        pd.DataFrame({"x": [1.0, np.nan], "y": [np.nan, 1.0]}, hourly(2)),
        pd.concat({name: with_holes(1, share) for name, share in (("p", 0.0), ("q", 1.0))}, names=["series"]),
        several(),
        with_holes(400, 0.3, start="1960-01-01", freq="1D"),
    ],
    ids=["one feature", "never at once", "one step", "several", "before 1970"],
)
def test_what_is_written_is_what_was_counted_and_can_be_drawn(measure, wide):
    table, _ = measure(wide)
    expected = counted(wide)
    for name in ("kind", "feature", "other", "time"):
        assert table[name].astype(object).fillna("").tolist() == expected[name].astype(object).fillna("").tolist()
    for name in ("bin", "count", "total", "share"):
        np.testing.assert_array_equal(table[name].to_numpy(float), expected[name].to_numpy(float, na_value=np.nan))
