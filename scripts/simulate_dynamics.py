"""Follow particles by the forward SDE, the reverse SDE and the probability flow, and measure their marginals."""

import logging

import numpy as np
import pandas as pd

from scoredag import job, streams
from scoredag.gmm import diagnostics, mixture
from scoredag.likelihood import dynamics, problems
from scoredag.likelihood.sde import HORIZON
from scoredag.store import tables

_N_PROJECTIONS = 100
_N_RETURNED = 200  # particles that the flow takes back to where they came from


def simulate_dynamics(
    parameters_path: str, weights_path: str | None, dynamics_path: str, distances_path: str, settings: dict
) -> None:
    """Write particles at the snapshots, and how far their laws are from p_t at some of them.

    The forward SDE starts from the mixture; the others start where it ends. All in the plane, in units of the spread.
    """
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    models = {"exact": problems.score_model(problem, {})}
    if settings["score_model"] is not None:
        models[settings["score_model"]] = problems.score_model(problem, settings["errors"], weights_path)
    times = dynamics.snapshot_times(problem.smallest_time, settings["n_snapshots"])
    seed = streams.seed(settings["seed"], "likelihood", "dynamics")
    start = dynamics.marginal(problem.data.gmm, problem.sde, times[0]).sample(settings["n_particles"], seed)
    forward = dynamics.forward(problem.sde, start, times, streams.generator(seed, "forward"))
    paths = {("none", "forward SDE"): forward}
    rows = []
    for name, model in models.items():
        # the same noise for each model, so that paths differ by their scores alone
        rng = streams.generator(seed, "reverse")
        backward = dynamics.reverse(model, problem.sde, forward[-1], times[::-1], settings["n_steps_between"], rng)
        flow = dynamics.flow(model, problem.sde, forward[-1], times[::-1])
        paths |= {(name, "reverse SDE"): backward[::-1], (name, "probability flow"): flow[::-1]}
        returned = dynamics.flow(model, problem.sde, flow[-1, :_N_RETURNED], [times[0], times[-1]])[-1]
        errors = problem.data.unit * np.linalg.norm(returned - forward[-1, :_N_RETURNED], axis=1)
        logging.info("%s: flow there and back is off by %.2g (median), %.2g (largest)", name, *_spread(errors))
        rows.append((name, "probability flow", HORIZON, "round_trip_error", np.median(errors)))
    _write_paths(problem, paths, times, dynamics_path)
    for i in dynamics.nearest_snapshots(times, settings["times"]):
        rows += _distances(problem, {key: path[i] for key, path in paths.items()}, forward[-1], times[i], seed)
    tables.write_rows(rows, distances_path, tables.DYNAMICS_DISTANCES)


def _spread(errors):
    return np.median(errors), errors.max()


def _distances(problem, positions, last, t, seed):
    """Rows of the metrics of `positions`, {(score model, dynamics): (N, 2)}, and of an exact sample, at a time."""
    law = dynamics.marginal(problem.data.gmm, problem.sde, t)
    n_particles = len(last)
    reference, other = (law.sample(n_particles, streams.seed(seed, name)) for name in ("reference", "floor"))
    rows = []
    for key, y in {("none", "exact"): other, **positions}.items():
        distance = diagnostics.sliced_wasserstein2(y, reference, _N_PROJECTIONS, seed)
        measures = {
            "sliced_wasserstein2": problem.data.unit * distance,
            "mean_log_density": law.log_density(y).mean() - problem.data.nats,
            "neighbour_distance": problem.data.unit * np.median(dynamics.neighbour_distances(y, last)),
        }
        rows += [(*key, t, metric, value) for metric, value in measures.items()]
    return rows


def _write_paths(problem, paths, times, path):
    """Write positions (S, N, 2) by score model, dynamics, time and particle."""
    x = problem.data.centre + problem.data.unit * np.stack(list(paths.values()))
    n_paths, n_times, n_particles, _ = x.shape
    models, kinds = zip(*paths, strict=True)
    columns = {
        "score_model": _repeated(models, n_times * n_particles),
        "dynamics": _repeated(kinds, n_times * n_particles),
        "time": np.tile(np.repeat(times, n_particles), n_paths),
        "particle": np.tile(np.arange(n_particles), n_paths * n_times),
        "x": x[..., 0].ravel(),
        "y": x[..., 1].ravel(),
    }
    tables.write(columns, path, tables.DYNAMICS)


def _repeated(names, n_rows):
    return pd.Categorical(names).repeat(n_rows)


if __name__ == "__main__":
    job.run(simulate_dynamics, cached=True)
