"""CSDI as an imputer of scikit-learn: rows are consecutive steps of a series."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from scoredag import gaussian, metrics, streams
from scoredag.csdi import checkpoint, diffusion, imputation
from scoredag.errors import InputError
from scoredag.imputing import HOME, one_thread
from scoredag.series import gaps, window_lengths, windows

WEIGHTS = HOME / "data" / "csdi-base.safetensors"
START = 18  # diffusion step from which the reverse process starts, with a draw of the joint Gaussian


class CSDIImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill missing values with the median of CSDI's joint draws, by the weights that ship.

    `fit` learns mean and deviation of each feature and the joint Gaussian of windows; the network stays as it is. Rows
    are consecutive steps of one series, evenly spaced: neither shuffle them nor leave some out. Unlike
    `scoredag.impute`, it neither averages with simpler methods nor corrects intervals by validation windows.

    Args:
        draws: S, joint draws of the missing values.
        level: of the central intervals that `interval` gives.
        length: steps of a window; None takes what the series of `fit` asks for, 24 as a rule.
        seed: of all random streams.

    Attributes:
        mean_, scale_: (K,), of what is observed.
        length_: L, steps of a window.
        law_: the joint Gaussian of a window; None, and draws start from noise, where the series has fewer than two
            windows, or these are too large.
    """

    def __init__(self, draws: int = 20, level: float = 0.9, length: int | None = None, seed: int = 1):
        self.draws = draws
        self.level = level
        self.length = length
        self.seed = seed

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:
        """Learn from a series (T, K), NaN where missing; `y` is ignored.

        Raises:
            InputError: a feature without any value, or an argument out of its range.
        """
        series = self._series(X, reset=True)
        if self.draws < 1 or not 0 < self.level < 1 or (self.length is not None and self.length < 1):
            told = f"draws={self.draws}, level={self.level}, length={self.length}"
            raise InputError(f"CSDIImputer: {told}; draws and length are 1 or more, level is between 0 and 1")
        empty = np.isnan(series).all(axis=0)
        if empty.any():
            names = getattr(self, "feature_names_in_", np.arange(len(empty)))
            raise InputError(f"CSDIImputer: the feature '{names[np.argmax(empty)]}' has no value at all; leave it out")
        self.mean_, deviation = np.nanmean(series, axis=0), np.nanstd(series, axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        length = window_lengths.AUTO if self.length is None else self.length
        self.length_ = window_lengths.choose(pd.DataFrame(series), [len(series)], length, window_lengths.AUTO).length
        self.law_ = self._law(series)
        return self

    def transform(self, X: npt.ArrayLike) -> np.ndarray:
        """A series (T, K), its missing values filled with medians; what is observed stays as it is."""
        series, draws = self._drawn(X)
        series[np.isnan(series)] = np.median(draws, axis=0)
        return series

    def interval(self, X: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Ends (T, K) of the central intervals of a series' missing values; NaN where a value is observed."""
        series, draws = self._drawn(X)
        lower, upper = np.full((2, *series.shape), np.nan)
        lower[np.isnan(series)], upper[np.isnan(series)] = metrics.interval(draws, self.level)
        return lower, upper

    def sample(self, X: npt.ArrayLike) -> np.ndarray:
        """(S, T, K): a series S times, its missing values drawn together."""
        series, draws = self._drawn(X)
        completed = np.repeat(series[None], len(draws), axis=0)
        completed[:, np.isnan(series)] = draws
        return completed

    def __sklearn_tags__(self) -> Tags:
        """That NaN may come in; of float32 comes float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _series(self, X, reset):
        """A new array (T, K) of numbers."""
        kinds = [np.float64, np.float32]
        return validate_data(self, X, reset=reset, dtype=kinds, ensure_all_finite="allow-nan", copy=True)

    def _law(self, series):
        """The joint Gaussian of all windows, each a step after the one before; None where there is none to estimate."""
        n_windows = len(series) - self.length_ + 1
        if n_windows < 2:
            return None
        values, known = self._windows(series, np.arange(n_windows))
        try:
            with one_thread():
                return gaussian.fit(values, known)
        except InputError:
            return None

    def _windows(self, series, firsts):
        """z-scores (N, K, L) of the windows that begin at `firsts`, 0 where not known, and what is known."""
        scores = (series - self.mean_) / self.scale_
        values = windows.values_at(scores, firsts, self.length_, [len(scores)]).transpose(0, 2, 1)
        return np.nan_to_num(values).astype(np.float32), ~np.isnan(values)

    def _drawn(self, X):
        """The series (T, K), and draws (S, n) of its missing values, by step and then by feature."""
        check_is_fitted(self)
        series = self._series(X, reset=False)
        missing = np.isnan(series)
        if not missing.any():
            return series, np.empty((self.draws, 0), series.dtype)
        parts = gaps.plan(gaps.find(missing), [len(series)], self.length_)
        firsts = np.array(list(parts))
        model = checkpoint.load(WEIGHTS, series.shape[1], embedding="mean")
        start = None if self.law_ is None else diffusion.Start(START, self.law_)
        seed = streams.seed(self.seed, "imputer")
        sampled = imputation.impute(
            model, firsts, *self._windows(series, firsts), seed=seed, start=start, n_samples=self.draws
        )
        drawn = (window for _, samples in sampled for window in samples.swapaxes(0, 1))
        draws = [
            samples * self.scale_[which] + self.mean_[which]
            for _, which, samples in gaps.merge(parts, drawn, self.length_)
        ]
        return series, np.concatenate(draws, axis=1)
