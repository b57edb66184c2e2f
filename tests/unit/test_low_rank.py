"""A normal law of low rank plus diagonal: each operation against the dense law, and estimates against a known one."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from scoredag import gaussian, low_rank
from scoredag.errors import InputError
from scoredag.laws import Gaussian, LowRank

K, L = 3, 4
D = K * L


def law(rank, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(D, rank)) / np.sqrt(rank)
    return LowRank(rng.normal(size=K).repeat(L), factors, rng.uniform(noise, 3 * noise, size=D))


def dense(exact):
    return Gaussian(exact.mean, exact.factors @ exact.factors.T + np.diag(exact.noise))


def assert_same(found, expected):
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-10)
    np.testing.assert_allclose(dense(found).covariance, expected.covariance, atol=1e-10)
    np.testing.assert_allclose(found.variances(), expected.variances(), atol=1e-10)


def draws(exact, n, seed=0):
    return exact.draw(np.random.default_rng(seed).normal(size=(n, D))).reshape(n, K, L)


@pytest.mark.parametrize("rank", [4, D])
@pytest.mark.parametrize("given", [(), (0,), (0, 3, 4, 9), tuple(range(D - 1)), tuple(range(D))])
def test_the_conditional_law_is_that_of_the_dense_covariance(rank, given):
    exact = law(rank)
    values, known = np.random.default_rng(1).normal(size=(K, L)), np.isin(np.arange(D), given).reshape(K, L)
    assert_same(gaussian.condition(exact, values, known), gaussian.condition(dense(exact), values, known))


def test_a_part_of_the_entries_and_noise_on_them_are_those_of_the_dense_covariance():
    chosen = np.arange(D) % 3 > 0
    assert_same(law(4).marginal(chosen), dense(law(4)).marginal(chosen))
    assert_same(law(4).noisy(0.4), dense(law(4)).noisy(0.4))
    np.testing.assert_allclose(law(4).noisy(0.4).variances(), 0.4 * law(4).variances() + 0.6)


@pytest.mark.parametrize("rank", [4, D])
@pytest.mark.parametrize("exact", [law, lambda rank: dense(law(rank))])
def test_draws_have_the_covariance_and_opposite_numbers_lie_opposite(exact, rank):
    """From the n unit vectors come the columns of a root of the covariance."""
    found = exact(rank)
    root = found.draw(np.eye(D)) - found.mean
    np.testing.assert_allclose(root.T @ root, dense(law(rank)).covariance, atol=1e-12)
    normals = np.random.default_rng(0).normal(size=(5, D))
    np.testing.assert_allclose(found.draw(normals) + found.draw(-normals), np.tile(2 * found.mean, (5, 1)))


@pytest.mark.parametrize("sizes", [(D,), (5, 0, 7), (1,) * D, (0, D, 0)])
def test_the_divergence_and_its_parts_are_those_of_the_dense_covariance(sizes):
    exact, centre = law(4), np.random.default_rng(1).normal(size=D)
    found = exact.divergences(centre, 0.3, np.array(sizes))
    np.testing.assert_allclose(found, dense(exact).divergences(centre, 0.3, np.array(sizes)), atol=1e-10)
    covariance, off = dense(exact).covariance, centre - exact.mean
    total = 0.3 * np.trace(np.linalg.inv(covariance)) + off @ np.linalg.solve(covariance, off) - D
    total += np.linalg.slogdet(covariance)[1] - D * np.log(0.3)
    assert found.sum() == pytest.approx(total / 2)
    assert (found >= 0).all() and not found[np.array(sizes) == 0].any()


@pytest.mark.parametrize("sizes", [(D,), (5, 0, 7), (1,) * D, (0, D, 0)])
def test_the_negative_log_density_and_its_parts_are_those_of_the_dense_covariance(sizes):
    exact, x = law(4), np.random.default_rng(1).normal(size=D)
    found = exact.surprises(x, np.array(sizes))
    np.testing.assert_allclose(found, dense(exact).surprises(x, np.array(sizes)), atol=1e-10)
    assert found.sum() == pytest.approx(-multivariate_normal(*dense(exact)).logpdf(x))
    assert not found[np.array(sizes) == 0].any()


@pytest.mark.parametrize(("missing", "n_passes"), [(0.0, 10), (0.1, 10), (0.6, 60)])
def test_the_estimate_predicts_nearly_as_well_as_the_law(missing, n_passes):
    """The more is missing, the more passes it takes to come so near."""
    exact = law(4)
    rng = np.random.default_rng(1)
    values = draws(exact, 1000)
    known = rng.random(values.shape) >= missing
    rows = np.where(known, values, 1e9).reshape(-1, D)
    found = low_rank.fit(rows, known.reshape(-1, D), K, 4, n_passes)
    fresh = draws(exact, 400, seed=2)
    given = rng.random(fresh.shape) < 0.5

    def error(by):
        means, _ = gaussian.fill(by, fresh, given)
        return ((means - fresh)[~given] ** 2).mean()

    assert error(exact) < 0.5 * error(LowRank(exact.mean, np.zeros((D, 1)), exact.variances()))
    assert error(found) < 1.1 * error(exact)
    np.testing.assert_allclose(found.variances(), exact.variances(), rtol=0.25)


def test_each_pass_makes_what_is_known_likelier():
    values = draws(law(4), 200)
    known = np.random.default_rng(1).random(values.shape) >= 0.3
    rows, there = values.reshape(-1, D), known.reshape(-1, D)

    def log_likelihood(found):
        parts = [dense(found).marginal(mask) for mask in there]
        offs = [row[mask] - part.mean for row, mask, part in zip(rows, there, parts, strict=True)]
        return -sum(
            np.linalg.slogdet(part.covariance)[1] + off @ np.linalg.solve(part.covariance, off)
            for part, off in zip(parts, offs, strict=True)
        )

    scores = [log_likelihood(low_rank.fit(rows, there, K, 4, n_passes)) for n_passes in range(6)]
    assert (np.diff(scores) > 0).all()


def test_few_windows_lower_the_rank_and_entries_that_are_never_known_have_a_law():
    values = draws(law(4), 3)
    known = np.ones(values.shape, bool)
    known[:, 1] = False
    for n, rank in ((3, 2), (1, 1)):
        found = low_rank.fit(values[:n].reshape(n, D), known[:n].reshape(n, D), K, 256)
        assert found.factors.shape == (D, rank) and (found.noise > 0).all()
        means, deviations = gaussian.fill(found, values, known)
        assert np.isfinite(means).all() and (deviations[~known] > 0).all()


@pytest.fixture
def small(monkeypatch):
    """Windows of more than 10 entries are large."""
    monkeypatch.setattr(gaussian, "DENSE", gaussian.DENSE._replace(entries=10))


def test_large_windows_have_a_law_of_low_rank_and_small_ones_a_dense_one(small, monkeypatch):
    values = draws(law(4), 50)
    known = np.ones(values.shape, bool)
    assert isinstance(gaussian.fit(values[:, :2], known[:, :2]), Gaussian)
    found = gaussian.fit(values, known, nugget=0.5, rank=5)
    assert isinstance(found, LowRank) and found.factors.shape == (D, 5) and (found.noise >= 0.5).all()
    monkeypatch.setattr(gaussian, "LOW_RANK", gaussian.LOW_RANK._replace(entries=11))
    with pytest.raises(InputError, match="3 features x 4 steps are more than 11 entries"):
        gaussian.fit(values, known)


def test_rank_and_nugget_are_those_with_the_lowest_crps_on_validation_windows(small, monkeypatch):
    monkeypatch.setattr(gaussian, "RANKS", (1, 4, 99))
    train, valid = draws(law(4), 40), draws(law(4), 60, seed=1)
    known, given = np.ones(train.shape, bool), np.random.default_rng(1).random(valid.shape) < 0.5
    chosen = gaussian.choose(train, known, valid, given, ~given)

    def score(rank, nugget):
        means, deviations = gaussian.fill(gaussian.fit(train, known, nugget=nugget, rank=rank), valid, given)
        return gaussian.crps(means[~given], deviations[~given], valid[~given]).mean()

    scores = {(rank, nugget): score(rank, nugget) for rank in (1, 4, D) for nugget in gaussian.LOW_RANK_NUGGETS}
    assert (chosen.gaussian.factors.shape[1], chosen.nugget) == min(scores, key=scores.get)
    assert chosen.mix == 0


def test_an_estimate_comes_back_from_its_file(tmp_path):
    gaussian.save(gaussian.Estimate(law(4), 0.0, 0.01), tmp_path / "gaussian.safetensors", {"features": ["x"]})
    found = gaussian.load(tmp_path / "gaussian.safetensors")
    assert isinstance(found, LowRank) and found.factors.dtype == np.float64
    for part, expected in zip(found, law(4), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-6)
