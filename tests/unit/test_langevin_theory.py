"""What theory says of Langevin steps, beside closed forms, quadrature and the kernels themselves."""

import math
from pathlib import Path

import numpy as np
import pytest

from predict_bias import predict_bias
from predict_laws import predict_laws
from scoredag.gmm import langevin, mixture, mixture_files, theory
from scoredag.store import tables
from sweep_langevin import sweep_langevin

COVARIANCE = np.array([[1.5, -0.6], [-0.6, 0.8]])
NOISE = np.array([[2.0, 0.0], [0.0, 0.2]])


@pytest.fixture(scope="module")
def gaussian():
    return mixture.GaussianMixture([1.0], [[0.0, 0.0]], [COVARIANCE])


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")


def slope_of(gmm, n=200_000):
    x = gmm.sample(n, 3)
    return theory.bias_slope(gmm.log_density(x), gmm.score(x))


def test_the_slope_of_the_bias_on_a_gaussian_is_its_closed_form(gaussian):
    """A direction of variance v ends with v / (1 - tau / 2v), so that E log p falls by tau / 4v to first order."""
    slope, error = slope_of(gaussian)
    assert abs(slope + np.trace(np.linalg.inv(COVARIANCE)) / 4) < 4 * error < 0.02


def test_the_slope_on_a_mixture_is_that_of_quadrature_with_the_laplacian():
    """-(I - Cov(V, lap V)) / 4 on a grid, with second derivatives by differences."""
    gmm = mixture.GaussianMixture([0.3, 0.7], [[-1.5, 0.0], [1.0, 0.5]], [COVARIANCE, 0.5 * np.eye(2)])
    axis, step = np.linspace(-9, 9, 601, retstep=True)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    potential = -gmm.log_density(points.reshape(-1, 2)).reshape(points.shape[:2])
    laplacian = sum(np.gradient(np.gradient(potential, step, axis=i), step, axis=i) for i in range(2))
    squares = sum(np.gradient(potential, step, axis=i) ** 2 for i in range(2))
    inner = (slice(5, -5),) * 2
    mass = (np.exp(-potential) * step**2)[inner]

    def mean(values):
        return (values[inner] * mass).sum()

    covariance = mean(potential * laplacian) - mean(potential) * mean(laplacian)
    slope, error = slope_of(gmm)
    assert abs(slope + (mean(squares) - covariance) / 4) < 4 * error < 0.02


def test_the_figures_data_lie_on_the_line_of_theory(shipped, tmp_path):
    """Within two standard errors, by the scripts that make both; at step sizes whose squares do not show."""
    parameters, sweep, stated = (tmp_path / f"{name}.parquet" for name in ("gmm", "sweep", "theory"))
    tables.write(mixture.to_table(shipped), parameters, tables.GMM)
    predict_bias(parameters, stated, {"seed": 1}, 2)
    slope = tables.read(stated, tables.LANGEVIN_THEORY).set_index("quantity").loc["bias_slope"]
    settings = {"seed": 1, "kernels": ["overdamped"], "step_sizes": [0.05, 0.025], "n_particles": 200_000, "time": 2.0}
    sweep_langevin(parameters, sweep, settings, 2)
    table = tables.read(sweep, tables.SWEEP)
    weights = (table["step_size"] / table["std_error"]) ** 2
    fitted = np.average(table["bias"] / table["step_size"], weights=weights)
    assert abs(fitted - slope["value"]) < 2 * math.hypot(weights.sum() ** -0.5, slope["std_error"])
    assert fitted < -5 * weights.sum() ** -0.5  # which is enough to tell a slope from none


def test_a_gaussian_is_kept_with_the_variance_of_its_closed_form():
    for variance in (0.33, 1.0, 4.0):
        law = theory.stationary_covariance(variance * np.eye(2), 0.1, np.diag([1.0, 3.0]))
        np.testing.assert_allclose(law, variance / (1 - 0.05 / variance) * np.diag([1.0, 3.0]), rtol=1e-12)


def test_particles_on_one_gaussian_have_the_covariance_of_theory(gaussian):
    """Within 1 %, with noise of another covariance, over the last of many steps."""
    law = theory.stationary_covariance(COVARIANCE, 0.1, NOISE)
    options = {"step_size": 0.1, "noise_covariance": NOISE, "n_steps": 1500, "snapshots": list(range(500, 1501, 25))}
    result = langevin.run(gaussian, n_particles=4000, seed=5, threads=2, **options)
    found = np.einsum("sni,snj->ij", result.positions, result.positions) / result.positions[..., 0].size
    np.testing.assert_allclose(found, law, atol=0.01 * np.abs(law).max())
    np.testing.assert_allclose(np.diag(found), np.diag(law), rtol=0.01)
    # a temperature of its own in each direction: the target at none
    assert np.abs(law / COVARIANCE - 1).max() > 0.5


def test_particles_circulate_unless_noise_and_drift_share_a_matrix(gaussian):
    law = theory.stationary_covariance(COVARIANCE, 0.1, NOISE)
    turn = theory.circulation(COVARIANCE, 0.1, law)
    options = {"n_steps": 301, "snapshots": [300], "step_size": 0.1, "threads": 2}
    before, after = langevin.run(gaussian, n_particles=200_000, seed=2, noise_covariance=NOISE, **options).positions
    swept = (before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) / 0.1
    assert abs(swept.mean() - turn) < 4 * swept.std() / math.sqrt(len(swept)) < abs(turn) / 2
    kept = theory.stationary_covariance(COVARIANCE, 0.1, NOISE, preconditioner=NOISE)
    assert abs(theory.circulation(COVARIANCE, 0.1, kept, preconditioner=NOISE)) < 1e-12
    small = theory.stationary_covariance(COVARIANCE, 1e-5, NOISE, preconditioner=NOISE)
    np.testing.assert_allclose(small, COVARIANCE, rtol=1e-4)  # the target, up to the step


def test_no_law_is_given_where_steps_diverge():
    assert theory.stationary_covariance(0.33 * np.eye(2), 0.67, np.eye(2)) is None
    assert theory.stationary_covariance(0.33 * np.eye(2), 0.65, np.eye(2)) is not None
    gmm = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [np.diag([2.0, 0.25])])
    np.testing.assert_allclose(theory.multipliers(gmm, 1.0), [[-3.0, 0.5]])


def test_laws_are_listed_for_each_component_and_left_out_where_there_is_none(tmp_path):
    gmm = mixture.GaussianMixture([0.5, 0.5], [[0.0, 0.0], [3.0, 0.0]], [np.diag([2.0, 0.25]), np.eye(2)])
    paths = tmp_path / "gmm.parquet", tmp_path / "laws.parquet"
    tables.write(mixture.to_table(gmm), paths[0], tables.GMM)
    no_matrix = {"preconditioner": None, "noise_covariance": None}
    variants = {
        "still": {"step_size": 0.1} | no_matrix,
        "large": {"step_size": 1.0} | no_matrix | {"noise_covariance": np.eye(2).tolist()},
        "matrix": {"step_size": 0.1} | no_matrix | {"preconditioner": NOISE.tolist()},
    }
    predict_laws(*paths, {"variants": variants})
    table = tables.read(paths[1], tables.STATIONARY).set_index(["variant", "component"])
    assert table["cov_xx"].isna().tolist() == [True, True, True, False, False, False]
    assert table.loc[("large", 0), ["multiplier_across", "multiplier_along"]].tolist() == [-3.0, 0.5]
    assert table.at[("large", 1), "cov_xx"] == pytest.approx(2.0)  # 1 / (1 - 1/2)
    np.testing.assert_allclose(table.loc["matrix", "cov_xx"], [2 / (1 - 0.05), 1 / (1 - 0.1)])
    np.testing.assert_allclose(table.loc["matrix", "circulation"], 0, atol=1e-12)


# --- order of convergence: how errors fall with the step -----------------------------------------

VARIANCE = 0.5
UNIT = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [VARIANCE * np.eye(2)])


def order(errors, step_sizes):
    """The slope of log error over log step size."""
    return np.polyfit(np.log(step_sizes), np.log(np.abs(errors)), 1)[0]


def mean_after(time, step_size, **options):
    """The mean at `time` over that at the start. So far out that noise is nothing beside it, as forces are linear."""
    start = np.tile([1e6, 0.0], (500, 1))
    n_steps = round(time / step_size)
    result = langevin.run(UNIT, n_particles=500, seed=1, step_size=step_size, n_steps=n_steps, start=start, **options)
    return result.positions[-1, :, 0].mean() / 1e6


def test_overdamped_steps_converge_with_order_one():
    """To exp(-t / variance), the mean of dx = score dt + sqrt(2) dw."""
    sizes = np.array([0.02, 0.01, 0.005, 0.0025])
    exact = math.exp(-1 / VARIANCE)
    errors = [mean_after(1.0, size, noise_covariance=np.eye(2)) - exact for size in sizes]
    assert abs(order(errors, sizes) - 1) < 0.05


def test_the_variance_of_overdamped_steps_is_wrong_with_order_one():
    sizes = np.array([0.2, 0.1, 0.05])
    start, errors = UNIT.sample(400_000, 4), []
    for size in sizes:
        options = {"step_size": size, "noise_covariance": np.eye(2), "n_steps": round(3 / size), "threads": 2}
        x = langevin.run(UNIT, n_particles=len(start), seed=4, start=start, **options).positions[-1]
        exact = VARIANCE / (1 - size / (2 * VARIANCE))
        assert x.var() == pytest.approx(exact, rel=0.01)
        errors.append(x.var() - VARIANCE)
    assert abs(order(errors, sizes) - 1) < 0.25


def test_baoab_converges_with_order_two():
    """To the mean of dx = v dt, dv = (score - friction v) dt + sqrt(2 friction) dw from rest, underdamped."""
    sizes, friction, time = np.array([0.2, 0.1, 0.05, 0.025]), 1.0, 2.0
    frequency = math.sqrt(1 / VARIANCE - friction**2 / 4)
    angle = frequency * time
    exact = math.exp(-friction * time / 2) * (math.cos(angle) + friction / (2 * frequency) * math.sin(angle))
    errors = [mean_after(time, size, kernel="underdamped", friction=friction) - exact for size in sizes]
    assert abs(order(errors, sizes) - 2) < 0.05


def test_the_variance_of_mala_is_right_at_any_step_size():
    """Order 0: there is no error that a smaller step would mend."""
    start, deviations = UNIT.sample(200_000, 6), []
    for size in (0.5, 0.25, 0.125):
        options = {"kernel": "mala", "step_size": size, "n_steps": round(3 / size), "threads": 2}
        x = langevin.run(UNIT, n_particles=len(start), seed=6, start=start, **options).positions[-1]
        deviations.append((x.var() - VARIANCE) / (VARIANCE * math.sqrt(1 / len(start))))
        unadjusted = VARIANCE / (1 - size / (2 * VARIANCE))
        assert unadjusted - VARIANCE > 20 * VARIANCE * math.sqrt(1 / len(start))  # which would be seen
    assert np.abs(deviations).max() < 4
