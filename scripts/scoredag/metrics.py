"""Scores of imputations: MAE, RMSE, CRPS and coverage.

`samples` are (S, ...); `truth` and `mask` (...), the mask true (or 1) where an entry counts.
"""

import numpy as np

LEVELS = np.arange(1, 20) / 20


def mae(samples, truth, mask):
    """Mean absolute error of the median of the samples (CSDI, section 6.1)."""
    return float(np.abs(_median_errors(samples, truth, mask)).mean())


def rmse(samples, truth, mask):
    """Root of the mean squared error of the median of the samples."""
    return float(np.sqrt(np.square(_median_errors(samples, truth, mask)).mean()))


def crps(samples, truth, mask, levels=LEVELS):
    """Normalised CRPS: 2 sum of pinball losses / sum |truth|, averaged over quantile `levels`.

    As CSDI's appendix E.1 defines it, with 19 levels 0.05 .. 0.95. It falls with the number of
    samples; of one sample, a point forecast, it is the MAE over the mean |truth|.
    """
    samples, truth = _selected(samples, truth, mask)
    quantiles = np.quantile(samples, levels, axis=0)
    levels = np.asarray(levels)[:, None]
    pinball = (truth - quantiles) * (levels - (truth < quantiles))
    return float(2 * pinball.sum(axis=1).mean() / np.abs(truth).sum())


def interval(samples, level):
    """Lower and upper end (...) of the central interval of `samples` (S, ...) that should hold `level`.

    The ends lie between order statistics (the quantiles called "weibull"): a truth that is one
    draw more from the same distribution falls below the k-th of S samples with probability
    k / (S + 1). NumPy's default takes (k - 1) / (S - 1) for it, and its interval holds 81 %, not
    90 %, with 20 perfect samples. Below 2 / (1 - level) - 1 samples (19 for 90 %) no interval is
    wide enough; then it reaches from the least to the greatest.
    """
    return np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")


def coverage(samples, truth, mask, level=0.9):
    """Share of the truth inside the central interval of the samples that should hold `level`.

    Calibrated samples get `level` for any S that `interval` can serve.
    """
    samples, truth = _selected(samples, truth, mask)
    lower, upper = interval(samples, level)
    return float(((lower <= truth) & (truth <= upper)).mean())


def _median_errors(samples, truth, mask):
    samples, truth = _selected(samples, truth, mask)
    return np.median(samples, axis=0) - truth


def _selected(samples, truth, mask):
    """Samples (S, n) and truth (n,) of the entries that count, float64."""
    mask = np.asarray(mask, dtype=bool)
    return np.asarray(samples)[:, mask].astype(np.float64), np.asarray(truth)[mask].astype(np.float64)
