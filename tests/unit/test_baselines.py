"""Point imputations, against numpy.interp and cases worked out by hand."""

import numpy as np
import pytest

from scoredag.series import baselines

X = 99.0  # stands where nothing may be read


def one_row(values, known):
    return np.array(values, dtype=np.float64)[None, None], np.array(known, dtype=bool)[None, None]


def random_windows(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(30, 4, 12))
    return values, rng.uniform(size=values.shape) < rng.uniform(size=(30, 4, 1))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean", [0, 0, 1, 0, 0, 4, 0]),
        ("last value", [1, 1, 1, 1, 1, 4, 4]),
        ("linear", [1, 1, 1, 2, 3, 4, 4]),
    ],
)
def test_gaps_are_filled_as_worked_out_by_hand(method, expected):
    values, known = one_row([X, X, 1, X, X, 4, X], [0, 0, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(baselines.METHODS[method](values, known)[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("method", ["last value", "linear"])
def test_one_known_value_fills_its_window(method):
    values, known = one_row([X, X, -2.5, X], [0, 0, 1, 0])
    assert baselines.METHODS[method](values, known)[0, 0].tolist() == [-2.5] * 4


@pytest.mark.parametrize("method", baselines.METHODS)
def test_nothing_known_gives_the_mean(method):
    values, known = one_row([X, X, X], [0, 0, 0])
    assert baselines.METHODS[method](values, known)[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("method", baselines.METHODS)
def test_known_values_stay(method):
    values, known = random_windows()
    filled = baselines.METHODS[method](values, known)
    assert filled.shape == values.shape
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], values[known])


@pytest.mark.parametrize("method", baselines.METHODS)
def test_what_is_not_known_is_not_read(method):
    values, known = random_windows()
    hidden = np.where(known, values, np.nan)
    fill = baselines.METHODS[method]
    np.testing.assert_array_equal(fill(hidden, known), fill(values, known))


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
