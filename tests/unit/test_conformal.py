"""Corrected quantiles: their intervals hold what they promise of exchangeable values, whatever the model."""

import numpy as np
import pytest

from scoredag import metrics
from scoredag.series import conformal
from scoredag.series.dressing import LEVELS


def drawn(n, scale, rng, pattern=0, kind=1, n_windows=40):
    """Draws (20, n) and truths of N(0, 1) by a model that takes it for N(0, scale^2); codes of each."""
    samples, truth = scale * rng.normal(size=(20, n)), rng.normal(size=n)
    return samples, truth, np.full(n, pattern), np.full(n, kind), np.arange(n) % n_windows


def joined(*parts):
    return tuple(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))


def quantiles(test, validation, n_patterns=1):
    samples, _, pattern, kind, _ = test
    return conformal.quantiles(samples, pattern, kind, conformal.fit(*validation, n_patterns))


def held(corrected, truth, level):
    lower, upper = metrics.interval(corrected, level)
    return metrics.inside(lower, upper, truth).mean()


def test_the_margin_is_a_score_of_the_validation():
    scores = np.array([-0.5, 0.0, 1.0, 4.0])
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
    assert held(quantiles(test, validation), test[1], level) == pytest.approx(level, abs=0.025)
    if scale != 1.0:  # the model is wrong, and so are its intervals
        assert abs(held(test[0], test[1], level) - level) > 0.04


def test_quantiles_are_in_order_with_the_median_of_the_draws_in_the_middle():
    rng = np.random.default_rng(0)
    test = drawn(500, 2.0, rng)
    corrected = quantiles(test, drawn(4000, 2.0, rng))
    assert corrected.shape == (len(LEVELS), 500) and (np.diff(corrected, axis=0) >= 0).all()
    assert np.array_equal(corrected[conformal.MIDDLE], np.median(test[0], axis=0))


def test_each_kind_is_corrected_by_its_like():
    """Far from a value the model is too sure, near one it is right."""
    rng = np.random.default_rng(0)
    validation = joined(drawn(2000, 1.0, rng, kind=1), drawn(2000, 0.2, rng, kind=4))
    test = joined(drawn(9000, 1.0, rng, kind=1), drawn(9000, 0.2, rng, kind=4))
    corrected, (_, truth, _, kinds, _) = quantiles(test, validation), test
    for kind in (1, 4):
        here = kinds == kind
        assert held(corrected[:, here], truth[here], 0.9) == pytest.approx(0.9, abs=0.03)
    factors = conformal.fit(*validation, 1)[0, :, np.searchsorted(conformal.INTERVALS, 0.8)]
    assert factors[1] == pytest.approx(1.0, abs=0.15) and factors[4] == pytest.approx(5.0, abs=0.6)
    samples, truth, pattern, kinds, window = validation
    assert (
        factors[2]
        == conformal.fit(samples, truth, pattern, 0 * kinds, window, 1)[0, 2][np.searchsorted(conformal.INTERVALS, 0.8)]
    )  # a kind that is not there goes by the whole pattern


def test_few_targets_of_a_kind_are_joined_by_the_pattern_and_few_windows_by_all():
    rng = np.random.default_rng(0)
    few = conformal.LEAST - 1
    parts = [
        drawn(2000, 1.0, rng, 0, 1),
        drawn(few, 0.1, rng, 0, 2),
        drawn(500, 0.1, rng, 1, 1, conformal.N_WINDOWS - 1),
    ]
    factors = conformal.fit(*joined(*parts), 2)
    of_pattern = joined(*parts[:2])
    assert np.array_equal(factors[0, 2], conformal.fit(*of_pattern[:3], 0 * of_pattern[3], of_pattern[4], 1)[0, 0])
    every = joined(*parts)
    same = conformal.fit(every[0], every[1], 0 * every[2], every[3], every[4], 1)
    assert np.array_equal(factors[1, 1], same[0, 1]) and not np.array_equal(factors[0, 1], same[0, 1])


def test_kinds_go_by_the_distance_to_the_nearest_given_value():
    given = np.zeros((1, 3, 12), bool)
    given[0, 0, [0, 11]], given[0, 1, 3] = True, True
    assert conformal.distance_kinds(given)[0].tolist() == [
        [0, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 0],
        [2, 2, 1, 0, 1, 2, 2, 3, 3, 3, 3, 4],
        [5] * 12,
    ]
    assert conformal.N_KINDS == 6
