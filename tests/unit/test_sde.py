"""Forward SDEs: kernels against the ODEs of their moments, and against simulated paths."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from scoredag.errors import InputError
from scoredag.likelihood import sde

SDES = {"vp": (0.1, 20.0), "sub-vp": (0.1, 20.0), "ve": (0.01, 50.0)}


@pytest.fixture(params=SDES)
def process(request):
    return sde.named(request.param, SDES[request.param])


def test_kernels_solve_the_odes_of_their_moments(process):
    def slopes(t, state):
        rate = process.drift_rate(t)
        return [rate * state[0], 2 * rate * state[1] + process.squared_diffusion(t)]

    times = np.array([0.003, 0.1, 0.5, 1.0])
    found = solve_ivp(slopes, (0, 1), [1.0, 0.0], t_eval=times, method="DOP853", rtol=1e-11, atol=1e-15).y
    np.testing.assert_allclose(process.signal(times), found[0], rtol=1e-8)
    np.testing.assert_allclose(process.noise(times) ** 2, found[1], rtol=1e-7)


def test_kernels_are_those_of_simulated_paths(process):
    rng = np.random.default_rng(0)
    n_steps, last = 1000, 0.5
    times = np.linspace(0, last, n_steps + 1)[:-1]
    x = np.full(20000, 1.5)
    for t in times:  # Euler and Maruyama, at the middle of each step
        middle = t + last / n_steps / 2
        step = last / n_steps
        noise = np.sqrt(process.squared_diffusion(middle) * step) * rng.standard_normal(len(x))
        x = x + process.drift_rate(middle) * x * step + noise
    assert x.mean() == pytest.approx(1.5 * process.signal(last), abs=0.03 * process.noise(last))
    assert x.std() == pytest.approx(process.noise(last), rel=0.03)


def test_the_logarithm_grows_as_squared_diffusion_over_variance(process):
    """So times with a density proportional to g^2 / sigma^2 are uniform in it."""
    grown = quad(lambda t: process.squared_diffusion(t) / process.noise(t) ** 2, 0.01, 0.7, epsrel=1e-10)[0]
    difference = process.log_noise_to_signal(0.7) - process.log_noise_to_signal(0.01)
    assert difference == pytest.approx(grown, rel=1e-8)


def test_the_clock_runs_at_squared_diffusion_over_squared_spread(process):
    run = quad(lambda t: process.squared_diffusion(t) / process.spread(t) ** 2, 0.0, 0.7, epsrel=1e-10)[0]
    assert process.clock(0.7) == pytest.approx(run, rel=1e-7)


def test_times_are_found_again(process):
    times = np.array([1e-5, 1e-3, 0.1, 0.5, 1.0])
    np.testing.assert_allclose(process.time_at(process.log_noise_to_signal(times)), times, rtol=1e-9)
    np.testing.assert_allclose(process.time_on(process.clock(times[1:])), times[1:], rtol=1e-7)


def test_the_prior_is_near_the_last_marginal(process):
    last = process.signal(1.0) ** 2 + process.noise(1.0) ** 2  # of data of variance one
    assert last == pytest.approx(process.prior_variance, rel=1e-3)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="'edm' is unknown; known are vp, sub-vp, ve"):
        sde.named("edm", (0.1, 1.0))
