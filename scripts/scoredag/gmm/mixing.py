"""Whether particles can mix in the steps that they have."""

import logging
import math

import numpy as np

from scoredag.gmm.kernels import rate_and_limit
from scoredag.gmm.mixture import GaussianMixture

log = logging.getLogger(__name__)
OUTSIDE = 3  # deviations from the nearest component, beyond which particles start outside the mixture


def warn_of_slow(kernel: str, gmm: GaussianMixture, step_size: float, n_steps: int, settings: dict) -> None:
    """Say in the log where particles from N(0, I) cannot mix in `n_steps`, and which step size or number of steps can.

    From outside they have to come to the nearest component, nearer by a factor e in each relaxation time of the widest
    direction, and then to fill that. Wherever they start, noise has to carry them a standard deviation of the mixture;
    what is advised carries them two, from one side to the other. `step_size` and `settings` are the kernel's.
    """
    distances = np.einsum("ki,kij,kj->k", gmm.means, gmm.diffused(1).precisions, gmm.means)
    outside = math.sqrt(distances.min())
    rate, limit = rate_and_limit(kernel, gmm, settings)
    deviation, variance = _widest(kernel, gmm, settings)
    friction = settings.get("friction", 1.0) if kernel == "underdamped" else None
    time = n_steps * step_size
    arrival = (1 + math.log(outside)) / rate if outside > OUTSIDE else 0.0
    carried = _carried(time, variance, friction)
    if time >= arrival and carried >= deviation:
        return
    needed = 1.1 * max(arrival, _time_to_carry(2 * deviation, variance, friction))
    wanted, stable = needed / n_steps, limit / 2
    cure = f"step_size {wanted:.2g}"
    if wanted > stable:
        cure = f"n_steps {float(f'{needed / stable:.2g}'):.0f} at step_size {stable:.2g}"
    if arrival:
        log.warning(
            "particles start %.3g deviations outside the mixture, and %d steps of step_size %g are too few to %s it; "
            "%s would do", outside, n_steps, step_size, "reach and fill" if deviation else "reach", cure,
        )  # fmt: skip
    else:
        log.warning(
            "%d steps of step_size %g carry a particle about %.2g, and the mixture is about %.2g across; "
            "%s would carry it from one side to the other", n_steps, step_size, carried, 2 * deviation, cure,
        )  # fmt: skip


def _widest(kernel, gmm, settings):
    """The mixture's standard deviation in the direction that noise fills last, and half of the noise's variance there.

    That is per unit of step size times steps; of noise without friction, and (0, 1) where there is none.
    """
    noises = [settings.get("noise_covariance"), settings.get("preconditioner")]
    default = np.zeros((2, 2)) if kernel == "overdamped" else np.eye(2)
    noise = next((matrix for matrix in noises if matrix is not None), default)
    values, vectors = np.linalg.eigh(np.asarray(noise, dtype=np.float64))
    is_noisy = values > 1e-12 * values[-1]
    if not is_noisy.any():
        return 0.0, 1.0
    whitener = vectors[:, is_noisy] / np.sqrt(values[is_noisy])
    offsets = gmm.means - gmm.weights @ gmm.means
    covariance = np.einsum("k,kij->ij", gmm.weights, gmm.covariances + offsets[:, :, None] * offsets[:, None, :])
    ratios, directions = np.linalg.eigh(whitener.T @ covariance @ whitener)
    length = np.linalg.norm(whitener @ directions[:, -1])
    levels = np.array(settings["noise_levels"] if kernel == "annealed" else [1.0])
    hottest = max(settings["temperatures"]) if kernel == "tempering" else 1.0
    return math.sqrt(ratios[-1]) / length, hottest * np.mean((levels / levels[-1]) ** 2) / length**2


def _carried(time, variance, friction):
    """The standard deviation of a free particle after a time: sqrt(2 variance time), or that of one with friction."""
    if friction is None:
        return math.sqrt(2 * variance * time)
    decays = friction * time
    return math.sqrt(max(2 * (decays + math.expm1(-decays)), 0)) / friction


def _time_to_carry(distance, variance, friction):
    """A time after which `_carried` is the distance; with friction, a little more."""
    return distance**2 / (2 * variance) if friction is None else distance + friction * distance**2 / 2
