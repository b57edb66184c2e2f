"""Forward SDEs dx = f dt + g dw with a linear drift, as named tuples of functions of time (Song et al. 2021).

Each has a Gaussian perturbation kernel p_0t(x'|x) = N(x'; alpha(t) x, sigma(t)^2 I). Two facts serve all of them:

- g^2 / sigma^2 is the derivative of log(sigma^2 / alpha^2), so that times whose density is proportional to
  g^2 / sigma^2 are uniform in this logarithm;
- y = x / sqrt(alpha^2 + sigma^2), seen on the clock B = log(1 + sigma^2 / alpha^2), follows dy = -y/2 dB + dw whatever
  the SDE: they all are one diffusion in other units of space and time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scoredag.errors import InputError

HORIZON = 1.0  # T


class SDE(NamedTuple):
    """dx = a(t) x dt + g(t) dw from time 0 to 1, of a point of the plane; the functions take arrays of times."""

    drift_rate: Callable  # a(t), so that f(x, t) = a(t) x
    squared_diffusion: Callable  # g(t)^2
    signal: Callable  # alpha(t)
    noise: Callable  # sigma(t)
    log_noise_to_signal: Callable  # log(sigma^2 / alpha^2), exact where it is very small
    time_at: Callable  # the time of a log_noise_to_signal
    prior_variance: float  # of the prior N(0, . I) that stands for p_1

    def spread(self, t):
        """The deviation sqrt(alpha^2 + sigma^2) that data of variance one have at time t."""
        return np.hypot(self.signal(t), self.noise(t))

    def clock(self, t):
        """B(t) = log(1 + sigma^2 / alpha^2)."""
        return np.logaddexp(0, self.log_noise_to_signal(t))

    def time_on(self, clock):
        """The time at which the clock stands at B."""
        return self.time_at(clock + np.log(-np.expm1(-np.asarray(clock, dtype=np.float64))))

    @property
    def relative_prior_variance(self):
        """Of the prior in the unit of y, in which all linear SDEs are one."""
        return self.prior_variance / float(self.spread(HORIZON)) ** 2

    def log_prior(self, y):
        """Log-density (N,) of the prior at y (N, 2), in the unit of y at T."""
        variance = self.relative_prior_variance
        return -np.log(2 * np.pi * variance) - np.square(y).sum(axis=1) / (2 * variance)


def variance_preserving(beta_min=0.1, beta_max=20.0):
    """f = -beta x / 2, g^2 = beta, with beta rising linearly (Song et al. 2021, score SDE, equation 11)."""

    def integral(t):
        return _integral_at(t, beta_min, beta_max)

    def time_at(log_noise_to_signal):
        reached = np.logaddexp(0, log_noise_to_signal)
        return _time_of_integral(reached, beta_min, beta_max)

    return SDE(
        drift_rate=lambda t: -(beta_min + (beta_max - beta_min) * t) / 2,
        squared_diffusion=lambda t: beta_min + (beta_max - beta_min) * t,
        signal=lambda t: np.exp(-integral(t) / 2),
        noise=lambda t: np.sqrt(-np.expm1(-integral(t))),
        log_noise_to_signal=lambda t: np.log(np.expm1(integral(t))),
        time_at=time_at,
        prior_variance=1.0,
    )


def sub_variance_preserving(beta_min=0.1, beta_max=20.0):
    """f = -beta x / 2, g^2 = beta (1 - exp(-2 int beta)) (Song et al. 2021, score SDE, equation 12)."""
    preserving = variance_preserving(beta_min, beta_max)

    def integral(t):
        return _integral_at(t, beta_min, beta_max)

    def time_at(log_noise_to_signal):
        # sigma / alpha = 2 sinh(int beta / 2)
        reached = 2 * np.arcsinh(np.exp(np.asarray(log_noise_to_signal) / 2) / 2)
        return _time_of_integral(reached, beta_min, beta_max)

    return preserving._replace(
        squared_diffusion=lambda t: preserving.squared_diffusion(t) * -np.expm1(-2 * integral(t)),
        noise=lambda t: -np.expm1(-integral(t)),
        log_noise_to_signal=lambda t: 2 * np.log(2 * np.sinh(integral(t) / 2)),
        time_at=time_at,
    )


def variance_exploding(sigma_min=0.01, sigma_max=50.0):
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
        time_at=lambda log_noise_to_signal: np.log1p(np.exp(log_noise_to_signal) / sigma_min**2) / rate,
        prior_variance=sigma_max**2,
    )


NAMED = {"vp": variance_preserving, "sub-vp": sub_variance_preserving, "ve": variance_exploding}


def named(name, span):
    """The SDE `vp`, `sub-vp` or `ve`; `span` is its lowest and highest beta, or sigma.

    Raises:
        InputError: another name.
    """
    if name not in NAMED:
        raise InputError(f"sde: '{name}' is unknown; known are {', '.join(NAMED)}")
    return NAMED[name](*span)


def _integral_at(t, beta_min, beta_max):
    """The integral of a linear beta from 0 to t."""
    return beta_min * t + (beta_max - beta_min) * np.square(t) / 2


def _time_of_integral(integral, beta_min, beta_max):
    """The t of `_integral_at`, without a difference of near numbers."""
    return 2 * integral / (beta_min + np.sqrt(beta_min**2 + 2 * (beta_max - beta_min) * integral))
