"""What the panels of the figures of imputed windows show."""

from typing import Any

import numpy as np
import pandas as pd

from scoredag import metrics


def with_quantiles(targets: pd.DataFrame, samples: np.ndarray, level: float) -> pd.DataFrame:
    """The targets with the median and the central interval of a level of their samples (S, M)."""
    lower, upper = metrics.interval(samples, level)
    return targets.assign(lower=lower, median=np.median(samples, axis=0), upper=upper)


def least_spans(table: pd.DataFrame) -> pd.Series:
    """The least range of a panel's vertical axis for each feature, so that rounding errors do not fill it."""
    return table.groupby("feature", observed=True)["value"].std().fillna(0) / 2  # the std of a single value is NaN


def when(window: pd.Series, dated: bool) -> str:
    """The start of a window, and its series if there are several; without the date if all windows share it."""
    names = [f"series {window['series']}"] if "series" in window else []
    return ", ".join(names + [f"{window['start']:%Y-%m-%d %H:%M} UTC"] * (dated or not names))


def unit_of(step: pd.Timedelta | None) -> tuple[float, str]:
    """A step of a series in the largest unit of which it has one or more, and that unit; months count as steps."""
    spans = {"days": "1D", "hours": "1h", "minutes": "1min", "seconds": "1s"}
    if step is not None and step < pd.Timedelta("28D"):
        for name, span in spans.items():
            if step >= pd.Timedelta(span):
                return step / pd.Timedelta(span), name
    return 1.0, "steps"


def panel(table: pd.DataFrame, targets: pd.DataFrame, window: int, feature: str) -> dict[str, Any]:
    """One window of one feature, as the figures of `imputations` take it.

    Args:
        table: of the windows.
        targets: from `with_quantiles`.
        window: its number.
        feature: its name.
    """
    rows, targets = (part[(part["window"] == window) & (part["feature"] == feature)] for part in (table, targets))
    values, role = rows["value"].to_numpy(), rows["role"].to_numpy()
    observed = np.where(role == "observed", values, np.nan)
    quantiles = np.tile(observed, (3, 1))
    quantiles[:, targets["step"]] = targets[["lower", "median", "upper"]].T
    return {
        "steps": rows["step"].to_numpy(),
        "observed": observed,
        "target": np.where(role == "target", values, np.nan),
        "quantiles": quantiles,
    }
