"""Gaps of a series: found, covered by few windows, and merged without a seam."""

import inspect
import itertools
import logging

import numpy as np
import pandas as pd
import pytest
import torch

from complete_series import complete_series
from draw_gaps import draw_gaps
from fill_gaps import _calibrated, _calibration, _training, fill_gaps
from plot_gaps import plot_gaps
from scoredag.csdi import checkpoint
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.series import (
    angles,
    baselines,
    completing,
    conformal,
    dressing,
    forecasts,
    gaps,
    profiles,
    readers,
    tidy,
    transforms,
    windows,
)
from scoredag.store import tables

LENGTH = 24


def missing_of(runs, n_steps=200, n_features=2):
    """A series in which `runs` of (feature, first, stop) are missing."""
    missing = np.zeros((n_steps, n_features), bool)
    for feature, first, stop in runs:
        missing[first:stop, feature] = True
    return missing


def merged(missing, samples_of, n_samples=20, length=LENGTH):
    """The windows of the plan, and samples (S, n_steps, K) of the gaps from those of each window, each once."""
    plan = gaps.plan(gaps.find(missing), len(missing), length)
    drawn = (samples_of(start, (n_samples, missing.shape[1], length)) for start in plan)
    found = np.full((n_samples, *missing.shape), np.nan)
    latest = -1
    for steps, features, samples in gaps.merge(plan, drawn, length):
        assert np.isnan(found[:, steps, features]).all()
        assert not len(steps) or latest < steps.min()
        latest = max([latest, *steps])
        found[:, steps, features] = samples
    assert (np.isnan(found) != missing).all()
    return list(plan), found


def own_start(start, shape):
    return np.full(shape, float(start))


def test_gaps_are_the_runs_of_missing_steps():
    runs = [(0, 0, 3), (1, 2, 3), (0, 5, 6), (1, 190, 200)]
    assert gaps.find(missing_of(runs)).to_numpy().tolist() == [list(run) for run in runs]
    assert len(gaps.find(missing_of([]))) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 5, 24])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("n_steps", [24, 131])
def test_every_missing_entry_is_filled_once_from_a_window_that_holds_it(length, share, n_steps):
    rng = np.random.default_rng(0)
    missing = np.column_stack([rng.random(n_steps) < share, np.repeat(rng.random(n_steps) < share, 5)[:n_steps]])

    def samples_of(start, shape):
        assert 0 <= start <= n_steps - length
        return np.broadcast_to(start + np.arange(length) + 1000.0 * np.arange(2)[:, None], shape)

    _, found = merged(missing, samples_of, length=length)
    expected = np.arange(n_steps)[:, None] + 1000.0 * np.arange(2)
    assert (found == np.where(missing, expected, np.nan))[:, missing].all()


@pytest.mark.parametrize("run", [(100, 101), (100, 112), (93, 105), (90, 112), (0, 5), (195, 200), (0, 22)])
def test_a_gap_that_fits_comes_from_one_window_in_whose_middle_it_lies(run):
    starts, _ = merged(missing_of([(0, *run)]), own_start)
    assert len(starts) == 1
    before, after = run[0] - starts[0], starts[0] + LENGTH - run[1]
    margin = min(LENGTH // 4, (LENGTH - (run[1] - run[0])) // 2)
    assert before >= margin or starts[0] == 0
    assert after >= margin or starts[0] == 200 - LENGTH


def test_a_gap_is_filled_from_the_more_central_of_two_windows():
    for step, start in ((60, 44), (61, 54)):
        missing = missing_of([(0, 50, 62), (1, 60, 72), (2, step, step + 1)], n_features=3)
        starts, found = merged(missing, own_start)
        assert starts == [44, 54]
        assert (found[:, step, 2] == start).all()


def test_windows_are_few():
    """A brute-force search over all sets of three windows finds no smaller cover."""
    rng = np.random.default_rng(3)
    missing = missing_of([(0, first, first + 3) for first in rng.choice(54, 9, replace=False)], n_steps=60)
    found = gaps.find(missing)
    plan = gaps.plan(found, 60, LENGTH)
    margin = np.minimum(LENGTH // 4, (LENGTH - (found["stop"] - found["first"])) // 2)

    def serve(starts):
        """Whether each gap is as central as it can be in one of the windows."""
        return all(
            any(
                (first - start >= room or start == 0)
                and (start + LENGTH - stop >= room or start == 60 - LENGTH)
                and start <= first
                and stop <= start + LENGTH
                for start in starts
            )
            for (_, first, stop), room in zip(found.to_numpy(), margin, strict=True)
        )

    assert serve(plan)
    assert not any(serve(starts) for starts in itertools.combinations(range(60 - LENGTH + 1), len(plan) - 1))


@pytest.mark.parametrize("run", [(60, 120), (0, 70), (130, 200), (80, 103), (0, 200)])
def test_a_long_gap_passes_from_window_to_window_without_a_seam(run):
    """Each sample changes at a time of its own: from step to step few do, and near its end a window gives few."""
    n_samples = 24
    starts, found = merged(missing_of([(0, *run)]), own_start, n_samples)
    source = found[:, slice(*run), 0]
    assert (np.diff(source, axis=1) >= 0).all()
    assert (np.diff(source, axis=1) > 0).sum(axis=0).max() <= n_samples / 6
    for start in starts:
        into = np.arange(*run) - start
        near_its_end = (source == start) & (np.minimum(into, LENGTH - 1 - into) < 2)
        if run[0] <= start and start + LENGTH <= run[1] and start not in (0, 200 - LENGTH):
            assert near_its_end.sum(axis=0).max() <= n_samples / 4


def test_merging_long_gaps_keeps_the_width_of_intervals():
    """Windows that agree on N(0, 1): averaged samples would have a deviation of 0.7 between them."""
    rng = np.random.default_rng(0)
    _, found = merged(missing_of([(0, 0, 200)]), lambda start, shape: rng.normal(size=shape), 2000)
    deviations = found[:, :, 0].std(axis=0)
    assert deviations.min() > 0.93 and deviations.max() < 1.07


def test_no_gap_and_no_window_spans_two_series():
    """The middle one is shorter than a window and gets one that begins with it."""
    lengths = [100, 10, 90]
    missing = missing_of([(0, 90, 112), (1, 95, 100), (1, 150, 200)])
    found = gaps.find(missing, lengths)
    assert found.to_numpy().tolist() == [[0, 90, 100], [1, 95, 100], [0, 100, 110], [0, 110, 112], [1, 150, 200]]
    plan = gaps.plan(found, lengths, LENGTH)
    starts = np.array(list(plan))
    assert ((starts <= 76) | (starts == 100) | ((starts >= 110) & (starts <= 176))).all()
    assert (np.diff(starts) > 0).all() and 100 in plan
    drawn = (np.full((20, 2, LENGTH), float(start)) for start in plan)
    count = np.zeros(missing.shape, int)
    for steps, features, samples in gaps.merge(plan, drawn, LENGTH):
        count[steps, features] += 1
        assert (samples <= steps).all() and (steps < samples + LENGTH).all()
        assert (np.searchsorted([100, 110], samples, "right") == np.searchsorted([100, 110], steps, "right")).all()
    assert (count == missing).all()


def test_a_series_of_several_is_planned_as_if_it_were_alone():
    missing = missing_of([(0, 3, 9), (1, 40, 90), (0, 99, 100)], n_steps=100)
    alone = gaps.plan(gaps.find(missing), 100, LENGTH)
    several = gaps.plan(gaps.find(np.tile(missing, (3, 1)), [100] * 3), [100] * 3, LENGTH)
    assert list(several) == [start + begin for begin in (0, 100, 200) for start in alone]
    assert [part.first - 200 for part in several[200 + list(alone)[1]]] == [
        part.first for part in list(alone.values())[1]
    ]


def test_a_series_shorter_than_a_window_is_refused():
    with pytest.raises(InputError, match=r"the series has 20 steps, a window 24; make windows\.length smaller"):
        gaps.plan(gaps.find(missing_of([(0, 3, 4)], n_steps=20)), 20, LENGTH)


SAMPLING = {"sampler": "ddim", "n_steps": 3, "eta": 0.0, "n_samples": 6, "antithetic": True, "chunk": 50}
SETTINGS = {
    "device": "cpu",
    "level": 0.9,
    "max_gap": None,
    "seed": 1,
    "sampling": SAMPLING,
    "dataset": {
        "circular": {},
        "group": "station",
        "name": "mine",
        "round": {},
        "plausible": {"temp": [-0.25, 0.5], "x": [9e8, 9e9]},
    },
}


FIGURE = {"level": 0.9, "colour": "blue", "units": {}}


@pytest.fixture
def results(tmp_path):
    """A model and a series of two features with gaps, one of them longer than a window; the wide series."""
    torch.manual_seed(0)
    checkpoint.save(CSDI(2), tmp_path / "model.safetensors", {"features": ["A_temp", "B_wind"]})
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(240, 2)), axis=0) / 3 + [0, 1000]
    values[missing_of([(0, 5, 6), (0, 60, 110), (1, 100, 130), (1, 239, 240), (1, 150, 153)], 240)] = np.nan
    times = pd.date_range("2020-01-01", periods=240, freq="1h", tz="UTC", name="time")
    wide = pd.DataFrame(values, times, ["A_temp", "B_wind"])
    save(wide, tmp_path)
    return tmp_path, wide


def save(wide, folder):
    tables.write(tidy.to_tidy(wide), folder / "series.parquet", tables.SERIES)
    splits = windows.assign_splits(len(wide), 24, (0.7, 0.1, 0.2))
    starts, codes = windows.starts(splits, LENGTH, (LENGTH,) * 3)
    table = windows.cut(wide, starts[:1], codes[:1], LENGTH, lambda window, observed: observed & False)
    tables.write(table, folder / "windows.parquet", tables.WINDOWS)
    profiles.write(None, folder / "profile.parquet")
    tables.write(windows.statistics(wide, splits), folder / "statistics.parquet", tables.STATISTICS)


def arguments_of(folder, dataset, threads, sampling):
    """Those of both scripts, without a Gaussian start, and without validation windows."""
    paths = {"model": "model.safetensors", "series": "series.parquet", "statistics": "statistics.parquet"}
    paths |= {"gaussian": "gaussian.safetensors", "windows": "windows.parquet", "profile": "profile.parquet"}
    arguments = {f"{name}_path": folder / path for name, path in paths.items()}
    without = ["choice_path", "drawn_path", "validation_path", "baselines_path", "structural_path", "starts_path"]
    more = {"sampling": SAMPLING | {"start": None} | sampling, "dataset": SETTINGS["dataset"] | (dataset or {})}
    return arguments | dict.fromkeys(without) | {"settings": SETTINGS | more, "run": "mine", "threads": threads}


def fill(folder, dataset=None, threads=1, max_gap=None, drawn_path=None, **sampling):
    paths = {"drawn_path": drawn_path, "imputed_path": folder / "imputed.parquet", "csv_path": folder / "imputed.csv"}
    arguments = arguments_of(folder, dataset, threads, sampling)
    arguments["settings"] |= {"max_gap": max_gap}
    fill_gaps(**arguments | paths)
    return tables.read(paths["imputed_path"], tables.IMPUTED)


def draw_in_shards(folder, n_shards, max_gap=None, **sampling):
    """The path of the draws of all shards, joined."""
    arguments = arguments_of(folder, None, 1, sampling)
    names = inspect.signature(draw_gaps).parameters.keys()
    paths = [folder / f"{number}.parquet" for number in range(n_shards)]
    for number, path in enumerate(paths):
        arguments |= {"settings": arguments["settings"] | {"max_gap": max_gap, "shard": [number, n_shards]}}
        arguments["samples_path"] = path
        draw_gaps(**{name: arguments[name] for name in names})
    tables.join(paths, folder / "drawn.parquet")
    return folder / "drawn.parquet"


@pytest.mark.parametrize("n_shards", [1, 3, 40])
def test_draws_of_shards_are_those_of_one_job(results, n_shards):
    folder, _ = results
    expected, drawn = fill(folder), draw_in_shards(folder, n_shards, chunk=12)
    torch.manual_seed(1)
    checkpoint.save(CSDI(2), folder / "model.safetensors", {"features": ["A_temp", "B_wind"]})  # which is not asked
    pd.testing.assert_frame_equal(fill(folder, drawn_path=drawn), expected, check_exact=True)


def complete(folder, draws=4, dataset=None, threads=1, max_gap=None, **sampling):
    """The table of completed series, and the series (draws, T, K)."""
    arguments = arguments_of(folder, dataset, threads, {"n_samples": 6, "antithetic": False} | sampling)
    settings = {key: value for key, value in arguments.pop("settings").items() if key != "level"}
    path = folder / "completed.parquet"
    complete_series(**arguments, settings=settings | {"draws": draws, "max_gap": max_gap}, completed_path=path)
    frames = completing.completed(folder / "series.parquet", path)
    return tables.read(path, tables.COMPLETED), np.stack([frame.to_numpy() for frame in frames])


def test_draws_get_the_quantiles_of_the_average_in_their_own_order():
    """Of all weight on a point forecast, draws are its errors about it; what is given stays."""
    rng = np.random.default_rng(0)
    known = np.ones((1, 2, 12), bool)
    known[0, 0, 3:8] = False
    scores = rng.normal(size=(1, 2, 12)).astype(np.float32)
    samples = np.where(known[0], scores[0], rng.normal(size=(19, 2, 12)))
    errors = np.tile(np.arange(-19.0, 20), (1, 2, 1))
    one, levels = np.ones((1, 2, conformal.N_KINDS, 1)) * [0.0, 1.0], dressing.LEVELS[None]
    factors, shares = np.ones((1, conformal.N_KINDS, 19)), np.full((1, conformal.N_KINDS), 1 / conformal.N_KINDS)
    calibration = forecasts.Calibration(factors, {"joint Gaussian": errors}, one, shares, levels)
    methods = {"joint Gaussian": lambda part: (np.full(known[part].shape, 100.0), None)}
    (pair,) = _calibrated(iter([samples.copy()]), known, calibration, methods, iter([rng]))
    for moved in pair:
        assert np.array_equal(moved[:, known[0]], samples[:, known[0]])
    moved, joint = pair
    assert np.array_equal(joint.argsort(axis=0), moved.argsort(axis=0)) and not np.array_equal(joint, moved)
    gap = moved[:, 0, 3:8]
    assert np.array_equal(gap.argsort(axis=0), samples[:, 0, 3:8].argsort(axis=0))
    np.testing.assert_allclose(np.sort(gap, axis=0), np.broadcast_to(100 + np.arange(-18, 19, 2)[:, None], (19, 5)))


def test_a_method_that_learns_fills_gaps_as_it_fills_held_out_windows(results, monkeypatch):
    """It is fitted on as many training windows, whether all are read or these alone."""
    folder, wide = results
    splits = np.zeros(len(wide), int)
    starts = np.arange(0, len(wide) - LENGTH, 3)
    table = windows.cut(wide, starts, splits[starts], LENGTH, lambda window, observed: observed & False)
    tables.write(table, folder / "windows.parquet", tables.WINDOWS)
    stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    monkeypatch.setattr(baselines, "N_TRAINING", 20)
    _, values, roles = windows.read(folder / "windows.parquet", stats, "train")
    few, known = _training(["ridge"], folder / "windows.parquet", stats, values.shape[1:])
    assert len(values) > 40 and 10 < len(few) <= 20
    hidden, here = values[1:4], np.ones(values[1:4].shape, bool)
    here[:, 0, 4:7] = False
    filled = [
        fill(hidden, here)[0]
        for training in ((values, roles == windows.OBSERVED), (few, known))
        for _, fill in baselines.fitted(*training, None, ["ridge"])
    ]
    assert np.array_equal(*filled) and not np.array_equal(filled[0], hidden)
    nothing, _ = _training(["joint Gaussian"], folder / "none.parquet", stats, values.shape[1:])
    assert len(nothing) == 0


def test_gaps_are_filled_with_draws_as_they_are_where_validation_has_too_few_targets(tmp_path, caplog):
    nothing = np.zeros(9, int)
    targets = forecasts.Targets(nothing, nothing, nothing, nothing, nothing, nothing > 0, np.zeros(9), np.zeros(9))
    few = forecasts.Forecasts(targets, np.zeros((2, 9)), {})
    stats = pd.DataFrame({"feature": ["x"], "mean": [0.0], "std": [1.0], "missing_fraction": [0.0]})
    table = {"window": [0, 0], "step": [0, 1], "feature": pd.Categorical(["x", "x"]), "value": 0.0}
    table |= {"role": pd.Categorical(["observed", "target"]), "split": pd.Categorical(["valid", "valid"])}
    tables.write(pd.DataFrame(table), tmp_path / "windows.parquet", tables.WINDOWS)
    starts = pd.DataFrame({"window": [0], "held_out": pd.Categorical(["a"])})
    assert (
        _calibration(
            SETTINGS | {"method": "auto"}, few, np.ones((1, 1, 2), bool), tmp_path / "windows.parquet", starts, stats
        )
        is None
    )
    assert "9 validation targets are too few to choose methods and to correct intervals" in caplog.text


def test_observed_values_stay_bit_for_bit_and_gaps_are_filled(results):
    folder, wide = results
    table = fill(folder)
    values, lower, upper, imputed = (
        table[name].to_numpy().reshape(240, 2) for name in ("value", "lower", "upper", "imputed")
    )
    assert table["time"].iloc[::2].tolist() == list(wide.index)
    assert table["feature"].astype(str).tolist() == ["A_temp", "B_wind"] * 240
    assert (imputed == wide.isna()).all(axis=None)
    assert (values[~imputed] == wide.to_numpy()[~imputed]).all()
    assert np.isnan(lower[~imputed]).all() and np.isnan(upper[~imputed]).all()
    assert (lower[imputed] <= values[imputed]).all() and (values[imputed] <= upper[imputed]).all()
    assert (lower[imputed] < upper[imputed]).mean() > 0.5
    # the range of `temp` is that of A_temp, too; B_wind has none
    ends = np.stack([lower, values, upper])[:, :, 0][:, imputed[:, 0]]
    assert ends.min() == -0.25 and ends.max() == 0.5
    assert np.nanmax(upper[:, 1]) > 900


def test_longer_gaps_than_the_longest_stay_missing_and_quality_says_how_each_value_came_to_be(results, caplog):
    """Gaps of 1, 3, 30 and 50 steps, windows of 24; the series is hourly."""
    caplog.set_level(logging.INFO)
    folder, wide = results
    everything = fill(folder)
    whole = everything["quality"].to_numpy().reshape(240, 2)
    assert set(whole[5:6, 0]) | set(whole[150:153, 1]) | {whole[239, 1]} == {"short gap"}
    assert set(whole[60:110, 0]) == set(whole[100:130, 1]) == {"several windows"}
    assert (whole == "observed").sum() == wide.notna().to_numpy().sum()
    for limit in (40, "40h", "2400min"):
        table = fill(folder, max_gap=limit)
        assert "gaps of more than 40 steps, which stay missing (max_gap): 1" in caplog.text
        left = table[table["quality"] == "missing"]
        assert len(left) == 50 and not left["imputed"].any() and left[["value", "lower", "upper"]].isna().all(axis=None)
        assert table["value"].notna().sum() == 480 - 50
        assert table["imputed"].sum() == wide.isna().to_numpy().sum() - 50
        caplog.clear()
    drawn, frames = complete(folder, max_gap=40)
    assert np.isnan(frames[:, 60:110, 0]).all() and np.isnan(frames).sum() == 4 * 50 and len(drawn) == 4 * 35
    with pytest.raises(
        InputError, match=r"^csdi\.runs\.mine\.max_gap: '30min' is less than a step of the series, 0 days 01"
    ):
        fill(folder, max_gap="30min")


def test_quality_tells_long_gaps_from_short_ones_and_what_nobody_sees():
    runs = [(0, 10, 22), (1, 10, 23), (0, 60, 82), (1, 100, 199), (0, 100, 199)]
    spans = gaps.find(missing_of(runs))
    planned = gaps.plan(spans, 200, LENGTH)
    blind = [start for start in planned if start >= 100 and start + LENGTH <= 199]
    codes = gaps.quality(spans, planned, blind, LENGTH, np.inf, (200, 2))
    names = np.array(gaps.QUALITIES)[codes]
    assert set(names[10:22, 0]) == {"short gap"} and set(names[10:23, 1]) == {"long gap"}
    assert set(names[60:82, 0]) == {"long gap"} and set(names[130:170].ravel()) == {"nothing observed"}
    assert names[100, 0] == "several windows"


def test_imputed_values_and_intervals_are_multiples_of_the_step(results):
    folder, wide = results
    table = fill(folder, {"group": None, "round": {"A_temp": 0.2, "B_wind": 5}, "plausible": {"A_temp": [-0.25, 0.5]}})
    values, lower, upper, imputed = (
        table[name].to_numpy().reshape(240, 2) for name in ("value", "lower", "upper", "imputed")
    )
    assert (values[~imputed] == wide.to_numpy()[~imputed]).all()
    for feature, step in enumerate((0.2, 5)):
        ends = np.stack([lower, values, upper])[:, imputed[:, feature], feature]
        assert set(ends.ravel()) <= {float(f"{step * count:.1f}") for count in range(-3000, 3000)}
        assert (np.diff(ends, axis=0) >= 0).all() and len(set(ends.ravel())) > 2
    temp = np.stack([lower, values, upper])[:, imputed[:, 0], 0]
    assert temp.min() == -0.2 and temp.max() == 0.4  # inside -0.25 to 0.5, and on the grid
    again = pd.read_csv(folder / "imputed.csv", index_col="time")
    assert (again.to_numpy() == values).all()


def test_the_step_of_no_feature_is_refused_before_anything_is_drawn(results):
    folder, _ = results
    line = r"^datasets\.mine\.round: there is no feature 'rain'; the features are A_temp, B_wind$"
    with pytest.raises(InputError, match=line):
        fill(folder, {"round": {"rain": 1}})
    assert not (folder / "imputed.parquet").exists()


def test_the_csv_is_the_same_series_and_can_be_read_again(results):
    folder, _ = results
    table = fill(folder)
    again = readers.read_wide(folder / "imputed.csv")
    assert (tidy.to_tidy(again)["value"].to_numpy() == table["value"].to_numpy()).all()
    assert list(again.columns) == ["A_temp", "B_wind"]


def test_the_same_is_filled_in_whatever_the_chunks(results):
    folder, _ = results
    expected = fill(folder)[["value", "lower", "upper"]]
    before = (folder / "imputed.parquet").read_bytes(), (folder / "imputed.csv").read_bytes()
    fill(folder)
    assert before == ((folder / "imputed.parquet").read_bytes(), (folder / "imputed.csv").read_bytes())
    for chunk, threads in ((4, 1), (13, 3)):
        found = fill(folder, chunk=chunk, threads=threads)[["value", "lower", "upper"]]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)  # rounded to a thousandth of the deviation


def test_long_gaps_and_blind_windows_are_told_of(results, caplog):
    folder, wide = results
    wide.iloc[80:110] = np.nan
    save(wide, folder)
    with caplog.at_level(logging.INFO):
        table = fill(folder)
    assert np.isfinite(table["value"]).all()
    assert "windows of 24 steps fill them" in caplog.text
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told[0].startswith("A_temp: the gap of 50 steps from 2020-01-03 12:00:00+00:00 to 2020-01-05 13:00:00+00:00")
    assert told[1].startswith("B_wind: the gap of 50 steps from 2020-01-04 08:00:00+00:00 to 2020-01-06 09:00:00+00:00")
    assert told[2].startswith("nothing is observed in the 24 steps from 2020-01-04 12:00:00+00:00")
    assert len(told) == 3


def test_completed_series_hold_joint_draws_and_what_is_observed_bit_for_bit(results):
    folder, wide = results
    table, series = complete(folder)
    steps, features = np.nonzero(wide.isna())
    assert list(table.columns) == ["draw", "time", "feature", "value"]
    assert table["draw"].tolist() == list(range(4)) * len(steps)
    assert (table["time"].to_numpy()[::4] == wide.index[steps]).all()
    assert (table["feature"].astype(str).to_numpy()[::4] == wide.columns[features]).all()
    known = wide.notna().to_numpy()
    assert (series[:, known] == wide.to_numpy()[known]).all() and np.isfinite(series).all()
    assert (series[:, ~known] == table["value"].to_numpy().reshape(-1, 4).T).all()
    drawn = series[:, :, 1][:, ~known[:, 1]]  # of no plausible range
    apart = drawn - drawn.mean(axis=0)
    assert np.abs(apart[::2] + apart[1::2]).mean() > 0.5 * np.abs(apart).mean()  # of antithetic pairs next to nothing


def test_completed_series_are_the_same_bytes_whatever_the_threads_and_fewer_are_the_first_of_more(results):
    folder, _ = results
    path = folder / "completed.parquet"
    _, expected = complete(folder)
    before = path.read_bytes()
    for threads in (1, 2):
        complete(folder, threads=threads, antithetic=False)
        assert path.read_bytes() == before
    _, fewer = complete(folder, draws=2)
    assert (fewer == expected[:2]).all()


def test_a_completed_series_belongs_to_its_own_series(results):
    folder, wide = results
    complete(folder)
    for other in (wide.shift(1), wide.rename(columns={"B_wind": "C_wind"}), wide[:200]):
        save(other, folder)
        with pytest.raises(InputError, match=r"completed\.parquet: its values are not missing in .*anew$"):
            next(completing.completed(folder / "series.parquet", folder / "completed.parquet"))


def test_a_series_without_gaps_stays_as_it_is(results):
    folder, wide = results
    save(wide.fillna(0.125), folder)
    rows, (once,) = complete(folder)
    assert rows.empty and (once == wide.fillna(0.125).to_numpy()).all()
    table = fill(folder)
    assert not table["imputed"].any() and table["lower"].isna().all()
    assert (table["value"].to_numpy() == wide.fillna(0.125).to_numpy().ravel()).all()
    plot_gaps(folder / "imputed.parquet", folder / "windows.parquet", folder / "gaps.png", FIGURE)
    assert (folder / "gaps.png").stat().st_size > 1000


def test_a_model_of_other_features_is_refused(results):
    folder, wide = results
    save(wide.rename(columns={"B_wind": "C_wind"}), folder)
    with pytest.raises(InputError, match=r"trained on the features \['A_temp', 'B_wind'\], but the dataset"):
        fill(folder)
    assert not (folder / "imputed.parquet").exists()


def test_the_longest_gap_of_each_feature_is_drawn_first(results, monkeypatch):
    folder, _ = results
    fill(folder)
    drawn = []
    monkeypatch.setattr("scoredag.figures.imputations.filled_gaps", lambda panels, colour, level: drawn.extend(panels))
    monkeypatch.setattr("scoredag.figures.style.save", lambda figure, path: None)
    plot_gaps(
        folder / "imputed.parquet", folder / "windows.parquet", folder / "gaps.png", FIGURE | {"units": {"temp": "°C"}}
    )
    assert [panel["title"] for panel in drawn] == [
        "2020-01-03 12:00, 50 steps\nlonger than a window: several fill it",
        "2020-01-05 04:00, 30 steps\nlonger than a window: several fill it",
        "2020-01-07 06:00, 3 steps",
        "2020-01-01 05:00, 1 step",
        "2020-01-10 23:00, 1 step",
    ]
    assert [panel["label"] for panel in drawn[:2]] == ["A_temp (°C)", "B_wind"]
    lower, _, upper = drawn[1]["quantiles"]
    observed = drawn[1]["observed"]
    assert (lower == upper)[~np.isnan(observed)].all() and np.isnan(observed)[30:60].all()
    assert len(drawn[1]["times"]) == 90


def test_gaps_of_several_series_are_filled(results):
    folder, wide = results
    parts = {"a": wide[:100], "b": wide[100:110], "c": wide[110:]}  # the second is shorter than a window
    save(pd.concat(parts, names=["series"]), folder)
    table = fill(folder, {"group": None})
    assert list(table.columns) == ["series", *tables.IMPUTED.names]
    assert table["series"].astype(str).tolist() == ["a"] * 200 + ["b"] * 20 + ["c"] * 260
    values, expected = table["value"].to_numpy().reshape(240, 2), wide.to_numpy()
    known = ~np.isnan(expected)
    assert (values[known] == expected[known]).all() and np.isfinite(values).all()
    assert (table["imputed"].to_numpy().reshape(240, 2) == ~known).all()
    again = readers.read_wide(folder / "imputed.csv", series="series")
    assert (again.to_numpy() == values).all()
    rows, series = complete(folder, dataset={"group": None})
    assert list(rows.columns) == ["series", *tables.COMPLETED.names]
    assert rows.groupby("series", observed=True).size().tolist() == [
        4 * (~part).sum() for part in (known[:100], known[100:110], known[110:])
    ]
    assert (series[:, known] == expected[known]).all() and np.isfinite(series).all()
    plot_gaps(folder / "imputed.parquet", folder / "windows.parquet", folder / "gaps.png", FIGURE)


def test_sine_and_cosine_keep_their_range_and_come_back_as_an_angle(results):
    folder, wide = results
    angle = pd.Series(np.random.default_rng(1).integers(1, 361, 240).astype(float), wide.index)
    angle[40:60] = np.nan
    save(angles.split(angle.to_frame("A_dir"), {"A_dir": 360}), folder)
    torch.manual_seed(0)
    checkpoint.save(CSDI(2), folder / "model.safetensors", {"features": ["A_dir_sin", "A_dir_cos"]})
    table = fill(folder, {"circular": {"dir": 360}, "plausible": {"dir": [1, 360]}})
    found = table.loc[table["imputed"], ["value", "lower", "upper"]]
    assert found.min(axis=None) == -1 and found.max(axis=None) == 1
    again = pd.read_csv(folder / "imputed.csv", index_col="time")
    assert again.columns.tolist() == ["A_dir"]
    known = angle.notna().to_numpy()
    assert (again["A_dir"].to_numpy()[known] == angle[known]).all()
    assert again["A_dir"].between(1, 360).all()


def test_a_series_with_transforms_is_filled_as_the_transformed_series(results):
    """Ends of intervals are those of the transformed values, mapped back, and nothing leaves its bounds."""
    folder, wide = results
    dataset = {"group": None, "plausible": {"B_wind": [950, 1050]}}
    physical = pd.DataFrame({"A_temp": np.exp(wide["A_temp"] / 50), "B_wind": wide["B_wind"]})
    moved = pd.DataFrame(
        {"A_temp": wide["A_temp"] / 50, "B_wind": np.log((wide["B_wind"] - 949.5) / (1050.5 - wide["B_wind"]))}
    )
    save(moved, folder)
    plain = fill(folder, {"group": None, "plausible": {}})
    chosen = transforms.choose(list(wide), {"A_temp": "log", "B_wind": "logit"}, dataset["plausible"], False)
    stats = pd.concat([tables.read(folder / "statistics.parquet", tables.STATISTICS), chosen], axis=1)
    tables.write(stats, folder / "statistics.parquet", tables.STATISTICS)
    tables.write(tidy.to_tidy(physical), folder / "series.parquet", tables.SERIES)
    table = fill(folder, dataset)
    feature = table["feature"].cat.codes.to_numpy()
    for name in ("lower", "upper"):
        expected = transforms.inverse(plain[name].to_numpy(), stats, feature)
        assert (table[name].isna() == plain[name].isna()).all()
        expected = np.where(feature == 1, expected.clip(950, 1050), expected)
        np.testing.assert_allclose(table[name], expected, rtol=0.02, atol=1e-12)
    assert (table["lower"].dropna() <= table["value"][table["imputed"]]).all()
    assert (table["value"][table["imputed"]] <= table["upper"].dropna()).all()
    assert table["lower"].min() > 0 and table.loc[feature == 1, "upper"].max() <= 1050
    _, drawn = complete(folder, dataset=dataset)
    assert drawn[:, :, 0].min() > 0 and drawn[:, :, 1].min() >= 950 and drawn[:, :, 1].max() <= 1050
    whole = fill(folder, dataset | {"round": {"A_temp": 0.25}})
    filled = whole[(whole["feature"] == "A_temp") & whole["imputed"]]
    assert filled["lower"].min() >= 0.25 and (filled["value"] % 0.25 == 0).all()


def test_windows_are_touched_by_new_rows_new_values_and_other_gaps_alone():
    """A gap over several windows is drawn as a whole; a plan of the same series touches nothing."""
    values = np.zeros((400, 2))
    for feature, first, stop in [(0, 20, 25), (1, 100, 160), (0, 300, 303)]:
        values[first:stop, feature] = np.nan

    def touched(now, before=values):
        plans = [gaps.plan(gaps.find(np.isnan(part)), len(part), LENGTH) for part in (now, before)]
        return plans[0], gaps.touched(*plans, gaps.changed(before, now), LENGTH)

    windows, none = touched(values)
    assert not none and len(windows) > 5
    assert touched(np.r_[values, np.ones((10, 2))])[1] == set()
    grown = np.r_[values, np.full((10, 2), np.nan)]
    assert touched(grown)[1] == {first for first in touched(grown)[0] if first + LENGTH > 400}
    revised = values.copy()
    revised[18, 1] = 5.0
    (near,) = touched(revised)[1]
    assert near <= 18 < near + LENGTH
    end = values.copy()
    end[165, 1] = 5.0  # seen by the last of the windows of the long gap
    plan, long = touched(end)
    assert (
        long == {first for first, parts in plan.items() if any(part.feature == 1 for part in parts)} and len(long) > 3
    )
    filled = values.copy()
    filled[20:25, 0] = 1.0
    assert touched(filled)[1] == set()
