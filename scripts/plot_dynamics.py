"""Draw particles by the three dynamics, at a few times and on their paths."""

from scoredag import job
from scoredag.figures import dynamics as figures
from scoredag.figures import style
from scoredag.gmm import mixture, views
from scoredag.likelihood import dynamics, problems
from scoredag.store import tables


def plot_dynamics(parameters_path: str, dynamics_path: str, figure_path: str, settings: dict) -> None:
    """Draw one row a dynamics, one column a time, and the paths of a few particles."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    times, paths = figures.paths_of(tables.read(dynamics_path, tables.DYNAMICS))
    shown = dynamics.nearest_snapshots(times, settings["times"])
    laws = [dynamics.plane_marginal(problem, times[i]) for i in shown]
    style.save(figures.panels(paths, times, shown, laws, views.view_of(gmm)), figure_path)


if __name__ == "__main__":
    job.run(plot_dynamics)
