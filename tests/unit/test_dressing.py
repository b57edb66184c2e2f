"""Dressed points: the quantiles of a known law of errors, by pattern and feature."""

import numpy as np
import pytest
from scipy import stats

from scoredag import metrics
from scoredag.series import dressing


def codes(n, code=0):
    return np.full(n, code)


def test_quantiles_are_those_of_the_errors():
    rng = np.random.default_rng(0)
    errors = dressing.fit(0.5 * rng.normal(size=40_000), codes(40_000), codes(40_000), 1, 1)
    point = rng.normal(size=3)
    dressed = dressing.dress(point, np.full(3, 4.0), codes(3), codes(3), errors)
    expected = stats.norm.ppf(dressing.LEVELS, scale=0.5 * 4.0)[:, None] + point
    np.testing.assert_allclose(dressed, expected, atol=0.1)


@pytest.mark.parametrize("percent", [50, 80, 90, 95])
def test_dressed_points_hold_what_they_say(percent):
    rng = np.random.default_rng(0)
    n = 20_000
    errors = dressing.fit(rng.normal(size=n), codes(n), codes(n), 1, 1)
    point = rng.normal(size=n)
    dressed = dressing.dress(point, 1.0, codes(n), codes(n), errors)
    truth = point + rng.normal(size=n)
    top, bottom = metrics.terms(dressed, truth, are_quantiles=True)[f"coverage_{percent}"]
    assert top.sum() / bottom.sum() == pytest.approx(percent / 100, abs=0.015)


def test_errors_are_those_of_the_pattern_and_the_feature_if_they_are_enough():
    rng = np.random.default_rng(0)
    n = dressing.LEAST
    parts = [(0, 0, n, 0.01), (0, 1, n, 1.0), (1, 0, n - 1, 100.0)]
    pattern, feature, errors = (
        np.concatenate(column)
        for column in zip(*((codes(m, p), codes(m, k), s * rng.normal(size=m)) for p, k, m, s in parts), strict=True)
    )
    quantiles = dressing.fit(errors, pattern, feature, 3, 3)
    assert quantiles.shape == (3, 3, dressing.N_QUANTILES)
    width = np.ptp(quantiles, axis=-1)
    assert width[0, 0] < 0.1 and 1 < width[0, 1] < 10
    assert 1 < width[0, 2] < 10  # of no such feature: all of the pattern
    assert width[1, 0] > 50 and width[2, 0] > 50  # too few: all there are
