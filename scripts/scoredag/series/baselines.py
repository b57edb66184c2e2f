"""Simpler imputations: what CSDI is compared with, and averaged with.

Each entry of `METHODS` takes the training windows, `values` and `known`, and returns a function
of other windows' `values` and `known` that fills these. `values` (N, K, L) are z-scores, NaN or
anything where not known; `known` (N, K, L) says which of them may be read. The result (N, K, L)
holds the known values as they are and is finite everywhere; it is 0, the mean of the training
split, where nothing tells more.

Functions import scikit-learn themselves, as that takes most of a second and few jobs need it.
"""

import warnings
from collections.abc import Callable, Collection, Iterator

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from scoredag import gaussian
from scoredag.series import windows

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (values, known) -> filled values
N_TRAINING = 250  # windows; more than these overlap, cost time and teach little
N_NEIGHBOURS = 10
SHARES = (0.0, 0.9)  # of the known values of a training window that ridge regression is fitted without
MEGABYTES = 16  # of distances between steps that are in memory at once: those that fit a cache are faster
N_ROUNDS = 10  # of chained regressions over all columns


def mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean of the training split."""
    return np.where(known, values, 0.0)


def last_value(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The last known value before; before the first one, the first one."""
    return _by_rows(values, known, lambda rows: rows.ffill().bfill())


def linear(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Linear interpolation in time; constant beyond the first and the last known value."""
    return _by_rows(values, known, lambda rows: rows.interpolate(limit_direction="both"))


def spline(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Monotone cubic interpolation in time (PCHIP); constant beyond the first and the last known value."""
    filled = np.where(known, values, 0.0).astype(np.float64)
    steps = np.arange(values.shape[-1])
    for index in np.ndindex(values.shape[:2]):
        there = steps[known[index]]
        if len(there) > 1:
            curve = PchipInterpolator(there, filled[index][there])
            filled[index] = curve(steps.clip(there[0], there[-1]))
        elif len(there):
            filled[index] = filled[index][there[0]]
    return np.where(known, values, filled)


def nearest_neighbours(values: np.ndarray, known: np.ndarray) -> Fill:
    """Fit the mean over the nearest training steps, weighted by 1 / distance.

    Steps are compared by all features at the step itself and at the ones before and after.
    """
    from sklearn.impute import KNNImputer

    class OfSteps(KNNImputer):
        """Fills the columns of the step itself alone, a third of all: nobody asks for those of its neighbours."""

        def fit(self, rows, y=None):
            super().fit(rows, y)
            self._valid_mask[values.shape[1] :] = False  # as of columns without a value, which are left alone
            return self

    imputer = OfSteps(n_neighbors=N_NEIGHBOURS, weights="distance", keep_empty_features=True)
    return _by_steps(imputer, values, known, reach=1)


def ridge(values: np.ndarray, known: np.ndarray) -> Fill:
    """Fit chained ridge regressions: each feature on all features from two steps before to two after."""
    return _by_steps(_regressions(), values, known, reach=2)


def masked_ridge(values: np.ndarray, known: np.ndarray) -> Fill:
    """Fit `ridge` on windows with gaps, as those have that it is to fill."""
    return _by_steps(_regressions(), values, known, reach=2, hide=_hidden_in_part)


def _regressions():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (IterativeImputer hides behind it)
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import Ridge

    return IterativeImputer(
        Ridge(1.0),
        max_iter=N_ROUNDS,
        imputation_order="ascending",
        skip_complete=False,  # what is complete in training may have gaps later
        keep_empty_features=True,
    )


def _hidden_in_part(known):
    """`known` less a share of it at random, another in each window: what is fitted on gaps can fill some."""
    rng = np.random.default_rng(0)
    shares = rng.uniform(*SHARES, len(known))
    return known & (rng.random(known.shape) >= shares[:, None, None])


def _as_it_is(fill):
    """A method that learns nothing from training windows."""
    return lambda values, known: fill


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Fill]] = {
    "mean": _as_it_is(mean),
    "last value": _as_it_is(last_value),
    "linear": _as_it_is(linear),
    "spline": _as_it_is(spline),
    "nearest neighbours": nearest_neighbours,
    "ridge": ridge,
    "masked ridge": masked_ridge,
}


GAUSSIAN, STRUCTURAL = "joint Gaussian", "structural"
NAMES = [*METHODS, GAUSSIAN, STRUCTURAL]  # the last one sees the whole series: `structural`

# (values, known) -> filled values, and their deviations or, of a point forecast, None
Forecast = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def fitted(
    values: np.ndarray, known: np.ndarray, law: gaussian.Law | None, names: Collection[str] = NAMES
) -> Iterator[tuple[str, Forecast]]:
    """(name, forecast) of each of the methods `names` that see a window alone, in the order of `NAMES`.

    Args:
        values, known: of the training windows.
        law: the joint Gaussian of windows; None leaves that method out.
        names: of `NAMES`.
    """
    for name, fit in METHODS.items():
        if name in names:
            yield name, _without_deviations(fit(values, known))
    if law is not None and GAUSSIAN in names:
        yield GAUSSIAN, lambda values, known: gaussian.fill(law, values, known)


def _without_deviations(fill):
    return lambda values, known: (fill(values, known), None)


def _by_rows(values, known, fill):
    """Apply `fill` to a data frame with time down and one column a window and feature."""
    columns = np.where(known, values, np.nan).reshape(-1, values.shape[-1]).T
    filled = fill(pd.DataFrame(columns)).fillna(0.0)
    return filled.to_numpy().T.reshape(values.shape)


def _by_steps(imputer, values, known, reach, hide=lambda known: known):
    """Fit an imputer of scikit-learn whose rows are steps; see `_rows` for its columns.

    It learns from at most `N_TRAINING` windows, spread evenly, less what the function `hide` of `known` leaves out.
    """
    import sklearn
    from sklearn.exceptions import ConvergenceWarning

    some = windows.spread(len(values), N_TRAINING)
    values, known = values[some], hide(known[some])
    # ten rounds are all that is asked for: that the last one still changed something is no news
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        imputer.fit(_rows(values, known, reach))

    def fill(values, known):
        n, n_features, length = values.shape
        with sklearn.config_context(working_memory=MEGABYTES):
            filled = imputer.transform(_rows(values, known, reach))
        filled = filled[:, :n_features]  # the first columns are the features at the step itself
        return np.where(known, values, filled.reshape(n, length, n_features).transpose(0, 2, 1))

    return fill


def _rows(values, known, reach):
    """Rows (N L, K C), one a step: the K features at that step and at up to `reach` steps before and after.

    NaN where not known or beyond the window.
    """
    length = values.shape[-1]
    reach = min(reach, length - 1)
    # not the float32 of the windows, in which chained regressions may overflow
    scores = np.where(known, values, np.nan).astype(np.float64)
    padded = np.pad(scores, ((0, 0), (0, 0), (reach, reach)), constant_values=np.nan)
    offsets = sorted(range(-reach, reach + 1), key=abs)  # 0 comes first
    shifted = [padded[:, :, reach + offset : reach + offset + length] for offset in offsets]
    return np.concatenate(shifted, axis=1).transpose(0, 2, 1).reshape(-1, len(offsets) * values.shape[1])
