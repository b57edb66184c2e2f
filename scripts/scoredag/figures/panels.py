"""What the panels of the figures of imputed windows show."""

import numpy as np

from scoredag import metrics


def with_quantiles(targets, samples):
    """The targets with median and 90 % interval of their samples (S, M)."""
    lower, upper = metrics.interval(samples, 0.9)
    return targets.assign(lower=lower, median=np.median(samples, axis=0), upper=upper)


def least_spans(table):
    """How much of the vertical axis a panel of each feature shows at least, so that rounding errors do not fill it."""
    return table.groupby("feature", observed=True)["value"].std().fillna(0) / 2  # of one value there is none


def when(window, dated):
    """When a window starts, and of which series if there are several; a date that all share is left out."""
    names = [f"series {window['series']}"] if "series" in window else []
    return ", ".join(names + [f"{window['start']:%Y-%m-%d %H:%M} UTC"] * (dated or not names))


def panel(table, targets, window, feature):
    """One window of one feature, as the figures of `imputations` want it.

    Args:
        table: of the windows.
        targets: from `with_quantiles`.
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
