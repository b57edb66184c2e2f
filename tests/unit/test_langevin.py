"""Langevin dynamics: the compiled score, closed forms, streams, snapshots, what it refuses."""

import itertools
import math
import re
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from scipy.linalg import solve_discrete_lyapunov

from scoredag.errors import InputError
from scoredag.gmm import diagnostics, langevin, mixing, mixture, mixture_files, particles
from scoredag.simd import random
from scoredag.store import tables

IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
SKEWED = np.array([[2.0, 0.7], [0.7, 0.5]])
MEAN = np.array([3.0, -2.0])
COVARIANCE = np.array([[1.5, -0.6], [-0.6, 0.8]])


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")


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


def test_noise_is_standard_normal_and_independent():
    """Kolmogorov & Smirnov for all draws, for squares, and for sums of draws that stand 1, 8 and 16 apart."""
    state = np.random.default_rng(5).integers(2**64, size=random.STATE, dtype=np.uint64).view(np.int64)
    z = np.zeros(400_000 + 16)
    fill(state, z)
    z = z[:400_000]
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert stats.kstest(z**2, "chi2", args=(1,)).pvalue > 1e-3
    for lag in (1, 8, 16):
        sums = (z[:-lag] + z[lag:]).reshape(-1)[:: 2 * lag + 1] / np.sqrt(2)
        assert stats.kstest(sums, "norm").pvalue > 1e-3
        for x, y in ((z[:-lag], z[lag:]), (z[:-lag] ** 2, z[lag:] ** 2)):
            assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(len(z))


@numba.njit
def fill(state, z):
    random.normals(state, z, len(z) - 16)


# --- each kernel on one Gaussian, whose stationary covariance is known --------------------------


def stationary(gaussian, expected, wrong=None, **options):
    """Assert that 30,000 particles at the end have the mean and covariance of the stationary distribution."""
    defaults = {"n_particles": 30_000, "n_steps": 120, "threads": 2, "noise_covariance": None}
    x = last(gaussian, **defaults | options) - MEAN
    assert (np.abs(x.mean(axis=0)) < 5 * x.std(axis=0) / np.sqrt(len(x))).all()
    assert (covariance_deviations(x, expected) < 5).all()
    if wrong is not None:  # the step is large enough to tell them apart
        assert (covariance_deviations(x, wrong) > 5).any()


def test_a_preconditioner_on_drift_and_noise_keeps_the_target(gaussian):
    tau = 0.3
    contraction = np.eye(2) - tau * SKEWED @ np.linalg.inv(COVARIANCE)
    expected = solve_discrete_lyapunov(contraction, 2 * tau * SKEWED)
    stationary(gaussian, expected, COVARIANCE, preconditioner=SKEWED, step_size=tau)
    # of the order of tau off the target; noise alone of that covariance is off at any step size
    small = solve_discrete_lyapunov(np.eye(2) - 1e-4 * SKEWED @ np.linalg.inv(COVARIANCE), 2e-4 * SKEWED)
    np.testing.assert_allclose(small, COVARIANCE, rtol=2e-3)


@pytest.mark.parametrize("matrix", [None, SKEWED.tolist()], ids=["plain", "preconditioned"])
@pytest.mark.parametrize("tau", [0.3, 1.2])
def test_mala_keeps_the_covariance_at_any_step_size(gaussian, matrix, tau):
    """Started there: a step of 1.2 is accepted too rarely to get there soon."""
    start = gaussian.sample(30_000, 3)
    stationary(gaussian, COVARIANCE, kernel="mala", step_size=tau, preconditioner=matrix, n_steps=60, start=start)


def test_mala_gets_to_the_covariance(gaussian):
    stationary(gaussian, COVARIANCE, 1.15 * COVARIANCE, kernel="mala", step_size=0.3)


def test_baoab_keeps_the_covariance_of_a_gaussian_at_any_stable_step(gaussian):
    """Leimkuhler & Matthews 2013: positions are sampled without error where forces are linear."""
    stationary(gaussian, COVARIANCE, kernel="underdamped", step_size=0.9, n_steps=150)


def test_tempering_keeps_the_covariance_of_its_coldest_replica(gaussian):
    stationary(gaussian, COVARIANCE, 1.15 * COVARIANCE, kernel="tempering", step_size=0.3, temperatures=[1, 2, 4])


def test_annealing_ends_in_the_mixture_with_the_last_level_added(gaussian):
    tau, level = 0.25, 0.5
    precision = np.linalg.inv(COVARIANCE + level**2 * np.eye(2))
    expected = solve_discrete_lyapunov(np.eye(2) - tau * precision, 2 * tau * np.eye(2))
    stationary(gaussian, expected, COVARIANCE, kernel="annealed", step_size=tau, noise_levels=[1.0, level], n_steps=240)


def test_annealing_takes_larger_steps_at_higher_levels(gaussian):
    """Without snapshots between, one step a level: two explicit steps of the linear flow and their noise."""
    found = last(gaussian, kernel="annealed", step_size=0.1, noise_levels=[2.0, 1.0], n_steps=2, n_particles=30_000)
    a = np.eye(2) - 0.4 * np.linalg.inv(COVARIANCE + 4 * np.eye(2))
    b = np.eye(2) - 0.1 * np.linalg.inv(COVARIANCE + np.eye(2))
    expected = b @ (a @ a.T + 0.8 * np.eye(2)) @ b.T + 0.2 * np.eye(2)
    mean = MEAN + b @ a @ -MEAN
    assert (covariance_deviations(found - mean, expected) < 5).all()


# settings of a run by each
KERNELS = {
    "overdamped": {},
    "mala": {"noise_covariance": None},
    "underdamped": {"noise_covariance": None},
    "annealed": {"noise_covariance": None, "noise_levels": [1.0, 0.5, 0.1]},
    "tempering": {"noise_covariance": None, "temperatures": [1, 3]},
}


def test_the_schema_and_these_tests_have_the_kernels_and_what_they_take(root):
    """The workflow checks a config by the schema, since it starts without numba."""
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    keys = schema["$defs"]["variant"]["properties"]
    assert keys["kernel"]["enum"] == list(langevin.KERNELS) == list(KERNELS)
    taken_by = {
        key: [name for name, kernel in langevin.KERNELS.items() if key in kernel.takes]
        for key in set().union(*(kernel.takes for kernel in langevin.KERNELS.values()))
    }
    assert {key: value["kernels"] for key, value in keys.items() if "kernels" in value} == taken_by


def test_settings_that_no_kernel_takes_are_refused(shipped):
    with pytest.raises(TypeError, match="temperature"):
        simulate(shipped, temperature=[1, 2])


@pytest.mark.parametrize("kernel", KERNELS)
def test_neither_threads_nor_shards_change_any_kernel(shipped, kernel):
    options = {"kernel": kernel, "n_steps": 9, "snapshots": [0, 3, 4], **KERNELS[kernel]}
    alone = simulate(shipped, n_particles=1_700, threads=1, **options)
    for threads in (2, 8):
        pd.testing.assert_frame_equal(simulate(shipped, n_particles=1_700, threads=threads, **options), alone)
    parts = [
        simulate(shipped, n_particles=n, first=first, **options) for first, n in ((0, 500), (500, 1000), (1500, 200))
    ]
    joined = pd.concat(parts).sort_values(["step", "particle"], ignore_index=True)
    pd.testing.assert_frame_equal(joined, alone)


@pytest.mark.parametrize("kernel", KERNELS)
def test_snapshots_of_any_kernel_are_where_shorter_looks_find_it(shipped, kernel):
    options = {"kernel": kernel, "n_steps": 9, **KERNELS[kernel]}
    table = simulate(shipped, snapshots=[0, *range(1, 9)], **options)
    some = simulate(shipped, snapshots=[3, 6], **options)
    expected = table[table["step"].isin([3, 6, 9])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)


def test_the_acceptance_rate_falls_with_the_step(shipped):
    rates = [
        langevin.run(shipped, n_particles=500, n_steps=50, step_size=tau, seed=1, kernel="mala").acceptance
        for tau in (0.001, 0.1, 1.0)
    ]
    assert 1 > rates[0] > 0.98 > rates[1] > 0.5 > rates[2] > 0
    found = langevin.run(
        shipped, n_particles=500, n_steps=50, step_size=0.1, seed=1, kernel="tempering", temperatures=[1, 1.01]
    )
    assert found.swap_acceptance > 0.98


def test_tempering_crosses_where_langevin_stays():
    gmm = mixture.GaussianMixture([0.3, 0.7], [[-6.0, 0.0], [6.0, 0.0]], [np.eye(2)] * 2)
    start = np.tile([-6.0, 0.0], (1000, 1))
    options = {"n_particles": 1000, "n_steps": 600, "step_size": 0.5, "start": start, "noise_covariance": None}
    stuck, found = (
        (last(gmm, kernel=kernel, **options, **more)[:, 0] > 0).mean()
        for kernel, more in (("mala", {}), ("tempering", {"temperatures": [1, 2, 4, 8, 16]}))
    )
    assert stuck < 0.01
    assert found == pytest.approx(0.7, abs=5 * np.sqrt(0.3 * 0.7 / 1000))


def test_islands_are_found_by_annealing_and_tempering_alone(root):
    """The preset on fewer particles, which start from N(0, I)."""
    gmm = mixture_files.read(root / "data/gmm-islands.csv")
    preset = yaml.safe_load((root / "config/presets/islands.yaml").read_text(encoding="utf-8"))
    variants = preset["langevin"]["variants"]

    def wrong_share(name):
        options = {"n_steps": 1000, "noise_covariance": None} | variants[name]
        options = {key: value for key, value in options.items() if key not in ("label", "animate")}
        return diagnostics.occupancy_total_variation(gmm, last(gmm, n_particles=4000, **options))

    variants["mala"] = {"kernel": "mala", "step_size": 0.1}
    variants["underdamped"] = {"kernel": "underdamped", "step_size": 0.45, "friction": 0.5}
    for stuck in ("overdamped", "mala", "underdamped"):
        assert wrong_share(stuck) > 0.3
    assert wrong_share("annealed") < 0.05
    assert wrong_share("tempering") < 0.05


def test_islands_are_a_barrier_of_at_least_twelve_nats_apart(root):
    """Along the straight line between neighbours."""
    gmm = mixture_files.read(root / "data/gmm-islands.csv")
    ways = np.linspace(0, 1, 301)[:, None]
    barriers = []
    for a, b in itertools.combinations(gmm.means, 2):
        levels = gmm.log_density(a + ways * (b - a))
        barriers.append(min(levels[0], levels[-1]) - levels.min())
    assert min(barriers) > 12


@pytest.mark.parametrize("half", [2.75, 3.25, 3.75])
def test_the_time_to_cross_is_the_mean_time_of_first_passage(half):
    """Of Langevin dynamics between two islands of deviation one: a double integral (Gardiner, Stochastic methods)."""
    gmm = mixture.GaussianMixture([0.5, 0.5], [[-half, 0.0], [half, 0.0]], [np.eye(2)] * 2)
    x = np.linspace(-half - 8, half, 4001)
    density = np.exp(-((x + half) ** 2) / 2) + np.exp(-((x - half) ** 2) / 2)
    below = np.cumsum(density)
    between = x >= -half
    crossing = (below[between] / density[between]).sum() * (x[1] - x[0]) ** 2
    height = half**2 / 2 - math.log(2)
    assert 0.9 < crossing * half / (2 * math.pi) ** 0.5 / math.pi / math.exp(height) < 1.3  # exponential in it
    start, n_steps = np.tile([-half, 0.0], (2000, 1)), round(crossing / 2 / 0.05)
    found = last(gmm, n_particles=2000, n_steps=n_steps, step_size=0.05, start=start)
    expected = (1 - math.exp(-1)) / 2  # there and back, after half of that time
    assert (found[:, 0] > 0).mean() == pytest.approx(expected, rel=0.1)


def test_a_step_beyond_the_stability_limit_is_said(gaussian, caplog):
    limit = langevin.stability_limit(gaussian)
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(np.linalg.inv(COVARIANCE)).max())
    simulate(gaussian, step_size=0.99 * limit)
    assert not caplog.text
    simulate(gaussian, step_size=1.01 * limit)
    assert f"{limit:.4g}" in caplog.text


SLOW = {
    "overdamped": {},
    "mala": {"preconditioner": [[2.0, 0.0], [0.0, 2.0]]},
    "underdamped": {"friction": 0.5},
    "annealed": {"noise_levels": [3.0, 1.0]},
    "tempering": {"temperatures": [1.0, 2.0]},
}


@pytest.mark.parametrize("kernel", SLOW)
def test_a_mixture_that_particles_cannot_reach_is_said_with_a_step_size_that_can(caplog, kernel):
    far = mixture.GaussianMixture([1.0], [[300.0, 400.0]], [400 * np.eye(2)])
    options = SLOW[kernel] | {"kernel": kernel, "n_steps": 1000}
    assert np.linalg.norm(last(far, step_size=0.01, **options) - [300, 400], axis=1).min() > 300
    (line,) = (record.getMessage() for record in caplog.records)
    assert "start 25 deviations outside" in line and "1000 steps of step_size 0.01 are too few" in line
    caplog.clear()
    wanted = float(line.partition("; step_size ")[2].split()[0])
    assert np.linalg.norm(last(far, step_size=wanted, **options) - [300, 400], axis=1).mean() < 2 * 20
    assert not caplog.records


def test_particles_that_start_far_outside_without_noise_only_have_to_reach_it(caplog):
    far = mixture.GaussianMixture([1.0], [[300.0, 400.0]], [400 * np.eye(2)])
    last(far, noise_covariance=None, step_size=0.01)
    assert "10 steps of step_size 0.01 are too few to reach it; step_size" in caplog.text


def chain(n, apart, deviation):
    """Components in a row, its middle at the start, each of which reaches into the next."""
    means = np.stack([apart * (np.arange(n) - (n - 1) / 2), np.zeros(n)], axis=1)
    return mixture.GaussianMixture(np.full(n, 1 / n), means, [deviation**2 * np.eye(2)] * n)


@pytest.mark.parametrize("kernel", SLOW)
@pytest.mark.parametrize("gmm", [chain(1, 0.0, 20.0), chain(9, 3.0, 2.0)], ids=["one", "chain"])
def test_particles_that_start_inside_and_stay_there_are_told_what_carries_them_across(caplog, kernel, gmm):
    options = SLOW[kernel] | {"kernel": kernel, "n_steps": 200, "n_particles": 500}
    wide = np.std(gmm.sample(100_000, seed=1)[:, 0])
    assert np.std(last(gmm, step_size=0.001, **options)[:, 0]) < 0.4 * wide
    (line,) = (record.getMessage() for record in caplog.records)
    carried, across = (float(re.search(pattern, line)[1]) for pattern in (r"about (\S+), and", r"about (\S+) across"))
    assert line.startswith("200 steps of step_size 0.001 carry a particle about ") and carried < across / 2
    assert across == pytest.approx(2 * wide, rel=0.06)
    caplog.clear()
    size = float(re.search(r"step_size (\S+) would carry it from one side to the other$", line)[1])
    steps = int((re.search(r"; n_steps (\d+) at", line) or [0, 200])[1])
    found = last(gmm, step_size=size, **options | {"n_steps": steps})
    assert np.std(found[:, 0]) == pytest.approx(wide, rel=0.15)
    assert not caplog.records


@pytest.mark.parametrize(
    ("options", "carried"),
    [
        ({}, math.sqrt(2 * 10 * 0.1)),
        ({"noise_covariance": [[0.25, 0.0], [0.0, 4.0]]}, math.sqrt(2 * 10 * 0.1 * 0.25)),
        ({"kernel": "mala", "preconditioner": [[0.25, 0.0], [0.0, 4.0]]}, math.sqrt(2 * 10 * 0.1 * 0.25)),
        ({"kernel": "underdamped", "friction": 0.5}, math.sqrt(2 * (0.5 - 1 + math.exp(-0.5))) / 0.5),
        ({"kernel": "annealed", "noise_levels": [3.0, 1.0]}, math.sqrt(2 * 10 * 0.1 * 5)),
        ({"kernel": "tempering", "temperatures": [1.0, 9.0]}, math.sqrt(2 * 10 * 0.1 * 9)),
    ],
)
def test_how_far_a_particle_is_carried_is_the_deviation_of_a_free_one(caplog, options, carried):
    simulate(chain(9, 30.0, 20.0), **options)
    assert f"10 steps of step_size 0.1 carry a particle about {carried:.2g}, and" in caplog.text


def test_more_steps_are_advised_where_no_stable_step_mixes(caplog):
    apart = mixture.GaussianMixture([0.5, 0.5], [[0.0, 0.0], [50.0, 0.0]], [np.eye(2) * 1e-2, np.eye(2) * 25.0])
    simulate(apart, step_size=0.005, n_steps=100)
    assert caplog.text.count("\n") == 1
    assert "the mixture is about 50 across; n_steps 140000 at step_size 0.01 would carry it" in caplog.text


@pytest.mark.parametrize("preset", [None, "kernels"])
def test_the_variants_that_ship_are_not_slow(root, shipped, caplog, preset):
    path = root / (f"config/presets/{preset}.yaml" if preset else "config/config.yaml")
    variants = yaml.safe_load(path.read_text(encoding="utf-8"))["langevin"]["variants"]
    for variant in filter(None, variants.values()):
        options = {"kernel": "overdamped", "n_steps": 1000} | variant
        kernel, step_size, n_steps = (options.pop(name) for name in ("kernel", "step_size", "n_steps"))
        mixing.warn_of_slow(kernel, shipped, step_size, n_steps, options)
    assert not caplog.records and len(variants) > 3


def test_a_start_of_ones_own_is_not_judged(gaussian, caplog):
    simulate(gaussian, start=np.full((40, 2), 1e3), n_steps=1)
    assert not caplog.text


def test_divergence_may_stop_the_run():
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [[[0.01, 0.0], [0.0, 0.01]]])
    with pytest.raises(InputError, match="40 of 40 particles are not finite"):
        simulate(gmm, n_steps=400, step_size=1.0, divergence="stop")


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
        ({"kernel": "hmc"}, "kernel"),
        ({"divergence": "ignore"}, "divergence"),
        ({"friction": 0}, "friction"),
        ({"first": 3}, "first"),
        ({"preconditioner": [[1.0, 1.0], [1.0, 1.0]]}, "preconditioner"),
        ({"kernel": "annealed"}, "noise_levels"),
        ({"kernel": "annealed", "noise_levels": [0.1, 1.0]}, "noise_levels"),
        ({"kernel": "tempering"}, "temperatures"),
        ({"kernel": "tempering", "temperatures": [2, 3]}, "temperatures"),
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
