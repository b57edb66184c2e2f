"""Samplers against closed forms: for Gaussian data the right network is known."""

import math

import numpy as np
import pytest
import torch

from scoredag import gaussian
from scoredag.csdi import diffusion
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

MEAN, DEVIATION = 0.7, 0.4
SHAPE = (2, 3, 4)  # B, K, L


class GaussianModel:
    """The exact noise prediction where the data are N(MEAN, DEVIATION^2), whatever is given."""

    def condition(self, observed, cond_mask, time_points):
        return None

    def denoise(self, conditions, noisy, step):
        abar = diffusion.quadratic_schedule().alpha_bar[step].item()
        variance = abar * DEVIATION**2 + 1 - abar
        return math.sqrt(1 - abar) * (noisy - math.sqrt(abar) * MEAN) / variance


def impute(n_samples, cond_mask=None, **options):
    observed = torch.arange(24.0).view(SHAPE)
    cond_mask = torch.zeros(SHAPE) if cond_mask is None else cond_mask
    return diffusion.sample(GaussianModel(), observed, cond_mask, torch.zeros(2, 4), n_samples, **options)


def test_the_schedule_is_the_papers():
    beta, alpha_bar = diffusion.quadratic_schedule()
    assert beta[0] == pytest.approx(1e-4) and beta[-1] == pytest.approx(0.5)
    roots = beta.sqrt()
    torch.testing.assert_close(roots.diff(), torch.full((49,), (roots[-1] - roots[0]).item() / 49).double())
    assert alpha_bar[7] == pytest.approx(math.prod(1 - b for b in beta[:8].tolist()))


def test_noise_is_added_with_the_right_scales():
    schedule = diffusion.quadratic_schedule()
    clean, noise = torch.full(SHAPE, 3.0), torch.full(SHAPE, 2.0)
    noisy = diffusion.add_noise(clean, noise, torch.tensor([0, 49]), schedule)
    for window, step in enumerate((0, 49)):
        abar = schedule.alpha_bar[step].item()
        assert noisy[window, 0, 0].item() == pytest.approx(3 * math.sqrt(abar) + 2 * math.sqrt(1 - abar), rel=1e-6)


def test_ddpm_follows_the_algorithm_box():
    """Algorithm 2 of Ho et al., written with beta and alpha as printed there."""
    generator = torch.Generator().manual_seed(0)
    x = start = torch.randn(5, *SHAPE, generator=generator)
    noise = torch.randn(5, 50, *SHAPE, generator=generator)
    beta, abar = (part.tolist() for part in diffusion.quadratic_schedule())
    for t in reversed(range(50)):
        predicted = GaussianModel().denoise(None, x, t)
        x = (x - beta[t] / math.sqrt(1 - abar[t]) * predicted) / math.sqrt(1 - beta[t])
        if t > 0:
            x = x + math.sqrt((1 - abar[t - 1]) / (1 - abar[t]) * beta[t]) * noise[:, t]
    found = impute(5, x_T=start, noise=noise)
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"sampler": "ddpm"}, 0.03),
        ({"sampler": "ddim", "eta": 1.0}, 0.03),
        ({"sampler": "ddim"}, 0.03),
        ({"sampler": "dpm-solver++"}, 0.01),
        ({"sampler": "dpm-solver++", "n_steps": 10}, 0.03),
        ({"sampler": "dpm-solver++", "eta": 1.0}, 0.03),
        ({"sampler": "dpm-solver++", "n_steps": 16, "eta": 0.5}, 0.03),
        ({"sampler": "dpm-solver++", "n_steps": 10, "eta": 1.0, "noise_above": 0.5}, 0.03),
    ],
)
def test_samplers_reproduce_the_data_distribution(options, tolerance):
    samples = impute(20_000, generator=torch.Generator().manual_seed(1), **options)
    assert samples.mean().item() == pytest.approx(MEAN, abs=tolerance)
    assert samples.std().item() == pytest.approx(DEVIATION, rel=0.1)


def test_the_few_default_evaluations_widen_a_narrow_distribution_by_an_eighth():
    options = {"sampler": "dpm-solver++", "n_steps": None, "eta": None, "noise_above": 0.5}
    samples = impute(20_000, generator=torch.Generator().manual_seed(1), **options)
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert samples.std().item() == pytest.approx(1.12 * DEVIATION, rel=0.02)


def test_ddpm_is_ddim_with_full_noise():
    start = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(3, 50, *SHAPE, generator=torch.Generator().manual_seed(3))
    ddpm = impute(3, x_T=start, noise=noise)
    torch.testing.assert_close(impute(3, x_T=start, noise=noise, sampler="ddim", eta=1.0), ddpm)


def test_the_stochastic_solver_adds_the_noise_of_the_reverse_sde():
    """SDE-DPM-Solver++(2M) as Lu et al. print it: with sigma_t, alpha_t and half-log-SNR steps h."""
    start = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    noise = torch.randn(3, 3, *SHAPE, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    steps = diffusion._spread(3)
    abar = diffusion.quadratic_schedule().alpha_bar[steps]
    alpha, sigma = abar.sqrt(), (1 - abar).sqrt()
    h = (alpha / sigma).log().diff().neg()  # from one step to the less noisy one before it

    def clean(x, i):
        return (x - sigma[i] * GaussianModel().denoise(None, x, int(steps[i]))) / alpha[i]

    first = clean(start, 2)
    x = sigma[1] / sigma[2] * (-h[1]).exp() * start + alpha[1] * (1 - (-2 * h[1]).exp()) * first
    x = x + sigma[1] * (1 - (-2 * h[1]).exp()).sqrt() * noise[:, 2]
    second = clean(x, 1)
    direction = second + (second - first) * h[0] / (2 * h[1])
    x = sigma[0] / sigma[1] * (-h[0]).exp() * x + alpha[0] * (1 - (-2 * h[0]).exp()) * direction
    x = x + sigma[0] * (1 - (-2 * h[0]).exp()).sqrt() * noise[:, 1]
    found = impute(3, x_T=start, noise=noise, sampler="dpm-solver++", n_steps=3, eta=1.0)
    torch.testing.assert_close(found, clean(x, 0), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++"])
def test_noise_is_added_only_above_the_asked_for_level(sampler):
    def draw(**options):
        generator = torch.Generator().manual_seed(0)
        return impute(4, sampler=sampler, n_steps=8, generator=generator, **options)

    assert torch.equal(draw(eta=1.0, noise_above=1e9), draw(eta=0.0))
    some, all_of_it = draw(eta=1.0, noise_above=0.5), draw(eta=1.0, noise_above=0.0)
    assert not torch.isclose(some, all_of_it).any() and not torch.isclose(some, draw(eta=0.0)).any()


def test_second_order_widens_a_narrow_distribution_and_first_order_narrows_it():
    def deviation(limit):
        options = {"sampler": "dpm-solver++", "n_steps": 8, "eta": 1.0, "noise_above": 0.5, "second_order_above": limit}
        return impute(20_000, generator=torch.Generator().manual_seed(1), **options).std().item()

    assert deviation(0.5) < DEVIATION < deviation(0.0)


def test_steps_of_first_order_are_those_of_ddim():
    start = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    first = impute(3, x_T=start, sampler="dpm-solver++", n_steps=8, eta=0.0, second_order_above=1e9)
    torch.testing.assert_close(first, impute(3, x_T=start, sampler="ddim", n_steps=8, eta=0.0))


def test_nothing_said_of_steps_and_noise_takes_what_suits_the_sampler():
    for sampler, (_, n_steps, _, eta) in diffusion.SAMPLERS.items():
        drawn = [
            impute(2, sampler=sampler, generator=torch.Generator().manual_seed(0), **options)
            for options in ({"n_steps": None, "eta": None}, {"n_steps": n_steps, "eta": eta})
        ]
        assert torch.equal(*drawn)


def exact_flow(start, step=49):
    """The probability flow of Gaussian data is linear: it keeps the standardised value at `step`."""
    abar = diffusion.quadratic_schedule().alpha_bar[step].item()
    standardised = (start - math.sqrt(abar) * MEAN) / math.sqrt(abar * DEVIATION**2 + 1 - abar)
    return MEAN + DEVIATION * standardised


def test_the_second_order_solver_is_closer_to_the_flow_than_ddim():
    start = torch.randn(50, *SHAPE, generator=torch.Generator().manual_seed(4))
    flow = exact_flow(start, diffusion.NOISIEST)
    errors = {
        sampler: (impute(50, x_T=start, sampler=sampler, n_steps=25, eta=0.0) - flow).abs().mean().item()
        for sampler in ("ddim", "dpm-solver++")
    }
    assert errors["dpm-solver++"] < 0.5 * errors["ddim"]


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_given_entries_come_back_as_given(sampler):
    cond_mask = (torch.arange(24).view(SHAPE) % 3 == 0).float()
    samples = impute(4, cond_mask, sampler=sampler, n_steps=5, generator=torch.Generator().manual_seed(0))
    expected = torch.arange(24.0).view(SHAPE).expand(4, *SHAPE)
    given = cond_mask.bool().expand(4, *SHAPE)
    assert torch.equal(samples[given], expected[given])
    assert not torch.isclose(samples[~given], expected[~given]).any()


def own(*seeds):
    """Three samples of windows that each have their own generator."""
    return [[torch.Generator().manual_seed(10 * seed + s) for seed in seeds] for s in range(3)]


def test_a_windows_own_generator_makes_it_independent_of_its_companions():
    both = impute(3, generator=own(5, 6))
    swapped = impute(3, generator=own(6, 5))
    assert torch.equal(both[:, 0], swapped[:, 1])
    assert torch.equal(both[:, 1], swapped[:, 0])


@pytest.mark.parametrize("n_steps", [1, 3, 10, 49, 50])
def test_fewer_steps_are_spread_denser_at_low_noise_and_end_at_the_noisiest(n_steps):
    steps = diffusion._spread(n_steps).tolist()
    assert len(set(steps)) == n_steps and steps == sorted(steps)
    assert steps[0] >= 0 and steps[-1] == max(diffusion.NOISIEST, n_steps - 1)
    if 3 <= n_steps <= 10:
        assert steps[1] - steps[0] < steps[-1] - steps[-2]


@pytest.mark.parametrize("options", [{"sampler": "euler"}, {"n_steps": 0}, {"n_steps": 51}])
def test_unknown_samplers_and_steps_are_refused(options):
    with pytest.raises(InputError, match=r"euler|n_steps"):
        impute(1, **options)


class Recorder(GaussianModel):
    """Keeps the noisy values that it is shown at each step."""

    conditional = False

    def __init__(self):
        self.shown = {}

    def denoise(self, conditions, noisy, step):
        self.shown[step] = noisy.clone()
        return super().denoise(conditions, noisy, step)


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_an_unconditional_model_is_shown_given_entries_as_the_forward_process_leaves_them(sampler):
    model, observed = Recorder(), torch.arange(24.0).view(SHAPE)
    cond_mask = (torch.arange(24).view(SHAPE) % 3 == 0).float()
    start = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    samples = diffusion.sample(
        model, observed, cond_mask, torch.zeros(2, 4), 4, sampler=sampler, n_steps=7, x_T=start,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    given = cond_mask.bool().expand(4, *SHAPE)
    assert sorted(model.shown) == diffusion._spread(7).tolist()
    for step, shown in model.shown.items():
        level = diffusion.quadratic_schedule().alpha_bar[step].item()
        expected = math.sqrt(level) * observed + math.sqrt(1 - level) * start
        torch.testing.assert_close(shown[given], expected[given])
        assert step == diffusion.NOISIEST or not torch.isclose(shown[~given], expected[~given]).all()
    assert torch.equal(model.shown[diffusion.NOISIEST][~given], start[~given])
    assert torch.equal(samples[given], observed.expand(4, *SHAPE)[given])


def test_an_unconditional_network_is_led_by_what_is_given():
    torch.manual_seed(0)
    model = CSDI(3, conditional=False).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.1)
    cond_mask, start = torch.zeros(SHAPE), torch.randn(5, *SHAPE)
    cond_mask[:, 0] = 1

    def impute(level):
        observed = torch.full(SHAPE, level)
        time_points = torch.arange(4.0).expand(2, -1)
        return diffusion.sample(model, observed, cond_mask, time_points, 5, sampler="ddim", n_steps=5, x_T=start)

    low, high = impute(-2.0), impute(2.0)
    assert (low[:, :, 0] == -2).all() and (high[:, :, 0] == 2).all()
    assert (low[:, :, 1:] - high[:, :, 1:]).abs().max() > 1e-3
    nowhere = diffusion.sample(
        model, torch.full(SHAPE, torch.nan), torch.zeros(SHAPE), torch.zeros(2, 4), 2, n_steps=3,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert nowhere.isfinite().all()


def joint():
    """A Gaussian of a window of three features and four steps."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(12, 12)) / 3
    return gaussian.Gaussian(rng.normal(size=12), factor @ factor.T + 0.05 * np.eye(12))


class JointModel:
    """The exact noise prediction where windows are `joint`, given what is observed."""

    def condition(self, observed, cond_mask, time_points):
        return observed.double().numpy(), cond_mask.bool().numpy()

    def denoise(self, conditions, noisy, step):
        abar = diffusion.quadratic_schedule().alpha_bar[step].item()
        predicted = torch.zeros_like(noisy)
        for b, (window, known) in enumerate(zip(*conditions, strict=True)):
            law = gaussian.condition(joint(), window, known)
            chosen = torch.from_numpy(~known)
            noise = abar * law.covariance + (1 - abar) * np.eye(len(law.mean))
            centred = noisy[:, b, chosen].double().numpy() - math.sqrt(abar) * law.mean
            predicted[:, b, chosen] = torch.from_numpy(
                math.sqrt(1 - abar) * np.linalg.solve(noise, centred.T).T
            ).float()
        return predicted


def impute_joint(n_samples, **options):
    """Draws (S, B, n) of what is not given of two windows, and the means and covariances that they should have."""
    generator = torch.Generator().manual_seed(1)
    observed = torch.randn(SHAPE, generator=generator)
    given = torch.rand(SHAPE, generator=generator) < 0.5
    given[1] = False
    drawn = diffusion.sample(
        JointModel(), observed, given.float(), torch.zeros(2, 4), n_samples, generator=generator, **options
    )
    assert torch.equal(drawn[:, given], observed[given].expand(n_samples, -1))
    laws = [
        gaussian.condition(joint(), window, known)
        for window, known in zip(observed.numpy(), given.numpy(), strict=True)
    ]
    return [drawn[:, b, ~known].double().numpy() for b, known in enumerate(given)], laws


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"start": diffusion.Start(18, joint())}, 0.12),
        ({"start": diffusion.Start(18, joint()), "sampler": "dpm-solver++", "n_steps": 12}, 0.12),
        ({"start": diffusion.Start(42, joint()), "n_steps": 43}, 0.2),
        ({"start": diffusion.Start(0, joint()), "n_steps": 1, "sampler": "ddim", "eta": 0.0}, 0.12),
        ({}, 0.2),
    ],
)
def test_a_start_by_the_exact_law_gives_its_moments_with_and_without_observations(options, tolerance):
    """The last one is the paper's 50 steps from noise, whose posterior variance is a little small, as that of 43 is."""
    options = options if "n_steps" in options or not options else options | {"n_steps": 19}
    for drawn, law in zip(*impute_joint(4000, **options), strict=True):
        np.testing.assert_allclose(drawn.mean(axis=0), law.mean, atol=tolerance)
        np.testing.assert_allclose(np.cov(drawn.T), law.covariance, atol=tolerance)


def test_a_start_takes_the_evaluations_that_suit_the_sampler_where_nothing_is_said():
    seen = []

    class Counter(JointModel):
        def denoise(self, conditions, noisy, step):
            seen.append(step)
            return super().denoise(conditions, noisy, step)

    nothing, times = torch.zeros(SHAPE), torch.zeros(2, 4)
    for sampler, step, expected in (
        ("dpm-solver++", 18, [18, 10, 4, 0]),
        ("dpm-solver++", 1, [1, 0]),
        ("ddpm", 18, list(range(18, -1, -1))),
    ):
        start = diffusion.Start(step, joint())
        diffusion.sample(Counter(), nothing, nothing, times, 1, sampler=sampler, n_steps=None, start=start)
        assert seen == expected
        seen.clear()
    with pytest.raises(InputError, match="n_steps: 20 is not between 1 and 19"):
        diffusion.sample(Counter(), nothing, nothing, times, 1, n_steps=20, start=diffusion.Start(18, joint()))


def test_a_start_of_a_window_that_is_all_given_and_antithetic_ones():
    full = torch.ones(SHAPE)
    start = diffusion.Start(18, joint())
    drawn = diffusion.sample(JointModel(), full, full, torch.zeros(2, 4), 3, n_steps=4, start=start)
    assert torch.equal(drawn, full.expand(3, *SHAPE))
    z, level = torch.randn(2, *SHAPE), diffusion.quadratic_schedule().alpha_bar[18].item()
    z[1] = -z[0]
    pair = diffusion._draw_start(start, level, full, full.bool() & False, z)
    expected = 2 * math.sqrt(level) * torch.from_numpy(joint().mean).float().view(1, 3, 4).expand(SHAPE)
    torch.testing.assert_close(pair.sum(dim=0), expected, atol=1e-5, rtol=1e-5)
