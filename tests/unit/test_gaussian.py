"""The joint Gaussian of a window: closed forms against brute force, and estimates against a known law."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from scoredag import gaussian
from scoredag.errors import InputError

K, L = 2, 3


def law(rng, n_features=K, length=L):
    """A Gaussian whose covariance depends on the lag alone."""
    lags = np.exp(-np.abs(np.subtract.outer(np.arange(length), np.arange(length))) / 2)
    factor = rng.normal(size=(n_features, n_features))
    covariance = np.kron(factor @ factor.T + 0.3 * np.eye(n_features), lags)
    return gaussian.Gaussian(rng.normal(size=n_features).repeat(length), covariance)


def draws(exact, n, rng, n_features=K):
    return rng.multivariate_normal(*exact, size=n).reshape(n, n_features, -1)


@pytest.mark.parametrize("given", [(), (0,), (0, 3, 4), (0, 1, 2, 3, 4)])
def test_the_conditional_law_is_that_of_the_precision(given):
    """Another way to it: the covariance is the inverse of a block of the precision, and the mean follows from that."""
    rng = np.random.default_rng(0)
    exact = law(rng)
    values, known = rng.normal(size=(K, L)), np.isin(np.arange(K * L), given).reshape(K, L)
    found = gaussian.condition(exact, values, known)
    precision, there = np.linalg.inv(exact.covariance), known.ravel()
    covariance = np.linalg.inv(precision[np.ix_(~there, ~there)])
    shift = precision[np.ix_(~there, there)] @ (values.ravel() - exact.mean)[there]
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(found.mean, exact.mean[~there] - covariance @ shift, atol=1e-12)


def test_the_surprise_of_targets_is_a_ratio_of_densities_feature_by_feature():
    """-log p(targets of a feature | known, targets of those before it) = log p(all before) - log p(with it)."""
    rng = np.random.default_rng(0)
    exact, values = law(rng), rng.normal(size=(6, K, L))
    kinds = rng.choice(3, size=values.shape)
    kinds[0], kinds[1] = 0, 1  # no target; nothing but targets
    found = gaussian.surprises(exact, values, kinds == 0, kinds == 1)

    def log_density(window, chosen):
        part = exact.marginal(chosen.ravel())
        return multivariate_normal(*part).logpdf(window[chosen]) if chosen.any() else 0.0

    for parts, window, kind in zip(found, values, kinds, strict=True):
        before = kind == 0
        for feature in range(K):
            after = before.copy()
            after[feature] |= kind[feature] == 1
            assert parts[feature] == pytest.approx(log_density(window, before) - log_density(window, after))
            before = after
    assert not found[0].any()


def test_what_is_known_stays_and_has_no_deviation():
    rng = np.random.default_rng(0)
    exact, values = law(rng), rng.normal(size=(5, K, L))
    known = rng.random(values.shape) < 0.5
    known[0], known[1] = True, False
    means, deviations = gaussian.fill(exact, values, known)
    assert (means[known] == values[known]).all() and not deviations[known].any()
    assert (deviations[~known] > 0).all()
    np.testing.assert_allclose(means[1].ravel(), exact.mean)
    np.testing.assert_allclose(deviations[1].ravel() ** 2, np.diagonal(exact.covariance))


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.6])
def test_the_estimate_comes_to_the_law(missing):
    """Few missing entries go by the precision, many by the covariance."""
    rng = np.random.default_rng(0)
    exact = law(rng)
    values = draws(exact, 1000, rng)
    known = rng.random(values.shape) >= missing
    found = gaussian.fit(np.where(known, values, 1e9), known, nugget=0.0)
    np.testing.assert_allclose(found.mean, exact.mean, atol=0.12)
    scale = np.sqrt(np.diagonal(exact.covariance))
    np.testing.assert_allclose(
        found.covariance / np.outer(scale, scale), exact.covariance / np.outer(scale, scale), atol=0.1
    )


def test_the_two_ways_through_missing_entries_agree():
    rng = np.random.default_rng(0)
    exact, values = law(rng), rng.normal(size=(1, K, L))
    few = np.ones((1, K * L), bool)
    few[0, [1, 4]] = False
    rows = np.where(few, values.reshape(1, -1), np.nan)
    mean, covariance = gaussian._pass(rows, few, exact, K)
    found = gaussian.condition(exact, values[0], few.reshape(K, L))
    filled = rows.copy()
    filled[0, [1, 4]] = found.mean
    np.testing.assert_allclose(mean, filled.reshape(K, L).mean(axis=1).repeat(L))
    spread = np.zeros((K * L, K * L))
    spread[np.ix_([1, 4], [1, 4])] = found.covariance
    np.testing.assert_allclose(covariance, (filled - mean).T @ (filled - mean) + spread)


def test_a_feature_that_is_never_seen_with_another_and_one_that_is_never_seen():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3, 4))
    known = np.ones(values.shape, bool)
    known[:25, 0] = known[25:, 1] = known[:, 2] = False
    found = gaussian.fit(values, known)
    means, deviations = gaussian.fill(found, values, known)
    assert np.isfinite(means).all() and np.isfinite(deviations).all()
    assert np.abs(means[:25, 0]).max() < 1.0  # nothing tells of it but its mean


def test_fewer_windows_than_entries_are_enough_for_a_covariance():
    rng = np.random.default_rng(0)
    values = draws(law(rng, 4, 12), 5, rng, 4)
    found = gaussian.fit(values, np.ones(values.shape, bool))
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_mix_and_nugget_are_those_with_the_lowest_crps_on_validation_windows():
    rng = np.random.default_rng(0)
    exact = law(rng)
    train, valid = draws(exact, 30, rng), draws(exact, 60, rng)
    known, given = np.ones(train.shape, bool), rng.random(valid.shape) < 0.5
    chosen = gaussian.choose(train, known, valid, given, ~given)

    def score(mix, nugget):
        means, deviations = gaussian.fill(gaussian.fit(train, known, mix, nugget), valid, given)
        return gaussian.crps(means[~given], deviations[~given], valid[~given]).mean()

    scores = {(mix, nugget): score(mix, nugget) for mix in gaussian.MIXES for nugget in gaussian.NUGGETS}
    assert (chosen.mix, chosen.nugget) == min(scores, key=scores.get)
    with pytest.raises(InputError, match="no target"):
        gaussian.choose(train, known, valid, given, np.zeros(given.shape, bool))


def test_the_crps_of_a_normal_distribution_is_the_integral():
    """CRPS = E|x - y| - E|x - x'| / 2, by many draws."""
    rng = np.random.default_rng(0)
    x, other = rng.normal(1.0, 2.0, size=(2, 400_000))
    expected = np.abs(x - 2.5).mean() - np.abs(x - other).mean() / 2
    assert gaussian.crps(np.array([1.0]), np.array([2.0]), np.array([2.5]))[0] == pytest.approx(expected, abs=0.01)


def test_a_window_too_large_is_refused():
    values = np.zeros((2, 101, 1000), np.float32)
    with pytest.raises(InputError, match="101 features x 1000 steps are more than 100,000 entries"):
        gaussian.fit(values, values == 0)


def test_an_estimate_comes_back_from_its_file_and_none_does(tmp_path):
    rng = np.random.default_rng(0)
    estimate = gaussian.Estimate(law(rng), 0.4, 0.01)
    gaussian.save(estimate, tmp_path / "gaussian.safetensors", {"features": ["x", "y"]})
    found = gaussian.load(tmp_path / "gaussian.safetensors")
    np.testing.assert_allclose(found.covariance, estimate.gaussian.covariance, rtol=1e-6)
    gaussian.save(None, tmp_path / "gaussian.safetensors", {"refused": "too large"})
    assert gaussian.load(tmp_path / "gaussian.safetensors") is None
    (tmp_path / "gaussian.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"gaussian\.safetensors: cannot be read"):
        gaussian.load(tmp_path / "gaussian.safetensors")
