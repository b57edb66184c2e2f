"""Rubin's rules: an example by hand, and what intervals hold where the truth is known."""

import numpy as np
import pytest
from scipy import stats

import scoredag
from scoredag.errors import InputError


def test_an_example_by_hand():
    """Estimates 1, 2, 3 and variances 1/4, 1/2, 3/4: T = 1/2 + 4/3, of which 8/11 is due to what is missing."""
    found = scoredag.pool([1, 2, 3], [0.25, 0.5, 0.75], level=0.95)
    assert (found.estimate, found.within, found.between) == (2, 0.5, 1)
    assert found.variance == pytest.approx(11 / 6)
    assert found.df == pytest.approx(2 * (11 / 8) ** 2)
    half = stats.t.ppf(0.975, 2 * (11 / 8) ** 2) * (11 / 6) ** 0.5
    assert (found.lower, found.upper) == pytest.approx((2 - half, 2 + half))
    few = scoredag.pool([1, 2, 3], [0.25, 0.5, 0.75], complete_df=10)
    observed = 11 / 13 * 10 * 3 / 11
    assert few.df == pytest.approx(1 / (1 / 3.78125 + 1 / observed)) and few.variance == found.variance


def test_without_variances_all_that_is_unknown_is_what_was_missing():
    found = scoredag.pool([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    assert found.estimate.tolist() == [3, 5] and found.variance == pytest.approx([4 / 3 * 7, 0])
    assert found.df.tolist() == [2, np.inf]
    assert (found.lower[1], found.upper[1]) == (5, 5)
    assert found.upper[0] == pytest.approx(3 + stats.t.ppf(0.95, 2) * (28 / 3) ** 0.5)


def test_of_completed_series_that_agree_the_interval_is_that_of_complete_data():
    found = scoredag.pool([2.0, 2.0], [0.25, 0.25], complete_df=9)
    many = scoredag.pool([2.0, 2.0], [0.25, 0.25])
    assert found.df == pytest.approx(10 / 12 * 9)  # as Barnard & Rubin have it
    assert many.df == np.inf and many.upper == pytest.approx(2 + 0.5 * stats.norm.ppf(0.95))


def test_what_cannot_be_pooled_is_refused():
    for estimates, variances, line in (
        ([1.0], None, "pool takes the estimates of two completed series or more, not of 1"),
        ([], None, "not of 0"),
        ([1.0, [1.0, 2.0]], None, "estimates have different shapes"),
        ([1.0, 2.0], [1.0], "variances have the shape (1,), estimates (2,)"),
        ([1.0, 2.0], [1.0, -1.0], "variances are not below 0"),
    ):
        with pytest.raises(InputError) as error:
            scoredag.pool(estimates, variances)
        assert line in str(error.value)


def test_intervals_of_the_mean_of_normal_data_with_missing_values_hold_what_they_say():
    """Sixty values, of which a third is missing, drawn from their posterior predictive: 90 % of 4,000 such samples."""
    rng = np.random.default_rng(0)
    n_samples, n, known, m = 4000, 60, 40, 20
    values = rng.normal(3.0, 2.0, size=(n_samples, n))
    there = values[:, :known]
    shape = (m, n_samples, 1)
    variance = there.var(axis=1, ddof=1)[:, None] * (known - 1) / rng.chisquare(known - 1, size=shape)
    mean = there.mean(axis=1)[:, None] + rng.normal(size=shape) * np.sqrt(variance / known)
    drawn = mean + np.sqrt(variance) * rng.normal(size=(m, n_samples, n - known))
    completed = np.concatenate([np.broadcast_to(there, (m, *there.shape)), drawn], axis=2)
    found = scoredag.pool(completed.mean(axis=2), completed.var(axis=2, ddof=1) / n, complete_df=n - 1)
    assert ((found.lower < 3) & (found.upper > 3)).mean() == pytest.approx(0.9, abs=0.02)
    without = scoredag.pool(completed.mean(axis=2), level=0.9)  # of the mean of these sixty, not of their law
    own = values.mean(axis=1)
    assert ((without.lower < own) & (own < without.upper)).mean() == pytest.approx(0.9, abs=0.02)
