"""The bound of a reverse process that starts at a middle step from the joint Gaussian, where the truth is known."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from scoredag import gaussian
from scoredag.csdi import diffusion, variational_bound
from scoredag.csdi.network import CSDI
from scoredag.laws import LowRank

K, L = 2, 3
ABAR = diffusion.quadratic_schedule().alpha_bar
VARIANCES = list(variational_bound.VARIANCES)


def low_rank():
    rng = np.random.default_rng(0)
    return LowRank(rng.normal(size=K * L), rng.normal(size=(K * L, 3)) / 2, rng.uniform(0.2, 0.5, size=K * L))


def joint():
    law = low_rank()
    return gaussian.Gaussian(law.mean, law.factors @ law.factors.T + np.diag(law.noise))


class JointModel:
    """The exact noise prediction where windows are `joint`, given what is observed and without missing entries."""

    def to(self, device):
        return self

    def condition(self, observed, cond_mask, time_points):
        return observed.double().numpy(), cond_mask.bool().numpy()

    def denoise(self, conditions, noisy, step):
        predicted = torch.zeros_like(noisy)
        for b, (window, known) in enumerate(zip(*conditions, strict=True)):
            abar = ABAR[step[b]].item()
            law = gaussian.condition(joint(), window, known).noisy(abar)
            off = noisy[0, b].double().numpy()[~known] - law.mean
            noise = math.sqrt(1 - abar) * np.linalg.solve(law.covariance, off)
            predicted[0, b, torch.from_numpy(~known)] = torch.from_numpy(noise).float()
        return predicted


def problem(n, seed=0):
    """Windows of `joint`, half of whose entries are targets, the others known."""
    rng = np.random.default_rng(seed)
    values = joint().draw(rng.normal(size=(n, K * L))).reshape(n, K, L).astype(np.float32)
    known = rng.random(values.shape) < 0.5
    known[:, 0, 0] = False
    return np.arange(n), values, known, ~known


def bounds(model, windows, **options):
    """Bounds and squared standard errors, (N, 1 + K) each."""
    options = {"n_draws": 16, "seed": 1, "threads": 1, "device": "cpu"} | options
    _, *parts = zip(*variational_bound.bounds(model, *windows, **options), strict=True)
    return [np.concatenate(part) for part in parts]


def exact_nll(windows):
    """-log p(targets | known) of each window (N,)."""
    result = []
    for window, known in zip(*windows[1:3], strict=True):
        law = gaussian.condition(joint(), window, known)
        truth = MultivariateNormal(torch.from_numpy(law.mean), torch.from_numpy(law.covariance))
        result.append(-truth.log_prob(torch.from_numpy(window[~known]).double()).item())
    return np.array(result)


def expected(windows, step, variance):
    """The bound of each window (N,) in closed form: squared errors of the exact denoiser averaged over all noise."""
    schedule = diffusion.Schedule(*(part[: step + 1] for part in diffusion.quadratic_schedule()))
    offset, weight = (part.numpy() for part in variational_bound.terms(schedule, variance))
    start = diffusion.Start(step, joint())
    result = variational_bound.start_divergences(start, *windows[1:], ABAR[step].item()).sum(axis=1)
    for i, (window, known) in enumerate(zip(*windows[1:3], strict=True)):
        law = gaussian.condition(joint(), window, known)
        for t, abar in enumerate(schedule.alpha_bar.tolist()):
            inverse = np.linalg.inv(law.noisy(abar).covariance)
            of_noise = np.eye(len(inverse)) - (1 - abar) * inverse
            of_window = math.sqrt(abar * (1 - abar)) * inverse @ (window[~known] - law.mean)
            result[i] += offset[t] * len(inverse) + weight[t] * ((of_noise**2).sum() + (of_window**2).sum())
    return result


@pytest.mark.parametrize(("step", "variance"), [(0, "beta"), (18, "beta"), (18, "posterior"), (29, "beta")])
def test_estimates_with_the_exact_denoiser_meet_the_closed_form(step, variance):
    windows = problem(100)
    start = diffusion.Start(step, joint())
    bound, squared_error = bounds(JointModel(), windows, start=start, variance=variance)
    std_error = math.sqrt(squared_error[:, 0].sum())
    assert std_error / windows[3].sum() < 0.15
    assert bound[:, 0].sum() == pytest.approx(expected(windows, step, variance).sum(), abs=4 * std_error)


@pytest.mark.parametrize("step", [3, 10, 18, 29, 49])
def test_with_the_exact_denoiser_the_bound_is_just_above_the_truth(step):
    """Per target, on average over windows of the law, where no bound can be below the entropy."""
    windows = problem(300)
    above = (expected(windows, step, "beta") - exact_nll(windows)) / windows[3].sum()
    assert 0 < above.sum() < 0.02


def test_another_law_at_the_start_is_a_worse_bound():
    windows = problem(100)
    right, wrong = (
        bounds(JointModel(), windows, start=diffusion.Start(18, law), variance="beta")[0][:, 0].mean()
        for law in (joint(), joint()._replace(mean=joint().mean + 1))
    )
    assert wrong > right + 0.2


@pytest.mark.parametrize("law", [joint, low_rank])
def test_the_divergence_is_that_of_two_normal_laws_and_missing_entries_are_left_out(law):
    _, values, known, targets = problem(5)
    targets[1, :, 1] = False
    targets[2] = False
    values[1, :, 1] = np.nan
    found = variational_bound.start_divergences(diffusion.Start(18, law()), values, known, targets, 0.6)
    for parts, window, given, target in zip(found, values, known, targets, strict=True):
        rest = gaussian.condition(joint(), window, given)
        here = np.flatnonzero(target[~given])
        centre = math.sqrt(0.6) * torch.from_numpy(window[target]).double()
        expected = 0.0
        if len(here):
            covariance = 0.6 * torch.from_numpy(rest.covariance[np.ix_(here, here)]) + 0.4 * torch.eye(len(here))
            p = MultivariateNormal(math.sqrt(0.6) * torch.from_numpy(rest.mean[here]), covariance)
            expected = kl_divergence(MultivariateNormal(centre, 0.4 * torch.eye(len(here)).double()), p).item()
        assert parts.sum() == pytest.approx(expected)
        assert (parts >= 0).all() and not parts[~target.any(axis=1)].any()


def test_a_start_at_the_end_from_standard_normals_is_pure_noise():
    windows = problem(6)
    start = diffusion.Start(len(ABAR) - 1, gaussian.Gaussian(np.zeros(K * L), np.eye(K * L)))
    _, values, known, targets = windows
    found = variational_bound.start_divergences(start, values, known, targets, ABAR[-1].item())
    usual = variational_bound.prior_divergence(torch.from_numpy(values).double(), diffusion.quadratic_schedule())
    np.testing.assert_allclose(found, (usual.numpy() * targets).sum(axis=2), atol=1e-12)
    for with_start, without in zip(
        bounds(JointModel(), windows, start=start), bounds(JointModel(), windows), strict=True
    ):
        np.testing.assert_allclose(with_start, without, atol=1e-6)


@pytest.mark.parametrize("variance", VARIANCES)
def test_steps_above_the_start_are_not_asked_for(variance):
    seen = set()

    class Spy(JointModel):
        def denoise(self, conditions, noisy, step):
            seen.update(step.tolist())
            return super().denoise(conditions, noisy, step)

    bounds(Spy(), problem(40), start=diffusion.Start(3, joint()), variance=variance)
    assert seen == {0, 1, 2, 3}


def test_features_add_up_and_windows_depend_neither_on_the_chunk_nor_on_the_law_s_class():
    torch.manual_seed(0)
    model = CSDI(K).eval()
    windows = problem(5)
    whole, _ = bounds(model, windows, start=diffusion.Start(18, joint()), chunk=5)
    np.testing.assert_allclose(whole[:, 0], whole[:, 1:].sum(axis=1))
    by_two, _ = bounds(model, windows, start=diffusion.Start(18, low_rank()), chunk=2, threads=2)
    np.testing.assert_allclose(by_two, whole, rtol=1e-4, atol=1e-3)
