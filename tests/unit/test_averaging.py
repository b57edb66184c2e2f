"""Averages of forecasts: the best weights, and levels that hold."""

import numpy as np
import pytest
from scipy import stats

from scoredag.series import averaging
from scoredag.series.dressing import LEVELS

NORMAL = stats.norm.ppf(LEVELS)[:, None]


def pinball(quantiles, truth):
    errors = truth - quantiles
    return (errors * (LEVELS[:, None] - (errors < 0))).mean()


def test_two_forecasts_with_independent_errors_share_the_weight():
    """Of errors with the variances 1 and 4 the best linear average takes 0.8 of the first."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    first, second = truth + rng.normal(size=4000), truth + 2 * rng.normal(size=4000)
    quantiles = np.stack([first + 1.0 * NORMAL, second + 2.0 * NORMAL])
    weights = averaging.weights(quantiles, truth, LEVELS)
    assert weights == pytest.approx([0.8, 0.2], abs=0.05)
    average = np.tensordot(weights, quantiles, axes=1)
    assert pinball(average, truth) < 0.95 * pinball(quantiles[0], truth)


def test_a_method_that_adds_nothing_gets_nothing():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    good, bad = truth + 0.1 * rng.normal(size=2000), rng.normal(size=2000)
    quantiles = np.stack([bad + NORMAL, good + 0.1 * NORMAL, bad + 5.0 + NORMAL])
    assert averaging.weights(quantiles, truth, LEVELS).tolist() == [0, 1, 0]


def test_one_method_has_all_the_weight_and_the_average_is_no_worse_than_the_best():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30)
    quantiles = rng.normal(size=(5, 1, 30)) + NORMAL
    assert averaging.weights(quantiles[:1], truth, LEVELS).tolist() == [1]
    weights = averaging.weights(quantiles, truth, LEVELS)
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    # the loss is that at every other level, from the first on
    losses = [pinball_at(part, truth) for part in quantiles]
    assert pinball_at(np.tensordot(weights, quantiles, axes=1), truth) <= min(losses) + 1e-9


def pinball_at(quantiles, truth):
    errors, levels = truth - quantiles[:: averaging.EVERY], LEVELS[:: averaging.EVERY, None]
    return (errors * (levels - (errors < 0))).mean()


def test_levels_of_what_is_too_wide_are_nearer_to_the_middle():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=100_000)
    levels = averaging.held_levels(np.broadcast_to(2 * NORMAL, (len(LEVELS), len(truth))), truth, LEVELS)
    np.testing.assert_allclose(levels, stats.norm.cdf(NORMAL[:, 0] / 2), atol=0.01)
    held = averaging.at_levels(2 * NORMAL, levels[:, None])
    np.testing.assert_allclose(held, NORMAL, atol=0.05)


def test_levels_of_what_holds_stay_also_where_many_values_are_equal():
    """A half of the truth is 0, and so are the quantiles at levels up to 0.5."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=100_000).clip(min=0)
    levels = averaging.held_levels(np.broadcast_to(NORMAL.clip(min=0), (len(LEVELS), len(truth))), truth, LEVELS)
    np.testing.assert_allclose(levels, LEVELS, atol=0.01)


def test_few_targets_hardly_move_the_levels():
    levels = averaging.held_levels(np.broadcast_to(NORMAL, (len(LEVELS), 10)), np.full(10, 3.0), LEVELS)
    assert abs(levels - LEVELS).max() < 0.02


def test_quantiles_between_levels_are_interpolated_and_end_at_the_outermost():
    quantiles = np.arange(39.0)[:, None] * [1.0, 10.0]
    found = averaging.at_levels(quantiles, np.array([[0.0], [0.0375], [0.5], [1.0]]))
    np.testing.assert_allclose(found, [[0, 0], [0.5, 5], [19, 190], [38, 380]])


def test_beyond_the_outermost_quantiles_tails_are_exponential():
    """Those of an exponential distribution go on as they are; without `tails` they end."""
    quantiles = -np.log(1 - LEVELS)[:, None] * [1.0, 5.0] * [[1.0, -1.0]]
    levels = np.array([[0.99], [0.999], [1.0]])
    expected = -np.log(1 - levels[:2]) * [1.0, -5.0]
    np.testing.assert_allclose(averaging.at_levels(quantiles, levels[:2], tails=True)[:, 0], expected[:, 0])
    np.testing.assert_allclose(averaging.at_levels(quantiles[::-1], 1 - levels[:2], tails=True), expected)
    assert np.isfinite(averaging.at_levels(quantiles, levels, tails=True)).all()
    assert (averaging.at_levels(quantiles, levels) == quantiles[-1]).all()
    inside = np.linspace(LEVELS[0], LEVELS[-1], 9)[:, None]
    assert np.array_equal(averaging.at_levels(quantiles, inside, tails=True), averaging.at_levels(quantiles, inside))
