"""Distances between samples, against closed forms and scipy."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from scoredag.gmm import diagnostics, mixture, mixture_files


def cloud(n=400, seed=0, shift=(0.0, 0.0)):
    return np.random.default_rng(seed).normal(size=(n, 2)) @ [[2.0, 0.5], [0.0, 0.7]] + np.array(shift)


@pytest.mark.parametrize("shift", [[3.0, 0.0], [-1.0, 2.0], [0.0, 0.01]])
def test_sliced_distance_of_a_translated_cloud_is_the_length_over_root_two(shift):
    x = cloud()
    found = diagnostics.sliced_wasserstein2(x, cloud(shift=shift), 20_000, seed=1)
    # the mean of cos^2 is 1/2 with a standard deviation of 1 / sqrt(8)
    assert found**2 == pytest.approx(np.dot(shift, shift) / 2, rel=5 / np.sqrt(2 * 20_000))


def test_sliced_distances_of_two_perpendicular_translations_add_up():
    """Whatever the few directions are: cos^2 + sin^2 = 1, while the mean of cos^2 is not exactly 1/2."""
    x = cloud()
    along_x = diagnostics.sliced_wasserstein2(x, cloud(shift=(2.0, 0.0)), 7, seed=1)
    along_y = diagnostics.sliced_wasserstein2(x, cloud(shift=(0.0, 2.0)), 7, seed=1)
    assert along_x**2 + along_y**2 == pytest.approx(4, rel=1e-12)
    assert along_x != pytest.approx(np.sqrt(2), rel=1e-6)


def test_sliced_distance_of_a_stretched_cloud():
    """W2 of a cloud and its multiple is |factor - 1| times the second moment, whatever the direction."""
    x = cloud()
    second = x.T @ x / len(x)
    white = x @ np.linalg.inv(np.linalg.cholesky(second)).T
    assert diagnostics.sliced_wasserstein2(white, 3 * white, 5, seed=2) == pytest.approx(2, rel=1e-12)


def test_sliced_distance_of_equal_clouds_is_zero():
    x = cloud()
    shuffled = np.random.default_rng(1).permutation(x)
    assert diagnostics.sliced_wasserstein2(x, shuffled, 50, seed=1) == 0


@pytest.mark.parametrize("copies", [2, 3])
def test_sliced_distance_is_that_of_the_distributions_when_sizes_differ(copies):
    x = cloud()
    more = np.repeat(x, copies, axis=0)
    assert diagnostics.sliced_wasserstein2(x, more, 50, seed=1) == pytest.approx(0, abs=1e-12)
    shifted = diagnostics.sliced_wasserstein2(x, x + 1.0, 50, seed=1)
    assert diagnostics.sliced_wasserstein2(x, more + 1.0, 50, seed=1) == pytest.approx(shifted, rel=1e-12)
    assert diagnostics.sliced_wasserstein2(more + 1.0, x, 50, seed=1) == pytest.approx(shifted, rel=1e-12)


def test_sliced_distance_of_two_and_three_points():
    """On a line, 0 and 1 against 0, 1/2 and 1: the quantiles differ by 1/2 over a third of the levels."""
    squares = [
        diagnostics.sliced_wasserstein2(np.outer([0, 1], axis), np.outer([0, 0.5, 1], axis), 9, seed=1) ** 2
        for axis in np.eye(2)
    ]
    assert sum(squares) == pytest.approx(1 / 12, rel=1e-12)


def test_sliced_distance_of_sizes_that_do_not_divide():
    """Against both clouds repeated to the least common multiple of their sizes."""
    x, y = cloud(300, 1), cloud(400, 2, shift=(0.5, 0.0))
    expected = diagnostics.sliced_wasserstein2(np.repeat(x, 4, axis=0), np.repeat(y, 3, axis=0), 100, seed=1)
    assert diagnostics.sliced_wasserstein2(x, y, 100, seed=1) == pytest.approx(expected, rel=0.02)


def test_sliced_distance_depends_on_the_seed():
    x, y = cloud(seed=1), cloud(seed=2) + 1.0
    one, same, other = (diagnostics.sliced_wasserstein2(x, y, 10, seed) for seed in (1, 1, 2))
    assert one == same != other


def test_energy_distance_on_a_line_equals_that_of_scipy():
    rng = np.random.default_rng(3)
    u, v = rng.normal(size=2500), rng.gamma(2.0, size=2100)  # more rows than one block
    x, y = np.stack([u, 0 * u], axis=1), np.stack([v, 0 * v], axis=1)
    assert diagnostics.energy_distance(x, y) == pytest.approx(stats.energy_distance(u, v), rel=1e-9)


def test_energy_distance_in_the_plane_equals_its_definition():
    x, y = cloud(60, 1), cloud(45, 2, shift=(1.0, -1.0))
    square = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert diagnostics.energy_distance(x, y) == pytest.approx(np.sqrt(square), rel=1e-9)
    turned = [[0.6, -0.8], [0.8, 0.6]]
    rotated = diagnostics.energy_distance(x @ turned, y @ turned)
    assert rotated == pytest.approx(np.sqrt(square), rel=1e-9)


def test_energy_distance_of_equal_clouds_is_zero():
    x = cloud()
    assert diagnostics.energy_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)


def test_occupancy_of_exact_samples_is_near_the_weights():
    gmm = mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")
    few, many = (diagnostics.occupancy_total_variation(gmm, gmm.sample(n, 1)) for n in (1_000, 16_000))
    # the expected value falls with the root of n; 0.5 sum_k sqrt(w_k / n) bounds it
    assert many < 0.5 * np.sqrt(gmm.weights / 16_000).sum()
    assert many < few / 2


def test_occupancy_of_one_component_alone_is_one_minus_its_weight():
    gmm = mixture.GaussianMixture([0.2, 0.5, 0.3], [[-50, 0], [0, 0], [50, 0]], [np.eye(2)] * 3)
    x = cloud(shift=(-50, 0))
    assert diagnostics.occupancy_total_variation(gmm, x) == pytest.approx(0.8, abs=1e-9)


def test_occupancy_counts_how_far_the_shares_are_off():
    gmm = mixture.GaussianMixture([0.2, 0.5, 0.3], [[-50, 0], [0, 0], [50, 0]], [np.eye(2)] * 3)
    x = np.repeat([[-50.0, 0.0], [0.0, 0.0], [50.0, 0.0]], [40, 30, 30], axis=0)
    assert diagnostics.occupancy_total_variation(gmm, x) == pytest.approx(0.2, abs=1e-9)


def test_discrepancy_of_gaussians_is_its_closed_form():
    """Between N(0, I) and N(m, I) with bandwidth h: 2 h^2 / (h^2 + 2) (1 - exp(-|m|^2 / (2 (h^2 + 2))))."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6000, 2)), rng.normal([1.5, 0.0], size=(6000, 2))
    h = 1.3
    expected = np.sqrt(2 * h**2 / (h**2 + 2) * (1 - np.exp(-(1.5**2) / (2 * (h**2 + 2)))))
    assert diagnostics.maximum_mean_discrepancy(x, y, h) == pytest.approx(expected, rel=0.03)
    assert diagnostics.maximum_mean_discrepancy(x, x, h) == pytest.approx(0, abs=1e-6)


def test_divergence_on_a_grid_is_that_of_the_shares():
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    view = (np.zeros(2), 2.0)
    masses = diagnostics.grid_masses(gmm, view, 2)
    quarter = (stats.norm.cdf(2) - 0.5) ** 2
    np.testing.assert_allclose(masses, [*[quarter] * 4, 1 - 4 * quarter], rtol=0.05)
    x = np.array([[0.5, 0.5]] * 3 + [[-0.5, 0.5]] * 1)
    expected = 0.75 * np.log(0.75 / masses[3]) + 0.25 * np.log(0.25 / masses[1])
    assert diagnostics.grid_divergence(x, view, masses) == pytest.approx(expected, rel=1e-12)


def test_comparison_counts_what_is_not_finite_and_measures_the_rest():
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    exact = gmm.sample(300, 1)
    reference = diagnostics.reference(gmm, exact, (np.zeros(2), 4.0), 6)
    x = gmm.sample(200, 2)
    x[:3] = np.nan
    measures = diagnostics.compare(reference, x, 20, seed=1)
    assert measures["non_finite"] == 3 and all(np.isfinite(list(measures.values())))
    assert measures["energy_distance"] == diagnostics.energy_distance(x[3:], exact)
    assert diagnostics.compare(reference, np.full((5, 2), np.inf), 20, seed=1) == {"non_finite": 5.0}
