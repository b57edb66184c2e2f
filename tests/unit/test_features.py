"""Names of features: the columns that they come from, and their units."""

import pytest

from scoredag.series import features


@pytest.mark.parametrize(
    ("feature", "grouped", "expected"),
    [
        ("temp", True, "temp"),
        ("EWR_temp", True, "temp"),
        ("EWR_temp", False, None),
        ("EWR_wind_speed", True, "wind_speed"),  # not speed
        ("wind_speed", False, "wind_speed"),
        ("EWRtemp", True, None),
        ("EWR_temp_2", True, None),
    ],
)
def test_a_feature_has_the_range_and_unit_of_its_column(feature, grouped, expected):
    assert features.column_of(feature, ["speed", "temp", "wind_speed"], grouped) == expected


@pytest.mark.parametrize(
    ("name", "grouped", "expected"),
    [
        ("temp", True, True),
        ("wind_speed", True, True),
        ("speed", True, False),  # the end of a column's name
        ("EWR_temp", True, False),  # with its group
        ("rain", True, False),
        ("EWR_temp", False, True),
        ("temp", False, False),
    ],
)
def test_a_column_is_one_that_every_group_has(name, grouped, expected):
    names = ["EWR_temp", "EWR_wind_speed", "JFK_temp", "JFK_wind_speed"]
    assert features.is_column(name, names, grouped) == expected


def test_labels_name_the_unit():
    assert features.label("EWR_temp", {"temp": "°F"}) == "EWR_temp (°F)"
    assert features.label("EWR_humid", {"temp": "°F"}) == "EWR_humid"
