"""The page to explore a series: which points it draws, how large it is, what its lists say, and that it works."""

import base64
import contextlib
import json
import re
import shutil
import zlib

import numpy as np
import pandas as pd
import pytest

from cut_windows import cut_windows
from plot_explore import plot_explore
from scoredag.figures import explore, thinning
from scoredag.series import tidy
from scoredag.store import tables

HOSTILE = '<b>&"$$x$$</script>'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
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
    "held_out": [("few", {"pattern": "random", "share": 0.2, "length": None})],
}
SETTINGS = {"colour": "#0072b2", "dataset": "mine", "level": 0.9, "units": {"b": "m"}}


def a_series(n_steps, n_features, share, seed=0, name=None):
    """A series of which a share is filled."""
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(n_steps, n_features)).cumsum(axis=0) + 1e6
    missing = rng.random(value.shape) < share
    missing[n_steps // 3 : n_steps // 3 + 50] |= share > 0
    ends = (np.where(missing, value + shift, np.nan) for shift in (-rng.random(value.shape), rng.random(value.shape)))
    times = np.datetime64("2020-01-01", "us") + np.arange(n_steps) * np.timedelta64(1, "h")
    return explore.Series(name, times, value, *ends, missing)


def a_page(series, gaps=(), windows=(), features=None):
    features = features or [f"feature {k} (m)" for k in range(series[0].value.shape[1])]
    return explore.page("Run a, dataset b", "A note.", features, series, gaps, windows, "C0", 0.9)


def data_of(html):
    """What the page holds."""
    parts = [zlib.decompress(base64.b64decode(part)) for part in re.findall('<script type="text/plain">(.*?)<', html)]
    return json.loads(parts[2].decode().removeprefix("const page = ").removesuffix(";"))


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.mark.parametrize("width", [2, 7, 24])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.6, 1.0])
def test_thinning_keeps_the_extremes_of_every_bin_and_the_borders_of_gaps(width, share):
    _, _, *columns, missing = a_series(500, 1, share, seed=width)
    columns, missing = [column[:, 0] for column in columns], missing[:, 0]
    for column in columns:
        column[missing & (np.arange(500) % 11 == 0)] = np.nan  # not filled
    always = np.zeros(500, bool)
    always[100:104] = True
    chosen = thinning.kept(*columns, missing, width, always)
    is_chosen = np.isin(np.arange(500), chosen)
    assert (np.diff(chosen) > 0).all() and is_chosen[always].all() and (share or len(chosen) <= 2 * 500 / width + 10)
    for steps in np.split(np.arange(500), range(width, 500, width)):
        for among in (steps[missing[steps]], steps[~missing[steps]]):
            drawn = among[is_chosen[among]]
            assert len(drawn) or not len(among)
            for column in columns:
                if np.isfinite(column[among]).any():
                    assert np.nanmin(column[drawn]) == np.nanmin(column[among])
                    assert np.nanmax(column[drawn]) == np.nanmax(column[among])
    for gap in np.split(np.arange(500), np.flatnonzero(np.diff(missing)) + 1):
        if missing[gap[0]] and len(gap) >= width:
            assert is_chosen[[max(gap[0] - 1, 0), gap[0], gap[-1], min(gap[-1] + 1, 499)]].all()


def test_a_bin_of_one_step_keeps_all():
    _, _, *columns, missing = a_series(50, 1, 0.3)
    chosen = thinning.kept(*(column[:, 0] for column in columns), missing[:, 0], 1, np.zeros(50, bool))
    assert chosen.tolist() == list(range(50))


def test_the_page_holds_the_series():
    series = a_series(300, 2, 0.3)
    (found,) = data_of(a_page([series]))["series"]
    assert found["grid"] == {"start": 1577836800000.0, "step": 3600000.0, "n": 300}
    for k, part in enumerate(found["features"]):
        missing = np.unpackbits(numbers(part["missing"], "u1"), bitorder="little")[:300].astype(bool)
        assert (missing == series.missing[:, k]).all() and part["steps"] is None
        for name, rows in (("value", slice(None)), ("lower", missing), ("upper", missing)):
            values = part["centre"] + part["scale"] * numbers(part[name], "<f4").astype(float)
            np.testing.assert_allclose(values, getattr(series, name)[rows, k], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("years", "share"), [(1, 0.1), (1, 1.0), (4, 0.3)])
def test_the_page_has_at_most_5_mb(years, share):
    series = a_series(8760 * years, 20, share)
    targets = pd.DataFrame({"step": np.arange(24), "feature": 3} | dict.fromkeys(explore._QUANTILES, 1e6))
    window = explore.Span(0, 5000, 5024, [3], "w", "w", targets)
    gap = explore.Span(0, 2920, 2970, [0], "g", "g")
    html = a_page([series], [gap] * 20, [window] * 20)
    assert len(html.encode()) < 5_000_000
    assert ("the extremes are drawn" in html) == (years > 1)
    steps = data_of(html)["series"][0]["features"][3]["steps"]
    assert years == 1 or {*range(4976, 5048), *range(2870, 3020)} <= {*numbers(steps, "<u4").tolist()}


def test_two_pages_of_the_same_series_are_the_same_bytes():
    assert a_page([a_series(500, 3, 0.2)]) == a_page([a_series(500, 3, 0.2)])


def test_names_are_no_html():
    span = explore.Span(0, 3, 5, [0], HOSTILE, HOSTILE)
    html = a_page([a_series(20, 1, 0.5, name=HOSTILE)] * 2, [span], [span], [HOSTILE])
    assert "<b>&" not in html and html.count("&lt;b&gt;&amp;&quot;$$x$$&lt;/script&gt;") == 2 + 1 + 2
    data = data_of(html)
    assert data["features"] == [HOSTILE] and data["gaps"][0]["said"] == HOSTILE


@pytest.fixture
def wide():
    times = pd.date_range("2020-01-01", periods=720, freq="1h", tz="UTC", name="time")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(720, 3)), times, ["a", "b", HOSTILE])
    frame.iloc[40:60, :2] = np.nan
    frame.iloc[300:310, 2] = np.nan
    return frame


@pytest.fixture
def make(tmp_path):
    """A function of a series, filled by zeros if wanted: the page, the targets and their draws, the statistics."""

    def make(wide, filled=True, every_target=True):
        names = ("series", "cut", "starts", "statistics", "profile", "samples", "imputed")
        paths = {name: tmp_path / f"{name}.parquet" for name in names}
        whole = tidy.to_tidy(wide)
        tables.write(whole, paths["series"], tables.SERIES)
        cut_windows(*(paths[name] for name in names[:5]), CUT, "mine")
        table = tables.read(paths["cut"], tables.WINDOWS, filters=[("split", "==", "test"), ("role", "==", "target")])
        table = table if every_target else table[:0]
        draws = table["value"].to_numpy()[:, None] * np.linspace(0, 1.5, 7)
        tables.write(table.assign(truth=table["value"], samples=list(draws)), paths["samples"], tables.imputations(7))
        missing = whole["value"].isna()
        ends = {"lower": np.where(missing, -1.0, np.nan), "upper": np.where(missing, 1.0, np.nan)}
        quality = pd.Categorical(np.where(missing, "short gap", "observed"))
        imputed = whole.assign(**ends, imputed=missing, value=whole["value"].fillna(0), quality=quality)
        tables.write(imputed, paths["imputed"], tables.IMPUTED)
        page = tmp_path / "explore.html"
        taken = (paths[name] for name in ("series", "samples", "cut", "starts", "statistics"))
        plot_explore(paths["imputed"] if filled else None, *taken, page, SETTINGS, "mine")
        return page.read_text(encoding="utf-8"), table.assign(crps=_crps(table, draws, paths["statistics"])), paths

    return make


def _crps(table, draws, statistics):
    """CRPS of draws in standard deviations, one after the other, by the mean over 19 quantiles."""
    std = tables.read(statistics, tables.STATISTICS).set_index("feature")["std"]
    levels = np.arange(1, 20) / 20
    scores = []
    for name, truth, row in zip(table["feature"], table["value"], draws, strict=True):
        losses = [
            max(q * (truth - x), (q - 1) * (truth - x)) for q, x in zip(levels, np.quantile(row, levels), strict=True)
        ]
        scores.append(2 * np.mean(losses) / std[name])
    return scores


def test_the_lists_have_the_longest_gaps_and_the_worst_windows(make, wide):
    html, targets, paths = make(wide)
    data = data_of(html)
    assert [(gap["first"], gap["stop"], gap["features"]) for gap in data["gaps"]] == [(40, 60, [0, 1]), (300, 310, [2])]
    assert "2020-01-02 16:00, 20 steps: a, b</button>" in html and "as filled" in data["gaps"][0]["said"]
    starts = tables.read(paths["starts"], tables.WINDOW_STARTS).set_index("window")
    scores = targets.groupby("window")["crps"].mean().sort_values(ascending=False)[:20]
    firsts = wide.index.get_indexer(starts.loc[scores.index, "start"])
    assert [window["first"] for window in data["windows"]] == firsts.tolist()
    texts = re.findall(r'<button data-window="\d+">(.*)</button>', html)
    assert texts[0] == f"{starts.loc[scores.index[0], 'start']:%Y-%m-%d %H:%M} UTC, few: {scores.iloc[0]:.2f}"
    worst, rows = data["windows"][0], targets[targets["window"] == scores.index[0]]
    by_feature = rows.groupby("feature", observed=True)["crps"].sum().sort_values(ascending=False)
    assert worst["features"] == [list(wide).index(name) for name in by_feature.index]
    for k, name in enumerate(wide):
        of_feature = rows[rows["feature"] == name]
        if of_feature.empty:
            continue
        part, found = data["series"][0]["features"][k], worst["targets"][str(k)]
        steps = numbers(found["steps"], "<u4")
        truth = part["centre"] + part["scale"] * numbers(found["truth"], "<f4")
        assert (steps == of_feature["step"] + worst["first"]).all()
        np.testing.assert_allclose(truth, wide[name].iloc[steps], atol=1e-5)


def test_a_series_without_gaps_says_so_and_one_without_targets_has_no_windows(make, wide):
    html, *_ = make(wide.fillna(0.0), every_target=False)
    assert "The series has no gaps." in html and "Worst test windows" not in html
    assert data_of(html)["windows"] == data_of(html)["gaps"] == []


def test_gaps_that_the_run_does_not_fill_are_told(make, wide):
    html, *_ = make(wide, filled=False)
    data = data_of(html)
    assert "which this run does not fill" in html and data["gaps"][0]["said"].endswith("this run does not fill it.")
    assert np.isnan(numbers(data["series"][0]["features"][0]["value"], "<f4")[40:60]).all()


def test_a_gap_that_stays_missing_is_told_beside_those_that_are_filled(make, wide):
    _, _, paths = make(wide)
    table = tables.read(paths["imputed"], tables.IMPUTED)
    times = wide.index[40:60]
    left = table["time"].isin(times) & (table["feature"] == wide.columns[0])
    assert table.loc[left, "imputed"].all()
    table.loc[left, ["value", "lower", "upper"]], table.loc[left, "imputed"] = np.nan, False
    tables.write(table, paths["imputed"], tables.IMPUTED)
    page = paths["imputed"].with_name("explore.html")
    taken = (paths[name] for name in ("series", "samples", "cut", "starts", "statistics"))
    plot_explore(paths["imputed"], *taken, page, SETTINGS, "mine")
    first, *others = data_of(page.read_text(encoding="utf-8"))["gaps"]
    assert (first["first"], first["stop"]) == (40, 60) and first["said"].endswith("this run does not fill it.")
    assert others and all(gap["said"].endswith("median and band as filled.") for gap in others)


def test_of_many_series_those_of_the_lists_are_there(make):
    n_series, n_steps = 60, 24
    times = pd.date_range("2020-01-01", periods=n_steps, freq="1h", tz="UTC")
    index = pd.MultiIndex.from_product([[f"s{i:02}" for i in range(n_series)], times], names=["series", "time"])
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(len(index), 2)), index, ["a", "b"])
    wide.loc[("s57", times[3]) : ("s57", times[8]), "b"] = np.nan
    html, *_ = make(wide)
    data = data_of(html)
    names = [entry["name"] for entry in data["series"]]
    assert len(names) == 40 and names == sorted(names) and "These are 40 of 60 series." in html
    (gap,) = data["gaps"]
    assert (names[gap["series"]], gap["first"], gap["stop"], gap["features"]) == ("s57", 3, 9, [1])
    assert "series s57, 2020-01-01 03:00, 6 steps: b" in html and '<option value="0">s00</option>' in html
    of_windows = [names[window["series"]] for window in data["windows"]]
    texts = re.findall(r'<button data-window="\d+">series (\w+),', html)
    assert of_windows == texts and len(texts) == 20


@contextlib.contextmanager
def opened(path):
    """The page in a browser, and a list of what it asked for or complained of."""
    playwright = pytest.importorskip("playwright.sync_api", reason="envs/requirements-test.txt is not installed")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no Chromium here; on Debian `apt install chromium` brings it")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page, seen = chromium.new_page(viewport={"width": 1400, "height": 900}), []
        page.set_default_timeout(120_000)  # ms, on a machine that has other work, too
        page.on("request", lambda request: seen.append(request.url))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and seen.append(message.text))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        yield page, seen
        chromium.close()


def test_the_page_works_in_a_browser_and_asks_nobody(make, wide, tmp_path):
    _, targets, _ = make(wide)
    path = tmp_path / "explore.html"
    with opened(path) as (page, seen):
        shown = "panels.filter((panel) => panel.figure.visible).length"
        assert page.evaluate(shown) == 3
        page.get_by_label("b (m)").uncheck()
        assert page.evaluate(shown) == 2 and page.evaluate("state.shown") == [0, 2]
        whole = page.evaluate("range.end - range.start")
        page.get_by_role("button", name="Zoom in").click()
        assert page.evaluate("range.end - range.start") == pytest.approx(whole / 2)
        page.get_by_role("button", name=re.compile("20 steps")).press("Enter")
        assert page.evaluate("state.shown") == [0, 1, 2]
        assert page.evaluate("[range.start, range.end]") == [1000 * wide.index[step].timestamp() for step in (20, 79)]
        filled = "panels[0].source.data.filled.filter((value) => Math.abs(value) < 1e-6).length"
        assert page.evaluate(filled) == 20
        assert page.evaluate("panels[0].source.data.to_value.filter(isFinite).length") == 21
        page.locator("button[data-window='0']").click()
        assert page.evaluate("state.window.targets") and "few" in page.get_by_role("status").inner_text()
        truths = page.evaluate("panels.flatMap((panel) => [...panel.source.data.truth]).filter(isFinite)")
        worst = targets.groupby("window")["crps"].mean().idxmax()
        expected = targets.loc[targets["window"] == worst, "value"]
        np.testing.assert_allclose(sorted(truths), sorted(expected), atol=1e-5)
        page.get_by_role("button", name="Whole series").click()
        assert page.evaluate("range.end - range.start") == pytest.approx(whole)
        assert not page.evaluate("state.window")
        page.set_viewport_size({"width": 420, "height": 800})
        page.wait_for_function("document.documentElement.scrollWidth <= 420")  # laid out some moments later
        assert seen == [path.as_uri()]
