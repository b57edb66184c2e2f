"""What the log says of filled values that mislead."""

import logging

import numpy as np
import pandas as pd

import fill_gaps


def test_values_beyond_all_observed_ones_and_fractions_of_counts_are_told(caplog):
    wide = pd.DataFrame(
        {"rain": [0.0, 0.5, np.nan, np.nan], "bikes": [1.0, 2.0, np.nan, 4.0], "temp": [1.5, np.nan, 3, 2]}
    )
    filled = wide.to_numpy(copy=True)
    filled[2:, 0], filled[2, 1], filled[1, 2] = [-0.2, 0.1], 3.5, 2.0
    with caplog.at_level(logging.INFO):
        fill_gaps._tell_beyond(wide, filled, [None, None, None], {}, grouped=False)
    assert "'rain': of 2 imputed values 1 are below the least observed one, 0" in caplog.text
    assert "write plausible: {rain: [0, 0.5]}" in caplog.text
    assert "'bikes': all observed values are whole numbers; the imputed ones are not" in caplog.text
    assert caplog.text.endswith("write round: {bikes: 1}\n")
    assert "temp" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        fill_gaps._tell_beyond(wide, filled, [None, 0.5, None], {}, grouped=False)
    assert "rain" in caplog.text and "bikes" not in caplog.text


def test_no_key_is_named_that_is_none(caplog):
    wide = pd.DataFrame(
        {"EWR_rain": [0.0, 0.5, np.nan], "EWR_dir_sin": [0.1, 0.5, np.nan], "EWR_dir_cos": [0.1, 0.5, np.nan]}
    )
    filled = wide.to_numpy(copy=True)
    filled[2] = -0.2
    with caplog.at_level(logging.INFO):
        fill_gaps._tell_beyond(wide, filled, [None] * 3, {"dir": 360.0}, grouped=True)
    assert "write plausible: {its column: [0, 0.5]}" in caplog.text and "dir_" not in caplog.text
