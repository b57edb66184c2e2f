"""Estimates of several completed series in one, with its uncertainty, by Rubin's rules.

Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley 1987, section 3.1; degrees of freedom of few data by
Barnard & Rubin, Biometrika 1999.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from scoredag.errors import InputError


class Pooled(NamedTuple):
    """An estimate, or an array of them, with its variance and interval.

    `within` is the mean variance of a completed series' estimate, `between` the variance from one completed series to
    the next, `variance` that of the pooled estimate; `df` are the degrees of freedom of t, on which `lower` and `upper`
    rest. Where completed series agree, they are infinite.
    """

    estimate: np.ndarray
    within: np.ndarray
    between: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def pool(
    estimates: Iterable[npt.ArrayLike],
    variances: Iterable[npt.ArrayLike] | None = None,
    *,
    level: float = 0.9,
    complete_df: float | None = None,
) -> Pooled:
    """Pool the estimates of m completed series.

    Args:
        estimates: m of them, numbers or arrays (...) of one shape.
        variances: of each estimate, as if its series had been observed: squared standard errors. None are zeros, for
            what is known of a series that is known, as its sum or mean.
        level: of the interval.
        complete_df: degrees of freedom of the estimate if nothing were missing, n - 1 of a mean; None for many.

    Raises:
        InputError: fewer than two estimates, different shapes, or a level or variances that are none.
    """
    values = _stacked(estimates, "estimates")
    within_each = np.zeros_like(values) if variances is None else _stacked(variances, "variances")
    m = len(values)
    if m < 2:
        raise InputError(f"pool takes the estimates of two completed series or more, not of {m}")
    if within_each.shape != values.shape:
        raise InputError(f"variances have the shape {within_each.shape}, estimates {values.shape}; write one for each")
    if (within_each < 0).any() or not 0 < level < 1 or (complete_df is not None and complete_df <= 0):
        raise InputError("variances are not below 0, level is between 0 and 1, and complete_df is above 0")
    estimate, within, between = values.mean(axis=0), within_each.mean(axis=0), values.var(axis=0, ddof=1)
    added = (1 + 1 / m) * between
    variance = within + added
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(variance > 0, added / variance, 0.0)  # of the variance that is due to what is missing
        df = (m - 1) / share**2
        if complete_df is not None:
            observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
            df = 1 / (1 / df + 1 / observed)
        t = np.where(np.isinf(df), special.ndtri((1 + level) / 2), special.stdtrit(df, (1 + level) / 2))
    half = np.where(variance > 0, t * np.sqrt(variance), 0.0)
    return Pooled(estimate, within, between, variance, df, estimate - half, estimate + half)


def _stacked(parts, name):
    """An array (m, ...), float64."""
    arrays = [np.asarray(part, np.float64) for part in parts]
    if len({array.shape for array in arrays}) > 1:
        raise InputError(f"{name} have different shapes: {arrays[0].shape} and others; pool those of one shape")
    return np.stack(arrays) if arrays else np.empty(0)
