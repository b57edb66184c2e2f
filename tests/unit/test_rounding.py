"""Imputed values on the grid of a step, inside the plausible ends."""

from decimal import Decimal

import numpy as np
import pytest

from scoredag.errors import InputError
from scoredag.series import rounding

FREE = np.full(1, -np.inf), np.full(1, np.inf)


def nearest(values, step, ends=FREE, deviation=1.0):
    grid = rounding.grid([step], np.array([deviation]), *(np.atleast_1d(end).astype(float) for end in ends))
    return grid.nearest(np.asarray(values, dtype=float), np.zeros(len(values), int))


@pytest.mark.parametrize("step", [1, 0.2, 0.1, 0.05, 2.5, 5, 1000.0, 1e-7])
def test_values_become_the_nearest_multiple_as_one_would_write_it(step):
    values = np.random.default_rng(0).normal(size=1000) * 100 * step
    counts = [(Decimal(value) / Decimal(str(step))).to_integral_value() for value in values]
    assert nearest(values, step).tolist() == [float(count * Decimal(str(step))) for count in counts]


def test_ends_off_the_grid_move_inwards_and_those_on_it_stay():
    values = np.linspace(-2, 2, 101)
    found = nearest(values, 0.2, (-0.25, 0.6))  # 0.6 / 0.2 is less than 3
    assert found.min() == -0.2 and found.max() == 0.6
    assert nearest(values, 1, (0.2, 1.9)).tolist() == [1.0] * 101


def test_where_no_multiple_is_plausible_the_range_counts():
    assert set(nearest([-1, 0.3, 2], 1, (0.2, 0.7))) == {0.2, 0.7}


def test_there_is_no_minus_nought():
    assert str(nearest([-0.3], 1)[0]) == "0.0"


def test_without_a_step_a_thousandth_of_the_deviation_is_kept():
    values = np.random.default_rng(0).normal(size=1000)
    for deviation in (0.02, 1.0, 30.0):
        found = nearest(values * deviation, None, deviation=deviation)
        error = np.abs(found - values * deviation).max() / deviation
        assert 1e-5 < error <= 0.5e-3
    assert nearest([2.0], None, (-1 / 3, 1 / 3)) == 1 / 3  # the end as it is


@pytest.mark.parametrize(
    ("steps", "grouped", "expected"),
    [
        ({}, True, [None] * 5),
        ({"bikes": 1}, True, [1, None, None, 1, None]),
        ({"A_bikes": 1}, False, [1, None, None, None, None]),
    ],
)
def test_a_column_gives_its_step_to_the_features_of_all_groups(steps, grouped, expected):
    names = ["A_bikes", "A_dir_sin", "A_dir_cos", "B_bikes", "B_dir_sin"]
    assert rounding.steps_of(names, steps, {"dir": 360}, grouped) == expected


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("rain", "there is no feature 'rain'; the features are A_bikes, A_dir_sin, A_dir_cos"),
        ("A_bikes", "there is no feature 'A_bikes'"),
        ("dir", "'dir' is circular"),
        ("dir_sin", "'dir_sin' is circular"),
    ],
)
def test_a_step_of_no_feature_or_of_an_angle_is_refused(column, words):
    with pytest.raises(InputError, match=words) as refused:
        rounding.steps_of(["A_bikes", "A_dir_sin", "A_dir_cos"], {column: 1}, {"dir": 360}, True)
    assert "\n" not in str(refused.value)
