"""Drift: particles at rest are told from particles on their way, and chance is no drift."""

from pathlib import Path

import numpy as np
import pytest

from scoredag.gmm import drift, langevin, mixture_files
from scoredag.gmm.mixture import GaussianMixture

STANDARD, OTHER = np.eye(2), np.diag([2.0, 0.2])


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")


def drift_of(gmm, n_particles=drift.N_PARTICLES, **options):
    snapshots = [drift.middle(options["n_steps"])]
    options = {"step_size": 0.1, "snapshots": snapshots, "threads": 2} | options
    return drift.measure(gmm, *langevin.run(gmm, n_particles=n_particles, **options).positions)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_variant_b_is_at_rest_after_a_thousand_steps_and_d_is_not(shipped, seed):
    assert drift.clearest(drift_of(shipped, n_steps=1000, noise_covariance=STANDARD, seed=seed)) is None
    moving = drift_of(shipped, n_steps=1000, noise_covariance=OTHER, seed=seed)
    assert drift.clearest(moving) in ("x", "y")
    assert moving["drift_x"] > 0.3 and moving["drift_y"] > 0.3


def test_variant_d_comes_to_rest_in_eight_thousand_steps(shipped):
    measured = drift_of(shipped, n_steps=8000, noise_covariance=OTHER, seed=1)
    assert drift.clearest(measured) is None
    assert max(abs(measured["drift_effect_x"]), abs(measured["drift_effect_y"])) < 0.05


def test_false_alarms_are_as_rare_as_chance_has_them():
    """In the law from the start, and slow, so that the two looks at a particle are much alike."""
    gmm = GaussianMixture([1.0], [[1.0, -1.0]], [[[4.0, 1.0], [1.0, 2.0]]])
    options = {"n_steps": 10, "kernel": "mala", "step_size": 0.02}
    scores = []
    for seed in range(200):
        start = gmm.sample(400, seed)
        measured = drift_of(gmm, 400, start=start, seed=seed, **options)
        scores += [value for name, value in measured.items() if name.startswith("drift_z_")]
    scores = np.array(scores)
    assert len(scores) == 600 and np.abs(scores).max() < drift.CLEAR
    assert 0.85 < scores.std() < 1.15 and abs(scores.mean()) < 0.2


def test_a_mean_that_nothing_changes_and_lost_particles_are_left_out():
    gmm = GaussianMixture([1.0], [[0.0, 0.0]], [STANDARD])
    before = np.array([[0.0, 0.0], [1.0, 0.0], [np.nan, 0.0], [2.0, 1.0]])
    after = before + np.array([[1.0, 0.0], [3.0, 0.0], [1.0, 0.0], [np.inf, 0.0]])
    measured = drift.measure(gmm, before, after)
    assert measured["drift_x"] == 2.0 and measured["drift_z_x"] == pytest.approx(2.0)
    assert measured["drift_effect_x"] == pytest.approx(2.0 / np.sqrt(2))
    assert "drift_y" not in measured
    assert drift.measure(gmm, before, before) == {} and drift.clearest({}) is None


@pytest.mark.parametrize(("n_steps", "n_levels", "step"), [(1000, 1, 500), (1, 1, 0), (7, 1, 3), (1000, 5, 900)])
def test_the_second_half_begins_in_the_middle_of_the_last_level(n_steps, n_levels, step):
    assert drift.middle(n_steps, n_levels) == step
