"""The part of the plane that is looked at."""

from typing import NamedTuple

import numpy as np

from scoredag.gmm.mixture import GaussianMixture


class View(NamedTuple):
    """A square part of the plane: its centre (2,) and half its width."""

    centre: np.ndarray
    half_width: float


def view_of(gmm: GaussianMixture, half_width: float | None = None) -> View:
    """The view that holds the mixture, means and three deviations; or of the given half-width.

    Its centre is a round number, so that a mixture about the origin is seen from there.
    """
    reach = 3 * np.sqrt(np.linalg.eigvalsh(gmm.covariances)[:, -1:])
    low, high = (gmm.means - reach).min(axis=0), (gmm.means + reach).max(axis=0)
    unit = 10 ** np.floor(np.log10((high - low).max() / 2))
    centre = np.round((low + high) / 2 / unit) * unit
    fitting = np.maximum(high - centre, centre - low).max()
    return View(centre, half_width or float(np.ceil(fitting / unit * 10) * unit / 10))
