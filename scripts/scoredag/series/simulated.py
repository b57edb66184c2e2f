"""Simulated series to pretrain on: shared factors, daily cycles, own noise, derived quantities, odd sensors.

Every block of steps is another world with newly drawn parameters, so that a model cannot
learn the features by heart and has to read their relations off the window.
"""

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from scoredag import streams
from scoredag.series import worlds


def simulate(
    *,
    n_features: int,
    n_steps: int,
    block: int,
    seed: int,
    world: str = "days",
    start: str = "2000-01-01",
    interval: str = "1h",
) -> pd.DataFrame:
    """A wide series of `n_steps` hours x `n_features`, each value of variance near 1.

    Args:
        n_features: K.
        n_steps: length of the series.
        block: steps after which all parameters are drawn anew.
        seed: integer.
        world: `days`, hours of weather and its like, or `any` (`worlds.draw`), a quarter of them such hours.
        start, interval: of the time index (UTC).
    """
    draw = WORLDS[world]
    blocks = [draw(block, n_features, streams.generator(seed, "block", i)) for i in range(-(-n_steps // block))]
    times = pd.date_range(start, periods=n_steps, freq=interval, tz="UTC", name="time")
    width = len(str(n_features - 1))
    names = [f"feature_{k:0{width}d}" for k in range(n_features)]
    return pd.DataFrame(np.concatenate(blocks)[:n_steps], times, names)


def _days(n_steps, n_features, rng):
    """One world of hours, (n_steps, n_features)."""
    n_factors = rng.integers(2, 8)
    n_kinds = rng.integers(2, n_features + 1)
    factors = np.stack([_smooth_noise(n_steps, rng) for _ in range(n_factors)], axis=1)
    factors = np.concatenate([factors, _daily_cycles(n_steps, rng)], axis=1)
    # features of one kind nearly repeat each other, as the same quantity at nearby places does
    kinds = rng.normal(size=(n_kinds, factors.shape[1])) * rng.gamma(0.5, size=(n_kinds, factors.shape[1]))
    loadings = kinds[rng.integers(n_kinds, size=n_features)]
    loadings = loadings + rng.normal(size=loadings.shape) * worlds.log_uniform(rng, 0.01, 0.5)
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    own = np.stack([_smooth_noise(n_steps, rng) for _ in range(n_features)], axis=1)
    white = rng.normal(size=(n_steps, n_features))
    own_scale = worlds.log_uniform(rng, 0.02, 0.7, n_features)
    white_scale = worlds.log_uniform(rng, 0.005, 0.4, n_features)
    x = factors @ loadings.T + own_scale * own + white_scale * white
    x /= np.sqrt(1 + own_scale**2 + white_scale**2)
    x = worlds.derive(x, rng)
    return np.stack([_sensor(x[:, k], rng) for k in range(n_features)], axis=1)


def _smooth_noise(n_steps, rng):
    """A stationary second-order autoregression of variance near 1, its time scale 2 to 200 steps."""
    decay = np.exp(-1 / worlds.log_uniform(rng, 2, 200))
    smoothing = rng.uniform(0, 0.8)
    burn_in = 400
    noise = rng.normal(size=n_steps + burn_in)
    x = lfilter([1.0], np.convolve([1, -decay], [1, -smoothing]), noise)[burn_in:]
    p1, p2 = decay + smoothing, -decay * smoothing
    variance = (1 - p2) / ((1 + p2) * ((1 - p2) ** 2 - p1**2))
    return x / np.sqrt(variance)


def _daily_cycles(n_steps, rng):
    """(n_steps, 2): sine and cosine of the day with a slowly changing amplitude, some sharpened."""
    phase = 2 * np.pi * (np.arange(n_steps) / 24 + rng.uniform())
    amplitude = np.sqrt(2) * np.exp(0.3 * _smooth_noise(n_steps, rng))
    waves = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    sharpness = worlds.log_uniform(rng, 0.1, 3)
    return amplitude[:, None] * np.tanh(sharpness * waves) / np.tanh(sharpness)


def _sensor(x, rng):
    """What an instrument makes of a smooth quantity: nothing, rounding, a ceiling, rare bursts."""
    kind = rng.uniform()
    if kind < 0.5:
        return x
    if kind < 0.7:
        resolution = worlds.log_uniform(rng, 0.05, 0.5)
        return np.round(x / resolution) * resolution
    if kind < 0.85:
        return np.minimum(x, rng.uniform(-0.5, 1.0))
    return np.expm1(x * rng.uniform(0.2, 0.5))


def _any(n_steps, n_features, rng):
    """A world of any kind; one in four is of hours."""
    return (_days if rng.uniform() < 0.25 else worlds.draw)(n_steps, n_features, rng)


WORLDS = {"days": _days, "any": _any}
