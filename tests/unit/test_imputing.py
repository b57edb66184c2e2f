"""A data frame filled in one call, and the imputer of scikit-learn."""

import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import scoredag
from scoredag import imputing
from scoredag.errors import InputError

FAST = {"sampling": {"n_steps": 1, "start": 18}}
RAW = {"method": "raw", "draws": 6, "run": FAST}


def series(n=120, seed=0):
    """A day's cycle in two columns with a common disturbance, hourly, and the same with gaps."""
    rng = np.random.default_rng(seed)
    common = np.sin(2 * np.pi * np.arange(n) / 24) + 0.1 * np.cumsum(rng.standard_normal(n))
    values = common[:, None] * [1.0, -20.0] + [5.0, 1000.0] + rng.standard_normal((n, 2)) * [0.1, 2.0]
    whole = pd.DataFrame(values, pd.date_range("2024-03-01", periods=n, freq="h", name="when"), ["load", "flow"])
    missing = rng.random((n, 2)) < 0.1
    missing[40:46, 0] = True
    return whole, whole.mask(missing)


@pytest.fixture(scope="module")
def frame():
    return series()[1]


@pytest.fixture(scope="module")
def result(frame):
    return scoredag.impute(frame, draws=9, run=FAST)


def test_what_is_observed_stays_and_the_rest_is_filled_between_its_ends(frame, result):
    missing = frame.isna()
    assert result.missing.equals(missing) and result.filled.index.equals(frame.index)
    assert result.filled[~missing].equals(frame[~missing])  # bit for bit
    assert not result.filled.isna().to_numpy().any()
    assert result.lower.isna().equals(~missing) and result.upper.isna().equals(~missing)
    between = (result.lower <= result.filled) & (result.filled <= result.upper)
    assert between[missing].sum().sum() == missing.sum().sum()
    assert repr(result) == f"<Imputed: {missing.sum().sum()} values of 120 steps x 2 features, 9 draws>"


def test_draws_are_whole_series_around_the_median(frame, result):
    missing = frame.isna().to_numpy()
    assert result.draws.shape == (9, 120, 2) and result.samples.shape == (9, missing.sum())
    assert (result.draws[:, ~missing] == frame.to_numpy()[~missing]).all()
    apart = abs(np.median(result.draws, axis=0) - result.filled.to_numpy())[missing]
    widths = (result.upper - result.lower).to_numpy()[missing]
    assert (apart <= widths).all() and apart.mean() < widths.mean() / 4  # nine draws have a median of their own
    quality = result.quality.to_numpy()
    assert set(quality[~missing]) == {"observed"} and set(quality[missing]) <= {"short gap", "long gap"}
    assert result.completed(3).to_numpy().tolist() == result.draws[3].tolist()
    assert result.completed(3).index.equals(frame.index)


def test_where_every_gap_is_too_long_nothing_is_filled(frame):
    with_one = frame.ffill().bfill()
    with_one.iloc[50:54, 0] = np.nan
    result = scoredag.impute(with_one, draws=3, run={"max_gap": "3h"})
    assert result.filled.equals(with_one) and result.samples.shape == (3, 0) and result.draws.shape == (3, 120, 2)
    assert set(result.quality.iloc[50:54, 0]) == {"missing"} and not result.missing.to_numpy().any()
    assert "gaps of more than 3 steps, which stay missing (max_gap): 1" in "\n".join(result.report)


def test_the_report_says_what_was_chosen(result):
    text = "\n".join(result.report)
    assert "windows of 8 steps (the series has 120 steps)" in text
    assert "filled by an average of quantiles that" in text or "too few to choose methods" in text
    assert not re.search(r"frame\.parquet|of \d+ windows$", text, re.MULTILINE)


def test_the_fill_is_nearer_than_the_mean():
    whole, holed = series(240)
    missing = holed.isna().to_numpy()
    filled = scoredag.impute(holed, draws=10, method="raw", run={"sampling": {"start": 18}}).filled
    error, of_mean = (
        np.abs(other - whole).to_numpy()[missing].mean() for other in (filled, holed.fillna(holed.mean()))
    )
    assert error < 0.6 * of_mean


def test_the_same_call_gives_the_same_and_another_seed_does_not(frame):
    first, again, other = (scoredag.impute(frame, seed=seed, **RAW) for seed in (1, 1, 2))
    assert first.filled.equals(again.filled) and (first.samples == again.samples).all()
    assert not first.filled.equals(other.filled)


def test_times_come_back_as_they_were_and_absent_ones_are_filled(frame):
    as_it_is = scoredag.impute(frame, **RAW)
    there = frame.drop(frame.index[[10, 11, 50]])
    local = there.tz_localize("UTC").tz_convert("Asia/Kolkata")
    result = scoredag.impute(local, **RAW)
    assert result.filled.index.equals(frame.index.tz_localize("UTC").tz_convert("Asia/Kolkata"))
    assert result.filled.index.name == "when" and result.missing.iloc[[10, 11, 50]].to_numpy().all()
    assert "3 times absent" in "\n".join(result.report)
    days = frame.set_axis(pd.date_range("2024-03-01", periods=120, freq="D", tz="Europe/Berlin"))  # one has 23 hours
    assert scoredag.impute(days.drop(days.index[60]), **RAW).filled.index.equals(days.index)
    ends = frame.copy()
    ends.iloc[[0, -1]] = np.nan
    assert scoredag.impute(ends, **RAW).filled.notna().all(axis=None)
    months = frame.set_axis(pd.date_range("2000-01-31", periods=120, freq="ME"))
    assert scoredag.impute(months, **RAW).filled.index.equals(months.index)
    plain = scoredag.impute(frame.reset_index(drop=True), interval="1h", **RAW)
    assert plain.filled.index.equals(pd.RangeIndex(120))
    assert plain.filled.to_numpy().shape == as_it_is.filled.to_numpy().shape


def test_types_stay_and_counts_are_whole(frame):
    counts = frame.assign(flow=frame["flow"].round().astype("Int64"), load=frame["load"].astype(np.float32))
    counts["hour"] = np.arange(120) ** 2 % 97
    result = scoredag.impute(counts, round={"flow": 1}, plausible={"flow": (0, 1e6)}, **RAW)
    assert result.filled.dtypes.to_dict() == {"load": np.float32, "flow": np.float64, "hour": counts["hour"].dtype}
    assert (result.filled["flow"] % 1 == 0).all() and (result.draws[:, :, 1] % 1 == 0).all()
    known = frame["load"].notna()
    assert (result.filled["load"][known] == counts["load"][known]).all()


def test_one_column_a_long_gap_and_none(frame):
    long = series(240)[1][["load"]]
    long.iloc[30:70] = np.nan
    result = scoredag.impute(long, **RAW)
    assert not result.filled.isna().to_numpy().any()
    assert any("the gap of 40 steps" in line and "is longer than fits into a window" in line for line in result.report)
    full = scoredag.impute(frame.ffill().bfill(), **RAW)
    assert full.filled.equals(frame.ffill().bfill()) and full.lower.isna().to_numpy().all()
    assert full.report[-1] == "no value is missing; there is nothing to fill"
    assert full.draws.shape == (6, 120, 2) and full.completed(0).equals(full.filled)


def edited(frame, place, value):
    other = frame.copy().astype(object if isinstance(value, str) else float)
    other.iloc[place] = value
    return other


REFUSED = {
    "no frame": (lambda frame: frame["load"], "not Series; write series.to_frame()"),
    "text": (
        lambda frame: edited(frame, (3, 1), "x"),
        "column 'load' holds object, not numbers; write frame['load'] =",
    ),
    "infinite": (lambda frame: edited(frame, (3, 1), np.inf), "column 'flow', row 2024-03-01 03:00:00: is infinite"),
    "nothing": (lambda frame: frame.assign(flow=np.nan), "the feature 'flow' has no value at all; leave its column"),
    "constant": (lambda frame: frame.assign(flow=1.0), "feature 'flow': constant in the training split; leave it out"),
    "again": (lambda frame: frame.iloc[[0, 0, 1]], "the time 2024-03-01 00:00:00 occurs twice; keep one row of it"),
    "order": (
        lambda frame: frame[::-1],
        "row 1, 2024-03-05 22:00:00, is earlier than the one before; write frame.sort",
    ),
    "no times": (
        lambda frame: frame.reset_index(drop=True),
        "its index, RangeIndex, has no times; set a DatetimeIndex",
    ),
    "off": (
        lambda frame: frame.set_axis(frame.index[:-1].append(frame.index[-1:] + pd.Timedelta("5min"))),
        "not on the",
    ),
    "few": (lambda frame: frame[:1], "1 row; a series needs at least two"),
    "short": (lambda frame: frame[:30], "each split needs one: pass windows={'length': 7, 'block': 7}"),
    "wide": (lambda frame: pd.concat([frame] * 500, axis=1), "1000 columns; more than 200 at once take hours"),
    "twins": (lambda frame: frame.set_axis(["load", "load"], axis=1), "two columns are called 'load'; rename one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_series_is_refused_in_one_line(frame, case, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    edit, message = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(message)) as error:
        scoredag.impute(edit(frame), **RAW)
    assert "\n" not in str(error.value) and str(tmp_path) not in str(error.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"level": 2}, "level: 2 is greater than"),
        ({"method": "best"}, "method: 'best' is not one of"),
        ({"draws": 0}, "draws: 0 is less than"),
        ({"windows": {"size": 3}}, "windows: Additional properties are not allowed ('size' was unexpected)"),
        ({"interval": "1x"}, "the interval '1x' is not a spacing of time"),
    ],
)
def test_arguments_are_those_of_the_config(frame, more, message):
    with pytest.raises(InputError, match=re.escape(message)):
        scoredag.impute(frame, **more)


def test_nothing_is_left_behind(frame, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    level = logging.getLogger().level
    with caplog.at_level(logging.INFO):
        scoredag.impute(frame, **RAW)
    assert not [*tmp_path.iterdir()] and not caplog.records and capfd.readouterr() == ("", "")
    assert logging.getLogger().level == level


def test_importing_the_package_is_cheap(root):
    program = "import sys, scoredag; print(*{'numpy', 'pandas', 'torch', 'sklearn'} & {*sys.modules})"
    command, folder = [sys.executable, "-c", program], root / "scripts"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
    with pytest.raises(AttributeError, match="has no attribute 'inpute'"):
        _ = scoredag.inpute


def test_the_page_shows_what_works(root, tmp_path, monkeypatch):
    """With another method, which is faster."""
    page = (root / "docs" / "fill-gaps.md").read_text(encoding="utf-8")
    series()[1].to_csv(tmp_path / "my-series.csv", index_label="when")
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope = {}
    for snippet in snippets:
        exec(snippet.replace("impute(frame", 'impute(frame, method="raw"'), scope)
    assert len(snippets) == 2 and Path("filled.csv").exists()
    assert scope["means"].shape == (20, 2) and not np.isnan(scope["filled"]).any()


def test_the_imputer_is_one_of_scikit_learn():
    results = check_estimator(scoredag.CSDIImputer(draws=2), on_skip=None)
    assert len(results) > 30


def test_the_imputer_fills_new_rows_and_leaves_the_rest():
    whole, holed = series(240)
    missing = holed.isna().to_numpy()
    imputer = scoredag.CSDIImputer(draws=10).fit(holed[:180])
    filled = imputer.transform(holed[180:])
    assert (filled[~missing[180:]] == holed[180:].to_numpy()[~missing[180:]]).all()
    error, of_mean = (
        np.abs((other - whole[180:].to_numpy()) / imputer.scale_)[missing[180:]].mean()
        for other in (filled, imputer.mean_)
    )
    assert error < 0.7 * of_mean
    lower, upper = imputer.interval(holed[180:])
    assert (np.isnan(lower) == ~missing[180:]).all() and (lower <= upper)[missing[180:]].all()
    draws = imputer.sample(holed[180:])
    assert draws.shape == (10, 60, 2) and np.median(draws, axis=0) == pytest.approx(filled)
    assert imputer.get_feature_names_out().tolist() == ["load", "flow"]


def test_the_imputer_works_in_a_pipeline_and_on_a_few_rows(frame):
    pipeline = make_pipeline(scoredag.CSDIImputer(draws=3), StandardScaler()).set_output(transform="pandas")
    assert list(pipeline.fit_transform(frame)) == ["load", "flow"]
    few = frame.to_numpy()[38:43]
    imputer = scoredag.CSDIImputer(draws=3).fit(few)
    assert imputer.law_ is None and np.isfinite(imputer.transform(few)).all()
    assert np.isfinite(imputer.transform(np.full((30, 2), np.nan))).all()


def test_the_imputer_refuses_what_it_cannot_learn_from(frame):
    with pytest.raises(InputError, match="the feature 'flow' has no value at all; leave it out"):
        scoredag.CSDIImputer().fit(frame.assign(flow=np.nan))
    with pytest.raises(InputError, match=r"draws=0, level=0\.9, length=None; draws and length are 1 or more"):
        scoredag.CSDIImputer(draws=0).fit(frame)
    with pytest.raises(NotFittedError):
        scoredag.CSDIImputer().transform(frame)


def test_with_one_core_the_same_is_made_in_turn(frame, result, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    alone = scoredag.impute(frame, draws=9, run=FAST)
    assert (alone.samples == result.samples).all()
    seconds = re.compile(r"[0-9.]+ s\b")
    assert [seconds.sub("", line) for line in alone.report] == [seconds.sub("", line) for line in result.report]


@pytest.mark.parametrize("n_cores", [1, 2])
def test_faults_on_either_side_are_told_and_nothing_else(n_cores, tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(joblib, "cpu_count", lambda: n_cores)
    config = imputing.checked_config("mine", 1, {"file": "data/own-series.csv"}, {})
    run = imputing._Run(tmp_path, "mine", config)
    call = ("fit_structural", None, {"settings": {}})
    with pytest.raises(InputError, match="statistics: "), run._beside(call):
        pass
    with pytest.raises(InputError, match="of the block"), run._beside(call):
        raise InputError("of the block")
    assert not recwarn.list
