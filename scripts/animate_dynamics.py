"""Show particles by the three dynamics on their way from noise to data."""

import numpy as np

from scoredag import job
from scoredag.figures import dynamics as figures
from scoredag.figures import style
from scoredag.gmm import mixture, views
from scoredag.likelihood import dynamics, problems
from scoredag.store import tables

_N_FRAMES = 16


def animate_dynamics(parameters_path: str, dynamics_path: str, animation_path: str, settings: dict) -> None:
    """Write a GIF of the snapshots from the last time to the first, side by side."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    times, paths = figures.paths_of(tables.read(dynamics_path, tables.DYNAMICS))
    shown = np.unique(np.linspace(0, len(times) - 1, _N_FRAMES).round().astype(int))[::-1]
    laws = (dynamics.plane_marginal(problem, times[i]) for i in shown)
    frames = figures.frames(paths, times, shown, laws, views.view_of(gmm))
    style.save_animation(frames, animation_path, milliseconds=300, n_colours=256)


if __name__ == "__main__":
    job.run(animate_dynamics)
