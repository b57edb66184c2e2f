"""What the compiled score is made of: exponentials, skipped components, certified polynomials."""

from pathlib import Path

import mpmath
import numba
import numpy as np
import pytest

from scoredag.gmm import fields, mixture, mixture_files
from scoredag.simd import lanes, maths


@numba.njit
def exponentials(x, y):
    for i in range(0, x.size, lanes.LANES):
        lanes.store(y, i, maths.exp2(lanes.load(x, i)))


@numba.njit
def logarithms(x, y):
    for i in range(0, x.size, lanes.LANES):
        lanes.store(y, i, maths.log(lanes.load(x, i)))


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")


@pytest.fixture(scope="module")
def field(shipped):
    return fields.build(shipped)


def exact(function, x):
    with mpmath.workdps(40):
        return np.array([float(function(mpmath.mpf(value))) for value in x])


def test_exponentials_are_right_to_1e_15():
    x = np.concatenate([np.linspace(-990, 990, 4000), np.random.default_rng(0).uniform(-2, 2, 4000), np.arange(-4, 4)])
    y = np.empty_like(x)
    exponentials(x, y)
    np.testing.assert_allclose(y, exact(lambda value: mpmath.power(2, value), x), rtol=1e-15)


def test_exponentials_end_well():
    y = np.empty(8)
    exponentials(np.array([-1e300, -np.inf, -1001.0, np.nan, 0.0, 1.0, -1.0, 10.0]), y)
    np.testing.assert_array_equal(y, [*[2.0**-1000] * 3, np.nan, 1, 2, 0.5, 1024])


def test_logarithms_are_right():
    x = np.concatenate([np.random.default_rng(0).random(8000) + 1e-16, 2.0 ** np.arange(-52, 4)])
    y = np.empty_like(x)
    logarithms(x, y)
    np.testing.assert_allclose(y, exact(mpmath.log, x), rtol=1e-15, atol=1e-16)


def relative_errors(found, expected, unit=0.0):
    return np.linalg.norm(found - expected, axis=1) / (np.linalg.norm(expected, axis=1) + unit)


def test_skipped_components_change_nothing(shipped, field):
    """The same sums with and without the components that cells leave out."""
    bare = field._replace(places=np.full_like(field.places, -1))
    n_groups = field.starts[-1] - field.starts[-2]
    assert np.diff(field.starts[:-1]).mean() < 0.6 * n_groups  # many are left out
    every = bare._replace(
        starts=np.append(np.arange(len(field.starts) - 1) * n_groups, len(field.references) * n_groups + n_groups),
        groups=np.tile(np.arange(n_groups), len(field.references) + 1),
    )
    x = np.concatenate([shipped.sample(5000, 1), np.random.default_rng(2).uniform(-16, 16, (5000, 2))])
    some, whole = fields.scores(x, bare)[0], fields.scores(x, every)[0]
    assert relative_errors(some, whole, unit=1.0).max() < 2e-15


def test_polynomials_are_as_good_as_their_certificate(shipped, field):
    x = np.concatenate([shipped.sample(5000, 1), np.random.default_rng(2).uniform(-16, 16, (20_000, 2))])
    column, row = ((x - field.box[:2]) * field.box[2:4]).astype(int).T
    inside = ((column >= 0) & (column < field.box[4])) & ((row >= 0) & (row < field.box[4]))
    x, cells = x[inside], (row * int(field.box[4]) + column)[inside]
    x = x[field.places[cells] >= 0]
    assert len(x) > 8000
    found, densities = fields.scores(x, field)
    bare = field._replace(places=np.full_like(field.places, -1))
    summed, expected = fields.scores(x, bare)
    unit = 1 / np.sqrt(np.linalg.eigvalsh(shipped.covariances).max())
    # rounding besides: each of 136 terms has its own
    assert relative_errors(found, summed, unit).max() < 4 * fields.TOLERANCE
    np.testing.assert_allclose(densities, expected, rtol=0, atol=4 * fields.TOLERANCE)


def test_corners_of_cells_are_certified_too(shipped, field):
    """Where a polynomial errs most."""
    cells = np.flatnonzero(field.places >= 0)[::7]
    side = int(field.box[4])
    corner = np.stack([cells % side, cells // side], axis=1) + np.array([0.9999, 0.0001])
    x = field.box[:2] + corner / field.box[2:4]
    assert relative_errors(fields.scores(x, field)[0], shipped.score(x), unit=1.0).max() < 1e-12


def test_components_too_sharp_for_the_grid_are_summed():
    sharp = mixture.GaussianMixture([0.5, 0.5], [[0, 0], [20, 20]], [1e-8 * np.eye(2), np.eye(2)])
    x = np.concatenate([sharp.sample(500, 1), np.random.default_rng(0).normal(size=(500, 2)) * 10])
    assert relative_errors(fields.scores(x, fields.build(sharp))[0], sharp.score(x)).max() < 1e-12


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(shipped, threads):
    for one, other in zip(fields.build(shipped), fields.build(shipped, threads), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 150])
def test_neighbours_are_all_components_once(n):
    order = fields._neighbours(np.random.default_rng(0).normal(size=(n, 2)))
    assert sorted(order) == list(range(n))
