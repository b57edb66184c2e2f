"""Point imputations, against numpy.interp and cases worked out by hand."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from sklearn.impute import KNNImputer

from scoredag.series import baselines

X = 99.0  # stands where nothing may be read


def one_row(values, known):
    return np.array(values, dtype=np.float64)[None, None], np.array(known, dtype=bool)[None, None]


def random_windows(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(30, 4, 12))
    return values, rng.uniform(size=values.shape) < rng.uniform(size=(30, 4, 1))


def fill(method, values, known, training=None):
    """Fill windows by a method fitted on `training` windows; on these windows themselves if there are none."""
    return baselines.METHODS[method](*(training or (values, known)))(values, known)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean", [0, 0, 1, 0, 0, 4, 0]),
        ("last value", [1, 1, 1, 1, 1, 4, 4]),
        ("linear", [1, 1, 1, 2, 3, 4, 4]),
        ("spline", [1, 1, 1, 2, 3, 4, 4]),
    ],
)
def test_gaps_are_filled_as_worked_out_by_hand(method, expected):
    values, known = one_row([X, X, 1, X, X, 4, X], [0, 0, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(fill(method, values, known)[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("method", ["last value", "linear", "spline"])
def test_one_known_value_fills_its_window(method):
    values, known = one_row([X, X, -2.5, X], [0, 0, 1, 0])
    assert fill(method, values, known)[0, 0].tolist() == [-2.5] * 4


@pytest.mark.parametrize("method", baselines.METHODS)
def test_nothing_known_anywhere_gives_the_mean(method):
    values, known = one_row([X, X, X], [0, 0, 0])
    assert fill(method, values, known)[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("method", baselines.METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_values_stay(method, dtype):
    values, known = random_windows()
    values = values.astype(dtype)
    filled = fill(method, values, known)
    assert filled.shape == values.shape
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], values[known])


@pytest.mark.parametrize("method", baselines.METHODS)
def test_what_is_not_known_is_not_read(method):
    values, known = random_windows()
    hidden = np.where(known, values, np.nan)
    np.testing.assert_array_equal(fill(method, hidden, known), fill(method, values, known))


@pytest.mark.parametrize("method", baselines.METHODS)
@pytest.mark.parametrize("gap", ["window", "feature", "feature in training", "all of training", "all but training"])
def test_whatever_is_missing_all_is_finite(method, gap):
    values, known = random_windows()
    training, learnt = random_windows(1)
    known[0] &= gap != "window"
    known[:, 2] &= gap != "feature"
    learnt[:, 1] &= gap != "feature in training"
    learnt &= gap != "all of training"
    known &= gap != "all but training"
    filled = fill(method, values, known, (training, learnt))
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], values[known])


@pytest.mark.parametrize("method", baselines.METHODS)
@pytest.mark.parametrize("shape", [(5, 3, 1), (5, 1, 6), (5, 1, 1), (1, 1, 1), (1, 2, 2), (600, 2, 3)])
def test_short_windows_and_single_features_work(method, shape):
    rng = np.random.default_rng(0)
    values, known = rng.normal(size=shape), rng.uniform(size=shape) < 0.7
    filled = fill(method, values, known)
    assert filled.shape == shape and np.isfinite(filled).all()


@pytest.mark.parametrize("method", baselines.METHODS)
def test_windows_are_filled_each_by_itself(method):
    values, known = random_windows()
    filler = baselines.METHODS[method](*random_windows(1))
    together = filler(values, known)
    np.testing.assert_allclose(filler(values[3:5], known[3:5]), together[3:5], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", baselines.METHODS)
def test_nothing_is_said_and_the_numbers_are_the_same_again(method, recwarn):
    one, same = (fill(method, *random_windows(), random_windows(1)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert not recwarn.list


def related_windows(n, seed):
    """Windows in which feature 0 is 2 x feature 1 - feature 2 one step later, nearly."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 3, 13))
    values[:, 0, :-1] = 2 * values[:, 1, :-1] - values[:, 2, 1:]
    return values[:, :, :-1]


def test_ridge_finds_a_linear_relation_between_features_and_steps():
    training, values = related_windows(200, 0), related_windows(20, 1)
    everything = np.ones(training.shape, bool)
    known = np.ones(values.shape, bool)
    known[:, 0, 2:-2] = np.arange(2, 10) % 2  # edges have no neighbours to tell from
    filled = fill("ridge", values, known, (training, everything))
    np.testing.assert_allclose(filled[~known], values[~known], atol=0.02)
    assert np.abs(fill("linear", values, known)[~known] - values[~known]).mean() > 1


def test_nearest_neighbours_are_those_of_the_imputer_that_fills_all_columns():
    (training, known), (values, here) = random_windows(), random_windows(1)
    known[:, 1] = False  # a feature that training has no value of stays 0
    imputer = KNNImputer(n_neighbors=baselines.N_NEIGHBOURS, weights="distance", keep_empty_features=True)
    whole = baselines._by_steps(imputer, training, known, reach=1)
    np.testing.assert_allclose(fill("nearest neighbours", values, here, (training, known)), whole(values, here))


def test_nearest_neighbours_find_a_step_seen_in_training():
    training, _ = random_windows()
    everything = np.ones(training.shape, bool)
    values, known = training[:3], np.ones((3, 4, 12), bool)
    known[:, 1, 5] = False
    filled = fill("nearest neighbours", values, known, (training, everything))
    np.testing.assert_allclose(filled, values, atol=1e-6)


def test_nearest_neighbours_are_weighted_by_distance():
    """One feature at one step, so that the only rows are (target, clue); ten neighbours of clue 0."""
    clues = np.r_[1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 50.0]
    targets = np.arange(11.0)
    training = np.stack([targets, clues], axis=1)[:, :, None]
    values, known = np.array([[[X], [0.0]]]), np.array([[[False], [True]]])
    filled = fill("nearest neighbours", values, known, (training, np.ones(training.shape, bool)))
    assert filled[0, 0, 0] == pytest.approx(np.average(targets[:10], weights=1 / clues[:10]))


def test_training_windows_are_thinned():
    values, known = random_windows()
    many = np.repeat(values, 20, axis=0), np.repeat(known, 20, axis=0)
    thinned = tuple(part[::3] for part in many)  # 600 windows: every third
    for method in ("nearest neighbours", "ridge"):
        np.testing.assert_array_equal(fill(method, values, known, many), fill(method, values, known, thinned))


def test_spline_equals_scipy_inside_and_is_constant_beyond():
    values, known = random_windows(2)
    steps = np.arange(values.shape[-1])
    filled = baselines.spline(values, known)
    for index in np.ndindex(values.shape[:2]):
        there = steps[known[index]]
        if len(there) < 2:
            continue
        inside = slice(there[0], there[-1] + 1)
        curve = PchipInterpolator(there, values[index][there])
        np.testing.assert_allclose(filled[index][inside], curve(steps[inside]), atol=1e-12)
        np.testing.assert_allclose(filled[index][: there[0]], values[index][there[0]], atol=1e-12)
        np.testing.assert_allclose(filled[index][there[-1] :], values[index][there[-1]], atol=1e-12)


def test_linear_equals_numpy_interp():
    values, known = random_windows()
    steps = np.arange(values.shape[-1])
    filled = baselines.linear(values, known)
    for index in np.ndindex(values.shape[:2]):
        if known[index].any():
            expected = np.interp(steps, steps[known[index]], values[index][known[index]])
            np.testing.assert_allclose(filled[index], expected, atol=1e-12)
        else:
            assert (filled[index] == 0).all()


def test_last_value_equals_a_walk_through_the_window():
    values, known = random_windows(1)
    filled = baselines.last_value(values, known)
    for index in np.ndindex(values.shape[:2]):
        seen = values[index][known[index]]
        latest = seen[0] if len(seen) else 0.0
        for step in range(values.shape[-1]):
            latest = values[index][step] if known[index][step] else latest
            assert filled[index][step] == latest
