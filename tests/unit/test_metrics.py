"""MAE, RMSE, CRPS, coverage and their bootstrap intervals, against numbers worked out by hand and closed forms."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scoredag import metrics

SAMPLES = np.array([[[1.0, 5.0], [0.0, 2.0]], [[2.0, 6.0], [0.0, 4.0]], [[9.0, 7.0], [3.0, 9.0]]])  # medians 2 6 0 4
TRUTH = np.array([[1.0, 6.0], [-3.0, 8.0]])
ALL = np.ones((2, 2))


def stratified(n):
    """The quantiles of a standard normal at the middles of n equal shares."""
    return stats.norm.ppf((np.arange(n) + 0.5) / n)


def test_mae_is_that_of_the_median():
    assert metrics.mae(SAMPLES, TRUTH, ALL) == pytest.approx((1 + 0 + 3 + 4) / 4)


def test_rmse_is_that_of_the_median():
    assert metrics.rmse(SAMPLES, TRUTH, ALL) == pytest.approx(np.sqrt((1 + 0 + 9 + 16) / 4))


def test_median_of_an_even_number_of_samples_is_the_middle():
    assert metrics.mae(SAMPLES[:2], TRUTH, ALL) == pytest.approx((0.5 + 0.5 + 3 + 5) / 4)


def test_crps_of_a_point_forecast_is_the_sum_of_errors_over_the_sum_of_truth():
    forecast = np.array([[2.0, 6.0], [0.0, 4.0]])
    expected = (1 + 0 + 3 + 4) / (1 + 6 + 3 + 8)
    assert metrics.crps(forecast[None], TRUTH, ALL) == pytest.approx(expected)
    assert metrics.crps(np.repeat(forecast[None], 5, axis=0), TRUTH, ALL) == pytest.approx(expected)


def test_crps_of_two_samples_as_worked_out_by_hand():
    """Quantiles 1 and 3 at the levels 1/4 and 3/4 of the samples 0 and 4; truth 2."""
    samples = np.array([[0.0], [4.0]])
    pinballs = [(2 - 1) * 0.25, (3 - 2) * (1 - 0.75)]
    found = metrics.crps(samples, np.array([2.0]), np.array([1]), levels=[0.25, 0.75])
    assert found == pytest.approx(2 * np.mean(pinballs) / 2)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 3.0), (-0.7, 0.4), (0.5, 2.0)])
def test_crps_of_normal_samples_has_its_closed_form(shift, scale):
    """Forecast N(shift, scale^2), truth N(0, 1): the expected pinball loss at q is q Phi(q) + phi(q) - level q."""
    levels = np.arange(1, 20) / 20
    q = stats.norm.ppf(levels, shift, scale)
    expected = 2 * np.mean(q * stats.norm.cdf(q) + stats.norm.pdf(q) - levels * q) / np.sqrt(2 / np.pi)
    truth = stratified(500)
    samples = np.repeat(shift + scale * stratified(1001)[:, None], 500, axis=1)
    assert metrics.crps(samples, truth, np.ones(500)) == pytest.approx(expected, rel=5e-3)


def test_crps_of_the_right_forecast_is_the_least():
    truth, draws = stratified(300), stratified(301)[:, None]
    right, *others = (
        metrics.crps(np.repeat(shift + scale * draws, 300, axis=1), truth, np.ones(300))
        for shift, scale in [(0, 1), (0.3, 1), (0, 1.4), (0, 0.7), (0, 0)]
    )
    assert right < min(others)


@pytest.mark.parametrize(("level", "expected"), [(0.9, 91), (0.5, 51), (0.2, 21), (1.0, 101)])
def test_coverage_of_known_quantiles(level, expected):
    """Samples 0 .. 100, whose quantile at u is 102 u - 1; truth 0 .. 100 with ends that count as inside."""
    truth = np.arange(101.0)
    nudge = np.where(truth < 50, 1e-9, -1e-9)  # keep off the ends, where rounding decides
    samples = np.repeat(np.arange(101.0)[:, None], 101, axis=1)
    assert metrics.coverage(samples, truth + nudge, np.ones(101), level=level) == pytest.approx(expected / 101)


def test_coverage_is_of_nine_tenths_by_default():
    samples = np.repeat(stratified(2001)[:, None], 1000, axis=1)
    assert metrics.coverage(samples, stratified(1000), np.ones(1000)) == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("n_samples", [20, 50])
def test_calibrated_samples_cover_what_they_promise(n_samples, level):
    """Truth and samples from one distribution; NumPy's linear quantiles would give 81 % for 90 % of 20."""
    rng = np.random.default_rng(0)
    truth, samples = rng.normal(size=40_000), rng.normal(size=(n_samples, 40_000))
    assert metrics.coverage(samples, truth, np.ones(40_000), level) == pytest.approx(level, abs=0.008)


def test_too_few_samples_cover_what_lies_between_the_outermost():
    rng = np.random.default_rng(0)
    truth, samples = rng.normal(size=40_000), rng.normal(size=(3, 40_000))
    lower, upper = metrics.interval(samples, 0.9)
    np.testing.assert_array_equal([lower, upper], [samples.min(axis=0), samples.max(axis=0)])
    assert metrics.coverage(samples, truth, np.ones(40_000)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["mae", "rmse", "crps", "coverage"])
@pytest.mark.parametrize("kind", [bool, int, np.float32])
def test_entries_outside_the_mask_do_not_count(name, kind):
    rng = np.random.default_rng(0)
    samples, truth = rng.normal(size=(20, 4, 5)), rng.normal(size=(4, 5))
    mask = rng.uniform(size=(4, 5)) < 0.5
    metric = getattr(metrics, name)
    expected = metric(samples[:, mask], truth[mask], np.ones(mask.sum()))
    samples[:, ~mask], truth[~mask] = np.nan, np.nan
    found = metric(samples, truth, mask.astype(kind))
    assert isinstance(found, float)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["mae", "rmse", "crps"])
def test_float32_samples_are_averaged_in_float64(name):
    rng = np.random.default_rng(0)
    samples, truth = rng.normal(size=(9, 1000)).astype(np.float32), rng.normal(size=1000).astype(np.float32)
    metric, mask = getattr(metrics, name), np.ones(1000)
    expected = metric(samples.astype(np.float64), truth.astype(np.float64), mask)
    assert metric(samples, truth, mask) == pytest.approx(expected, rel=1e-12)


def two_groups():
    """Samples (40, 600) and truth (600,) of 60 windows of 10 entries."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 600)) + 0.3, rng.normal(size=600), np.repeat(np.arange(60), 10)


def sums(terms, window):
    return tuple(np.bincount(window, part)[:, None] for part in terms)


@pytest.mark.parametrize("name", ["mae", "rmse", "crps", "coverage_50", "coverage_80", "coverage_90", "coverage_95"])
def test_sums_of_terms_give_the_scores(name):
    samples, truth, window = two_groups()
    numerator, denominator = metrics.terms(samples.astype(np.float32), truth)[name]
    metric, *level = name.split("_")
    mask = window < 17
    expected = getattr(metrics, metric)(samples, truth, mask, *(int(part) / 100 for part in level))
    assert metrics.ratio(name, numerator[mask].sum(), denominator[mask].sum()) == pytest.approx(expected, rel=1e-6)


def test_widths_are_those_of_the_intervals():
    samples, truth, _ = two_groups()
    terms = metrics.terms(samples, truth)
    for percent in (50, 80, 90, 95):
        lower, upper = metrics.interval(samples, percent / 100)
        np.testing.assert_array_equal(terms[f"interval_width_{percent}"][0], upper - lower)
    assert set(metrics.terms(samples[:1], truth)) == {"mae", "rmse", "crps"}  # a point forecast has no interval
    levels = [name for name in metrics.terms(samples[:19], truth) if name.startswith("coverage")]
    assert levels == ["coverage_50", "coverage_80", "coverage_90"]  # and 19 samples none that holds 95 %


@pytest.mark.parametrize(("level", "of_pairs"), [(0.05, 0.093), (0.2, 0.236)])
def test_antithetic_pairs_cover_their_middle_too_often_and_one_of_each_does_not(level, of_pairs):
    """Of 20 samples in perfect pairs intervals hold 1 - 21/22 (1 - L): 10 distances from the middle leave 11 places."""
    rng = np.random.default_rng(0)
    half, truth = rng.normal(size=(10, 100_000)), rng.normal(size=100_000)
    pairs = np.stack([half, -half], axis=1).reshape(20, -1)
    for samples, expected in ((pairs, of_pairs), (pairs[::2], level)):
        assert metrics.inside(*metrics.interval(samples, level), truth).mean() == pytest.approx(expected, abs=0.006)
    terms = metrics.terms(pairs, truth, independent=pairs[::2])
    lower, upper = metrics.interval(half, 0.5)
    assert np.array_equal(terms["coverage_50"][0], metrics.inside(lower, upper, truth))


def test_the_papers_median_of_an_even_number_of_samples_is_the_lower_one_in_the_middle():
    """Samples 1 2 4 9 and 0 0 6 7, whose medians are 2 and 0 there, 3 and 3 here; truth 2.5 and 3."""
    samples, truth = np.array([[9.0, 0.0], [1.0, 7.0], [4.0, 6.0], [2.0, 0.0]]), np.array([2.5, 3.0])
    terms = metrics.paper_terms(samples, truth)
    assert terms["mae"][0].tolist() == [0.5, 3.0] and terms["rmse"][0].tolist() == [0.25, 9.0]
    assert metrics.terms(samples, truth)["mae"][0].tolist() == [0.5, 0.0]
    odd, usual = metrics.paper_terms(samples[:3], truth), metrics.terms(samples[:3], truth)
    assert all(np.array_equal(odd[name], usual[name]) for name in odd)


def test_the_crps_of_quantiles_takes_them_as_they_are():
    """The 39 quantiles of N(0, 1) at k / 40, of which every second one is at a level of the score."""
    rng = np.random.default_rng(0)
    truth, normal = rng.normal(size=1000), NormalDist()
    quantiles = np.array([normal.inv_cdf(k / 40) for k in range(1, 40)])[:, None].repeat(1000, axis=1)
    top, _ = metrics.terms(quantiles, truth, are_quantiles=True)["crps"]
    errors = truth - quantiles[1::2]
    expected = 2 * (errors * (metrics.LEVELS[:, None] - (errors < 0))).mean(axis=0)
    np.testing.assert_allclose(top, expected, atol=1e-12)


def bootstrap(score, numerators, denominators, counts):
    return metrics.bootstrap(score, *(metrics.resampled(part, counts) for part in (numerators, denominators)))


def test_the_bootstrap_of_a_mean_is_that_of_the_central_limit():
    """60 window means of known spread: the 95 % interval is 1.96 standard errors to either side."""
    rng = np.random.default_rng(0)
    means = rng.normal(2.0, 0.3, 60)
    counts = metrics.resamples(60, np.random.default_rng(1))
    assert counts.shape == (metrics.N_RESAMPLES, 60) and (counts.sum(axis=1) == 60).all()
    value, lower, upper = bootstrap("mae", 5 * means[:, None], np.full((60, 1), 5.0), counts)
    assert value == pytest.approx(means.mean())
    error = means.std() / np.sqrt(60)
    np.testing.assert_allclose([lower[0], upper[0]], means.mean() + 1.96 * error * np.array([-1, 1]), atol=0.3 * error)


@pytest.mark.parametrize("name", ["mae", "rmse", "crps", "coverage_90", "interval_width_50"])
def test_windows_are_drawn_whole(name):
    """One bootstrap sample, worked out by picking the entries of the windows that were drawn."""
    samples, truth, window = two_groups()
    counts = metrics.resamples(60, np.random.default_rng(5))
    terms = metrics.terms(samples, truth)[name]
    picked = np.concatenate([np.flatnonzero(window == w) for w in np.repeat(np.arange(60), counts[0].astype(int))])
    expected = metrics.ratio(name, *(part[picked].sum() for part in terms))
    value, lower, upper = bootstrap(name, *sums(terms, window), counts[:1])
    assert lower == upper == pytest.approx(expected)
    assert value == pytest.approx(metrics.ratio(name, *(part.sum() for part in terms)))


def test_neighbours_that_err_alike_are_drawn_together():
    """Twenty stretches of five equal windows tell as much as twenty windows do, not as a hundred."""
    means = np.random.default_rng(0).normal(2.0, 0.3, 20)[:, None]
    stretch = metrics.stretches(np.arange(100) + 50 * (np.arange(100) // 5), np.zeros(100, int))
    assert stretch.tolist() == np.repeat(np.arange(20), 5).tolist()
    five = np.full((20, 1), 5.0)
    _, lower, upper = bootstrap("mae", 5 * means, five, metrics.resamples(20, np.random.default_rng(1)))
    error = means.std() / np.sqrt(20)
    np.testing.assert_allclose(upper - lower, 3.92 * error, rtol=0.15)


@pytest.mark.parametrize(
    ("starts", "series", "expected"),
    [
        ([0], [0], [0]),
        (range(0, 140, 24), [0] * 6, range(6)),  # six windows in a row
        (range(0, 24 * 60, 24), [0] * 60, [i // 10 for i in range(60)]),
        ([0, 24, 48, 200, 224, 248, 400, 424, 448, 472, 496, 520], [0] * 12, [0, 0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6]),
        ([0] * 8, range(8), range(8)),  # eight series of one window
        (list(range(0, 168, 24)) * 2, [0] * 7 + [1] * 7, [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6, 7]),
    ],
)
def test_stretches(starts, series, expected):
    assert metrics.stretches(np.array(starts), np.array(series)).tolist() == list(expected)


def test_many_stretches_are_put_together_with_their_neighbours(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_STRETCHES", 4)
    codes = metrics.stretches(np.arange(0, 90, 10), np.arange(9))
    assert codes.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_sums_are_over_all_stretches_and_over_those_drawn():
    rng = np.random.default_rng(0)
    sums, counts = rng.normal(size=(8, 3)), metrics.resamples(8, rng)
    found = metrics.resampled(sums, counts)
    np.testing.assert_allclose(found[0], sums.sum(axis=0))
    np.testing.assert_allclose(found[1:], counts @ sums)


@pytest.mark.parametrize("method", ["linear", "weibull"])
@pytest.mark.parametrize("n", [1, 2, 5, 20, 39, 100])
def test_quantiles_of_ordered_samples_are_those_of_numpy_to_the_last_digit(n, method):
    ordered = np.sort(np.random.default_rng(n).normal(size=(n, 500)), axis=0)
    for levels in (metrics.LEVELS, *([(1 - level) / 2, (1 + level) / 2] for level in (0.5, 0.8, 0.9, 0.95))):
        expected = np.quantile(ordered, levels, axis=0, method=method)
        assert np.array_equal(metrics._quantiles(ordered, levels, method), expected)
    assert np.array_equal(metrics.terms(ordered, np.zeros(500))["mae"][0], np.abs(np.median(ordered, axis=0)))


def test_bootstrap_samples_without_a_feature_do_not_count():
    numerators, denominators = np.array([[0.0, 3.0], [2.0, 5.0]]), np.array([[0.0, 1.0], [1.0, 1.0]])
    counts = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    value, lower, upper = bootstrap("mae", numerators, denominators, counts)
    assert value.tolist() == [2, 4] and (lower[0], upper[0]) == (2, 2)
    assert 3 < lower[1] < 3.2 and 4.8 < upper[1] < 5


def test_z_scores_know_the_feature_of_each_target():
    stats = pd.DataFrame({"feature": ["b", "a"], "mean": [1.0, 10.0], "std": [2.0, 5.0]})
    feature = pd.Categorical(["a", "b", "a"], categories=["a", "b"])
    targets = pd.DataFrame({"feature": feature, "truth": [15.0, 5.0, 0.0]})
    truth, samples = metrics.z_scores(targets, np.array([[10, 1, 20]], dtype=np.float32), stats)
    assert truth.tolist() == [1, 2, -2] and samples.tolist() == [[0, 0, 2]]
