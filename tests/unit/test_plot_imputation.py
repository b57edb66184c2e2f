"""The figure of imputed test windows: which windows it shows, and what a panel says that has nothing to show."""

import numpy as np
import pandas as pd
import pytest

from cut_windows import cut_windows
from plot_imputation import plot_imputation
from scoredag.figures import imputations
from scoredag.series import tidy, windows
from scoredag.store import tables

PATTERNS = [("few", {"pattern": "random", "share": 0.2, "length": None})]
CUT = {"seed": 1, "length": 12, "block": 24, "shares": (0.7, 0.1, 0.2), "train_stride": 12, "split_seed": 1}
CUT |= {
    "statistics": "train",
    "max_windows": None,
    "max_validation_windows": 50,
    "profile": "none",
    "file": None,
    "circular": {},
    "covariates": [],
    "plausible": {},
    "transform": {},
    "group": None,
    "held_out": PATTERNS,
}
SETTINGS = {"colour": "blue", "features": None, "held_out": None, "n_windows": 3, "level": 0.9, "units": {"b": "m"}}


@pytest.fixture
def wide():
    times = pd.date_range("2020-01-01", periods=720, freq="1h", tz="UTC", name="time")
    return pd.DataFrame(np.random.default_rng(0).normal(size=(720, 3)), times, ["a", "b", "c"])


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """A function of a series: the figure's rows of panels, and the figure."""
    made = []
    drawing = imputations.imputation

    def keep(panels, *others):
        made.append((panels, drawing(panels, *others)))
        return made[-1][1]

    monkeypatch.setattr(imputations, "imputation", keep)

    def draw(wide, patterns=PATTERNS, **settings):
        series, cut, starts, statistics, profile, samples, figure = (tmp_path / f"{i}.parquet" for i in range(7))
        tables.write(tidy.to_tidy(wide), series, tables.SERIES)
        cut_windows(series, cut, starts, statistics, profile, CUT | {"held_out": patterns}, "mine")
        table = tables.read(cut, tables.WINDOWS, filters=[("split", "==", "test"), ("role", "==", "target")])
        drawn = {"truth": table["value"], "samples": [[value, value + 1] for value in table["value"]]}
        tables.write(table.assign(**drawn), samples, tables.imputations(2))
        plot_imputation(samples, cut, starts, series, figure.with_suffix(".png"), SETTINGS | settings)
        assert figure.with_suffix(".png").stat().st_size > 1000
        return made[-1]

    return draw


def starts_of(panels):
    return [panel["title"] for panel in panels[0]]


def test_three_windows_are_spread_over_the_test_split(draw, wide):
    panels, drawn = draw(wide)
    assert [row[0]["label"] for row in panels] == ["a", "b (m)", "c"]
    times = [pd.Timestamp(title.removesuffix(" UTC")) for title in starts_of(panels)]
    assert times == sorted(times) and times[-1] - times[0] > pd.Timedelta("10D")
    assert not any(axes.texts for axes in drawn.axes)


def test_windows_without_a_value_of_a_shown_feature_are_passed_over(draw, wide):
    middle = pd.Timestamp(starts_of(draw(wide)[0])[1].removesuffix(" UTC"), tz="UTC")
    wide.loc[middle : middle + pd.Timedelta("11h"), "b"] = np.nan
    panels, drawn = draw(wide)
    assert f"{middle:%Y-%m-%d %H:%M} UTC" not in starts_of(panels)
    assert len(panels[0]) == 3 and not any(axes.texts for axes in drawn.axes)
    assert f"{middle:%Y-%m-%d %H:%M} UTC" in starts_of(draw(wide, features=["a", "c"])[0])


@pytest.mark.parametrize("n_values", [0, 1])
def test_a_panel_without_a_value_says_so(draw, wide, n_values):
    """Of a feature that the test split does not hold, or holds once."""
    tests = windows.assign_splits(len(wide), CUT["block"], CUT["shares"]) == windows.SPLITS.index("test")
    wide.loc[tests, "b"] = np.where(np.cumsum(tests[tests]) <= n_values, 1.0, np.nan)
    panels, drawn = draw(wide, features=["b"], n_windows=4)
    empty = [np.isnan([panel["observed"], panel["target"]]).all() for panel in panels[0]]
    assert sum(empty) == 4 - n_values
    for axes, is_empty in zip(drawn.axes, empty, strict=True):
        assert [text.get_text() for text in axes.texts] == ["no observation"] * int(is_empty)


MANY = [*PATTERNS, ("many", {"pattern": "random", "share": 0.6, "length": None})]


def test_one_window_is_shown_under_each_pattern_unless_one_is_named(draw, wide):
    panels, drawn = draw(wide, patterns=MANY)
    assert starts_of(panels) == ["few", "many"] and "UTC, held out in turn by" in drawn.get_suptitle()
    for row in panels:
        few, many = (np.isnan(panel["target"]).sum() for panel in row)
        assert few > many  # of the same values fewer are hidden
        whole = [np.fmax(np.nan_to_num(panel["observed"]), np.nan_to_num(panel["target"])) for panel in row]
        both = ~np.isnan(row[0]["target"]) & ~np.isnan(row[1]["target"])
        assert (whole[0][both] == whole[1][both]).all()
    assert drawn.axes[-1].get_xlabel() == "time into the window (hours)"
    every = {name: sum((~np.isnan(row[i]["target"])).any() for row in panels) for i, name in enumerate(["few", "many"])}
    assert every == {"few": 3, "many": 3}  # of the windows one in which all patterns hide all features that are shown
    panels, _ = draw(wide, patterns=MANY, held_out="many", n_windows=2)
    assert len(panels[0]) == 2 and all("UTC" in title for title in starts_of(panels))
    named, drawn = draw(wide.set_axis(wide.index[0] + (wide.index - wide.index[0]) / 4), patterns=MANY)
    assert drawn.axes[-1].get_xlabel() == "time into the window (minutes)" and named[0][0]["steps"][1] == 15
