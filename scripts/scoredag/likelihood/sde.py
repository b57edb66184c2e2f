"""Forward SDEs dx = f dt + g dw with a linear drift, as named tuples of functions of time (Song et al. 2021).

Each has a Gaussian perturbation kernel p_0t(x'|x) = N(x'; alpha(t) x, sigma(t)^2 I). Two facts serve all of them:

- g^2 / sigma^2 is the derivative of log(sigma^2 / alpha^2), so that times whose density is proportional to
  g^2 / sigma^2 are uniform in this logarithm;
- y = x / sqrt(alpha^2 + sigma^2) follows dy = -y/2 dB + dw on the clock B = log(1 + sigma^2 / alpha^2), whatever the
  SDE: they all are one diffusion in other units of space and time.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scoredag.errors import InputError

HORIZON = 1.0  # T

Numbers = float | np.ndarray  # one, or an array (N,)


class SDE(NamedTuple):
    """dx = a(t) x dt + g(t) dw from time 0 to 1, of a point of the plane; the functions take arrays of times."""

    drift_rate: Callable[[Numbers], Numbers]  # a(t), so that f(x, t) = a(t) x
    squared_diffusion: Callable[[Numbers], Numbers]  # g(t)^2
    signal: Callable[[Numbers], Numbers]  # alpha(t)
    noise: Callable[[Numbers], Numbers]  # sigma(t)
    log_noise_to_signal: Callable[[Numbers], Numbers]  # log(sigma^2 / alpha^2), exact where it is very small
    time_at: Callable[[Numbers], Numbers]  # the time of a log_noise_to_signal
    prior_variance: float  # of the prior N(0, prior_variance I), which stands for p_1

    def spread(self, t: Numbers) -> Numbers:
        """The deviation sqrt(alpha^2 + sigma^2) at time t of data that have variance one at time 0."""
        return np.hypot(self.signal(t), self.noise(t))

    def clock(self, t: Numbers) -> Numbers:
        """B(t) = log(1 + sigma^2 / alpha^2)."""
        return np.logaddexp(0, self.log_noise_to_signal(t))

    def time_on(self, clock: Numbers) -> Numbers:
        """The time t at which B(t) is `clock`."""
        return self.time_at(clock + np.log(-np.expm1(-np.asarray(clock, dtype=np.float64))))

    @property
    def relative_prior_variance(self) -> float:
        """The variance of the prior in the unit of y."""
        return self.prior_variance / float(self.spread(HORIZON)) ** 2

    def log_prior(self, y: np.ndarray) -> np.ndarray:
        """Log-density (N,) of the prior at y (N, 2), in the unit of y at T."""
        variance = self.relative_prior_variance
        return -np.log(2 * np.pi * variance) - np.square(y).sum(axis=1) / (2 * variance)


def variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """f = -beta x / 2, g^2 = beta, with beta rising linearly (Song et al. 2021, score SDE, equation 11)."""
    integral = functools.partial(_integral_at, beta_min=beta_min, beta_max=beta_max)
    return SDE(
        drift_rate=lambda t: -(beta_min + (beta_max - beta_min) * t) / 2,
        squared_diffusion=lambda t: beta_min + (beta_max - beta_min) * t,
        signal=lambda t: np.exp(-integral(t) / 2),
        noise=lambda t: np.sqrt(-np.expm1(-integral(t))),
        log_noise_to_signal=lambda t: np.log(np.expm1(integral(t))),
        time_at=lambda level: _time_of_integral(np.logaddexp(0, level), beta_min, beta_max),
        prior_variance=1.0,
    )


def sub_variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """f = -beta x / 2, g^2 = beta (1 - exp(-2 int beta)) (Song et al. 2021, score SDE, equation 12)."""
    preserving = variance_preserving(beta_min, beta_max)
    integral = functools.partial(_integral_at, beta_min=beta_min, beta_max=beta_max)

    def time_at(level):  # sigma / alpha = 2 sinh(integral / 2)
        return _time_of_integral(2 * np.arcsinh(np.exp(np.asarray(level) / 2) / 2), beta_min, beta_max)

    return preserving._replace(
        squared_diffusion=lambda t: preserving.squared_diffusion(t) * -np.expm1(-2 * integral(t)),
        noise=lambda t: -np.expm1(-integral(t)),
        log_noise_to_signal=lambda t: 2 * np.log(2 * np.sinh(integral(t) / 2)),
        time_at=time_at,
    )


def variance_exploding(sigma_min: float = 0.01, sigma_max: float = 50.0) -> SDE:
    """f = 0, g^2 = d/dt s^2 with s = sigma_min (sigma_max / sigma_min)^t (Song et al. 2021, score SDE, equation 9).

    The noise added since time 0 has the variance s(t)^2 - s(0)^2.
    """
    rate = 2 * np.log(sigma_max / sigma_min)

    def noise(t):
        return sigma_min * np.sqrt(np.expm1(rate * t))

    return SDE(
        drift_rate=lambda t: 0.0 * t,
        squared_diffusion=lambda t: rate * sigma_min**2 * np.exp(rate * t),
        signal=lambda t: 1.0 + 0.0 * t,
        noise=noise,
        log_noise_to_signal=lambda t: 2 * np.log(noise(t)),
        time_at=lambda level: np.log1p(np.exp(level) / sigma_min**2) / rate,
        prior_variance=sigma_max**2,
    )


SDES: dict[str, Callable[[float, float], SDE]] = {
    "vp": variance_preserving,
    "sub-vp": sub_variance_preserving,
    "ve": variance_exploding,
}


def named(name: str, span: Sequence[float]) -> SDE:
    """The SDE `name`, one of `SDES`; `span` is its lowest and highest beta, or sigma.

    Raises:
        InputError: an unknown name.
    """
    if name not in SDES:
        raise InputError(f"sde: '{name}' is unknown; known are {', '.join(SDES)}")
    lowest, highest = span
    return SDES[name](lowest, highest)


def _integral_at(t, beta_min, beta_max):
    """The integral of a linear beta from 0 to t."""
    return beta_min * t + (beta_max - beta_min) * np.square(t) / 2


def _time_of_integral(integral, beta_min, beta_max):
    """The time of an integral by `_integral_at`, without a difference of close numbers."""
    return 2 * integral / (beta_min + np.sqrt(beta_min**2 + 2 * (beta_max - beta_min) * integral))
