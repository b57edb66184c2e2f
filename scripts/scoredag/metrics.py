"""Scores of imputations: MAE, RMSE, CRPS, coverage and width of intervals.

`samples` are (S, ...); `truth` and `mask` (...), the mask true (or 1) where an entry counts.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

Terms = dict[str, tuple[np.ndarray, np.ndarray]]  # of each score: numerators (n,), denominators (n,)

# names of methods in tables of scores, and how they end
AUTO, CSDI = "auto", "CSDI"
DRESSED = ", dressed"  # a point baseline with the quantiles of its errors on validation windows
CORRECTED = ", conformal"  # intervals, and draws, that validation windows correct
AS_IN_PAPER = ", as in the paper"  # the scores of CSDI's code
SHUFFLED = f"{AUTO}, entries shuffled"  # the draws of each entry in another order: what joint draws are worth
FEW = 500  # targets of a pattern of missing entries; with fewer, methods cannot be told apart
LEVELS = np.arange(1, 20) / 20
N_RESAMPLES = 1000
N_STRETCHES, MOST_IN_STRETCH = 6, 10  # of the bootstrap: at least so many, of at most so many windows
MOST_STRETCHES = 2000  # of more, neighbours are put together: they would cost memory and tell nothing
GOLDEN = 0.6180339887498949  # multiples of it, less whole numbers, are spread evenly
PHYSICAL = ("mae_physical", "rmse_physical")  # in the unit of a feature: of each alone
PERCENTS = (50, 80, 90, 95)  # of the intervals that are scored


def mae(samples: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute error of the median of the samples (CSDI, section 6.1)."""
    return float(np.abs(_median_errors(samples, truth, mask)).mean())


def rmse(samples: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Root of the mean squared error of the median of the samples."""
    return float(np.sqrt(np.square(_median_errors(samples, truth, mask)).mean()))


def crps(
    samples: np.ndarray, truth: np.ndarray, mask: np.ndarray, levels: Sequence[float] | np.ndarray = LEVELS
) -> float:
    """Normalised CRPS: 2 sum of pinball losses / sum |truth|, averaged over quantile `levels`.

    As CSDI's appendix E.1 defines it, with 19 levels 0.05 .. 0.95. It falls with the number of
    samples; of one sample, a point forecast, it is the MAE over the mean |truth|.
    """
    samples, truth = _selected(samples, truth, mask)
    return float(_pinball(samples, truth, levels).sum() / np.abs(truth).sum())


def interval(samples: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end (...) of the central interval of `samples` (S, ...) that should hold `level`.

    The ends lie between order statistics (the quantiles called "weibull"): a truth that is one
    draw more from the same distribution falls below the k-th of S samples with probability
    k / (S + 1). NumPy's default takes (k - 1) / (S - 1) for it, and its interval holds 81 %, not
    90 %, with 20 perfect samples. Below 2 / (1 - level) - 1 samples (19 for 90 %) no interval is
    wide enough; then it reaches from the least to the greatest.
    """
    return _interval(ordered(samples), level)


def ordered(samples: np.ndarray) -> np.ndarray:
    """Samples (S, ...) in ascending order; those that are in that order already, as they are."""
    return samples if (samples[1:] >= samples[:-1]).all() else np.sort(samples, axis=0)


def median(ascending: np.ndarray) -> np.ndarray:
    """The median (...) of samples (S, ...) in ascending order."""
    return (ascending[(len(ascending) - 1) // 2] + ascending[len(ascending) // 2]) / 2


def samples_for(percent: int) -> int:
    """How many independent samples an interval takes that holds `percent` of the truth."""
    return round(200 / (100 - percent)) - 1


def coverage(samples: np.ndarray, truth: np.ndarray, mask: np.ndarray, level: float = 0.9) -> float:
    """Share of the truth inside the central interval of the samples that should hold `level`.

    Calibrated samples get `level` for any S that `interval` can serve.
    """
    samples, truth = _selected(samples, truth, mask)
    lower, upper = interval(samples, level)
    return float(inside(lower, upper, truth).mean())


def inside(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which of the truth (n,) lies in its interval, ends included; boolean (n,)."""
    return (lower <= truth) & (truth <= upper)


def ranks(samples: np.ndarray, truth: np.ndarray, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many of `samples` (S, n) are below the truth (n,), and how many are not above it.

    The third array has a number in [0, 1) for each truth, spread evenly: where it counts among the samples that are
    equal to it, as of rain many are, which is 0. `first` is the place of the first truth, where these are some of more.
    """
    spread = np.arange(first, first + len(truth)) * GOLDEN % 1
    return (samples < truth).sum(axis=0), (samples <= truth).sum(axis=0), spread


def z_scores(targets: pd.DataFrame, samples: np.ndarray, stats: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,) and samples (S, n) of imputed targets as z-scores, float64.

    Args:
        targets, samples: from `tables.read_imputations`, transformed where their feature is, less the profile.
        stats: table of the statistics of the features.
    """
    feature = targets["feature"]
    row = stats.set_index("feature").index.get_indexer(list(feature.cat.categories))[feature.cat.codes]
    mean, std = stats["mean"].to_numpy()[row], stats["std"].to_numpy()[row]
    return (targets["truth"].to_numpy() - mean) / std, (samples - mean) / std


def terms(
    samples: np.ndarray,
    truth: np.ndarray,
    *,
    independent: np.ndarray | None = None,
    are_quantiles: bool = False,
    physical: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Terms:
    """What each entry adds to each score: the score of some entries is the `ratio` of their sums.

    Args:
        samples: (S, n).
        truth: (n,).
        independent: those of the samples, (R, n), that are independent of each other, where not all are: antithetic
            pairs cover their middle too often. Intervals are theirs.
        are_quantiles: whether `samples` are the quantiles at k / (S + 1) in place of draws.
        physical: function of errors (n,) to those in the unit of each entry.

    Returns:
        {score: (numerators (n,), denominators (n,))} of MAE, RMSE and CRPS, of those of `PHYSICAL` if there are
        units, and `interval_terms` at those of `PERCENTS` that the samples are enough for.
    """
    ascending = _ordered(samples)
    off, ones = median(ascending) - truth, _ones(len(truth))
    method = "weibull" if are_quantiles else "linear"
    of_point = len(samples) == 1  # whose pinball losses have the mean |off| / 2
    crps = np.abs(off) if of_point else _pinball_of(_quantiles(ascending, LEVELS, method), truth, LEVELS)
    scores = {"mae": (np.abs(off), ones), "rmse": (off**2, ones), "crps": (crps, np.abs(truth))}
    if physical:
        in_units = np.abs(physical(off))
        scores |= {"mae_physical": (in_units, ones), "rmse_physical": (in_units**2, ones)}
    ascending = ascending if independent is None else _ordered(independent)
    for percent in PERCENTS:
        if len(ascending) >= samples_for(percent):
            lower, upper = _interval(ascending, percent / 100)
            scores |= interval_terms(lower, upper, truth, percent)
    return scores


def interval_terms(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, percent: int) -> Terms:
    """`terms` of coverage and mean width of intervals from `lower` to `upper` (n,)."""
    covered, ones = inside(lower, upper, truth).astype(np.float64), _ones(len(truth))
    return {f"coverage_{percent}": (covered, ones), f"interval_width_{percent}": (upper - lower, ones)}


def paper_terms(samples: np.ndarray, truth: np.ndarray) -> Terms:
    """`terms` of MAE and RMSE as CSDI's code has them; of draws the CRPS of `terms` is the paper's.

    Its median (torch.median) of an even number of samples is the lower of the two in the middle.

    Args:
        samples: (S, n).
        truth: (n,).
    """
    lower_median = _ordered(samples)[(len(samples) - 1) // 2]
    errors, ones = np.abs(lower_median - truth), _ones(len(truth))
    return {"mae": (errors, ones), "rmse": (errors**2, ones)}


def mean_terms(score: str, values: np.ndarray) -> Terms:
    """`terms` of the mean of `values` (n,)."""
    return {score: (values, _ones(len(values)))}


def are_ones(denominators: np.ndarray) -> bool:
    """Whether those of `terms` are known to be 1 without a look at them, so that their sums are numbers of targets."""
    return denominators.strides == (0,)


def _ones(n):
    return np.broadcast_to(1.0, n)


def ratio(score: str, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The score from the sums of its `terms`; NaN where there is nothing to score."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = numerator / denominator
    return np.sqrt(value) if score.startswith("rmse") else value


def stretches(starts: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Which stretch of the series each of n windows lies in, codes (n,): what is drawn again as a whole.

    A stretch is a run of windows without a gap between them, but of at most a `N_STRETCHES`-th of all of them, and
    of at most `MOST_IN_STRETCH`: neighbours err alike, so that windows drawn one by one give too short intervals.
    Where these are more than `MOST_STRETCHES`, as many of them in a row are put together as it takes, gaps between
    them or not.

    Args:
        starts: (n,), when each begins, in order within a series.
        series: (n,), codes.
    """
    apart = np.diff(starts)
    usual = np.median(apart) if len(apart) else 0
    breaks = np.r_[True, (np.diff(series) != 0) | (apart <= 0) | (apart > 1.5 * usual)]
    run = np.cumsum(breaks)
    place = np.arange(len(starts)) - np.flatnonzero(breaks)[run - 1]
    most = int(np.clip(len(starts) // N_STRETCHES, 1, MOST_IN_STRETCH))
    codes = np.unique(np.column_stack([run, place // most]), axis=0, return_inverse=True)[1]
    return codes // -(-(codes.max() + 1) // MOST_STRETCHES)


def resamples(n: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n stretches is in each of `N_RESAMPLES` bootstrap samples of them, (N_RESAMPLES, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.uint16)


def resampled(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums over stretches, and those over the stretches of each bootstrap sample, (1 + N_RESAMPLES, m).

    Args:
        sums: (n, m), of each stretch.
        counts: from `resamples`.
    """
    return np.vstack([sums.sum(axis=0), counts.astype(np.float64) @ sums])


def bootstrap(
    score: str, numerators: np.ndarray, denominators: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A score and the ends of its 95 % percentile interval when stretches are drawn again, three arrays (m,).

    Args:
        score: its name.
        numerators, denominators: (1 + N_RESAMPLES, m), from `resampled`, of its `terms`.
    """
    value, *drawn = ratio(score, numerators, denominators)
    # bootstrap samples without a feature give NaN, and do not count; the plain function is much faster
    quantile = np.nanquantile if np.isnan(drawn).any() else np.quantile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what no sample has
        lower, upper = quantile(drawn, [0.025, 0.975], axis=0)
    return value, lower, upper


def _pinball(samples, truth, levels):
    """Twice the pinball loss (n,) of quantiles of the samples, averaged over `levels`."""
    return _pinball_of(_quantiles(np.sort(samples, axis=0), levels), truth, levels)


def _pinball_of(quantiles, truth, levels):
    """Twice the pinball loss (n,) of `quantiles` (levels, n), averaged over `levels`."""
    levels = np.asarray(levels)[:, None]
    return 2 * ((truth - quantiles) * (levels - (truth < quantiles))).mean(axis=0)


def _ordered(samples):
    """Samples (S, ...), float64, in ascending order."""
    return ordered(samples.astype(np.float64, copy=False))


def _interval(ordered, level):
    """`interval` of samples in ascending order."""
    lower, upper = _quantiles(ordered, [(1 - level) / 2, (1 + level) / 2], "weibull")
    return lower, upper


def _quantiles(ordered, levels, method="linear"):
    """As `np.quantile` over the first axis, to the last digit, of what is in ascending order already."""
    n = len(ordered)
    levels = np.asarray(levels, dtype=np.float64)
    place = (n - 1) * levels if method == "linear" else n * levels + levels - 1
    below = np.floor(place)
    part = (place - below).reshape(-1, *[1] * (ordered.ndim - 1))
    lower, upper = (ordered[k.clip(0, n - 1).astype(int)] for k in (below, below + 1))
    apart = upper - lower
    return np.where(part < 0.5, lower + apart * part, upper - apart * (1 - part))


def _median_errors(samples, truth, mask):
    samples, truth = _selected(samples, truth, mask)
    return np.median(samples, axis=0) - truth


def _selected(samples, truth, mask):
    """Samples (S, n) and truth (n,) of the entries that count, float64."""
    mask = np.asarray(mask, dtype=bool)
    return np.asarray(samples)[:, mask].astype(np.float64), np.asarray(truth)[mask].astype(np.float64)
