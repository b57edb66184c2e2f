"""Forecasts of every method, calibrated and averaged by validation windows."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scoredag import metrics
from scoredag.series import baselines, conformal, dressing, forecasts
from scoredag.store import tables


def simulated(n, rng, *, csdi=1.0, gaussian=1.0, pattern=0, n_features=2):
    """Targets N(0, 1) about a signal, with forecasts of the signal that have errors of these deviations."""
    signal = 3 * rng.normal(size=n)
    truth = signal + 0.2 * rng.normal(size=n)
    columns = [
        np.arange(n) % 50,
        np.arange(n) % 50,
        np.arange(n) % n_features,
        np.full(n, pattern),
        np.ones(n, int),
        np.arange(n) % 50 > 24,
    ]
    draws = signal + csdi * rng.normal(size=n) + csdi * rng.normal(size=(20, n))
    points = {"joint Gaussian": (signal + gaussian * rng.normal(size=n), None)}
    points |= {name: (rng.normal(size=n), np.ones(n)) for name in ("structural", "other")}
    return forecasts.Forecasts(forecasts.Targets(*columns, truth, truth), draws, points)


def joined(*parts):
    targets = forecasts.Targets(*map(np.concatenate, zip(*(part.targets for part in parts), strict=True)))
    names = parts[0].points
    points = {
        name: tuple(
            None if column[0] is None else np.concatenate(column)
            for column in zip(*(part.points[name] for part in parts), strict=True)
        )
        for name in names
    }
    return forecasts.Forecasts(targets, np.concatenate([part.draws for part in parts], axis=1), points)


def crps(quantiles, truth):
    top, bottom = metrics.terms(quantiles, truth, are_quantiles=True)["crps"]
    return top.sum() / bottom.sum()


def test_the_average_is_better_than_each_of_two_equals_and_holds_what_it_says():
    rng = np.random.default_rng(0)
    validation, test = simulated(4000, rng), simulated(20_000, rng)
    calibration = forecasts.calibrate(validation, 1, 2)
    assert calibration.methods == ["CSDI", "joint Gaussian", "structural", "other"]
    assert calibration.averaged == ["CSDI", "joint Gaussian", "structural"]
    used = calibration.used(0)
    assert used["CSDI"] == pytest.approx(0.5, abs=0.1) and used["joint Gaussian"] == pytest.approx(0.5, abs=0.1)
    assert "structural" not in used
    scores = {name: crps(calibration.quantiles(name, test), test.targets.truth) for name in (*used, "auto")}
    assert scores["auto"] < 0.8 * min(scores["CSDI"], scores["joint Gaussian"])
    terms = metrics.terms(calibration.quantiles("auto", test), test.targets.truth, are_quantiles=True)
    for percent in metrics.PERCENTS:
        top, bottom = terms[f"coverage_{percent}"]
        assert top.sum() / bottom.sum() == pytest.approx(percent / 100, abs=0.045)  # not all the way: `PRIOR`


def test_each_pattern_and_each_feature_has_weights_of_its_own():
    rng = np.random.default_rng(0)
    parts = [simulated(2000, rng, csdi=0.1), simulated(2000, rng, gaussian=0.1, pattern=1)]
    calibration = forecasts.calibrate(joined(*parts), 3, 2)
    assert calibration.used(0)["CSDI"] > 0.9 and calibration.used(1)["joint Gaussian"] > 0.9
    assert calibration.weights.shape == (3, 2, conformal.N_KINDS, 3)
    np.testing.assert_allclose(calibration.weights.sum(axis=-1), 1)
    first, second = simulated(4000, rng, csdi=0.1, n_features=1), simulated(4000, rng, gaussian=0.1, n_features=1)
    second = second._replace(targets=second.targets._replace(feature=np.ones(4000, int)))
    weights = forecasts.calibrate(joined(first, second), 1, 2).by_feature(0)
    assert weights[0, 0] > 0.8 and weights[1, 1] > 0.8


def test_near_and_far_values_have_weights_of_their_own():
    """CSDI is better next to a value, the Gaussian far from one; the average is better than either."""
    rng = np.random.default_rng(0)

    def near_and_far(n):
        near, far = simulated(n, rng, csdi=0.1), simulated(n, rng, gaussian=0.1)
        return joined(near, far._replace(targets=far.targets._replace(kind=np.full(n, 4))))

    validation, test = near_and_far(3000), near_and_far(3000)
    calibration = forecasts.calibrate(validation, 1, 2)
    assert calibration.weights[0, :, 1, 0].min() > 0.85 and calibration.weights[0, :, 4, 1].min() > 0.85
    np.testing.assert_allclose(calibration.weights.sum(axis=-1), 1)
    assert calibration.shares[0, [1, 4]] == pytest.approx(0.5) and calibration.shares.sum() == pytest.approx(1)
    assert calibration.by_feature(0)[:, 0] == pytest.approx(0.5, abs=0.05)
    scores = {name: crps(calibration.quantiles(name, test), test.targets.truth) for name in ("auto", "CSDI")}
    assert scores["auto"] < 0.5 * scores["CSDI"]
    few = joined(simulated(3000, rng, csdi=0.1), test.part(np.flatnonzero(test.targets.kind == 4)[:19]))
    assert forecasts.calibrate(few, 1, 2).weights[0, :, 4, 0].min() > 0.85  # too few to tell


def test_what_is_calibrated_is_not_judged_by_its_own_truth():
    rng = np.random.default_rng(0)
    validation, test = simulated(500, rng), simulated(50, rng)
    blind = test._replace(targets=test.targets._replace(truth=np.full(50, np.nan)))
    calibration = forecasts.calibrate(validation, 1, 2)
    for method in (*calibration.methods, "auto"):
        assert np.array_equal(calibration.quantiles(method, test), calibration.quantiles(method, blind))
    for here, other in forecasts.each_half(validation, 1, 2):
        spoilt = np.where(here, 1e3, validation.targets.truth)
        again = forecasts.each_half(validation._replace(targets=validation.targets._replace(truth=spoilt)), 1, 2)
        same = next(calibration for which, calibration in again if np.array_equal(which, here))
        assert np.array_equal(same.weights, other.weights) and np.array_equal(same.factors, other.factors)


def test_all_weight_may_go_to_one_method():
    rng = np.random.default_rng(0)
    calibration, test = forecasts.calibrate(simulated(500, rng), 1, 2), simulated(50, rng)
    alone = calibration.of("CSDI")
    assert alone.used(0) == {"CSDI": 1.0}
    np.testing.assert_allclose(alone.quantiles("auto", test), calibration.quantiles("CSDI", test))


def test_patterns_with_about_as_much_given_are_taken_for_one():
    rng = np.random.default_rng(0)
    parts = [simulated(10, rng), simulated(20, rng, pattern=1), simulated(40, rng, pattern=2)]
    given = np.array([0.9, 0.85, 0.1, np.nan])
    alike = forecasts.alike(joined(*parts), given, 0.95)
    assert len(alike.targets.truth) == 30 and set(alike.targets.pattern) == {0}
    assert len(forecasts.alike(joined(*parts), given, 0.2).targets.truth) == 40


def test_what_is_averaged_are_simpler_methods_that_there_are():
    assert set(forecasts.AVERAGED) < set(baselines.NAMES)


def test_reordered_draws_have_the_quantiles_and_the_ranks():
    rng = np.random.default_rng(0)
    draws, quantiles = rng.normal(size=(19, 5)), np.arange(39.0)[:, None] + [0, 100, 200, 300, 400]
    found = forecasts.reordered(draws, quantiles)
    assert np.array_equal(found.argsort(axis=0), draws.argsort(axis=0))
    np.testing.assert_allclose(np.sort(found, axis=0), quantiles[1:38:2])  # r / 20 of k / 40
    lower, upper = metrics.interval(found, 0.9)
    np.testing.assert_allclose([lower, upper], [quantiles[1], quantiles[37]])


def test_redrawn_draws_have_the_distribution_and_the_ranks():
    """Of N(0, 1) and 40,000 targets: deviation 1, where the quantiles of 20 ranks have 0.92."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(20, 40_000))
    quantiles = np.broadcast_to(stats.norm.ppf(dressing.LEVELS)[:, None], (39, 40_000))
    found = forecasts.redrawn(draws, quantiles, rng.random(draws.shape))
    assert np.array_equal(found.argsort(axis=0), draws.argsort(axis=0))
    assert found.std() == pytest.approx(1, abs=0.02)
    assert forecasts.reordered(draws, quantiles).std() < 0.93
    for level in (0.01, 0.1, 0.5, 0.99):
        assert (found < stats.norm.ppf(level)).mean() == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("correlation", [0.0, 0.7, 0.95])
def test_intervals_of_means_over_redrawn_draws_hold_what_they_say(correlation):
    """Eight neighbours of an autoregressive process, whose distribution is known; shuffled draws are too narrow."""
    rng = np.random.default_rng(0)
    n, length = 2000, 8
    steps = np.abs(np.arange(length)[:, None] - np.arange(length))
    root = np.linalg.cholesky(correlation**steps)
    draws = (rng.normal(size=(20, n, length)) @ root.T).reshape(20, -1)
    truth = (rng.normal(size=(n, length)) @ root.T).mean(axis=1)
    quantiles = np.broadcast_to(stats.norm.ppf(dressing.LEVELS)[:, None], (39, n * length))

    def held(these):
        means = forecasts.redrawn(these, quantiles, rng.random(these.shape)).reshape(20, n, length).mean(axis=2)
        return [metrics.inside(*metrics.interval(means, level), truth).mean() for level in (0.8, 0.9)]

    assert held(draws) == pytest.approx([0.8, 0.9], abs=0.04)
    if correlation:
        assert held(rng.permuted(draws, axis=0))[0] < 0.65


def test_imputed_windows_and_baselines_are_read_as_z_scores(tmp_path):
    feature = pd.Categorical(["x", "y"], categories=["x", "y"])
    columns = {"window": [7, 9], "step": [0, 1], "feature": feature, "truth": [3.0, 10.0]}
    rows = pd.DataFrame(columns | {"samples": [[1.0, 5.0], [10.0, 30.0]]})
    tables.write(rows, tmp_path / "samples.parquet", tables.imputations(2))
    table = pd.DataFrame(
        {
            "window": np.repeat([5, 7, 9], 4),
            "step": [0, 0, 1, 1] * 3,
            "feature": pd.Categorical(["x", "y"] * 6),
            "value": 0.0,
            "role": pd.Categorical(["observed"] * 4 + ["target"] + ["observed"] * 6 + ["target"]),
            "split": pd.Categorical(["train"] * 4 + ["test"] * 8),
        }
    )
    tables.write(table, tmp_path / "windows.parquet", tables.WINDOWS)
    points = {"split": pd.Categorical(["test"] * 4), "window": [7, 9] * 2, "step": [0, 1] * 2}
    points |= {"feature": pd.Categorical(["x", "y"] * 2), "method": pd.Categorical(["linear"] * 2 + ["Gaussian"] * 2)}
    points |= {"value": [1.0, 0.0, 3.0, 20.0], "deviation": [np.nan, np.nan, 4.0, 5.0]}
    tables.write(pd.DataFrame(points), tmp_path / "baselines.parquet", tables.BASELINES)
    starts = pd.DataFrame({"window": [7, 9], "start": pd.date_range("2020", periods=2, tz="UTC")})
    starts["held_out"] = pd.Categorical(["a", "b"])
    statistics = pd.DataFrame({"feature": ["x", "y"], "mean": [1.0, 10.0], "std": [2.0, 10.0]})
    paths = (tmp_path / f"{name}.parquet" for name in ("samples", "baselines", "windows"))
    found = forecasts.read(*paths, starts, statistics, "test")
    assert found.draws.tolist() == [[0, 0], [2, 2]] and found.targets.truth.tolist() == [1, 0]
    expected = {"window": [7, 9], "feature": [0, 1], "pattern": [0, 1], "kind": [1, 1], "is_late": [False, True]}
    assert {name: getattr(found.targets, name).tolist() for name in expected} == expected
    assert list(found.points) == ["linear", "Gaussian"]
    assert found.points["linear"][0].tolist() == [0, -1] and found.points["linear"][1] is None
    assert [part.tolist() for part in found.points["Gaussian"]] == [[1, 1], [2, 0.5]]
    assert dressing.N_QUANTILES == 39


def test_few_places_take_the_weights_of_all_patterns():
    """Of two windows alone, a pattern where the Gaussian is better hardly tells; of fifty it does."""
    rng = np.random.default_rng(0)
    usual = simulated(4000, rng, csdi=0.1, n_features=1)
    weights = {}
    for n_places in (2, 50):
        other = simulated(4000, rng, gaussian=0.1, pattern=1, n_features=1)
        place = other.targets.place % n_places
        other = other._replace(targets=other.targets._replace(place=place))
        calibration = forecasts.calibrate(joined(usual, other), 2, 1)
        weights[n_places] = calibration.used(1)["joint Gaussian"]
    assert weights[2] < 0.9 < 0.95 < weights[50]


def test_each_half_of_the_time_judges_the_other():
    rng = np.random.default_rng(0)
    scores, held, mae = forecasts.judge(simulated(4000, rng, csdi=0.2, gaussian=0.2), 3)
    assert mae[:2] == pytest.approx(0.195, abs=0.01) and np.isnan(mae[2])  # 0.8 deviations
    assert set(scores) == {"auto", "CSDI", "joint Gaussian", "structural"} and next(iter(scores)) == "auto"
    assert list(scores.values()) == sorted(scores.values()) and scores["auto"] < 0.95 * scores["joint Gaussian"]
    assert held == pytest.approx(0.9, abs=0.03)
