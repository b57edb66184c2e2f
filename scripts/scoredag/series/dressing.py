"""Point forecasts as distributions: the quantiles of their errors on validation windows, added to them."""

import numpy as np

N_QUANTILES = 39  # at 1/40 .. 39/40, so that intervals of 95 % have their ends among them
LEVELS = np.arange(1, N_QUANTILES + 1) / (N_QUANTILES + 1)
LEAST = N_QUANTILES  # errors that quantiles are taken from


def fit(errors: np.ndarray, pattern: np.ndarray, feature: np.ndarray, n_patterns: int, n_features: int) -> np.ndarray:
    """Quantiles (n_patterns, n_features, `N_QUANTILES`) of standardised errors of validation targets.

    Errors are those of the same pattern and feature; where these are fewer than `LEAST`, of the same pattern, or all.

    Args:
        errors: (n,), truth less forecast over the forecast's scale.
        pattern, feature: codes (n,).
        n_patterns, n_features: codes run below them.
    """
    result = np.empty((n_patterns, n_features, N_QUANTILES))
    for code in range(n_patterns):
        like = pattern == code
        for k in range(n_features):
            chosen = next(
                (choice for choice in (like & (feature == k), like) if choice.sum() >= LEAST),
                np.ones(len(errors), bool),
            )
            result[code, k] = np.quantile(errors[chosen], LEVELS, method="weibull")
    return result


def dress(
    point: np.ndarray, scale: np.ndarray | float, pattern: np.ndarray, feature: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Quantiles (`N_QUANTILES`, n) of targets: point + scale x those of the errors of their pattern and feature.

    Args:
        point: (n,).
        scale: (n,), or one number.
        pattern, feature: codes (n,), or one code.
        errors: from `fit`.
    """
    return point + scale * np.moveaxis(errors[pattern, feature], -1, 0)
