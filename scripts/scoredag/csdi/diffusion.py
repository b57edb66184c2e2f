"""The forward process of CSDI and samplers that reverse it."""

import math
from typing import NamedTuple

import torch

from scoredag.errors import InputError

N_STEPS = 50
NOISIEST = 42  # where fewer steps start: the noise is 22 times the signal; above, errors of the network explode
SAMPLERS = {"ddpm": (N_STEPS, 1.0), "ddim": (N_STEPS, 0.0), "dpm-solver++": (6, 1.0)}  # n_steps and eta for None


class Schedule(NamedTuple):
    """Noise schedule: `beta` (T,) and its `alpha_bar` (T,), the products of 1 - beta, float64."""

    beta: torch.Tensor
    alpha_bar: torch.Tensor


def quadratic_schedule(n_steps=N_STEPS, first=0.0001, last=0.5):
    """The paper's schedule: beta from `first` to `last`, linear in its square root (section 6.1)."""
    beta = torch.linspace(first**0.5, last**0.5, n_steps, dtype=torch.float64) ** 2
    return Schedule(beta, torch.cumprod(1 - beta, 0))


def add_noise(clean, noise, step, schedule):
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise; `clean`, `noise` (B, K, L), `step` (B,)."""
    abar = schedule.alpha_bar.to(clean.device)[step].to(clean.dtype)[:, None, None]
    return abar.sqrt() * clean + (1 - abar).sqrt() * noise


@torch.no_grad()
def sample(
    model,
    observed,
    cond_mask,
    time_points,
    n_samples,
    *,
    sampler="ddpm",
    n_steps=N_STEPS,
    eta=0.0,
    noise_above=0.0,
    second_order_above=0.0,
    x_T=None,
    noise=None,
    generator=None,
    signs=None,
):
    """Impute windows: draw `n_samples` from the model's conditional distribution.

    Args:
        model: a `CSDI`; more exactly, anything with its `condition` and `denoise`.
        observed: values (B, K, L), z-scores.
        cond_mask: conditional mask (B, K, L), 1 = given.
        time_points: (B, L), in steps.
        n_samples: S.
        sampler: `ddpm`, ancestral sampling (Ho et al. 2020, algorithm 2, with the posterior
            variance; CSDI, algorithm 2); `ddim` (Song et al. 2021, equation 12) with `eta`;
            `dpm-solver++`, second-order multistep (Lu et al. 2022, algorithm 2, and
            SDE-DPM-Solver++(2M) of appendix A).
        n_steps: network evaluations, 1 .. 50; below 50 they are denser at low noise. None takes
            that of `SAMPLERS`.
        eta: of `ddim` and `dpm-solver++`; 0 is deterministic after x_T, 1 is ancestral, or the
            reverse SDE. None takes that of `SAMPLERS`.
        noise_above: with `eta` > 0, the noise level sqrt((1 - abar) / abar) below which steps are
            deterministic all the same (S_tmin of Karras et al. 2022, algorithm 2).
        second_order_above: of `dpm-solver++`, the noise level from which on down steps are of first
            order. Few steps of second order make narrow distributions too wide, of first order too narrow.
        x_T: the start (S, B, K, L); drawn where None.
        noise: (S, n_steps, B, K, L), noise[:, t] added after the step from t; noise[:, 0] is
            unused. Drawn where None.
        generator: a torch generator for what is drawn, or S sequences of B generators, one a
            sample of a window: then it does not depend on its companions.
        signs: (S,), 1 or -1: what is drawn for a sample is multiplied by it. Two samples with the
            same generators and opposite signs are antithetic.

    A model that is not `conditional` learns of the observations through the noisy values: before
    each step the given entries are put back as the forward process leaves them at that step, with
    x_T as their noise (after Song et al. 2021, appendix I.2).

    Returns:
        (S, B, K, L); entries where `cond_mask` is 1 are those of `observed`.

    Raises:
        InputError: an unknown sampler, or `n_steps` out of range.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"sampler: '{sampler}' is unknown; known are {', '.join(SAMPLERS)}")
    n_steps = SAMPLERS[sampler][0] if n_steps is None else n_steps
    eta = SAMPLERS[sampler][1] if eta is None else eta
    if not 1 <= n_steps <= N_STEPS:
        raise InputError(f"n_steps: {n_steps} is not between 1 and {N_STEPS}")
    shape = (n_samples, *observed.shape)
    draw = _drawer(generator, shape, observed, signs)
    conditions = model.condition(observed, cond_mask, time_points)
    steps = _spread(n_steps)
    levels = [1.0, *quadratic_schedule().alpha_bar[steps].tolist()]  # levels[i + 1] is steps[i]'s
    given = cond_mask.to(torch.bool)
    x = x_T = draw() if x_T is None else x_T
    previous = None
    for i in reversed(range(n_steps)):
        if not getattr(model, "conditional", True):
            x = torch.where(given, math.sqrt(levels[i + 1]) * observed + math.sqrt(1 - levels[i + 1]) * x_T, x)
        predicted = model.denoise(conditions, x, int(steps[i]))
        churn = 1.0 if sampler == "ddpm" else eta * (_noise_level(levels[i + 1]) > noise_above)
        if sampler == "dpm-solver++":
            x, deviation, clean = _multistep(x, predicted, previous, levels, i, churn)
            previous = clean if _noise_level(levels[i]) > second_order_above else None
        else:
            x, deviation = _ancestral(x, predicted, levels[i + 1], levels[i], churn)
        if i > 0 and deviation > 0:
            x = x + deviation * (draw() if noise is None else noise[:, i])
    return torch.where(given, observed, x)


def _spread(n_steps):
    """`n_steps` of the diffusion steps 0 .. 49, in order, up to `NOISIEST` as long as they are few enough.

    They go with the square, denser at low noise: where a window says much about its gaps, the
    imputations are that narrow, and with even steps they come out too narrow.
    """
    noisiest = max(NOISIEST, n_steps - 1)
    wanted = ((torch.arange(1, n_steps + 1) / n_steps) ** 2 * (noisiest + 1)).round().long() - 1
    latest = torch.arange(noisiest + 1 - n_steps, noisiest + 1)  # leaves room for those that follow
    chosen, previous = [], -1
    for step, limit in zip(wanted.tolist(), latest.tolist(), strict=True):
        previous = min(max(step, previous + 1), limit)
        chosen.append(previous)
    return torch.tensor(chosen)


def _ancestral(x, predicted, level, target, eta):
    """From abar = `level` to `target`: the mean of the next x and the deviation of its noise.

    At eta = 1 on all steps this is DDPM's posterior, sigma^2 = (1 - abar_{t-1}) / (1 - abar_t) beta_t.
    """
    deviation = eta * math.sqrt((1 - target) / (1 - level) * (1 - level / target))
    scale = math.sqrt(target / level)
    direction = math.sqrt(max(1 - target - deviation**2, 0.0))
    return scale * (x - math.sqrt(1 - level) * predicted) + direction * predicted, deviation


def _noise_level(level):
    """Noise over signal, sqrt((1 - abar) / abar), at abar = `level`."""
    return math.sqrt((1 - level) / level)


def _multistep(x, predicted, previous, levels, i, eta):
    """One step of DPM-Solver++(2M) on the predicted clean data; Euler's at both ends.

    The mean of the next x, the deviation of its noise, and the clean data. At eta = 0 it solves the
    probability flow, at eta = 1 the reverse SDE; between them the noise is that of k-diffusion's eta.
    """

    def half_log_snr(level):
        return -math.log(_noise_level(level))

    level, target = levels[i + 1], levels[i]
    clean = (x - math.sqrt(1 - level) * predicted) / math.sqrt(level)
    if i == 0:  # abar = 1: no noise is left
        return clean, 0.0, clean
    h = half_log_snr(target) - half_log_snr(level)
    direction = clean
    if previous is not None:
        r = (half_log_snr(level) - half_log_snr(levels[i + 2])) / h
        direction = clean + (clean - previous) / (2 * r)
    scale = math.sqrt((1 - target) / (1 - level)) * math.exp(-eta * h)
    moved = scale * x - math.sqrt(target) * math.expm1(-(1 + eta) * h) * direction
    return moved, math.sqrt(-(1 - target) * math.expm1(-2 * eta * h)), clean


def _drawer(generator, shape, like, signs):
    """A function that draws standard normals of `shape` (S, B, K, L) on the device of `like`."""
    factors = torch.ones(shape[0]) if signs is None else torch.as_tensor(signs)
    factors = factors.to(like.dtype)[:, None, None, None]

    def from_one():
        return (factors * torch.randn(shape, generator=generator, dtype=like.dtype)).to(like.device)

    def from_many():
        drawn = torch.empty(shape, dtype=like.dtype)
        for s, row in enumerate(generator):
            for b, own in enumerate(row):
                drawn[s, b].normal_(generator=own)
        return (factors * drawn).to(like.device)

    return from_one if generator is None or isinstance(generator, torch.Generator) else from_many
