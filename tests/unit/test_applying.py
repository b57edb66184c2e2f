"""What a run's files say of new data: the rest is tested on a run (test_filling.py)."""

import numpy as np
import pandas as pd
import pytest

from scoredag import applying
from scoredag.series import profiles


@pytest.mark.parametrize("freq", ["1h", "MS", "B"])
def test_a_profile_goes_on_by_the_steps_of_its_grid(tmp_path, freq):
    """Months and business days are steps, however long they are."""
    times = pd.date_range("2020-01-01", periods=500, freq=freq, tz="UTC", name="time").as_unit("us")
    steps = np.arange(500)
    wide = pd.DataFrame({"x": steps / 100, "y": -steps / 50}, times)
    profile = profiles.estimate(wide.iloc[:400], np.ones(400, bool))
    path = tmp_path / "profile.parquet"
    profiles.write(pd.DataFrame(profile.values, times[:400], wide.columns), path)
    new = applying._profile({"profile": path}, wide.iloc[300:])
    assert (new.to_numpy()[:100] == profile.values[300:]).all() and (new.index == times[300:]).all()
    expected = profiles.extended(pd.DataFrame(profile.values, times[:400], wide.columns), steps[300:])
    np.testing.assert_allclose(new.to_numpy(), expected)
    assert abs(new["x"].iloc[-1] - 5) < 0.2
    profiles.write(None, path)
    assert applying._profile({"profile": path}, wide) is None
