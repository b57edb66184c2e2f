"""Covariates that every series has: where in the day, the week and the year a step lies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.series import angles, features

PERIODS = {"hour": 24.0, "weekday": 7.0, "month": 12.0}


def add(wide: pd.DataFrame, covariates: Sequence[str], grouped: bool) -> pd.DataFrame:
    """The series, and sine and cosine of each of `PERIODS` that `covariates` name and that is no column of it.

    Hours with their minutes are those of UTC, weekdays count from Monday, and months go on from day to day.

    Raises:
        InputError: steps are so long that all have the same hour, or weekday.
    """
    present = list(wide.columns)
    names = [
        name
        for name in covariates
        if name in PERIODS and f"{name}_sin" not in present and not features.is_column(name, present, grouped)
    ]
    if not names:
        return wide
    times = pd.DatetimeIndex(wide.index.get_level_values(-1))
    hour = times.hour + times.minute / 60 + times.second / 3600
    month = times.month - 1 + (times.day - 1 + hour / 24) / times.days_in_month
    known = pd.DataFrame({"hour": hour, "weekday": times.day_of_week, "month": month}, wide.index)[names]
    for name in names:
        if known[name].nunique() == 1 and len(known) > 1:
            raise InputError(f"covariates: '{name}' is the same at every step; leave it out")
    added = angles.split(known.astype(np.float64), {name: PERIODS[name] for name in names})
    return pd.concat([wide, added], axis=1)
