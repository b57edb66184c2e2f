"""Marginals of the forward process that starts from a Gaussian mixture: mixtures again, p_t in the papers."""

from typing import NamedTuple, Protocol, Self

import numpy as np
from numba import njit

from scoredag.likelihood.sde import SDE, Numbers


class Mixture(Protocol):
    """What is used here of a `gmm.mixture.GaussianMixture`: K components in the plane."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Points (n, 2)."""

    def diffused(self, level: float) -> Self:
        """The mixture after noise of deviation `level` was added."""

    def scaled(self, factor: float) -> Self:
        """The mixture of `factor` x."""

    def moved(self, by: np.ndarray) -> Self:
        """The mixture of x + `by`, (2,)."""


class Standardised(NamedTuple):
    """A mixture in the unit that suits priors of variance one: x = centre + unit * y."""

    gmm: Mixture  # of y
    centre: np.ndarray  # (2,)
    unit: float

    @property
    def nats(self) -> float:
        """log |dx / dy|: nats to add to turn an NLL of y into one of x."""
        return 2 * np.log(self.unit)


class Spectrum(NamedTuple):
    """A mixture by the principal axes of its components, along which isotropic noise adds to the variances."""

    weights: np.ndarray  # (K,)
    means: np.ndarray  # (2, K), along both axes of each component
    axes: np.ndarray  # (2, K): cosine and sine of the first axis
    variances: np.ndarray  # (2, K)


def standardise(gmm: Mixture) -> Standardised:
    """The mixture moved to mean 0 and scaled by one number, so that its variance is 1 on average over directions."""
    centre = gmm.weights @ gmm.means
    offsets = gmm.means - centre
    variances = np.trace(gmm.covariances, axis1=1, axis2=2) + (offsets**2).sum(axis=1)
    unit = float(np.sqrt(gmm.weights @ variances / 2))
    return Standardised(gmm.moved(-centre).scaled(1 / unit), centre, unit)


def marginal(gmm: Mixture, sde: SDE, t: float) -> Mixture:
    """p_t of the forward process from `gmm`: means alpha mu_k, covariances alpha^2 Sigma_k + sigma^2 I."""
    return gmm.scaled(float(sde.signal(t))).diffused(float(sde.noise(t)))


def spectrum(gmm: Mixture) -> Spectrum:
    """The `Spectrum` of a mixture."""
    variances, vectors = np.linalg.eigh(gmm.covariances)
    first = vectors[:, :, 0]
    cosine, sine = np.ascontiguousarray(first.T)
    along = cosine * gmm.means[:, 0] + sine * gmm.means[:, 1]
    across = cosine * gmm.means[:, 1] - sine * gmm.means[:, 0]
    return Spectrum(gmm.weights, np.stack([along, across]), np.stack([cosine, sine]), np.ascontiguousarray(variances.T))


def evaluate(
    spectrum: Spectrum, x: np.ndarray, signal: Numbers, noise: Numbers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-density, score and its divergence of marginals, at a signal alpha and noise sigma for each point.

    Args:
        spectrum: of the mixture at time 0.
        x: (N, 2).
        signal: alpha, a number or (N,).
        noise: sigma, a number or (N,).

    Returns:
        log p_t(x) in nats (N,), grad log p_t(x) (N, 2), its divergence (N,).
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    signal, noise = (np.broadcast_to(np.float64(part), len(x)).copy() for part in (signal, noise))
    logs, scores, divergences = np.empty(len(x)), np.empty((len(x), 2)), np.empty(len(x))
    _evaluate(*spectrum, x, signal, noise, logs, scores, divergences)
    return logs, scores, divergences


_NEGLIGIBLE = 80.0  # components whose squared whitened distance is larger by this add less than 1e-17


# short loops over few arrays, which the compiler vectorises


@njit(error_model="numpy")
def _scaled(values, factor, out):
    for k in range(len(out)):
        out[k] = values[k] * factor


@njit(error_model="numpy")
def _precisions(variances, factor, added, out):
    for k in range(len(out)):
        out[k] = 1.0 / (factor * variances[k] + added)


@njit(error_model="numpy")
def _heights(weights, first, second, out):
    for k in range(len(out)):
        out[k] = weights[k] * np.sqrt(first[k] * second[k])


@njit(error_model="numpy")
def _offsets(means, cosine, sine, x, y, out):
    for k in range(len(out)):
        out[k] = means[k] - (cosine[k] * x + sine[k] * y)


@njit(error_model="numpy")
def _distances(along, across, first, second, out):
    for k in range(len(out)):
        out[k] = along[k] * along[k] * first[k] + across[k] * across[k] * second[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(weights, means, axes, variances, x, signal, noise, logs, scores, divergences):
    n_components = len(weights)
    along_mean, across_mean = np.empty(n_components), np.empty(n_components)
    first, second, height = np.empty(n_components), np.empty(n_components), np.empty(n_components)
    along, across, distance = np.empty(n_components), np.empty(n_components), np.empty(n_components)
    cosine, sine = axes[0], axes[1]
    for i in range(len(x)):
        if i == 0 or signal[i] != signal[i - 1] or noise[i] != noise[i - 1]:
            alpha, added = signal[i], noise[i] * noise[i]
            _scaled(means[0], alpha, along_mean)
            _scaled(means[1], alpha, across_mean)
            _precisions(variances[0], alpha * alpha, added, first)
            _precisions(variances[1], alpha * alpha, added, second)
            _heights(weights, first, second, height)
        here_x, here_y = x[i, 0], x[i, 1]
        _offsets(along_mean, cosine, sine, here_x, here_y, along)
        _offsets(across_mean, cosine, sine, here_y, -here_x, across)
        _distances(along, across, first, second, distance)
        nearest = np.inf
        for k in range(n_components):
            if distance[k] < nearest:
                nearest = distance[k]
        density, slope_x, slope_y, curvature = 0.0, 0.0, 0.0, 0.0
        for k in range(n_components):
            if distance[k] - nearest < _NEGLIGIBLE:
                share = height[k] * np.exp((nearest - distance[k]) / 2)
                pull, push = along[k] * first[k], across[k] * second[k]
                density += share
                slope_x += share * (cosine[k] * pull - sine[k] * push)
                slope_y += share * (sine[k] * pull + cosine[k] * push)
                curvature += share * (pull * pull + push * push - first[k] - second[k])
        slope_x, slope_y = slope_x / density, slope_y / density
        logs[i] = np.log(density / (2 * np.pi)) - nearest / 2
        scores[i, 0], scores[i, 1] = slope_x, slope_y
        divergences[i] = curvature / density - slope_x * slope_x - slope_y * slope_y
