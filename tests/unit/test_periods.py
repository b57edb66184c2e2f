"""Aggregates by period: sums and means, their intervals, and what has none."""

import numpy as np
import pandas as pd
import pytest

from aggregate_series import aggregate_series
from plot_aggregates import plot_aggregates
from scoredag.errors import InputError
from scoredag.series import periods, tidy
from scoredag.store import tables


def series(n, freq, start="2024-01-30 05:00", n_features=2):
    times = pd.date_range(start, periods=n, freq=freq, tz="UTC", name="time")
    return pd.DataFrame(np.arange(n * n_features, dtype=float).reshape(n, -1) ** 1.1, times, [*"xyz"[:n_features]])


@pytest.mark.parametrize(("period", "offset"), [("day", "D"), ("week", "W-MON"), ("month", "MS"), ("year", "YS")])
def test_aggregates_are_those_of_pandas(period, offset):
    wide = series(2500, "6h")
    name, groups = periods.groups(wide, period)
    closed = {"closed": "left", "label": "left"} if period == "week" else {}
    expected = wide.resample(offset, **closed).agg(["sum", "mean", "min", "max"])
    found = periods.aggregates(wide.to_numpy(), groups.firsts)
    assert name == period and groups.starts.tolist() == expected.index.tolist() and groups.counts.sum() == 2500
    for statistic, values in zip(periods.STATISTICS, found, strict=True):
        np.testing.assert_allclose(values, expected.xs(statistic, axis=1, level=1))


@pytest.mark.parametrize(
    ("n", "freq", "expected"),
    [
        (400, "h", "day"),
        (400, "2h", "day"),
        (400, "6h", "week"),
        (400, "D", "month"),
        (40, "MS", "year"),
        (30, "15min", None),
    ],
)
def test_auto_is_the_shortest_with_twelve_steps(n, freq, expected):
    wide = series(n, freq)
    if expected:
        assert periods.groups(wide, "auto")[0] == expected
    else:
        with pytest.raises(
            InputError, match=r"^no period of the series, which has 0\.3125 days, has 12 steps; write day"
        ):
            periods.groups(wide, "auto")


def test_a_period_that_is_longer_than_the_series_is_refused():
    with pytest.raises(
        InputError, match=r"^'month' is longer than the series, which has 20 days; write a shorter one$"
    ):
        periods.groups(series(20, "D"), "month")
    assert periods.groups(series(28, "D"), "month")[0] == "month"


def test_no_period_spans_two_series():
    wide = pd.concat({"b": series(30, "h"), "a": series(25, "h")}, names=["series"])
    _, groups = periods.groups(wide, "day")
    assert groups.firsts.tolist() == [0, 19, 30, 49] and groups.counts.tolist() == [19, 11, 19, 6]


SETTINGS = {"level": 0.9, "period": "day", "circular": {}, "group": None, "shift": {}}
LOOK = {"level": 0.9, "colour": "blue", "units": {"x": "km"}}


def completed(folder, wide, n_draws=20):
    """Tables of a series, and of draws: the number of the missing value plus that of the draw."""
    tables.write(tidy.to_tidy(wide), folder / "series.parquet", tables.SERIES)
    steps, features = np.nonzero(wide.isna())
    shape = np.indices((len(steps), n_draws)).reshape(2, -1)
    rows = {"draw": shape[1].astype(np.int32), "time": wide.index.get_level_values(-1)[steps[shape[0]]]}
    rows |= {
        "feature": pd.Categorical.from_codes(features[shape[0]], wide.columns),
        "value": shape.sum(axis=0).astype(float),
    }
    if wide.index.nlevels > 1:
        rows["series"] = wide.index.get_level_values(0)[steps[shape[0]]].astype("category")
    tables.write(rows, folder / "completed.parquet", tables.COMPLETED)


def aggregate(folder, **settings):
    paths = {f"{name}_path": folder / f"{name}.parquet" for name in ("completed", "series", "aggregates")}
    aggregate_series(**paths, settings=SETTINGS | settings, run="mine")
    return tables.read(paths["aggregates_path"], tables.AGGREGATES)


def test_only_where_values_were_missing_there_is_an_interval(tmp_path):
    wide = series(72, "h", start="2024-01-30")
    wide.iloc[[25, 30], 0] = np.nan
    wide.iloc[48:, 1] = np.nan
    completed(tmp_path, wide)
    table = aggregate(tmp_path)
    assert len(table) == 3 * 2 * 4 and set(table["period"]) == {"day"} and set(table["n_steps"]) == {24}
    some = table["missing"] > 0
    assert table[some].groupby("start", observed=True)["missing"].first().tolist() == [2 / 24, 1]
    full = table[~some]
    assert (full["lower"] == full["estimate"]).all() and (full["upper"] == full["estimate"]).all()
    first = wide.iloc[:24]
    found = full[(full["start"] == wide.index[0]) & (full["statistic"] == "mean")]["estimate"]
    np.testing.assert_allclose(found, first.mean())
    # draws d and 1 + d: their sum is 2 d + 1 more than what is there; quantiles of 0 .. 19 are those of `weibull`
    row = table[some & (table["feature"] == "x") & (table["statistic"] == "sum")].iloc[0]
    there = wide["x"][24:48].sum()
    ends = 2 * np.array([0.05, 9.5, 18.95]) + 1
    np.testing.assert_allclose(row[["lower", "estimate", "upper"]].astype(float), there + ends)
    plot_aggregates(tmp_path / "aggregates.parquet", tmp_path / "aggregates.png", LOOK)
    assert (tmp_path / "aggregates.png").stat().st_size > 1000


def test_filled_values_are_shifted_beside_the_others(tmp_path):
    """By 6 in two of 24 steps: the mean by 0.5, the sum by 12, the least value only where it was filled in."""
    wide = series(72, "h", start="2024-01-30")
    wide.iloc[[25, 30], 0] = np.nan
    completed(tmp_path, wide)
    table = aggregate(tmp_path, shift={"x": 6.0})
    some = table[(table["missing"] > 0) & (table["feature"] == "x")].set_index("statistic")
    for statistic, by in {"mean": 0.5, "sum": 12.0, "max": 0.0, "min": 6.0}.items():
        for shifted, column in (("shifted", "estimate"), ("shifted_lower", "lower"), ("shifted_upper", "upper")):
            assert some.loc[statistic, shifted] - some.loc[statistic, column] == pytest.approx(by), (statistic, column)
    others = table[table["missing"] == 0]
    assert (others["shifted"] == others["estimate"]).all()
    assert aggregate(tmp_path)["shifted"].isna().all()
    with pytest.raises(
        InputError, match=r"^csdi\.runs\.mine\.aggregates\.shift: there is no feature 'w'; .* are x, y$"
    ):
        aggregate(tmp_path, shift={"w": 1.0})


def test_several_series_have_their_own_periods_and_panels(tmp_path, monkeypatch):
    wide = pd.concat({"b": series(48, "h"), "a": series(48, "h")}, names=["series"])
    wide.iloc[3, 0] = wide.iloc[60, 1] = wide.iloc[61, 1] = np.nan
    completed(tmp_path, wide)
    table = aggregate(tmp_path)
    assert list(table.columns) == ["series", *tables.AGGREGATES.names] and len(table) == 6 * 2 * 4
    assert table[table["missing"] > 0].groupby("series", observed=True, sort=False)["missing"].first().tolist() == [
        1 / 19,
        2 / 19,
    ]
    titles = []
    monkeypatch.setattr(
        "scoredag.figures.aggregates.means", lambda panels, *_: titles.extend(p["title"] for p in panels)
    )
    monkeypatch.setattr("scoredag.figures.style.save", lambda figure, path: None)
    plot_aggregates(tmp_path / "aggregates.parquet", tmp_path / "aggregates.png", LOOK)
    assert titles == ["b: x, 2.08 % missing", "b: y, 0 % missing", "a: y, 4.17 % missing"]


def test_angles_are_left_out(tmp_path, caplog):
    wide = series(48, "h", n_features=3).set_axis(["dir_sin", "dir_cos", "x"], axis=1)
    completed(tmp_path, wide.mask(wide > 90))
    assert set(aggregate(tmp_path, circular={"dir": 360})["feature"]) == {"x"}
    completed(tmp_path, wide[["dir_sin", "dir_cos"]])
    with pytest.raises(InputError, match=r"^csdi\.runs\.mine\.aggregates: every feature is an angle"):
        aggregate(tmp_path, circular={"dir": 360})


def test_few_draws_and_no_gaps_and_long_periods_are_told_of(tmp_path, caplog):
    wide = series(48, "h")
    completed(tmp_path, wide)
    table = aggregate(tmp_path)
    assert (table["lower"] == table["upper"]).all() and "too few" not in caplog.text
    wide.iloc[3, 0] = np.nan
    completed(tmp_path, wide, n_draws=5)
    aggregate(tmp_path)
    assert "5 draws are too few for intervals of 90 %, which reach from the least to the greatest" in caplog.text
    with pytest.raises(InputError, match=r"^csdi\.runs\.mine\.aggregates\.period: 'year' is longer than the series"):
        aggregate(tmp_path, period="year")
