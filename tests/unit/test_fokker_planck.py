"""The law of the reverse SDE on a grid, and the probability flow, against closed forms."""

import numpy as np
import pytest

from scoredag.errors import InputError
from scoredag.gmm.mixture import GaussianMixture
from scoredag.likelihood import bounds, flow, fokker_planck, gaussian, mixtures, problems, scores, sde

MEAN, COVARIANCE = np.array([0.4, -0.2]), np.array([[0.5, 0.1], [0.1, 0.3]])
SDES = {"vp": (0.1, 20.0), "sub-vp": (0.1, 20.0), "ve": (0.01, 50.0)}
EPS = 1e-4
POINTS = np.array([[0.2, 0.1], [1.2, 0.5], [-1.0, 0.0], [0.4, -1.0]])
WRONG = {"scale": 0.8, "bias": (0.3, -0.1)}
CELLS = {"inner": 2.5, "half_width": 6.0, "n_cells": 96}


def one():
    return GaussianMixture([1.0], [MEAN], [COVARIANCE])


def two():
    return GaussianMixture(
        [0.4, 0.6], [[-1.0, 0.2], [0.7, -0.1]], [[[0.2, 0.05], [0.05, 0.1]], [[0.1, 0.0], [0.0, 0.3]]]
    )


@pytest.fixture(params=SDES)
def process(request):
    return sde.named(request.param, SDES[request.param])


def solved(process, model, n_cells, n_steps=80):
    clocks = fokker_planck.steps(float(process.clock(EPS)), float(process.clock(1.0)), n_steps)
    prior = process.prior_variance / float(process.spread(1.0)) ** 2
    return fokker_planck.solve(scores.on_clock(model, process), clocks, prior, fokker_planck.grid(2.5, 6.0, n_cells))


def log_density_at(solution, process, x):
    spread = float(process.spread(EPS))
    return solution.at(x / spread)[0] - 2 * np.log(spread)


def exact_logs(law, x):
    return GaussianMixture([1.0], [law[0]], [law[1]]).log_density(x)


def test_errors_fall_with_the_square_of_the_cells(process):
    law = gaussian.reverse_law(gaussian.affine(MEAN, COVARIANCE, process, **WRONG), process, EPS)
    model = scores.exact(one(), process, **WRONG)
    errors, masses = [], []
    for n_cells in (32, 64, 128):
        solution = solved(process, model, n_cells)
        errors.append(np.abs(log_density_at(solution, process, POINTS) - exact_logs(law, POINTS)).mean())
        masses.append(solution.mass)
    assert errors[2] < 3e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.35)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.35)
    np.testing.assert_allclose(masses, 1, atol=1e-12)


def test_two_grids_are_nearer_than_either_and_tell_their_error():
    process = sde.variance_preserving()
    law = gaussian.reverse_law(gaussian.affine(MEAN, COVARIANCE, process, **WRONG), process, EPS)
    model = scores.exact(one(), process, **WRONG)
    clocks = fokker_planck.steps(float(process.clock(EPS)), float(process.clock(1.0)), 120)
    solutions = fokker_planck.refined(scores.on_clock(model, process), clocks, 1.0, **CELLS)
    assert [len(solution.grid.centres) for solution in solutions] == [96, 64]
    fine, coarse = (log_density_at(solution, process, POINTS) for solution in solutions)
    both, error = fokker_planck.extrapolated(fine, coarse)
    exact = exact_logs(law, POINTS)
    assert np.abs(both - exact).max() < np.abs(fine - exact).max() / 4
    assert (np.abs(both - exact) < error).all()


PLANE = np.stack(np.meshgrid(*2 * [np.linspace(-6, 6, 73)]), axis=-1).reshape(-1, 2)


def values_of(process, model, n_cells):
    """What two grids say of the plane, in the grid's unit, and the factor to the SDE's."""
    clocks = fokker_planck.steps(float(process.clock(EPS)), float(process.clock(1.0)), 80)
    prior = process.relative_prior_variance
    solutions = fokker_planck.refined(
        scores.on_clock(model, process), clocks, prior, inner=2.5, half_width=6.0, n_cells=n_cells
    )
    return fokker_planck.values_at(*solutions, PLANE), float(process.spread(EPS))


def holds_what_it_tells(found, truth):
    """Known down to 12 nats below the peak, nearly; there the error covers, and the gap is not below 0 but for it."""
    off = np.abs(found.log_density - truth)[found.known]
    assert (off <= found.log_density_error[found.known]).mean() > 0.95
    assert off.max() < 0.5
    depth = truth.max() - truth
    assert depth[found.known].max() < 12.5
    assert found.known[depth < 6].all() and found.known[depth < 11].mean() > 0.9
    assert (found.gap > -found.gap_error)[found.known].mean() > 0.99


@pytest.mark.parametrize("errors", [{}, WRONG, {"variance": 1.7}], ids=["exact", "wrong", "widened"])
def test_what_the_grids_tell_of_a_gaussian_is_true_within_its_error(process, errors):
    law = gaussian.reverse_law(gaussian.affine(MEAN, COVARIANCE, process, **errors), process, EPS)
    found, spread = values_of(process, scores.exact(one(), process, **errors), 96)
    holds_what_it_tells(found, exact_logs(law, spread * PLANE) + 2 * np.log(spread))


@pytest.mark.parametrize("variance", [1.0, 1.5])
def test_what_the_grids_tell_of_a_mixture_is_true_within_its_error(variance):
    """The law of the exact score of a mixture is that mixture, also of one with other covariances."""
    process = sde.variance_preserving()
    gmm = GaussianMixture(two().weights, two().means, variance * two().covariances)
    found, spread = values_of(process, scores.exact(two(), process, variance=variance), 144)
    truth = mixtures.marginal(gmm, process, EPS).log_density(spread * PLANE) + 2 * np.log(spread)
    holds_what_it_tells(found, truth)
    np.testing.assert_array_less(found.gap[found.known], 0.15)


def test_the_gap_is_bound_less_likelihood(process):
    """Solved as mean squared distance of the score from that of its own law; the bound is in closed form."""
    affine = gaussian.affine(MEAN, COVARIANCE, process, **WRONG)
    law = gaussian.reverse_law(affine, process, EPS)
    solution = solved(process, scores.exact(one(), process, **WRONG), 96)
    _, found = solution.at(POINTS / float(process.spread(EPS)))
    for point, gap in zip(POINTS, found, strict=True):
        # of the kernel from eps on, that is from data at x / alpha without noise until then
        bound = bound_from(point, affine, process)
        assert gap == pytest.approx(bound + exact_logs(law, point[None])[0], abs=4e-3)
    assert found.min() > 0.1


def bound_from(x, affine, process):
    """The bound for a process that starts at x at the smallest time: kernels p_eps,t."""
    alpha, sigma = float(process.signal(EPS)), float(process.noise(EPS))
    later = process._replace(
        signal=lambda t: process.signal(t) / alpha,
        noise=lambda t: np.sqrt(np.maximum(process.noise(t) ** 2 - (process.signal(t) / alpha * sigma) ** 2, 0)),
    )
    return gaussian.bound(x, np.zeros((2, 2)), affine, later, EPS)


def test_the_exact_score_of_a_mixture_gives_the_mixture_back(process):
    solution = solved(process, scores.exact(two(), process), 144)
    truth = mixtures.marginal(two(), process, EPS).log_density(POINTS)
    np.testing.assert_allclose(log_density_at(solution, process, POINTS), truth, atol=0.03)
    assert np.abs(solution.at(POINTS)[1]).max() < 5e-3


def test_a_wrong_score_of_a_mixture_keeps_the_bound(process):
    """Likelihood and gap from the grid against the bound by Monte Carlo; half the integral would be far below."""
    model = scores.exact(two(), process, scale=0.7)
    solution = solved(process, model, 120)
    spread = float(process.spread(EPS))
    log_density, gap = solution.at(float(process.signal(EPS)) * POINTS / spread)
    nll = 2 * np.log(spread) - log_density
    found = bounds.pointwise(model, process, POINTS, smallest_time=EPS, n_draws=40000, seed=1)
    assert (found.value > nll - 3 * found.std_error).all()
    np.testing.assert_array_less(np.abs(found.value - nll - gap), 3.5 * found.std_error + 0.02)
    assert (found.value - nll > 10 * found.std_error).all()
    known = bounds.analytic_part(process, POINTS, EPS)
    halved = known + (found.value - known) / 2
    assert (np.abs(halved - nll - gap) > 10 * found.std_error).any()


def test_steps_too_long_for_a_density_are_refused_in_one_line():
    process = sde.variance_preserving()
    with pytest.raises(InputError, match="n_steps: 6 are too few, the density is negative in places; write more"):
        solved(process, scores.exact(two(), process), 96, n_steps=6)


def test_steps_fall_from_the_last_to_the_first():
    found = fokker_planck.steps(1e-5, 10.0, 30)
    assert found[0] == 10.0 and found[-1] == 1e-5 and (np.diff(found) < 0).all() and len(found) == 31


@pytest.mark.parametrize("errors", [{}, WRONG], ids=["exact", "wrong"])
def test_the_flow_has_the_likelihood_of_its_gaussian(process, errors):
    law = gaussian.flow_law(gaussian.affine(MEAN, COVARIANCE, process, **errors), process, EPS)
    found = flow.log_likelihood(scores.exact(one(), process, **errors), process, POINTS, EPS)
    np.testing.assert_allclose(found, exact_logs(law, POINTS), atol=2e-4)


def test_the_flow_of_the_exact_score_has_the_likelihood_of_the_mixture():
    process = sde.variance_preserving()
    standard = mixtures.standardise(two()).gmm
    found = flow.log_likelihood(scores.exact(standard, process), process, POINTS, EPS)
    np.testing.assert_allclose(found, mixtures.marginal(standard, process, EPS).log_density(POINTS), atol=2e-3)


def test_the_flow_is_another_law_than_the_reverse_sde_where_the_score_is_wrong():
    process = sde.variance_preserving()
    affine = gaussian.affine(MEAN, COVARIANCE, process, scale=0.8)
    of_flow, of_sde = (law(affine, process, EPS) for law in (gaussian.flow_law, gaussian.reverse_law))
    assert np.linalg.det(of_flow[1]) > 2 * np.linalg.det(of_sde[1])


def problem(gmm):
    return problems.build(gmm, name="vp", span=[0.1, 20.0], smallest_time=EPS)


def test_the_grid_holds_the_mixture_and_resolves_it():
    found = problems.grid(problem(two()))
    unit = problem(two()).data.gmm
    assert found["half_width"] == 6 > found["inner"] > np.abs(unit.means).max()
    widths = fokker_planck.grid(**found).widths
    narrowest = np.sqrt(np.linalg.eigvalsh(unit.covariances).min())
    assert 2.4 <= narrowest / widths.min() < 3 and widths.max() > 2 * widths.min()
    assert problems.grid(problem(two()), half_width=7.0, n_cells=40) == found | {"half_width": 7.0, "n_cells": 40}
    far = problem(GaussianMixture([0.99, 0.01], [[0.0, 0.0], [60.0, 0.0]], [np.eye(2), np.eye(2)]))
    assert problems.grid(far)["half_width"] > np.abs(far.data.gmm.means).max() > 6


@pytest.mark.parametrize(("inner", "half_width"), [(2.5, 6.0), (5.0, 4.0)])
def test_cells_are_even_within_and_fill_the_square(inner, half_width):
    cells = fokker_planck.grid(inner, half_width, 40)
    assert cells.widths.sum() == pytest.approx(2 * half_width)
    assert cells.areas.sum() == pytest.approx(4 * half_width**2)
    within = cells.widths[np.abs(cells.centres) < inner - cells.widths.min()]
    np.testing.assert_allclose(within, fokker_planck.extent(inner, half_width) / 40)
    np.testing.assert_allclose(cells.centres, -cells.centres[::-1], atol=1e-12)


def test_a_component_too_narrow_for_a_grid_is_refused_in_one_line():
    needle = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [np.eye(2), 1e-5 * np.eye(2)])
    with pytest.raises(InputError, match=r"n_cells: the narrowest component .* write a number of your own"):
        problems.grid(problem(needle))


def test_nodes_around_a_point_have_the_moments_of_the_kernel():
    found = problem(two())
    x = np.array([[0.3, -0.2], [1.0, 1.0]])
    nodes, weights = problems.kernel_quadrature(found, x)
    nodes = found.smallest_spread * nodes.reshape(2, 9, 2)
    np.testing.assert_allclose(np.einsum("k,nki->ni", weights, nodes), found.sde.signal(EPS) * x, rtol=1e-12)
    apart = nodes - found.sde.signal(EPS) * x[:, None]
    np.testing.assert_allclose(
        np.einsum("k,nki,nkj->nij", weights, apart, apart),
        np.tile(found.sde.noise(EPS) ** 2 * np.eye(2), (2, 1, 1)),
        atol=1e-12,
    )


def test_totals_are_the_closed_forms():
    found = problem(one())
    sde_, unit = found.sde, found.data.gmm
    mean, covariance = unit.means[0], unit.covariances[0]
    model = scores.exact(unit, sde_, **WRONG)
    law = gaussian.reverse_law(gaussian.affine(mean, covariance, sde_, **WRONG), sde_, EPS)
    first = gaussian.marginal(mean, covariance, sde_, EPS)
    solutions = fokker_planck.refined(
        scores.on_clock(model, sde_), problems.clocks(found, 80), found.sde.relative_prior_variance, **CELLS
    )
    sums = [problems.totals(found, solution) for solution in solutions]
    divergence, error = fokker_planck.extrapolated(*(part.divergence for part in sums))
    assert divergence == pytest.approx(gaussian.divergence(*first, *law), abs=max(error, 1e-4))
    entropy = problems.entropy(found, EPS, solutions[0].grid)
    assert entropy == pytest.approx(gaussian.entropy(first[1]), abs=1e-5)
    prior = problems.prior_divergence(found, solutions[0].grid)
    last = gaussian.marginal(mean, covariance, sde_, 1.0)
    assert prior == pytest.approx(gaussian.divergence(*last, np.zeros(2), np.eye(2)), abs=1e-6)
