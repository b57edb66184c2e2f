"""Forward SDE, reverse SDE and probability flow: their marginals, maps and paths."""

import functools

import numpy as np
import pytest

from scoredag.gmm import diagnostics
from scoredag.gmm.mixture import GaussianMixture
from scoredag.likelihood import dynamics, problems, scores, sde

N = 3000
SDES = {"vp": (0.1, 20.0), "sub-vp": (0.1, 20.0), "ve": (0.01, 50.0)}


def gmm():
    return GaussianMixture([0.3, 0.7], [[-1.0, 0.3], [0.6, -0.2]], [[[0.1, 0.0], [0.0, 0.5]], [[0.3, 0.1], [0.1, 0.3]]])


@functools.cache
def simulated(name):
    """The problem, times, and {dynamics: positions (S, N, 2)} of the exact score by rising time."""
    problem = problems.build(gmm(), name=name, span=SDES[name], smallest_time=1e-5)
    model = problems.score_model(problem, {})
    times = dynamics.snapshot_times(1e-5, 21)
    start = dynamics.marginal(problem.data.gmm, problem.sde, times[0]).sample(N, 1)
    forward = dynamics.forward(problem.sde, start, times, np.random.default_rng(2))
    back = times[::-1]
    reverse = dynamics.reverse(model, problem.sde, forward[-1], back, 20, np.random.default_rng(3))[::-1]
    flow = dynamics.flow(model, problem.sde, forward[-1], back)[::-1]
    return problem, times, {"forward": forward, "reverse": reverse, "flow": flow}


@pytest.mark.parametrize("name", SDES)
@pytest.mark.parametrize("kind", ["forward", "reverse", "flow"])
def test_all_dynamics_have_the_same_marginals(name, kind):
    """Within the noise of exact samples: the largest of twenty distances between two of them, and a tenth."""
    problem, times, paths = simulated(name)
    for i in (0, 3, 8, 20):
        law = dynamics.marginal(problem.data.gmm, problem.sde, times[i])
        exact = [law.sample(N, seed) for seed in range(10, 31)]
        distance = functools.partial(diagnostics.sliced_wasserstein2, exact[0], n_projections=50, seed=1)
        floor = max(distance(other) for other in exact[1:])
        assert distance(paths[kind][i]) < 1.1 * floor
        means = [law.log_density(x).mean() for x in exact]
        assert law.log_density(paths[kind][i]).mean() == pytest.approx(np.mean(means), abs=4.5 * np.std(means))


def test_a_wrong_score_has_other_marginals():
    problem, times, _ = simulated("vp")
    model = problems.score_model(problem, {"scale": 0.8})
    last = dynamics.marginal(problem.data.gmm, problem.sde, times[-1]).sample(N, 4)
    law = dynamics.marginal(problem.data.gmm, problem.sde, times[0])
    floor = diagnostics.sliced_wasserstein2(law.sample(N, 5), law.sample(N, 6), 50, 1)
    flow = dynamics.flow(model, problem.sde, last, times[::-1])
    reverse = dynamics.reverse(model, problem.sde, last, times[::-1], 20, np.random.default_rng(7))
    for path in (flow, reverse):
        assert diagnostics.sliced_wasserstein2(path[-1], law.sample(N, 5), 50, 1) > 2 * floor


@pytest.mark.parametrize("name", SDES)
def test_the_flow_goes_back_where_it_came_from(name):
    problem, times, paths = simulated(name)
    model = problems.score_model(problem, {})
    returned = dynamics.flow(model, problem.sde, paths["flow"][0, :50], times[[0, -1]])[-1]
    np.testing.assert_allclose(returned, paths["flow"][-1, :50], atol=1e-3)


def test_the_flow_of_a_gaussian_is_its_scaling():
    """From N(0, v) at T to N(0, v_0): each coordinate times the ratio of deviations."""
    process = sde.variance_preserving()
    variances = np.array([0.04, 2.0])
    law = GaussianMixture([1.0], [[0.0, 0.0]], [np.diag(variances)])
    times = np.array([1.0, 0.3, 1e-3])
    y = np.random.default_rng(0).standard_normal((20, 2))
    found = dynamics.flow(scores.exact(law, process), process, y, times)
    signal, noise = process.signal(times), process.noise(times)
    deviations = np.sqrt(np.outer(signal**2, variances) + noise[:, None] ** 2)
    np.testing.assert_allclose(found, y * (deviations / deviations[0])[:, None], rtol=1e-3, atol=1e-4)


def test_neighbours_stay_together_in_the_flow_and_part_in_the_reverse_sde():
    _, _, paths = simulated("vp")
    together, parted, strangers = (
        np.median(dynamics.neighbour_distances(start, last))
        for start, last in (
            (paths["flow"][0], paths["flow"][-1]),
            (paths["reverse"][0], paths["reverse"][-1]),
            (paths["reverse"][0], paths["flow"][-1][::-1]),
        )
    )
    assert together < 0.1 * parted
    assert parted == pytest.approx(strangers, rel=0.1)


def test_snapshots_are_the_nearest_and_each_is_there_once():
    times = dynamics.snapshot_times(1e-5, 11)
    assert times[0] == 1e-5 and times[-1] == 1 and len(times) == 11
    assert dynamics.nearest_snapshots(times, [1.0, 0.0, 0.31, 0.29]) == [0, 3, 10]
