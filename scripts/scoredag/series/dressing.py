"""Point forecasts as distributions: the quantiles of their errors on validation windows, added to them."""

from typing import NamedTuple

import numpy as np

N_QUANTILES = 39  # at 1/40 .. 39/40, so that intervals of 95 % have their ends among them
LEVELS = np.arange(1, N_QUANTILES + 1) / (N_QUANTILES + 1)
LEAST = N_QUANTILES  # errors that quantiles are taken from


class Targets(NamedTuple):
    """Targets by pattern and feature, codes (n,), with point forecasts, their scale, and the truth, (n,)."""

    pattern: np.ndarray
    feature: np.ndarray
    point: np.ndarray
    scale: np.ndarray
    truth: np.ndarray

    def part(self, which: np.ndarray) -> "Targets":
        """Those of `which` (n,), boolean."""
        return Targets(*(column[which] for column in self))


def dress(targets: Targets, validation: Targets) -> np.ndarray:
    """Quantiles (S, n) of the targets: point + scale x those of the standardised errors of validation targets.

    Errors are those of the same pattern and feature; where these are fewer than `LEAST`, of the same pattern, or all.
    """
    errors = (validation.truth - validation.point) / validation.scale
    result = np.empty((N_QUANTILES, len(targets.point)))
    groups = np.unique(np.column_stack([targets.pattern, targets.feature]), axis=0)
    for pattern, feature in groups:
        like = validation.pattern == pattern
        chosen = next(
            (choice for choice in (like & (validation.feature == feature), like) if choice.sum() >= LEAST),
            np.ones(len(errors), bool),
        )
        here = (targets.pattern == pattern) & (targets.feature == feature)
        quantiles = np.quantile(errors[chosen], LEVELS, method="weibull")
        result[:, here] = targets.point[here] + targets.scale[here] * quantiles[:, None]
    return result
