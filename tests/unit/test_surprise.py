"""The bound on the negative log-likelihood: its terms by definition, and where the truth is known in closed form."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from scoredag.csdi import diffusion, variational_bound
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

MEAN, DEVIATION = 0.7, 0.4
PAPERS = diffusion.quadratic_schedule()


def fine_schedule(n_steps=5000):
    """So many steps that the signal-to-noise ratio falls by half a percent in each, from 10^6 to 10^-5."""
    ratio = torch.logspace(6, -5, n_steps, dtype=torch.float64)
    alpha_bar = ratio / (1 + ratio)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    return diffusion.Schedule(1 - alpha_bar / before, alpha_bar)


class GaussianModel:
    """The exact noise prediction where the targets are N(MEAN, DEVIATION^2), whatever is given."""

    def __init__(self, schedule=PAPERS):
        self.schedule = schedule

    def to(self, device):
        return self

    def condition(self, observed, cond_mask, time_points):
        return None

    def denoise(self, conditions, noisy, step):
        abar = self.schedule.alpha_bar[step][:, None, None]
        variance = abar * DEVIATION**2 + 1 - abar
        return ((1 - abar).sqrt() * (noisy - abar.sqrt() * MEAN) / variance).float()

    def sampled(self):
        """The distribution that ancestral sampling with this model ends in, by its recursion of mean and variance."""
        mean, variance = 0.0, 1.0
        betas, abars = (part.tolist() for part in self.schedule)
        for t in reversed(range(len(betas))):
            beta, abar, before = betas[t], abars[t], abars[t - 1] if t else 1.0
            gain = beta / (abar * DEVIATION**2 + 1 - abar)
            mean = (mean - gain * (mean - math.sqrt(abar) * MEAN)) / math.sqrt(1 - beta)
            added = (1 - before) / (1 - abar) * beta if t else beta
            variance = ((1 - gain) / math.sqrt(1 - beta)) ** 2 * variance + added
        return Normal(mean, math.sqrt(variance))


def bounds(model, values, n_draws, **options):
    """Bounds of windows with nothing known, and their squared standard errors, (N, 1 + K) each."""
    nothing = np.zeros(values.shape, dtype=bool)
    options = {"chunk": 64, "seed": 1, "threads": 1, "device": "cpu"} | options
    numbers = np.arange(len(values))
    parts = variational_bound.bounds(model, numbers, values, nothing, ~nothing, n_draws=n_draws, **options)
    _, bound, squared_error = zip(*parts, strict=True)
    return np.concatenate(bound), np.concatenate(squared_error)


def per_target(model, x, n_windows=20, size=100, n_draws=200, **options):
    """The mean bound per target of windows whose values are all `x`, and its standard error."""
    bound, squared_error = bounds(model, np.full((n_windows, 1, size), x, dtype=np.float32), n_draws, **options)
    return bound[:, 0].mean() / size, math.sqrt(squared_error[:, 0].sum()) / n_windows / size


def expected(x, schedule, variance):
    """The bound in closed form where `GaussianModel` is right: the mean of each squared error of the noise."""
    abar = schedule.alpha_bar
    total = abar * DEVIATION**2 + 1 - abar
    own, other = abar * DEVIATION**2 / total, (abar * (1 - abar)).sqrt() * (x - MEAN) / total
    offset, weight = variational_bound.terms(schedule, variance)
    at_the_end = Normal(abar[-1].sqrt() * x, (1 - abar[-1]).sqrt())
    return (kl_divergence(at_the_end, Normal(0.0, 1.0)) + (offset + weight * (own**2 + other**2)).sum()).item()


@pytest.mark.parametrize("variance", variational_bound.VARIANCES)
def test_each_term_is_the_divergence_that_it_stands_for(variance):
    generator = torch.Generator().manual_seed(0)
    offset, weight = variational_bound.terms(PAPERS, variance)
    for t in range(50):
        clean, noise, predicted = torch.randn(3, 20, generator=generator, dtype=torch.float64)
        beta, abar = PAPERS.beta[t], PAPERS.alpha_bar[t]
        before = PAPERS.alpha_bar[t - 1] if t else torch.tensor(1.0, dtype=torch.float64)
        noisy = abar.sqrt() * clean + (1 - abar).sqrt() * noise
        # equations 7 and 11 of Ho et al. 2020
        of_q = before.sqrt() * beta / (1 - abar) * clean + (1 - beta).sqrt() * (1 - before) / (1 - abar) * noisy
        of_p = (noisy - beta / (1 - abar).sqrt() * predicted) / (1 - beta).sqrt()
        posterior = (1 - before) / (1 - abar) * beta
        if t == 0:
            true = -Normal(of_p, beta.sqrt()).log_prob(clean)
        else:
            deviation = (posterior if variance == "posterior" else beta).sqrt()
            true = kl_divergence(Normal(of_q, posterior.sqrt()), Normal(of_p, deviation))
        torch.testing.assert_close(offset[t] + weight[t] * (noise - predicted) ** 2, true)


def test_the_end_of_the_forward_process_is_nearly_but_not_quite_noise():
    clean = torch.tensor([-3.0, 0.0, 1.0, 5.0], dtype=torch.float64)
    abar = PAPERS.alpha_bar[-1]
    true = kl_divergence(Normal(abar.sqrt() * clean, (1 - abar).sqrt()), Normal(0.0, 1.0))
    torch.testing.assert_close(variational_bound.prior_divergence(clean, PAPERS), true, atol=1e-12, rtol=1e-6)
    assert 0 < true[-1] < 1e-3


@pytest.mark.parametrize("variance", variational_bound.VARIANCES)
@pytest.mark.parametrize("x", [MEAN - 3 * DEVIATION, MEAN, MEAN + DEVIATION])
def test_estimates_meet_the_closed_form(x, variance):
    found, std_error = per_target(GaussianModel(), x, variance=variance)
    assert std_error < 0.04
    assert found == pytest.approx(expected(x, PAPERS, variance), abs=4 * std_error)


@pytest.mark.parametrize("x", [MEAN - 4 * DEVIATION, MEAN - DEVIATION, MEAN, MEAN + 0.5 * DEVIATION, MEAN + 3])
def test_no_value_is_likelier_under_the_sampler_than_the_bound_says(x):
    model = GaussianModel()
    found, std_error = per_target(model, x, variance="posterior")
    assert found - 4 * std_error > -model.sampled().log_prob(torch.tensor(x)).item()


@pytest.mark.parametrize(("variance", "gap"), [("posterior", 3.01), ("beta", 0.03)])
def test_on_average_the_bound_lies_above_the_entropy_by_a_known_gap(variance, gap):
    values = np.random.default_rng(0).normal(MEAN, DEVIATION, (100, 1, 100)).astype(np.float32)
    bound, squared_error = bounds(GaussianModel(), values, 100, variance=variance)
    truth = -Normal(MEAN, DEVIATION).log_prob(torch.from_numpy(values)).mean().item()
    assert math.sqrt(squared_error[:, 0].sum()) / 10_000 < 0.01
    assert bound[:, 0].mean() / 100 - truth == pytest.approx(gap, abs=0.04)


@pytest.mark.parametrize("variance", variational_bound.VARIANCES)
@pytest.mark.parametrize("x", [MEAN - 3 * DEVIATION, MEAN, MEAN + DEVIATION])
def test_with_many_steps_the_bound_is_the_likelihood(x, variance):
    model = GaussianModel(fine_schedule())
    found, std_error = per_target(model, x, variance=variance, schedule=model.schedule)
    truth = -Normal(MEAN, DEVIATION).log_prob(torch.tensor(x)).item()
    assert -4 * std_error < found - truth < 0.03 + 4 * std_error
    assert std_error < 0.02


def test_standard_errors_are_those_of_the_estimates():
    x = MEAN + DEVIATION
    bound, squared_error = bounds(GaussianModel(), np.full((3000, 1, 10), x, dtype=np.float32), n_draws=4)
    errors = bound[:, 0] - 10 * expected(x, PAPERS, "beta")
    assert abs(errors.mean()) < 4 * errors.std() / math.sqrt(3000)
    assert (errors**2).mean() == pytest.approx(squared_error[:, 0].mean(), rel=0.15)


def a_problem(n=5, n_features=3):
    torch.manual_seed(0)
    model = CSDI(n_features).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.1)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, n_features, 6)).astype(np.float32)
    kinds = rng.choice(3, size=values.shape, p=[0.6, 0.3, 0.1])
    return model, np.arange(10, 10 + n), np.where(kinds == 2, 0, values), kinds == 0, kinds == 1


def estimate(problem, **options):
    options = {"n_draws": 4, "chunk": 2, "seed": 1, "threads": 1, "device": "cpu"} | options
    parts = variational_bound.bounds(*problem, **options)
    return np.concatenate([np.stack(part[1:], axis=-1) for part in parts])


def test_a_window_depends_neither_on_the_chunk_nor_on_companions_nor_on_threads():
    model, *windows = problem = a_problem()
    whole = estimate(problem, chunk=5)
    for chunk, threads in ((1, 1), (2, 2), (3, 3)):
        np.testing.assert_allclose(estimate(problem, chunk=chunk, threads=threads), whole, rtol=1e-4, atol=1e-3)
    alone = estimate((model, *(part[3:4] for part in windows)))
    np.testing.assert_allclose(alone, whole[3:4], rtol=1e-4, atol=1e-3)
    assert np.abs(estimate(problem, seed=2) - whole).max() > 0.1


def test_features_add_up_and_only_targets_count():
    model, numbers, values, known, targets = a_problem()
    whole = estimate((model, numbers, values, known, targets))
    assert whole.shape == (5, 4, 2)
    np.testing.assert_allclose(whole[:, 0, 0], whole[:, 1:, 0].sum(axis=1))
    targets[:, 1] = False
    fewer = estimate((model, numbers, values, known, targets))
    assert (fewer[:, 2] == 0).all()
    np.testing.assert_allclose(fewer[:, [1, 3]], whole[:, [1, 3]])


def test_the_model_is_told_what_is_known_and_not_the_targets():
    seen = []

    class Spy(GaussianModel):
        def condition(self, observed, cond_mask, time_points):
            seen.append(cond_mask.bool().numpy())

    _, *windows = a_problem()
    estimate((Spy(), *windows), chunk=5)
    (given,) = seen
    assert (given == windows[2]).all() and not (given & windows[3]).any()


def test_a_value_that_does_not_fit_is_more_surprising():
    model = GaussianModel()
    found = [per_target(model, MEAN + factor * DEVIATION)[0] for factor in (0, 1, 2, 4)]
    assert found == sorted(found) and found[-1] - found[0] > 5


@pytest.mark.parametrize("conditional", [True, False])
def test_a_window_with_nothing_observed_is_scored_all_the_same(conditional):
    _, numbers, values, known, targets = a_problem()
    known[1] = False
    found = estimate((CSDI(3, conditional=conditional).eval(), numbers, values, known, targets))
    assert np.isfinite(found).all()


def test_progress_counts_windows():
    counts = []

    class Bar:
        def update(self, n):
            counts.append(n)

    estimate(a_problem(), progress=Bar())
    assert counts == [2, 2, 1]


@pytest.mark.parametrize(("options", "says"), [({"n_draws": 5}, "even"), ({"variance": "optimal"}, "posterior, beta")])
def test_unknown_settings_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        estimate(a_problem(), **options)
