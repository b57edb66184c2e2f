"""Langevin dynamics: the compiled score, closed forms, streams, snapshots, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from scoredag import tables
from scoredag.errors import InputError
from scoredag.gmm import langevin, mixture, particles, readers

IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
SKEWED = np.array([[2.0, 0.7], [0.7, 0.5]])
MEAN = np.array([3.0, -2.0])
COVARIANCE = np.array([[1.5, -0.6], [-0.6, 0.8]])


@pytest.fixture(scope="module")
def shipped():
    return readers.read(Path(__file__).parents[2] / "data/gmm.csv")


@pytest.fixture(scope="module")
def gaussian():
    return mixture.GaussianMixture([1.0], [MEAN], [COVARIANCE])


def simulate(gmm, **options):
    defaults = {"n_particles": 40, "n_steps": 10, "step_size": 0.1, "noise_covariance": IDENTITY, "seed": 1}
    return langevin.simulate(gmm, **defaults | options)


def last(gmm, **options):
    return particles.last_positions(simulate(gmm, **options))


def covariance_deviations(x, expected):
    """Deviations of the second moments about the known mean, in standard errors."""
    products = np.einsum("ni,nj->nij", x, x)
    return np.abs(products.mean(axis=0) - expected) / (products.std(axis=0) / np.sqrt(len(x)))


@pytest.mark.parametrize("radius", [1.0, 10.0, 30.0, 1e3, 1e6])
def test_compiled_score_equals_that_of_the_mixture(shipped, radius):
    x = np.random.default_rng(0).uniform(-radius, radius, (500, 2))
    expected = shipped.score(x)
    deviations = np.linalg.norm(langevin.score(shipped, x) - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert deviations.max() < 1e-12


def test_flow_without_noise_is_the_power_of_a_matrix(gaussian):
    start = np.random.default_rng(2).normal(size=(40, 2)) * 5
    contraction = np.eye(2) - 0.1 * np.linalg.inv(COVARIANCE)
    expected = (start - MEAN) @ np.linalg.matrix_power(contraction, 25) + MEAN
    found = last(gaussian, noise_covariance=None, start=start, n_steps=25)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_flow_without_noise_follows_the_score_of_the_mixture(shipped):
    start = np.random.default_rng(3).normal(size=(40, 2)) * 6
    x = start.copy()
    for _ in range(8):
        x = x + 0.1 * shipped.score(x)
    np.testing.assert_allclose(last(shipped, noise_covariance=None, start=start, n_steps=8), x, rtol=1e-9)


def test_noise_of_covariance_zero_is_no_noise(shipped):
    without = last(shipped, noise_covariance=None)
    np.testing.assert_array_equal(last(shipped, noise_covariance=np.zeros((2, 2))), without)


@pytest.mark.parametrize("noise", [np.eye(2), SKEWED], ids=["standard", "skewed"])
def test_one_step_adds_noise_of_the_asked_covariance(gaussian, noise):
    start = np.tile(MEAN, (30_000, 1))  # where the score is 0
    jumps = last(gaussian, n_particles=30_000, n_steps=1, start=start, noise_covariance=noise) - MEAN
    assert (np.abs(jumps.mean(axis=0)) < 5 * jumps.std(axis=0) / np.sqrt(len(jumps))).all()
    assert (covariance_deviations(jumps, 0.2 * noise) < 5).all()


@pytest.mark.parametrize("noise", [np.eye(2), SKEWED], ids=["standard", "skewed"])
def test_stationary_covariance_solves_the_lyapunov_equation(gaussian, noise):
    tau = 0.3
    contraction = np.eye(2) - tau * np.linalg.inv(COVARIANCE)
    expected = solve_discrete_lyapunov(contraction, 2 * tau * noise)
    x = last(gaussian, n_particles=30_000, n_steps=120, step_size=tau, noise_covariance=noise, threads=2) - MEAN
    assert (np.abs(x.mean(axis=0)) < 5 * x.std(axis=0) / np.sqrt(len(x))).all()
    assert (covariance_deviations(x, expected) < 5).all()
    assert (covariance_deviations(x, COVARIANCE) > 5).any()  # the step is large enough to tell them apart


def test_noise_along_a_line_stays_on_it(gaussian):
    """Every covariance v v^T is positive semidefinite, though rounding may turn its zero eigenvalue negative."""
    rng = np.random.default_rng(0)
    for direction in rng.normal(size=(20, 2)):
        start = np.tile(MEAN, (40, 1))
        noise = np.outer(direction, direction)
        jumps = last(gaussian, n_steps=1, start=start, noise_covariance=noise) - MEAN
        across = np.array([-direction[1], direction[0]])
        np.testing.assert_allclose(jumps @ across, 0, atol=1e-6)
        assert (jumps @ direction).std() > 0.1 * direction @ direction


def test_particles_start_as_standard_normal_draws(gaussian):
    table = simulate(gaussian, n_particles=30_000, n_steps=1, snapshots=[0])
    start = table.loc[table["step"] == 0, ["x", "y"]].to_numpy()
    assert (np.abs(start.mean(axis=0)) < 5 / np.sqrt(len(start))).all()
    assert (covariance_deviations(start, np.eye(2)) < 5).all()


@pytest.mark.parametrize("threads", [2, 8])
def test_samples_do_not_depend_on_the_threads(shipped, threads):
    alone = last(shipped, n_particles=2_300, threads=1)
    np.testing.assert_array_equal(last(shipped, n_particles=2_300, threads=threads), alone)


@pytest.mark.parametrize("n_particles", [501, 1_300])
def test_first_block_does_not_depend_on_the_number_of_particles(shipped, n_particles):
    one_block = last(shipped, n_particles=langevin.BLOCK)
    more = last(shipped, n_particles=n_particles)
    np.testing.assert_array_equal(more[: langevin.BLOCK], one_block)
    assert not np.isin(more[langevin.BLOCK :], one_block).any()


def test_samples_depend_on_the_seed_alone(shipped):
    np.testing.assert_array_equal(last(shipped, seed=5), last(shipped, seed=5))
    assert not np.isin(last(shipped, seed=5), last(shipped, seed=6)).any()


def test_table_holds_snapshots_by_step_then_particle(shipped):
    table = simulate(shipped, n_particles=600, snapshots=[7, 0, 7, 2])
    assert list(table.columns) == tables.PARTICLES.names
    assert table["step"].tolist() == [step for step in (0, 2, 7, 10) for _ in range(600)]
    assert table["particle"].tolist() == list(range(600)) * 4


@pytest.mark.parametrize("snapshots", [(), [10]])
def test_last_step_is_always_kept_and_once(shipped, snapshots):
    assert simulate(shipped, snapshots=snapshots)["step"].tolist() == [10] * 40


def test_snapshot_is_where_a_shorter_run_ends(shipped):
    table = simulate(shipped, snapshots=[1, 4])
    for step in (1, 4):
        kept = table.loc[table["step"] == step, ["x", "y"]].to_numpy()
        np.testing.assert_array_equal(kept, last(shipped, n_steps=step))


def test_given_start_is_step_zero_and_is_left_alone(shipped):
    start = np.random.default_rng(4).normal(size=(700, 2))
    before = start.copy()
    table = simulate(shipped, n_particles=700, start=start, snapshots=[0])
    np.testing.assert_array_equal(table.loc[table["step"] == 0, ["x", "y"]], before)
    np.testing.assert_array_equal(start, before)


def test_a_run_goes_on_alike_from_its_own_start(shipped):
    table = simulate(shipped, n_particles=700, snapshots=[0])
    start = table.loc[table["step"] == 0, ["x", "y"]].to_numpy()
    np.testing.assert_array_equal(last(shipped, n_particles=700, start=start), particles.last_positions(table))


@pytest.mark.parametrize("shape", [(1, 2), (39, 2), (41, 2), (40, 3)])
def test_start_of_another_shape_than_the_particles_is_refused(shipped, shape):
    with pytest.raises(ValueError):
        simulate(shipped, n_particles=40, start=np.ones(shape))


def test_diverging_particles_end_the_run_well_and_are_counted(caplog):
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [[[0.01, 0.0], [0.0, 0.01]]])
    x = last(gmm, n_steps=400, step_size=1.0)
    assert x.shape == (40, 2)
    assert not np.isfinite(x).any()
    assert "40 of 40" in caplog.text


def test_a_diverging_direction_grows_as_the_step_says():
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [[[0.01, 0.0], [0.0, 4.0]]])
    start = np.ones((40, 2))
    found = last(gmm, n_steps=5, step_size=1.0, noise_covariance=None, start=start)
    np.testing.assert_allclose(found, np.tile([(-99.0) ** 5, 0.75**5], (40, 1)), rtol=1e-9)


def test_last_positions_are_those_of_the_highest_step(shipped):
    table = simulate(shipped, snapshots=[0, 3])
    np.testing.assert_array_equal(particles.last_positions(table), table[["x", "y"]].to_numpy()[-40:])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"step_size": 0}, "step_size"),
        ({"step_size": -0.1}, "step_size"),
        ({"step_size": float("nan")}, "step_size"),
        ({"step_size": float("inf")}, "step_size"),
        ({"n_particles": 0}, "n_particles"),
        ({"n_steps": 0}, "n_steps"),
        ({"snapshots": [-1]}, "snapshots"),
        ({"snapshots": [3, 11]}, "snapshots"),
        ({"noise_covariance": [[1.0, 0.5], [0.4, 1.0]]}, "noise_covariance"),
        ({"noise_covariance": [[1.0, 2.0], [2.0, 1.0]]}, "noise_covariance"),
        ({"noise_covariance": [[-1.0, 0.0], [0.0, 1.0]]}, "noise_covariance"),
        ({"noise_covariance": [[float("nan"), 0.0], [0.0, 1.0]]}, "noise_covariance"),
        ({"noise_covariance": [[float("inf"), 0.0], [0.0, 1.0]]}, "noise_covariance"),
        ({"noise_covariance": [1.0, 1.0]}, "noise_covariance"),
        ({"noise_covariance": 1.0}, "noise_covariance"),
        ({"noise_covariance": np.eye(3)}, "noise_covariance"),
        ({"noise_covariance": [[1.0, 0.0], [0.0]]}, "noise_covariance"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(shipped, options, word):
    with pytest.raises(InputError) as caught:
        simulate(shipped, **options)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
