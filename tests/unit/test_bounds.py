"""The statements on the likelihood: closed forms for one Gaussian, estimators against them and against quadrature.

A statement with a wrong sign or without its factor 1/2 has to fail what the right one passes.
"""

import itertools

import numpy as np
import pytest

from scoredag.gmm.mixture import GaussianMixture
from scoredag.likelihood import bounds, gaussian, mixtures, scores, sde

MEAN, COVARIANCE = np.array([0.5, -0.3]), np.array([[0.5, 0.2], [0.2, 0.3]])
SDES = {"vp": (0.1, 20.0), "sub-vp": (0.1, 20.0), "ve": (0.01, 50.0)}
ERRORS = {
    "exact": {},
    "scaled": {"scale": 0.8},
    "biased": {"bias": (0.3, -0.1)},
    "widened": {"variance": 1.7},
}
EPS = 1e-4


@pytest.fixture(params=SDES)
def process(request):
    return sde.named(request.param, SDES[request.param])


@pytest.fixture
def vp():
    return sde.variance_preserving()


def gaussian_mixture():
    return GaussianMixture([1.0], [MEAN], [COVARIANCE])


def two():
    return GaussianMixture(
        [0.4, 0.6], [[-1.0, 0.2], [0.7, -0.1]], [[[0.2, 0.05], [0.05, 0.1]], [[0.1, 0.0], [0.0, 0.3]]]
    )


class Sides:
    """Both sides of the statements for one Gaussian, all in closed form; `half` and `sign` are for wrong ones."""

    def __init__(self, process, errors):
        self.first, self.last = (gaussian.marginal(MEAN, COVARIANCE, process, t) for t in (EPS, 1.0))
        model = gaussian.affine(MEAN, COVARIANCE, process, **errors)
        self.law = gaussian.reverse_law(model, process, EPS)
        self.matching = gaussian.score_matching(MEAN, COVARIANCE, model, process, EPS)
        self.information = gaussian.information(MEAN, COVARIANCE, process, EPS)
        self.average = gaussian.bound(MEAN, COVARIANCE, model, process, EPS)
        prior = np.zeros(2), process.prior_variance * np.eye(2)
        self.prior_divergence = gaussian.divergence(*self.last, *prior)
        self.divergence = gaussian.divergence(*self.first, *self.law)
        self.cross_entropy = gaussian.cross_entropy(*self.first, *self.law)

    def entropy(self, factor=-1.0):
        return gaussian.entropy(self.last[1]) + factor * self.information


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_statement_1_bounds_the_divergence(process, errors):
    sides = Sides(process, errors)
    assert sides.divergence <= sides.matching + sides.prior_divergence + 1e-7
    if errors:
        assert sides.divergence > 0.05  # and is not about nothing


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_the_slack_is_the_distance_of_the_score_from_that_of_its_own_law_to_1e_6(process, errors):
    """An equality, which a wrong sign or factor breaks: `factor` is that of J, and 1 is right."""
    sides = Sides(process, errors)
    model = gaussian.affine(MEAN, COVARIANCE, process, **errors)
    gap = gaussian.gap(MEAN, COVARIANCE, model, process, EPS)

    def slack(factor):
        return factor * sides.matching + sides.prior_divergence - sides.divergence

    assert slack(1) == pytest.approx(gap, abs=1e-6)
    if errors:
        assert all(slack(factor) != pytest.approx(gap, abs=0.05) for factor in (2, 0.5, -1))


def test_statement_1_is_tight_where_the_score_is_that_of_some_law(vp):
    """A wrong variance is the right score of other data: half of J would be no bound."""
    sides = Sides(vp, {"variance": 1.7})
    assert sides.divergence == pytest.approx(sides.matching + sides.prior_divergence, rel=1e-3)
    assert sides.divergence > sides.matching / 2 + sides.prior_divergence


def test_statement_2_gives_the_entropy_to_1e_6(process):
    sides = Sides(process, {})
    entropy = gaussian.entropy(sides.first[1])
    assert sides.entropy() == pytest.approx(entropy, abs=1e-6)
    assert all(sides.entropy(factor) != pytest.approx(entropy, abs=0.1) for factor in (1, -2, -0.5))


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_statement_3_is_statements_1_and_2_together_to_1e_6(process, errors):
    sides = Sides(process, errors)
    assert sides.cross_entropy <= sides.average + 1e-7
    together = sides.matching + sides.prior_divergence + gaussian.entropy(sides.first[1])
    assert sides.average == pytest.approx(together, abs=1e-6)


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_statement_4_bounds_every_point(process, errors):
    model = gaussian.affine(MEAN, COVARIANCE, process, **errors)
    law = gaussian.reverse_law(model, process, EPS)
    for x in ([0.5, -0.3], [2.0, 1.0], [-1.0, 0.0]):
        kernel = gaussian.marginal(x, np.zeros((2, 2)), process, EPS)
        nll = gaussian.cross_entropy(*kernel, *law)
        bound = gaussian.bound(x, np.zeros((2, 2)), model, process, EPS)
        assert nll <= bound + 1e-6
        if errors.get("scale") or errors.get("bias"):
            assert bound - nll > 0.05
        elif process.prior_variance == 1:
            assert bound - nll < 1e-3 and bound / 2 < nll  # tight, so that half of it is no bound


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_quadrature_is_the_closed_form_within_its_error(process, errors):
    """The integrand is a polynomial in the noise here, so that what is left is the rule in time."""
    x = np.array([[0.5, -0.3], [2.0, 1.0], [-1.0, 0.0]])
    affine = gaussian.affine(MEAN, COVARIANCE, process, **errors)
    truth = [gaussian.bound(point, np.zeros((2, 2)), affine, process, EPS) for point in x]
    model = scores.exact(gaussian_mixture(), process, **errors)
    rule = {"smallest_time": EPS, "n_times": 50, "n_nodes": 6}
    found, error = bounds.refined_quadrature(model, process, x, **rule)
    np.testing.assert_allclose(found, truth, atol=1e-5)
    assert (np.abs(found - truth) <= error + 1e-7).all() and error.max() < 0.02


def test_quadrature_of_a_mixture_has_a_small_error_and_monte_carlo_agrees(vp):
    """Errors of half a thousandth of a nat, where so many draws have a hundred times that."""
    x = two().sample(6, 0)
    for errors in ({}, {"scale": 0.8}):
        model = scores.exact(two(), vp, **errors)
        finest, _ = bounds.quadrature(model, vp, x, smallest_time=EPS, n_times=120, n_nodes=48)
        found, n = bounds.quadrature(model, vp, x, smallest_time=EPS, n_times=50, n_nodes=24)
        _, error = bounds.refined_quadrature(model, vp, x, smallest_time=EPS, n_times=50, n_nodes=24)
        assert np.abs(found - finest).max() < 1e-3 and (np.abs(found - finest) <= error + 1e-5).all()
        drawn = bounds.pointwise(model, vp, x, smallest_time=EPS, n_draws=n // 2, seed=0)
        assert drawn.std_error.min() > 0.01
        assert (np.abs(drawn.value - found) < 4 * drawn.std_error).all()


def test_the_law_of_the_reverse_sde_is_that_of_its_paths(vp):
    """Euler and Maruyama, backwards, with a wrong score."""
    errors = {"scale": 0.7, "bias": (0.3, 0.0)}
    mean, covariance = gaussian.reverse_law(gaussian.affine(MEAN, COVARIANCE, vp, **errors), vp, 0.01)
    model = scores.exact(gaussian_mixture(), vp, **errors)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20000, 2))
    times = 0.01 + (1 - 0.01) * np.linspace(1, 0, 401) ** 2
    for before, after in itertools.pairwise(times):
        t, step = (before + after) / 2, before - after
        drift = vp.drift_rate(t) * x - vp.squared_diffusion(t) * model.score(x, t)
        x = x - drift * step + np.sqrt(vp.squared_diffusion(t) * step) * rng.standard_normal(x.shape)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03)


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_affine_scores_are_those_of_the_mixture_of_one(process, errors):
    affine = gaussian.as_model(gaussian.affine(MEAN, COVARIANCE, process, **errors))
    model = scores.exact(gaussian_mixture(), process, **errors)
    x = np.random.default_rng(0).standard_normal((20, 2))
    for t in (1e-3, 0.4, 1.0):
        np.testing.assert_allclose(affine.score(x, t), model.score(x, t), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(affine.divergence(x, t), model.divergence(x, t), rtol=1e-9)


@pytest.mark.parametrize("times", bounds.TIMES)
@pytest.mark.parametrize("estimator", ["paired", "antithetic", "controlled"])
def test_estimates_are_the_closed_form_within_their_errors(process, estimator, times):
    errors = {"scale": 0.8, "bias": (0.3, -0.1)}
    x = np.array([[0.2, 0.1], [1.0, 1.0], [-1.0, 0.0]])
    found = bounds.pointwise(
        scores.exact(gaussian_mixture(), process, **errors), process, x,
        smallest_time=EPS, n_draws=20000, seed=3, estimator=estimator, times=times,
    )  # fmt: skip
    model = gaussian.affine(MEAN, COVARIANCE, process, **errors)
    exact = np.array([gaussian.bound(point, np.zeros((2, 2)), model, process, EPS) for point in x])
    np.testing.assert_array_less(np.abs(found.value - exact), 3.5 * found.std_error)
    assert (found.std_error < 0.4).all()


def test_terms_that_are_drawn_apart_have_the_same_mean(vp):
    x = np.array([[0.2, 0.1]])
    found = bounds.pointwise(
        scores.exact(gaussian_mixture(), vp), vp, x, smallest_time=EPS, n_draws=60000, seed=3, estimator="separate"
    )
    model = gaussian.affine(MEAN, COVARIANCE, vp)
    assert abs(found.value[0] - gaussian.bound(x[0], np.zeros((2, 2)), model, vp, EPS)) < 3.5 * found.std_error[0]


def quadrature(model, process, x, sign=1, half=0.5):
    """L(x) of one point by Gauss rules in noise and log-variance; `sign` is that of the product with the noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    over_z = np.outer(weights, weights).ravel() / weights.sum() ** 2
    ends = [float(process.log_noise_to_signal(t)) for t in (EPS, 1.0)]
    legendre, lengths = np.polynomial.legendre.leggauss(400)
    levels = (ends[1] - ends[0]) * (legendre + 1) / 2 + ends[0]
    total = 0.0
    for level, length in zip(levels, lengths, strict=True):
        t = float(process.time_at(level))
        noise = float(process.noise(t))
        scaled = noise * model.score(process.signal(t) * x + noise * z, t)
        total += length * over_z @ ((scaled**2).sum(axis=1) + sign * 2 * (scaled * z).sum(axis=1))
    known = bounds.prior_term(process, x[None])[0] - bounds.drift_term(process, EPS)
    return known + half * (ends[1] - ends[0]) / 2 * total


def test_estimates_of_a_mixture_are_those_of_quadrature_and_others_are_not(process):
    """The Gauss rules stand for the formula: with the wrong sign, or without the 1/2, they are far off."""
    x = np.array([[-0.8, 0.1], [0.5, 0.9]])
    model = scores.exact(two(), process, scale=0.9)
    found = bounds.pointwise(model, process, x, smallest_time=EPS, n_draws=40000, seed=1)
    for i, point in enumerate(x):
        off = abs(found.value[i] - quadrature(model, process, point))
        assert off < 3.5 * found.std_error[i] < 0.2
        assert abs(found.value[i] - quadrature(model, process, point, sign=-1)) > 50 * found.std_error[i]
        assert abs(found.value[i] - quadrature(model, process, point, half=1.0)) > 50 * found.std_error[i]


def test_the_bound_of_the_exact_score_is_the_likelihood_of_the_mixture(vp):
    x = np.array([[-0.8, 0.1], [0.5, 0.9], [0.0, 0.0]])
    model = scores.exact(two(), vp)
    exact = [-mixtures.marginal(two(), vp, EPS).log_density(point[None])[0] for point in x]
    np.testing.assert_allclose([quadrature(model, vp, point) for point in x], exact, atol=2e-3)


def test_means_over_the_law_are_the_closed_forms(process):
    errors = {"scale": 0.8, "bias": (0.3, -0.1)}
    found = bounds.averaged(
        scores.exact(gaussian_mixture(), process, **errors), gaussian_mixture(), process,
        smallest_time=EPS, n_draws=100000, seed=2,
    )  # fmt: skip
    model = gaussian.affine(MEAN, COVARIANCE, process, **errors)
    exact = {
        "bound": gaussian.bound(MEAN, COVARIANCE, model, process, EPS),
        "score_matching": gaussian.score_matching(MEAN, COVARIANCE, model, process, EPS),
        "information": gaussian.information(MEAN, COVARIANCE, process, EPS),
    }
    for name, value in exact.items():
        assert abs(found[name].value - value) < 3.5 * found[name].std_error, name
        assert found[name].std_error < 0.05


def test_the_exact_score_has_no_error(vp):
    found = bounds.averaged(scores.exact(two(), vp), two(), vp, smallest_time=EPS, n_draws=1000, seed=2)
    assert found["score_matching"].value == 0 == found["score_matching"].std_error


def test_each_measure_lowers_the_spread(vp):
    x = two().sample(10, 0)
    deviation = {
        (estimator, times): bounds.pointwise(
            scores.exact(two(), vp), vp, x,
            smallest_time=1e-5, n_draws=2000, seed=1, estimator=estimator, times=times,
        ).deviation.mean()
        for estimator in bounds.ESTIMATORS
        for times in bounds.TIMES
    }  # fmt: skip
    assert deviation["separate", "importance"] < deviation["separate", "uniform"] / 5
    assert deviation["paired", "uniform"] < deviation["separate", "uniform"] / 5
    assert deviation["controlled", "importance"] < deviation["antithetic", "importance"] / 2
    assert deviation["controlled", "importance"] < deviation["controlled", "uniform"]


def test_standard_errors_are_those_of_repetitions(vp):
    x = np.array([[0.3, 0.2]])
    model = scores.exact(two(), vp)
    found = [bounds.pointwise(model, vp, x, smallest_time=EPS, n_draws=200, seed=seed) for seed in range(200)]
    spread = np.std([part.value[0] for part in found], ddof=1)
    assert spread == pytest.approx(np.mean([part.std_error[0] for part in found]), rel=0.15)


def test_a_point_does_not_depend_on_the_others(vp):
    x = two().sample(7, 0)
    model = scores.exact(two(), vp)
    options = {"smallest_time": EPS, "n_draws": 50, "seed": 5}
    all_of_them, first = (bounds.pointwise(model, vp, part, **options).value for part in (x, x[:2]))
    np.testing.assert_array_equal(all_of_them[:2], first)
