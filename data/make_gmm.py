"""Draw data/gmm.csv: 150 Gaussian components that write a nabla and a p.

    python data/make_gmm.py [--output data/gmm.csv]

The two glyphs, the gradient and the density of which a score is made, are strokes in the
plane. Components sit along them, long in the direction of the stroke and thin across it, with
unequal weights. The thin variance sets the scale: Langevin dynamics with step size tau needs
variances above tau / 2 to be stable near a component (0.05 for tau = 0.1: fine; 0.5 for
tau = 1: too large a step for the thin direction, though the long ones keep the particles in).
"""

import argparse

import numpy as np
import pandas as pd

N_COMPONENTS = 150
ALONG = (0.7, 1.1)  # range of the variance along the stroke
ACROSS = (0.33, 0.42)  # range of the variance across it


def strokes():
    """The two glyphs as polylines, each (n, 2); all within +- 10.

    They nearly touch at the top and lie about as far from the origin, where particles start: so
    a right sampler gets the share of each glyph right within the default run's 1000 steps.
    """
    nabla = np.array([(-9.4, 7.0), (0.6, 7.0), (-4.4, -6.5), (-9.4, 7.0)])
    stem = np.array([(2.4, 6.5), (2.4, -9.5)])
    angle = np.linspace(np.pi, -np.pi, 60)
    bowl = np.stack([6.1 + 3.7 * np.cos(angle), 0.9 + 4.1 * np.sin(angle)], axis=1)
    return [nabla, stem, bowl]


def along(polyline, positions):
    """Points (n, 2) and directions (n,) in radians at arc lengths `positions` of a polyline."""
    edges = np.diff(polyline, axis=0)
    lengths = np.hypot(*edges.T)
    ends = np.cumsum(lengths)
    edge = np.minimum(np.searchsorted(ends, positions), len(edges) - 1)
    fraction = (positions - ends[edge]) / lengths[edge] + 1
    return polyline[edge] + fraction[:, None] * edges[edge], np.arctan2(edges[edge, 1], edges[edge, 0])


def components(rng):
    """The mixture as a data frame, one row a component."""
    lines = strokes()
    lengths = np.array([np.hypot(*np.diff(line, axis=0).T).sum() for line in lines])
    counts = np.round(N_COMPONENTS * lengths / lengths.sum()).astype(int)
    counts[0] += N_COMPONENTS - counts.sum()
    placed = []
    for line, length, n in zip(lines, lengths, counts, strict=True):
        # evenly spaced, then moved a little: no two drawings of a stroke are alike
        positions = (np.arange(n) + rng.uniform(0.2, 0.8, n)) * length / n
        placed.append(along(line, positions))
    means = np.concatenate([points for points, _ in placed]) + rng.normal(scale=0.08, size=(N_COMPONENTS, 2))
    directions = np.concatenate([angles for _, angles in placed])
    weights = rng.gamma(4.0, size=N_COMPONENTS)
    long, thin = rng.uniform(*ALONG, N_COMPONENTS), rng.uniform(*ACROSS, N_COMPONENTS)
    return table(weights, means, directions, long, thin)


def table(weights, means, directions, first, second):
    """A mixture as a data frame, one row a component, by its variances along `directions` (radians) and across."""
    cosine, sine = np.cos(directions), np.sin(directions)
    return pd.DataFrame(
        {
            "weight": weights / weights.sum(),
            "mean_x": means[:, 0],
            "mean_y": means[:, 1],
            "cov_xx": first * cosine**2 + second * sine**2,
            "cov_xy": (first - second) * cosine * sine,
            "cov_yy": first * sine**2 + second * cosine**2,
        }
    )


def write(mixture, default, description):
    """Write a mixture to the file that the command line names, with six digits and weights that sum to 1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", default=default)
    rounded = mixture.round(6)
    rounded.loc[0, "weight"] += 1 - rounded["weight"].sum()
    rounded.to_csv(parser.parse_args().output, index=False, float_format="%.6f", lineterminator="\n")


if __name__ == "__main__":
    write(components(np.random.default_rng(150)), "data/gmm.csv", __doc__.splitlines()[0])
