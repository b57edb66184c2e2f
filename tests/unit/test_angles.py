"""Angles: as sine and cosine, and back as they were written."""

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.series import angles


def test_columns_have_the_features_of_all_groups_and_both_parts_of_an_angle():
    names = ["A_temp", "A_dir_sin", "A_dir_cos", "A_out_temp", "B_temp", "B_dir_sin", "B_dir_cos", "B_out_temp"]
    found = angles.features_of(names, ["dir", "out_temp"], {"dir": 360.0}, "station")
    assert found == ["A_dir_sin", "A_dir_cos", "A_out_temp", "B_dir_sin", "B_dir_cos", "B_out_temp"]
    assert angles.features_of(["a", "b"], ["b"], {}, None) == ["b"] and angles.features_of(["a"], [], {}, None) == []
    with pytest.raises(InputError, match="there is no feature 'c'; the features are a, b"):
        angles.features_of(["a", "b"], ["c"], {}, None)


@pytest.mark.parametrize(
    ("period", "values", "ranges"),
    [
        (360, [0, 0.1, 90, 123.456789, 359.99], {}),
        (360, [1, 10, 359, 360], {"dir": (1, 360)}),
        (360, [-180, -90.5, 0, 179], {"dir": (-180, 180)}),
        (2 * np.pi, [0, 0.5, 3.14159, 6.28318], {}),
        (24, [0, 6.25, 23.999], {}),
        (1, [0, 0.125, 0.999], {}),
    ],
)
def test_what_was_written_comes_back_bit_for_bit(period, values, ranges):
    wide = pd.DataFrame({"a": 1.0, "dir": np.array(values, float), "b": 2.0})
    apart = angles.split(wide, {"dir": period})
    assert list(apart.columns) == ["a", "dir_sin", "dir_cos", "b"]
    pd.testing.assert_frame_equal(angles.join(apart, {"dir": period}, ranges, False), wide, check_exact=True)


def test_angles_of_groups_are_found_and_others_left_alone():
    names = ["A_dir_sin", "A_dir_cos", "B_dir_sin", "B_dir_cos", "A_sin", "b_cos"]
    assert angles.pairs(names, {"dir": 360}, True) == {"A_dir": "dir", "B_dir": "dir"}
    assert angles.pairs(names, {"dir": 360}, False) == {}
    wide = pd.DataFrame([[1.0, 0.0, 0.0, -1.0, 0.5, 0.5]], columns=names)
    joined = angles.join(wide, {"dir": 360}, {}, True)
    assert joined.to_dict("list") == {"A_dir": [90], "B_dir": [180], "A_sin": [0.5], "b_cos": [0.5]}


def test_medians_of_sine_and_cosine_off_the_circle_give_their_direction():
    wide = pd.DataFrame({"dir_sin": [0.2, -0.1, 0.0], "dir_cos": [0.2, 0.1, 0.0]})
    assert angles.join(wide, {"dir": 360}, {}, False)["dir"].tolist() == [45, 315, 0]


def test_a_cosine_goes_with_its_sine_wherever_it_stands():
    names = ["A_dir_cos", "x", "A_dir_sin", "b_cos"]
    numbers, places = angles.as_one(names, {"dir": 360}, True)
    assert numbers.tolist() == [1, 2, 3] and places.tolist() == [1, 0, 1, 2]
    numbers, places = angles.as_one(names, {}, True)
    assert numbers.tolist() == places.tolist() == [0, 1, 2, 3]
