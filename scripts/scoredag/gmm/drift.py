"""Whether particles still move on average: a wrong law is told from one that is not reached yet."""

import math
from collections.abc import Mapping

import numpy as np

from scoredag.gmm.mixture import GaussianMixture

N_PARTICLES = 6000  # that are compared, the first ones
CLEAR = 4.0  # standard errors; by chance one of three means is so far off in 1 of 5,000 variants
LARGE = 0.08  # of the deviation of single particles' changes; less would be clear of any law, with enough particles


def middle(n_steps: int, n_levels: int = 1) -> int:
    """The step with which the last one is compared: half-way, or half-way through the last of `n_levels` levels."""
    return n_steps - math.ceil(n_steps / n_levels / 2)


def measure(gmm: GaussianMixture, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How far the means of x, y and log p of particles (N, 2) move from `before` to `after`.

    The particles are the same, so that differences of each have mean 0 if their law does not change, whatever it is.
    Those that are not finite are left out, and a mean that no particle changes.

    Returns:
        drift_x, drift_y, drift_log_density (unit of x, nats); drift_effect_x and so on, over the deviation of single
        particles' changes; drift_z_x and so on, over the standard error.
    """
    kept = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    ends = [np.column_stack([x[kept], gmm.log_density(x[kept])]) for x in (before, after)]
    measured: dict[str, dict[str, float]] = {"drift": {}, "drift_effect": {}, "drift_z": {}}
    for name, change in zip(("x", "y", "log_density"), (ends[1] - ends[0]).T, strict=True):
        if len(change) > 1 and change.std() > 0:
            effect = float(change.mean() / change.std(ddof=1))
            measured["drift"][name] = float(change.mean())
            measured["drift_effect"][name] = effect
            measured["drift_z"][name] = effect * math.sqrt(len(change))
    return {f"{kind}_{name}": value for kind, values in measured.items() for name, value in values.items()}


def clearest(metrics: Mapping[str, float]) -> str | None:
    """Of metrics of a variant with those of `measure`, the mean that moves most; None if none does clearly and far."""
    scores = {name.removeprefix("drift_z_"): abs(z) for name, z in metrics.items() if name.startswith("drift_z_")}
    if not scores:
        return None
    name = max(scores, key=scores.__getitem__)
    moves = scores[name] > CLEAR and abs(metrics[f"drift_effect_{name}"]) > LARGE
    return name if moves else None
