"""Marginals of the forward process from a mixture."""

import numpy as np
import pytest

from scoredag.gmm import mixture_files
from scoredag.gmm.mixture import GaussianMixture
from scoredag.likelihood import mixtures, sde


@pytest.fixture
def gmm():
    return GaussianMixture(
        [0.5, 0.3, 0.2],
        [[-1.0, 0.5], [1.0, 0.0], [0.0, -1.2]],
        [[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]], [[0.2, 0.0], [0.0, 0.2]]],
    )


def test_the_shipped_mixture_is_standardised(root):
    gmm = mixture_files.read(root / "data/gmm.csv")
    found = mixtures.standardise(gmm)
    np.testing.assert_allclose(found.gmm.weights @ found.gmm.means, 0, atol=1e-12)
    x = gmm.sample(200000, 0)
    y = (x - found.centre) / found.unit
    assert y.var(axis=0).mean() == pytest.approx(1, abs=0.01)
    # log-densities differ by the logarithm of the unit's square
    np.testing.assert_allclose(gmm.log_density(x[:9]) + found.nats, found.gmm.log_density(y[:9]), rtol=1e-12)


def test_marginals_are_what_the_process_makes_of_samples(gmm):
    process = sde.variance_preserving()
    rng = np.random.default_rng(0)
    x = process.signal(0.3) * gmm.sample(100000, 1) + process.noise(0.3) * rng.standard_normal((100000, 2))
    drawn = mixtures.marginal(gmm, process, 0.3).sample(100000, 2)
    np.testing.assert_allclose(x.mean(axis=0), drawn.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.cov(x.T), np.cov(drawn.T), atol=0.02)
    np.testing.assert_allclose(
        np.quantile(x[:, 0], [0.1, 0.5, 0.9]), np.quantile(drawn[:, 0], [0.1, 0.5, 0.9]), atol=0.03
    )


@pytest.mark.parametrize("t", [1e-5, 0.05, 1.0])
def test_compiled_marginals_are_the_mixtures(gmm, t):
    process = sde.variance_preserving()
    x = 2 * np.random.default_rng(0).standard_normal((200, 2))
    exact = mixtures.marginal(gmm, process, t)
    logs, scores, _ = mixtures.evaluate(mixtures.spectrum(gmm), x, process.signal(t), process.noise(t))
    np.testing.assert_allclose(logs, exact.log_density(x), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(scores, exact.score(x), rtol=1e-9, atol=1e-9)


def test_each_point_may_have_its_own_time(gmm):
    process = sde.variance_exploding()
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((50, 2)), rng.random(50)
    together = mixtures.evaluate(mixtures.spectrum(gmm), x, process.signal(t), process.noise(t))
    for i in (0, 20, 49):
        alone = mixtures.evaluate(mixtures.spectrum(gmm), x[i : i + 1], process.signal(t[i]), process.noise(t[i]))
        for part, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(part[i], single[0])


def test_the_divergence_is_that_of_the_score(gmm):
    x = np.random.default_rng(0).standard_normal((100, 2))
    spectrum, h = mixtures.spectrum(gmm), 1e-5
    slopes = [
        (
            mixtures.evaluate(spectrum, x + h * axis, 0.9, 0.2)[1]
            - mixtures.evaluate(spectrum, x - h * axis, 0.9, 0.2)[1]
        )
        / (2 * h)
        for axis in np.eye(2)
    ]
    found = mixtures.evaluate(spectrum, x, 0.9, 0.2)[2]
    np.testing.assert_allclose(found, slopes[0][:, 0] + slopes[1][:, 1], rtol=1e-6, atol=1e-6)


def test_far_points_have_a_finite_score(gmm):
    logs, scores, divergences = mixtures.evaluate(mixtures.spectrum(gmm), np.array([[80.0, -60.0]]), 1.0, 0.0)
    assert np.isfinite(logs).all() and np.isfinite(scores).all() and np.isfinite(divergences).all()
