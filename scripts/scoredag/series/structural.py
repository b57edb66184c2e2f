"""One feature at a time, the whole series: level, slope, seasons and autoregressive errors, by the Kalman filter.

A structural model (Harvey 1989; Durbin & Koopman 2012, chapter 3) is chosen for each feature by AIC, and says what its
missing values are, given all known ones. Values are z-scores, in float64. Of several series one below the other each
is smoothed alone, with parameters of them all. The states: `state_space`.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize

from scoredag.errors import InputError
from scoredag.series import seasons, state_space
from scoredag.series.components import Season, Structural

MAX_STEPS = 1200  # that parameters are estimated from
PIECE = 300  # steps: as many stretches from all over the series see each time of the year; longer ones for long cycles
DENSE = 0.9  # of the known values that the stretches need which have most
LEAST = 10  # known values, below which a constant level is all that is estimated
CYCLES = 3  # that a stretch holds
CLOSE = 1.05  # ratio up to which two periods are one
WHOLE = 0.1  # steps: a period as near to a whole number is one; months are not all alike, but twelve are a year
HARMONICS = (3, 2, 1)  # that are tried
SMALLEST = 1e-8  # variance of what is random
LARGEST_ROOT = 0.9999  # largest partial autocorrelation of the errors
STEADY = 0.005  # deviation of the noise of a season when it is tried
N_BEST = 2  # kinds of level and errors that are tried with seasons
MAX_ITERATIONS = 15  # of a search; five more change scores of validation windows by less than 0.001
BOUNDS = (-12.0, 4.0)  # of what is searched for: logarithms of deviations, inverse hyperbolic tangents
LEAST_DEVIATION = 0.001  # of a value that is not known
STRETCH, MARGIN = 5000, 500  # steps that are smoothed at once, and those around them that are seen


class _Kind(NamedTuple):
    """Level and errors without numbers: whether the level moves, has a slope, what is irregular, and the order."""

    level: bool
    slope: bool
    irregular: bool
    order: int

    @property
    def n_variances(self):
        return sum(self[:3]) + bool(self.order)


KINDS = (
    _Kind(True, False, True, 0),  # local level
    _Kind(True, True, True, 0),  # local linear trend
    _Kind(True, False, False, 1),  # local level and AR(1)
    _Kind(False, False, True, 1),  # AR(1) about a constant level, and noise
    _Kind(False, False, True, 2),
)


class _Found(NamedTuple):
    """A kind with seasons, the vector of the search, and its AIC."""

    kind: _Kind
    cycles: tuple[Season, ...]
    x: np.ndarray
    aic: float


def periods_of(times: pd.DatetimeIndex, values: np.ndarray, lengths: Sequence[int] | np.ndarray) -> tuple[float, ...]:
    """Periods in steps that a series may have: day, week and year, and the clearest one of its autocorrelation.

    The mean distance of times says how many steps a day, a week and a year have, so business days, months and quarters
    are no exception. A period fits `CYCLES` times into the longest series, and into `MAX_STEPS`.

    Args:
        times: (T,), of the grid.
        values: (T,), NaN where not known.
        lengths: of the series, which sum to T.
    """
    longest = int(np.argmax(lengths))
    first, n = int(np.sum(lengths[:longest])), int(lengths[longest])
    candidates = [*seasons.calendar(times[first : first + n]).values()]
    candidates.append(float(seasons.longer_than(1, values[:, None], lengths)[0]))
    periods: list[float] = []
    for candidate in candidates:
        period = float(round(candidate)) if abs(candidate - round(candidate)) < WHOLE else candidate
        is_new = all(max(period, other) > CLOSE * min(period, other) for other in periods)
        if is_new and 2 <= period <= min(n, MAX_STEPS) / CYCLES:
            periods.append(period)
    return tuple(periods)


def fit(
    values: np.ndarray,
    known: np.ndarray,
    periods: Iterable[float] = (),
    lengths: Sequence[int] | np.ndarray | None = None,
) -> Structural:
    """Maximum likelihood of the components that have the lowest AIC, from stretches of `MAX_STEPS` steps together.

    Kinds of level and errors are compared without seasons; the best then get each season that lowers their AIC. A
    feature with hardly any values, or a constant one, has a constant level.

    Args:
        values: (T,); anything where not known.
        known: boolean (T,).
        periods: in steps, which are tried as seasons.
        lengths: of several series, which sum to T.

    Raises:
        InputError: no value is known.
    """
    known = known & np.isfinite(values)
    if not known.any():
        raise InputError("no value is known that a structural model could be estimated from")
    simplest = Structural(0.0, None, max(float(np.var(values[known])), SMALLEST))
    periods = list(periods)
    pieces = _pieces(np.where(known, values, np.nan), _lengths(values, lengths), max(periods, default=0.0))
    problem = _Problem(np.concatenate(pieces), list(map(len, pieces)))
    if problem.n_known < LEAST or simplest.irregular <= SMALLEST:
        return simplest
    tried = sorted((problem.best(kind, (), problem.start(kind)) for kind in KINDS), key=_aic)
    for found in tried[:N_BEST]:
        seasonal = problem.with_seasons(found, periods)
        if seasonal.cycles:
            tried.append(problem.best(*seasonal[:3]))
    best = min(tried, key=_aic)
    return _model(best.kind, best.cycles, best.x) if np.isfinite(best.aic) else simplest


def smooth_all(
    models: Mapping[str, Structural], features: Sequence[str], values: np.ndarray, lengths: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`smooth` of every feature, (T, K) each; one without a model has the mean 0 and the deviation 1.

    Args:
        models: {feature: model}.
        features: names of the K columns.
        values: (T, K), NaN where not known.
        lengths: of several series, which sum to T.
    """
    means, deviations = np.zeros(values.shape), np.ones(values.shape)
    for column, name in enumerate(features):
        if name in models:
            known = ~np.isnan(values[:, column])
            means[:, column], deviations[:, column] = smooth(models[name], values[:, column], known, lengths)
    return means, deviations.clip(min=LEAST_DEVIATION)


def smooth(
    structural: Structural,
    values: np.ndarray,
    known: np.ndarray,
    lengths: Sequence[int] | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (T,) of each value given all known ones; what is known stays, with deviation 0.

    A long series is smoothed in stretches of `STRETCH` steps, each seen with `MARGIN` steps on both sides.

    Args:
        structural: from `fit`.
        values: (T,); anything where not known.
        known: boolean (T,).
        lengths: of several series, which sum to T.
    """
    known = known & np.isfinite(values)
    seen = np.where(known, values, np.nan).astype(np.float64)
    mean, deviation = np.where(known, values, 0.0).astype(np.float64), np.zeros(len(values))
    for group in _groups(_lengths(values, lengths)):
        parts = [seen[begin:end] for begin, end, _, _ in group]
        moments = state_space.moments(structural, np.concatenate(parts), list(map(len, parts)))
        offset = 0
        for begin, end, first, stop in group:
            steps = first + np.flatnonzero(~known[first:stop])
            mean[steps], deviation[steps] = (moment[offset + steps - begin] for moment in moments)
            offset += end - begin
    return mean, deviation


class _Problem:
    """Parameters to be found from `values` (n,), NaN where not known, of stretches of `lengths`."""

    def __init__(self, values, lengths):
        self.values, self.lengths = values, lengths
        self.n_known = int(np.isfinite(values).sum())
        differences = np.diff(values)
        differences[np.cumsum(lengths)[:-1] - 1] = np.nan
        enough = np.isfinite(differences).sum() >= LEAST
        self.scale = np.sqrt(max(np.nanvar(differences if enough else values), SMALLEST))

    def start(self, kind):
        """Where the search begins: shares of the deviation from step to step, and errors that decay slowly."""
        shares = [0.3] * kind.level + [0.01] * kind.slope + [0.2] * kind.irregular + [0.5] * bool(kind.order)
        return np.r_[np.log(self.scale * np.array(shares)), [1.5, 0.0][: kind.order]].clip(*BOUNDS)

    def best(self, kind, cycles, start):
        """What has the highest likelihood near `start`. The gradient is by differences: there are few parameters."""
        aic = self._aic(kind, cycles)
        worst = max(aic(start), 0.0) + 1e6  # finite, for where there is no likelihood
        found = optimize.minimize(
            lambda x: min(aic(x), worst) / self.n_known,
            start,
            method="L-BFGS-B",
            bounds=[BOUNDS] * len(start),
            options={"maxiter": MAX_ITERATIONS, "ftol": 1e-5, "gtol": 1e-4},
        )
        return _Found(kind, cycles, found.x, aic(found.x))

    def with_seasons(self, found, periods):
        """`found` with those seasons that lower its AIC while its other parameters stay."""
        place = found.kind.n_variances
        for period in periods:
            x = found.x if found.cycles else np.insert(found.x, place, np.log(STEADY))
            candidates = [found]
            for n in dict.fromkeys(min(n, int(period // 2)) for n in HARMONICS):
                cycles = (*found.cycles, Season(period, n, SMALLEST))
                candidates.append(_Found(found.kind, cycles, x, self._aic(found.kind, cycles)(x)))
            found = min(candidates, key=_aic)
        return found

    def _aic(self, kind, cycles):
        """A function of the vector of the search."""
        n_states = 1 + kind.slope + 2 * sum(cycle.harmonics for cycle in cycles) + kind.order
        likelihood = state_space.Likelihood(n_states, self.values, self.lengths)
        return lambda x: 2 * (len(x) - likelihood.log(_model(kind, cycles, x)))


def _aic(found):
    return found.aic


def _model(kind, cycles, x):
    """The model of a vector: logarithms of deviations, then inverse hyperbolic tangents of partial autocorrelations.

    All seasons are moved by noise of one variance.
    """
    n = kind.n_variances
    variances = iter((np.exp(2 * x[:n]) + SMALLEST).tolist())
    level = next(variances) if kind.level else 0.0
    slope = next(variances) if kind.slope else None
    irregular = next(variances) if kind.irregular else SMALLEST
    errors = next(variances) if kind.order else 0.0
    if cycles:
        cycles = tuple(cycle._replace(variance=float(np.exp(2 * x[n]))) for cycle in cycles)
    coefficients = LARGEST_ROOT * np.tanh(x[len(x) - kind.order :])
    if kind.order == 2:  # Durbin and Levinson
        coefficients[0] *= 1 - coefficients[1]
    return Structural(level, slope, irregular, tuple(coefficients.tolist()), errors, cycles)


def _lengths(values, lengths):
    return [len(values)] if lengths is None else [int(n) for n in lengths]


def _pieces(values, lengths, longest):
    """Stretches with many known values, spread evenly, of `MAX_STEPS` together; `longest` is the longest period."""
    size = min(max(PIECE, int(np.ceil(CYCLES * longest))), MAX_STEPS, max(lengths))
    ends = np.cumsum(lengths)
    parts = [
        values[begin : min(begin + size, end)]
        for end, length in zip(ends, lengths, strict=True)
        for begin in range(end - length, end, size)
    ]
    n = MAX_STEPS // size
    counts = np.array([np.isfinite(part).sum() for part in parts])
    least = np.sort(counts)[-min(n, len(parts))]  # of the n that have most
    dense = np.flatnonzero(counts >= max(DENSE * least, 1))
    return [parts[i] for i in dense[np.unique(np.linspace(0, len(dense) - 1, n).round().astype(int))]]


def _groups(lengths):
    """Lists of (begin, end, first, stop), steps that are seen and those of them that are filled; some series a list."""
    group, n = [], 0
    for end, length in zip(itertools.accumulate(lengths), lengths, strict=True):
        begin = end - length
        for first in range(begin, end, STRETCH):
            stop = min(first + STRETCH, end)
            group.append((max(first - MARGIN, begin), min(stop + MARGIN, end), first, stop))
            n += group[-1][1] - group[-1][0]
            if n >= STRETCH:
                yield group
                group, n = [], 0
    if group:
        yield group
