"""Dressed points: the quantiles of a known law of errors, by pattern and feature."""

import numpy as np
import pytest
from scipy import stats

from scoredag import metrics
from scoredag.series import dressing


def targets(n, rng, pattern=0, feature=0, deviation=1.0, scale=1.0):
    point = rng.normal(size=n)
    truth = point + scale * deviation * rng.normal(size=n)
    return dressing.Targets(np.full(n, pattern), np.full(n, feature), point, np.full(n, scale), truth)


def joined(*parts):
    return dressing.Targets(*map(np.concatenate, zip(*parts, strict=True)))


def test_quantiles_are_those_of_the_errors():
    rng = np.random.default_rng(0)
    validation, test = targets(40_000, rng, deviation=0.5, scale=2.0), targets(3, rng, scale=4.0)
    dressed = dressing.dress(test, validation)
    expected = stats.norm.ppf(dressing.LEVELS, scale=0.5 * 4.0)[:, None] + test.point
    np.testing.assert_allclose(dressed, expected, atol=0.1)


@pytest.mark.parametrize("percent", [50, 80, 90, 95])
def test_dressed_points_hold_what_they_say(percent):
    rng = np.random.default_rng(0)
    validation, test = targets(20_000, rng), targets(20_000, rng)
    top, bottom = metrics.terms(dressing.dress(test, validation), test.truth)[f"coverage_{percent}"]
    assert top.sum() / bottom.sum() == pytest.approx(percent / 100, abs=0.015)


def test_errors_are_those_of_the_pattern_and_the_feature_if_they_are_enough():
    rng = np.random.default_rng(0)
    n = dressing.LEAST
    parts = [targets(n, rng, 0, 0, 0.01), targets(n, rng, 0, 1, 1.0), targets(n - 1, rng, 1, 0, 100.0)]
    validation = joined(*parts)

    def width(pattern, feature):
        dressed = dressing.dress(targets(1, rng, pattern, feature), validation)
        return np.ptp(dressed)

    assert width(0, 0) < 0.1 and 1 < width(0, 1) < 10
    assert 1 < width(0, 2) < 10  # of no such feature: all of the pattern
    assert width(1, 0) > 50 and width(2, 0) > 50  # too few: all there are
