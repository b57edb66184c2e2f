"""Scores of imputations: MAE, RMSE, CRPS, coverage and width of intervals.

`samples` are (S, ...); `truth` and `mask` (...), the mask true (or 1) where an entry counts.
"""

import numpy as np

LEVELS = np.arange(1, 20) / 20
N_RESAMPLES = 1000
PERCENTS = (50, 80, 90, 95)  # of the intervals that are scored


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
    return float(_pinball(samples, truth, levels).sum() / np.abs(truth).sum())


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
    return float(inside(*interval(samples, level), truth).mean())


def inside(lower, upper, truth):
    """Which of the truth (n,) lies in its interval, ends included; boolean (n,)."""
    return (lower <= truth) & (truth <= upper)


def z_scores(targets, samples, stats):
    """Truth (n,) and samples (S, n) of imputed targets, from physical units to z-scores, float64.

    Args:
        targets, samples: from `tables.read_imputations`.
        stats: table of the statistics of the features.
    """
    feature = targets["feature"]
    where = stats.set_index("feature").index.get_indexer(list(feature.cat.categories))[feature.cat.codes]
    mean, std = stats["mean"].to_numpy()[where], stats["std"].to_numpy()[where]
    return (targets["truth"].to_numpy() - mean) / std, (samples - mean) / std


def terms(samples, truth):
    """What each entry adds to each score, so that scores of any part of the entries are sums away.

    Args:
        samples: (S, n).
        truth: (n,).

    Returns:
        {score: (numerators (n,), denominators (n,))}: `ratio` of their sums is the score. MAE, RMSE,
        CRPS, and `interval_terms` at `PERCENTS` if there are several samples.
    """
    samples = samples.astype(np.float64)
    errors, one = np.abs(np.median(samples, axis=0) - truth), np.ones(len(truth))
    found = {
        "mae": (errors, one),
        "rmse": (errors**2, one),
        "crps": (_pinball(samples, truth, LEVELS), np.abs(truth)),
    }
    if len(samples) > 1:  # a point forecast has no interval
        for percent in PERCENTS:
            found |= interval_terms(*interval(samples, percent / 100), truth, percent)
    return found


def interval_terms(lower, upper, truth, percent):
    """`terms` of coverage and mean width of intervals from `lower` to `upper` (n,)."""
    covered, one = inside(lower, upper, truth).astype(np.float64), np.ones(len(truth))
    return {f"coverage_{percent}": (covered, one), f"interval_width_{percent}": (upper - lower, one)}


def mean_terms(score, values):
    """`terms` of the mean of `values` (n,)."""
    return {score: (values, np.ones(len(values)))}


def ratio(score, numerator, denominator):
    """The score of which these are the sums of `terms`; NaN where there is nothing to score."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = numerator / denominator
    return np.sqrt(value) if score == "rmse" else value


def resamples(n, rng):
    """How often each of n windows is drawn in each of `N_RESAMPLES` bootstrap samples of them, (N_RESAMPLES, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.float64)


def bootstrap(score, numerators, denominators, counts):
    """A score and the ends of its 95 % percentile interval when windows are drawn again, three arrays (...).

    Args:
        score: its name.
        numerators, denominators: (n, ...), sums of `terms` by window.
        counts: from `resamples`.
    """
    value = ratio(score, numerators.sum(axis=0), denominators.sum(axis=0))
    drawn = ratio(score, counts @ numerators, counts @ denominators)
    # what a feature misses from some bootstrap samples does not count; the plain function is much faster
    quantile = np.nanquantile if np.isnan(drawn).any() else np.quantile
    return value, *quantile(drawn, [0.025, 0.975], axis=0)


def _pinball(samples, truth, levels):
    """Twice the pinball loss (n,) of quantiles of the samples, averaged over `levels`."""
    quantiles = np.quantile(samples, levels, axis=0)
    levels = np.asarray(levels)[:, None]
    return 2 * ((truth - quantiles) * (levels - (truth < quantiles))).mean(axis=0)


def _median_errors(samples, truth, mask):
    samples, truth = _selected(samples, truth, mask)
    return np.median(samples, axis=0) - truth


def _selected(samples, truth, mask):
    """Samples (S, n) and truth (n,) of the entries that count, float64."""
    mask = np.asarray(mask, dtype=bool)
    return np.asarray(samples)[:, mask].astype(np.float64), np.asarray(truth)[mask].astype(np.float64)
