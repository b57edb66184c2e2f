"""Corrected intervals: they hold what they promise of exchangeable values, whatever the model."""

import numpy as np
import pandas as pd
import pytest

from scoredag import metrics
from scoredag.csdi import conformal
from scoredag.store import tables


def test_the_margin_is_a_score_of_the_calibration():
    """Scores of the intervals [0, 1]: -0.5, 0, 1 and 4; of four, three fifths are the third smallest."""
    truth = np.array([0.5, 5.0, 1.0, -1.0])
    lower, upper = np.zeros(4), np.ones(4)
    assert conformal.margin(lower, upper, truth, 0.2) == -0.5
    assert conformal.margin(lower, upper, truth, 0.6) == 1
    assert conformal.margin(lower, upper, truth, 0.61) == 4
    assert conformal.margin(lower, upper, truth, 0.95) == 4  # four values are too few: the greatest


def test_the_rank_is_not_raised_by_rounding():
    scores = np.arange(1.0, 100)
    assert conformal.margin(np.zeros(99), np.zeros(99), scores, 0.95) == 95
    assert conformal.margin(np.zeros(99), np.zeros(99), scores, 0.07 * 10) == 70  # 0.7000000000000001


def test_ends_that_would_cross_become_the_middle():
    lower, upper = conformal.widen(np.array([0.0, 0.0]), np.array([1.0, 4.0]), -1.0)
    assert lower.tolist() == [0.5, 1] and upper.tolist() == [0.5, 3]
    lower, upper = conformal.widen(np.array([0.0]), np.array([1.0]), 0.25)
    assert (lower[0], upper[0]) == (-0.25, 1.25)


def drawn(n, scale, rng, pattern="a", n_windows=40):
    """A calibration on N(0, 1) of a model that takes it for N(0, scale^2)."""
    window = np.arange(n) % n_windows
    return conformal.Calibration(scale * rng.normal(size=(20, n)), rng.normal(size=n), window, np.full(n, pattern))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_corrected_intervals_hold_what_they_promise(scale, level):
    rng = np.random.default_rng(0)
    calibration, test = drawn(4000, scale, rng), drawn(40_000, scale, rng)
    lower, upper = conformal.intervals(test.samples, level, calibration)
    assert np.mean((lower <= test.truth) & (test.truth <= upper)) == pytest.approx(level, abs=0.025)
    raw = metrics.interval(test.samples, level)
    if scale != 1.0:  # the model is wrong, and so are its intervals
        assert abs(np.mean((raw[0] <= test.truth) & (test.truth <= raw[1])) - level) > 0.04


def test_a_pattern_with_few_windows_is_corrected_by_all():
    rng = np.random.default_rng(0)
    parts = [drawn(100, 1.0, rng, "a", conformal.N_WINDOWS), drawn(100, 1.0, rng, "b", conformal.N_WINDOWS - 1)]
    both = conformal.Calibration(*(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)))
    assert len(both.of_pattern("a").truth) == 100 and (both.of_pattern("a").pattern == "a").all()
    assert both.of_pattern("b") is both and both.of_pattern("c") is both


def test_imputed_windows_are_read_as_z_scores(tmp_path):
    feature = pd.Categorical(["x", "y"], categories=["x", "y"])
    columns = {"window": [7, 9], "step": [0, 1], "feature": feature, "truth": [3.0, 10.0]}
    rows = pd.DataFrame(columns | {"samples": [[1.0, 5.0], [10.0, 30.0]]})
    tables.write(rows, tmp_path / "samples.parquet", tables.imputations(2))
    starts = pd.DataFrame({"window": [9, 7], "held_out": ["b", "a"]})
    stats = pd.DataFrame({"feature": ["x", "y"], "mean": [1.0, 10.0], "std": [2.0, 10.0]})
    found = conformal.read(tmp_path / "samples.parquet", starts, stats)
    assert found.samples.tolist() == [[0, 0], [2, 2]] and found.truth.tolist() == [1, 0]
    assert found.window.tolist() == [7, 9] and found.pattern.tolist() == ["a", "b"]
