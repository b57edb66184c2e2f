"""Corrected intervals and draws: they hold what they promise of exchangeable values, whatever the model."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from scoredag import metrics
from scoredag.csdi import conformal
from scoredag.series import windows
from scoredag.store import tables


def drawn(n, scale, rng, pattern="a", kind=1, n_windows=40):
    """Imputations of N(0, 1) by a model that takes it for N(0, scale^2)."""
    samples, truth = scale * rng.normal(size=(20, n)), rng.normal(size=n)
    return conformal.Imputations(samples, truth, np.full(n, pattern), np.full(n, kind), np.arange(n) % n_windows)


def joined(*parts):
    return conformal.Imputations(*(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)))


def interval(test, level, validation):
    (ends,) = conformal.intervals(test, [level], validation)
    return ends


def held(lower, upper, truth):
    return metrics.inside(lower, upper, truth).mean()


def test_the_margin_is_a_score_of_the_validation():
    scores = np.array([-0.5, 4.0, 0.0, 1.0])
    assert conformal.margin(scores, 0.2) == -0.5
    assert conformal.margin(scores, 0.6) == 1
    assert conformal.margin(scores, 0.61) == 4
    assert conformal.margin(scores, 0.95) == 4  # four values are too few: the greatest


def test_the_rank_is_not_raised_by_rounding():
    scores = np.arange(1.0, 100)
    assert conformal.margin(scores, 0.95) == 95
    assert conformal.margin(scores, 0.07 * 10) == 70  # 0.7000000000000001


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_corrected_intervals_hold_what_they_promise(scale, level):
    rng = np.random.default_rng(0)
    validation, test = drawn(4000, scale, rng), drawn(40_000, scale, rng)
    assert held(*interval(test, level, validation), test.truth) == pytest.approx(level, abs=0.025)
    if scale != 1.0:  # the model is wrong, and so are its intervals
        assert abs(held(*metrics.interval(test.samples, level), test.truth) - level) > 0.04


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_scaled_draws_hold_what_they_promise_and_keep_their_median_and_their_order(scale):
    rng = np.random.default_rng(0)
    validation, test = drawn(4000, scale, rng), drawn(40_000, scale, rng)
    moved = conformal.scaled(test, validation)
    assert held(*metrics.interval(moved, conformal.BASE), test.truth) == pytest.approx(conformal.BASE, abs=0.025)
    np.testing.assert_allclose(np.median(moved, axis=0), np.median(test.samples, axis=0), atol=1e-12)
    assert (np.argsort(moved[:, :50], axis=0) == np.argsort(test.samples[:, :50], axis=0)).all()


def test_the_truth_of_what_is_corrected_is_not_read():
    rng = np.random.default_rng(0)
    validation, test = drawn(500, 2.0, rng), drawn(50, 2.0, rng)
    blind = test._replace(truth=np.full(50, np.nan))
    assert np.array_equal(interval(test, 0.9, validation), interval(blind, 0.9, validation))
    assert np.array_equal(conformal.scaled(test, validation), conformal.scaled(blind, validation))


def test_each_kind_is_corrected_by_its_like():
    """Far from a value the model is too sure, near one it is right."""
    rng = np.random.default_rng(0)
    parts = [drawn(2000, 1.0, rng, kind=1), drawn(2000, 0.2, rng, kind=4)]
    validation, test = joined(*parts), joined(drawn(9000, 1.0, rng, kind=1), drawn(9000, 0.2, rng, kind=4))
    lower, upper = interval(test, 0.9, validation)
    for kind in (1, 4):
        here = test.kind == kind
        assert held(lower[here], upper[here], test.truth[here]) == pytest.approx(0.9, abs=0.03)
    factors = conformal.factors(validation, 0.9)
    assert factors[1] == pytest.approx(1.0, abs=0.15) and factors[4] == pytest.approx(5.0, abs=0.6)
    assert factors[2] == pytest.approx(conformal.factors(validation._replace(kind=0 * validation.kind), 0.9)[2])


def test_few_targets_of_a_kind_are_joined_by_the_pattern_and_few_windows_by_all():
    rng = np.random.default_rng(0)
    few = conformal.LEAST - 1
    validation = joined(
        drawn(2000, 1.0, rng, "a", 1),
        drawn(few, 0.1, rng, "a", 2),
        drawn(500, 0.1, rng, "b", 1, conformal.N_WINDOWS - 1),
    )
    like = {targets.sum(): part.sum() for targets, part in conformal._kinds(drawn(7, 1.0, rng, "a", 2), validation)}
    assert like == {7: 2000 + few}
    like = {targets.sum(): part.sum() for targets, part in conformal._kinds(drawn(7, 1.0, rng, "b", 1), validation)}
    assert like == {7: 2500}
    assert conformal.factors(drawn(few, 1.0, rng), 0.9) is None


def test_kinds_go_by_the_distance_to_the_nearest_given_value():
    given = np.zeros((1, 3, 12), bool)
    given[0, 0, [0, 11]], given[0, 1, 3] = True, True
    assert conformal.distance_kinds(given)[0].tolist() == [
        [0, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 0],
        [2, 2, 1, 0, 1, 2, 2, 3, 3, 3, 3, 4],
        [5] * 12,
    ]
    assert conformal.N_KINDS == 6


def test_no_target_at_all_is_no_error_of_reading(tmp_path):
    none = {"window": [], "step": [], "feature": pd.Categorical([], categories=["x"]), "truth": []}
    tables.write(pd.DataFrame(none | {"samples": []}), tmp_path / "samples.parquet", tables.imputations(2))
    starts = pd.DataFrame({"window": [9], "held_out": ["b"]})
    stats = pd.DataFrame({"feature": ["x"], "mean": [1.0], "std": [2.0]})
    found = conformal.read(tmp_path / "samples.parquet", lambda numbers: pytest.fail("nothing to ask"), starts, stats)
    assert [len(part) for part in found[1:]] == [0] * 4 and conformal.factors(found, 0.9) is None


def test_imputed_windows_are_read_as_z_scores(tmp_path):
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
    starts = pd.DataFrame({"window": [9, 7], "held_out": ["b", "a"]})
    stats = pd.DataFrame({"feature": ["x", "y"], "mean": [1.0, 10.0], "std": [2.0, 10.0]})
    found = conformal.read(
        tmp_path / "samples.parquet",
        partial(windows.given_and_targets, tmp_path / "windows.parquet", stats),
        starts,
        stats,
    )
    assert found.samples.tolist() == [[0, 0], [2, 2]] and found.truth.tolist() == [1, 0]
    assert found.window.tolist() == [7, 9] and found.pattern.tolist() == ["a", "b"] and found.kind.tolist() == [1, 1]
