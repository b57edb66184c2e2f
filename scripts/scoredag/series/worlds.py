"""Simulated worlds of many kinds, so that a network that has seen them can fill a series that it has not.

A world has factors that move smoothly, jump, trend or repeat, features that mix them, some of them later than
others, and sensors that round, clip, count or skew. What is common to most series is common here: few factors,
cycles of any period, white noise on top.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.signal import lfilter

LONGER = 8  # the piece of a world that normalises it, in pieces that are kept
PERIODS = (7, 12, 24, 48, 96, 144)  # steps of the cycles that most series have


def draw(n_steps: int, n_features: int, rng: np.random.Generator) -> np.ndarray:
    """A piece (n_steps, n_features) of one world; each feature has mean 0 and variance 1 over `LONGER` such pieces."""
    n = LONGER * n_steps
    factors = _factors(n, rng)
    x = _mix(factors, n_features, rng)
    if rng.uniform() < 0.5:
        x = derive(_standardise(x), rng)
    x = _standardise(x)
    shared = _sensor(rng) if rng.uniform() < 0.5 else None
    x = np.stack([(shared or _sensor(rng))(column, rng) for column in x.T], axis=1)
    first = rng.integers(n - n_steps + 1)
    return np.clip(_standardise(x)[first : first + n_steps], -20, 20)


def _factors(n, rng):
    """(n, number of factors): at least one of variance 1, and cycles, jumps and trends."""
    scale = log_uniform(rng, 0.5, 1000)
    shocks = _SHOCKS[rng.choice(len(_SHOCKS), p=[0.65, 0.2, 0.15])]
    parts: list[Any] = [
        _autoregression(n, scale * log_uniform(rng, 0.25, 4), shocks, rng) for _ in range(1 + int(rng.geometric(0.3)))
    ]
    if rng.uniform() < 0.6:
        period = rng.choice(PERIODS) if rng.uniform() < 0.5 else log_uniform(rng, 3, 200)
        parts += _cycles(n, period, rng)
        if rng.uniform() < 0.3:
            parts += _cycles(n, period * rng.choice([5, 7, 12]), rng)
    if rng.uniform() < 0.2:
        parts.append(_jumps(n, log_uniform(rng, 5, 300), rng))
    if rng.uniform() < 0.3:
        parts.append(log_uniform(rng, 0.3, 3) * np.linspace(-1.7, 1.7, n))
    if rng.uniform() < 0.2:
        walk = np.cumsum(shocks(n, rng))
        parts.append((walk - walk.mean()) / walk.std())
    return np.stack(parts, axis=1)


def _mix(factors, n_features, rng):
    """Features of few kinds out of factors, their own smooth part and white noise."""
    n, n_factors = factors.shape
    n_kinds = rng.integers(1, n_features + 1)
    kinds = rng.normal(size=(n_kinds, n_factors)) * rng.gamma(0.5, size=(n_kinds, n_factors))
    loadings = kinds[rng.integers(n_kinds, size=n_features)]
    loadings = loadings + rng.normal(size=loadings.shape) * log_uniform(rng, 0.003, 0.5)
    x = factors @ loadings.T
    x /= x.std(axis=0) + 1e-9
    if rng.uniform() < 0.3:
        x = np.stack([np.roll(x[:, k], rng.integers(0, 7)) for k in range(n_features)], axis=1)
    least, most = np.sort(log_uniform(rng, 0.01, 2, 2))
    own = log_uniform(rng, least, most, n_features)
    scale = log_uniform(rng, 1, 300)
    x = x + own * np.stack(
        [_autoregression(n, scale * log_uniform(rng, 0.5, 2), _normal, rng) for _ in range(n_features)], axis=1
    )
    least, most = np.sort(log_uniform(rng, 0.001, 1, 2))
    return x + log_uniform(rng, least, most, n_features) * rng.normal(size=x.shape)


def _autoregression(n, scale, shocks, rng):
    """A second-order autoregression of mean 0 and variance 1 over the piece, with a time scale of `scale` steps."""
    decay = np.exp(-1 / scale)
    smoothing = rng.uniform(0, 0.9) if rng.uniform() < 0.5 else 0.0
    burn_in = int(min(5 * scale, 3 * n)) + 20
    x = lfilter([1.0], np.convolve([1, -decay], [1, -smoothing]), shocks(n + burn_in, rng))[burn_in:]
    return (x - x.mean()) / x.std()


def _normal(n, rng):
    return rng.normal(size=n)


def _heavy(n, rng):
    """Shocks of Student's t: most small, few large."""
    return rng.standard_t(rng.uniform(2.2, 6), size=n)


def _clustered(n, rng):
    """Shocks whose size changes slowly, as those of prices do."""
    size = lfilter([1.0], [1, -np.exp(-1 / log_uniform(rng, 5, 200))], rng.normal(size=n))
    return rng.normal(size=n) * np.exp(rng.uniform(0.3, 1.0) * size / size.std())


_SHOCKS = (_normal, _heavy, _clustered)


def _cycles(n, period, rng):
    """One or two cycles of `period` steps: a few harmonics, their strength changing slowly, some cut off at a level."""
    time = 2 * np.pi * (np.arange(n) / period + rng.uniform())
    n_harmonics = rng.integers(1, 7)
    cycles = []
    for _ in range(rng.integers(1, 3)):
        weights = rng.normal(size=(2, n_harmonics)) / np.arange(1, n_harmonics + 1) ** rng.uniform(0.5, 2)
        angles = np.outer(time, np.arange(1, n_harmonics + 1))
        wave = np.sin(angles) @ weights[0] + np.cos(angles) @ weights[1]
        if rng.uniform() < 0.3:  # as the sun: nothing at night
            wave = np.maximum(wave, np.quantile(wave, rng.uniform(0.2, 0.7)))
        wave = (wave - wave.mean()) / (wave.std() + 1e-9)
        strength = _autoregression(n, period * log_uniform(rng, 1, 20), _normal, rng)
        cycles.append(log_uniform(rng, 0.5, 3) * wave * np.exp(rng.uniform(0, 0.5) * strength))
    return cycles


def _jumps(n, dwell, rng):
    """A level that changes at random, every `dwell` steps on average."""
    state = np.cumsum(rng.uniform(size=n) < 1 / dwell)
    levels = rng.normal(size=state[-1] + 1)
    return levels[state]


def derive(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make some features (n, K) functions of two others, as humidity is of temperature and dew point.

    Half of the time the other is what the first resembles most, and their difference is taken: what
    little tells them apart is then all there is.
    """
    n_steps, n_features = x.shape
    if n_features < 3:
        return x
    x = x.copy()
    for k in rng.permutation(n_features)[: rng.integers(n_features // 2 + 1)]:
        first, second = rng.choice(np.delete(np.arange(n_features), k), 2, replace=False)
        weights: Any = rng.normal(size=2)
        if rng.uniform() < 0.5:
            likeness = np.corrcoef(x, rowvar=False)[first]
            likeness[[first, k]] = -1
            second, weights = np.argmax(likeness), [1, -rng.uniform(0.7, 1.3)]
        value = x[:, [first, second]] @ weights
        value = (value - value.mean()) / value.std()
        value += rng.uniform(-0.3, 0.3) * value**2
        x[:, k] = value + log_uniform(rng, 0.005, 0.2) * rng.normal(size=n_steps)
    return x


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int | None = None) -> Any:
    """Numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _standardise(x):
    """Mean 0 and variance 1 of each column; a constant column stays 0."""
    x = x - x.mean(axis=0)
    deviation = x.std(axis=0)
    return x / np.where(deviation > 1e-6, deviation, 1)


# --- sensors: what an instrument makes of a smooth quantity of variance 1 ---------------------

Sensor = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _exact(x, rng):
    return x


def _rounded(x, rng):
    resolution = log_uniform(rng, 0.03, 0.7)
    return np.round(x / resolution) * resolution


def _clipped(x, rng):
    low, high = np.sort(rng.normal(size=2)) * 2
    return np.clip(x, low, high + 0.2) if rng.uniform() < 0.5 else np.minimum(x, rng.uniform(-0.5, 1))


def _skewed(x, rng):
    return np.expm1(np.minimum(x * rng.uniform(0.2, 1.2), 6))


def _counted(x, rng):
    return rng.poisson(np.exp(np.clip(rng.uniform(0.3, 1.2) * x + rng.uniform(-1.5, 4), -8, 9))).astype(float)


def _mostly_zero(x, rng):
    return np.maximum(x - rng.uniform(-0.5, 1.2), 0) ** rng.uniform(0.7, 2)


def _bounded(x, rng):
    return np.tanh(rng.uniform(0.7, 4) * x + rng.normal())


def _on_and_off(x, rng):
    return (x > rng.normal()).astype(float)


def _held(x, rng):
    """A value that stays until the next reading."""
    every = rng.integers(2, 7)
    return np.repeat(x[::every], every)[: len(x)]


def _spiked(x, rng):
    spikes = rng.uniform(size=len(x)) < log_uniform(rng, 0.002, 0.05)
    return x + spikes * rng.normal(size=len(x)) * rng.uniform(1, 5)


_SENSORS: dict[Sensor, float] = {
    _exact: 0.4,
    _rounded: 0.12,
    _clipped: 0.08,
    _skewed: 0.1,
    _counted: 0.08,
    _mostly_zero: 0.08,
    _bounded: 0.04,
    _on_and_off: 0.02,
    _held: 0.03,
    _spiked: 0.05,
}


def _sensor(rng):
    return list(_SENSORS)[rng.choice(len(_SENSORS), p=list(_SENSORS.values()))]
