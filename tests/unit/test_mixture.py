"""The mixture: density, score, exact samples and what it refuses."""

from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from scoredag.errors import InputError
from scoredag.gmm import fields, mixture, mixture_files
from scoredag.store import tables

ROOT = Path(__file__).parents[2]
IDENTITY = [[1.0, 0.0], [0.0, 1.0]]


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(ROOT / "data/gmm.csv")


def random_mixture(n_components, seed=0):
    """Unequal weights, strongly correlated covariances."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, 2, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(2)
    weights = rng.dirichlet(np.ones(n_components))
    return mixture.GaussianMixture(weights, rng.uniform(-5, 5, (n_components, 2)), covariances)


@pytest.fixture(params=[1, 2, 7, "shipped"])
def gmm(request, shipped):
    return shipped if request.param == "shipped" else random_mixture(request.param)


def points(seed=1, n=300, half_width=15):
    return np.random.default_rng(seed).uniform(-half_width, half_width, (n, 2))


def on_circle(radius, n=12):
    angles = 2 * np.pi * (np.arange(n) + 0.3) / n
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def torch_score(gmm, x):
    weights, means, covariances = (torch.tensor(a) for a in (gmm.weights, gmm.means, gmm.covariances))
    density = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights),
        torch.distributions.MultivariateNormal(means, covariances),
    )
    x = torch.tensor(x, requires_grad=True)
    return torch.autograd.grad(density.log_prob(x).sum(), x)[0].numpy()


def exact_log_density_and_score(gmm, point, digits=60):
    """With many digits, straight from the definition."""
    with mpmath.workdps(digits):
        x = mpmath.matrix([mpmath.mpf(value) for value in point])
        density, gradient = mpmath.mpf(0), mpmath.matrix([0, 0])
        for weight, mean, covariance in zip(gmm.weights, gmm.means, gmm.covariances, strict=True):
            covariance = mpmath.matrix(covariance.tolist())
            pull = mpmath.inverse(covariance) * (mpmath.matrix(mean.tolist()) - x)
            distance = ((mpmath.matrix(mean.tolist()) - x).T * pull)[0]
            term = (
                mpmath.mpf(weight) * mpmath.exp(-distance / 2) / (2 * mpmath.pi * mpmath.sqrt(mpmath.det(covariance)))
            )
            density += term
            gradient += term * pull
        return float(mpmath.log(density)), [float(value / density) for value in gradient]


def test_log_density_equals_that_of_scipy(gmm):
    x = points()
    terms = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(x)
        for weight, mean, covariance in zip(gmm.weights, gmm.means, gmm.covariances, strict=True)
    ]
    np.testing.assert_allclose(gmm.log_density(x), logsumexp(terms, axis=0), rtol=1e-11, atol=1e-11)


def test_score_equals_automatic_differentiation(gmm):
    x = points(n=500)
    np.testing.assert_allclose(gmm.score(x), torch_score(gmm, x), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("radius", [40.0, 1e3, 1e6])
def test_log_density_and_score_are_right_far_from_every_mean(shipped, radius):
    x = on_circle(radius)
    expected = [exact_log_density_and_score(shipped, point) for point in x]
    np.testing.assert_allclose(shipped.log_density(x), [density for density, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(shipped.score(x), [score for _, score in expected], rtol=1e-9)


def thin(condition, angle=0.4, scale=1.0):
    """A covariance with this condition number, turned, its entries rounded to float64."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([scale, scale / condition]) @ turn.T


HARD = {
    "condition number 1e8": ([0.4, 0.6], [[0, 0], [1, 0.5]], [thin(1e8), thin(1e8, 2.0, 3.0)]),
    "weights of 1e-300": ([1e-300, 1.0], [[40, 0], [0, 0]], [np.eye(2), np.eye(2)]),
    "scales 1e-6 and 1e6": ([0.5, 0.5], [[0, 0], [1, 1]], [1e-12 * np.eye(2), 1e12 * np.eye(2)]),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("radius", [0.01, 1.0, 50.0, 1e8])
def test_hard_mixtures_are_right_to_what_the_rounding_of_x_allows(name, radius):
    """In NumPy and compiled. Where a direction is 10^4 times as stiff, x alone is known to 10^4 roundings."""
    hard = mixture.GaussianMixture(*HARD[name])
    rng = np.random.default_rng(1)
    near = hard.sample(20, 2)
    x = np.concatenate([near + radius * on_circle(1.0, 20), radius * rng.normal(size=(20, 2))])
    expected = [exact_log_density_and_score(hard, point) for point in x]
    field = fields.build(hard)
    compiled_score, compiled_density = fields.scores(x, field)
    for density, score in ((hard.log_density(x), hard.score(x)), (compiled_density, compiled_score)):
        assert np.isfinite(score).all() and np.isfinite(density).all()
        np.testing.assert_allclose(density, [value for value, _ in expected], rtol=1e-8, atol=1e-9)
        exact = np.array([value for _, value in expected])
        errors = np.linalg.norm(score - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert np.median(errors) < 1e-10 and errors.max() < 1e-6


def test_ten_thousand_components_are_right():
    rng = np.random.default_rng(4)
    roots = 0.3 * rng.normal(size=(10_000, 2, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(2)
    many = mixture.GaussianMixture(rng.dirichlet(np.ones(10_000)), rng.uniform(-30, 30, (10_000, 2)), covariances)
    x = np.concatenate([rng.uniform(-35, 35, (100, 2)), rng.normal(size=(20, 2)) * 1e3, rng.normal(size=(5, 2)) * 1e8])
    found, density = fields.scores(x, fields.build(many, 2))
    expected = many.score(x)
    errors = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert errors.max() < 1e-12
    np.testing.assert_allclose(density, many.log_density(x), rtol=1e-12, atol=1e-12)
    for i in (0, 121):
        log_density, score = exact_log_density_and_score(many, x[i], digits=30)
        assert many.log_density(x[i : i + 1])[0] == pytest.approx(log_density, rel=1e-12)
        np.testing.assert_allclose(found[i], score, rtol=1e-9)


def test_far_score_is_the_pull_of_the_nearest_component_in_its_own_metric():
    gmm = random_mixture(5)
    x = on_circle(1e6)
    pulls = np.linalg.solve(gmm.covariances, (gmm.means - x[:, None])[..., None])[..., 0]  # (N, K, 2)
    distances = np.einsum("nki,nki->nk", gmm.means - x[:, None], pulls)
    nearest = pulls[np.arange(len(x)), distances.argmin(axis=1)]
    np.testing.assert_allclose(gmm.score(x), nearest, rtol=1e-9)


@pytest.mark.parametrize("radius", [1e6, 1e100, 1e150])
def test_log_density_and_score_stay_finite(shipped, radius):
    x = on_circle(radius)
    assert np.isfinite(shipped.log_density(x)).all()
    assert np.isfinite(shipped.score(x)).all()


def test_density_integrates_to_one():
    gmm = random_mixture(3)
    step = 0.05
    side = np.arange(-20, 20, step)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    assert np.exp(gmm.log_density(grid)).sum() * step**2 == pytest.approx(1, abs=1e-6)


def test_responsibilities_are_shares_of_the_density(shipped):
    x = points(n=50)
    first = mixture.GaussianMixture([1.0], shipped.means[:1], shipped.covariances[:1])
    shares = shipped.responsibilities(x)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    expected = np.exp(np.log(shipped.weights[0]) + first.log_density(x) - shipped.log_density(x))
    np.testing.assert_allclose(shares[:, 0], expected, rtol=1e-10)


def test_shipped_mixture_is_what_it_promises(shipped):
    assert shipped.n_components == 150
    assert shipped.weights.sum() == pytest.approx(1, abs=1e-14)
    assert len(np.unique(shipped.weights)) > 100
    assert shipped.weights.max() > 2 * shipped.weights.min() > 0
    assert np.abs(shipped.means).max() <= 10
    assert (np.abs(shipped.covariances[:, 0, 1]) > 1e-3).mean() > 0.5
    assert np.linalg.eigvalsh(shipped.covariances).min() > 0


def test_samples_have_the_mean_and_covariance_of_the_mixture(gmm):
    n = 100_000
    x = gmm.sample(n, 3)
    assert x.shape == (n, 2)
    mean = gmm.weights @ gmm.means
    second = np.einsum("k,kij->ij", gmm.weights, gmm.covariances + np.einsum("ki,kj->kij", gmm.means, gmm.means))
    products = np.einsum("ni,nj->nij", x - mean, x - mean)
    assert (np.abs(x.mean(axis=0) - mean) < 5 * x.std(axis=0) / np.sqrt(n)).all()
    deviations = np.abs(products.mean(axis=0) - (second - np.outer(mean, mean)))
    assert (deviations < 5 * products.std(axis=0) / np.sqrt(n)).all()


def test_samples_visit_separate_components_by_weight_and_with_their_own_covariance():
    covariances = np.array([[[2.0, 0.9], [0.9, 0.5]], [[0.3, -0.2], [-0.2, 1.0]]])
    means = np.array([[-1000.0, 0.0], [1000.0, 50.0]])
    x = mixture.GaussianMixture([0.2, 0.8], means, covariances).sample(50_000, 4)
    left = x[:, 0] < 0
    assert left.mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / len(x)))
    for cloud, mean, covariance in zip((x[left], x[~left]), means, covariances, strict=True):
        np.testing.assert_allclose(cloud.mean(axis=0), mean, atol=0.08)
        np.testing.assert_allclose(np.cov(cloud.T), covariance, atol=0.15)


def test_samples_depend_on_the_seed_alone(shipped):
    np.testing.assert_array_equal(shipped.sample(50, 1), shipped.sample(50, 1))
    assert not np.isin(shipped.sample(50, 1), shipped.sample(50, 2)).any()


def test_weights_are_normalised_exactly():
    gmm = mixture.GaussianMixture([0.5, 0.5 + 9e-7], np.zeros((2, 2)), [IDENTITY] * 2)
    assert gmm.weights.sum() == pytest.approx(1, abs=1e-15)


def test_table_round_trip_keeps_every_parameter(shipped):
    table = mixture.to_table(shipped)
    assert list(table.columns) == tables.GMM.names
    assert table["component"].tolist() == list(range(150))
    again = mixture.from_table(table)
    np.testing.assert_allclose(again.weights, shipped.weights, rtol=1e-14)
    np.testing.assert_array_equal(again.means, shipped.means)
    np.testing.assert_array_equal(again.covariances, shipped.covariances)


def refused(words, weights, means, covariances):
    """The one line must hold each of the words."""
    with pytest.raises(InputError) as caught:
        mixture.GaussianMixture(weights, means, covariances)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("weight", [-0.2, np.nan, 0.0, np.inf, -np.inf])
def test_a_weight_that_is_not_positive_is_refused(weight):
    refused(["weight", "component 1"], [0.5, weight, 0.5], np.zeros((3, 2)), [IDENTITY] * 3)


def test_weights_that_do_not_sum_to_one_are_refused():
    refused(["weights", "0.9"], [0.5, 0.4], np.zeros((2, 2)), [IDENTITY] * 2)


def test_fewer_means_than_weights_are_refused():
    refused(["150", "149", "means"], np.full(150, 1 / 150), np.zeros((149, 2)), [IDENTITY] * 150)


def test_fewer_covariances_than_weights_are_refused():
    refused(["150", "149", "covariances"], np.full(150, 1 / 150), np.zeros((150, 2)), [IDENTITY] * 149)


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "word"),
    [
        ([], np.zeros((0, 2)), np.zeros((0, 2, 2)), "weights"),
        (1.0, np.zeros((1, 2)), [IDENTITY], "weights"),
        ([[0.5, 0.5]], np.zeros((2, 2)), [IDENTITY] * 2, "weights"),
        ([0.5, 0.5], np.zeros((2, 3)), [IDENTITY] * 2, "means"),
        ([0.5, 0.5], np.zeros(2), [IDENTITY] * 2, "means"),
        ([0.5, 0.5], np.zeros((2, 2)), np.ones((2, 2)), "covariances"),
        ([0.5, 0.5], np.zeros((2, 2)), np.ones((2, 3, 3)), "covariances"),
    ],
)
def test_wrong_shapes_are_refused(weights, means, covariances, word):
    refused([word, "shape"], weights, means, covariances)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_mean_that_is_not_finite_is_refused(value):
    refused(["mean", "component 2"], [0.5, 0.2, 0.3], [[0, 0], [1, 1], [0, value]], [IDENTITY] * 3)


@pytest.mark.parametrize(
    ("covariance", "word"),
    [
        ([[1.0, 0.2], [0.3, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        ([[-1.0, 0.0], [0.0, -1.0]], "positive definite"),
        ([[1.0, 1.0], [1.0, 1.0]], "positive definite"),
        ([[0.0, 0.0], [0.0, 0.0]], "positive definite"),
        # singular but for rounding: its determinant comes out above 0, its Cholesky factor does not exist
        ([[0.1694396984756563, 0.42913033744089385], [0.42913033744089385, 1.0868341254667249]], "positive definite"),
        ([[np.nan, 0.0], [0.0, 1.0]], "finite"),
        ([[1.0, 0.0], [0.0, np.inf]], "finite"),
    ],
)
def test_a_covariance_that_is_not_one_is_refused(covariance, word):
    refused(["covariance", "component 1", word], [0.5, 0.2, 0.3], np.zeros((3, 2)), [IDENTITY, covariance, IDENTITY])


def test_asymmetry_of_single_precision_is_averaged_away():
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 0.2], [0.2 + 8e-7, 2.0]]])
    assert gmm.covariances[0, 0, 1] == gmm.covariances[0, 1, 0] == pytest.approx(0.2 + 4e-7, rel=1e-12)
    refused(["symmetric"], [1.0], [[0.0, 0.0]], [[[1.0, 0.2], [0.2 + 5e-6, 2.0]]])


def test_symmetric_covariances_stay_as_they_are(shipped):
    table = np.loadtxt(ROOT / "data/gmm.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(shipped.covariances[:, [0, 0, 1, 1], [0, 1, 0, 1]], table[:, [3, 4, 4, 5]])
