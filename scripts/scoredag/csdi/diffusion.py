"""The forward process of CSDI and samplers that reverse it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from scoredag import gaussian
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

N_STEPS = 50
NOISIEST = 42  # where fewer steps start: the noise is 22 times the signal; above, errors of the network explode

Generators = torch.Generator | Sequence[Sequence[torch.Generator]]


class Start(NamedTuple):
    """Where the reverse process starts in place of pure noise.

    Attributes:
        step: the diffusion step, 0 .. 49.
        gaussian: the joint Gaussian of a window, whose draws given the observations are brought to that step.
    """

    step: int
    gaussian: gaussian.Law


class Schedule(NamedTuple):
    """Noise schedule: `beta` (T,) and its `alpha_bar` (T,), the products of 1 - beta, float64."""

    beta: torch.Tensor
    alpha_bar: torch.Tensor


def quadratic_schedule(n_steps: int = N_STEPS, first: float = 0.0001, last: float = 0.5) -> Schedule:
    """The paper's schedule: beta from `first` to `last`, linear in its square root (section 6.1)."""
    beta = torch.linspace(first**0.5, last**0.5, n_steps, dtype=torch.float64) ** 2
    return Schedule(beta, torch.cumprod(1 - beta, 0))


def add_noise(clean: torch.Tensor, noise: torch.Tensor, step: torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise; `clean`, `noise` (B, K, L), `step` (B,)."""
    abar = schedule.alpha_bar.to(clean.device)[step].to(clean.dtype)[:, None, None]
    return abar.sqrt() * clean + (1 - abar).sqrt() * noise


@torch.no_grad()
def sample(
    model: CSDI,
    observed: torch.Tensor,
    cond_mask: torch.Tensor,
    time_points: torch.Tensor,
    n_samples: int,
    *,
    sampler: str = "ddpm",
    n_steps: int | None = N_STEPS,
    eta: float | None = 0.0,
    noise_above: float = 0.0,
    second_order_above: float = 0.0,
    start: Start | None = None,
    x_T: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    generator: Generators | None = None,
    signs: Sequence[int] | None = None,
) -> torch.Tensor:
    """Impute windows: draw `n_samples` from the model's conditional distribution.

    The defaults are the papers'; `imputation.impute` has the workflow's.

    Args:
        model: a `CSDI`; more exactly, anything with its `condition` and `denoise`.
        observed: values (B, K, L), z-scores.
        cond_mask: conditional mask (B, K, L), 1 = given.
        time_points: (B, L), in steps.
        n_samples: S.
        sampler: one of `SAMPLERS`.
        n_steps: network evaluations, 1 .. 50; below 50 they are denser at low noise. None takes
            the sampler's.
        eta: of `ddim` and `dpm-solver++`; 0 is deterministic after x_T, 1 is ancestral, or the
            reverse SDE. None takes the sampler's.
        noise_above: with `eta` > 0, the noise level sqrt((1 - abar) / abar) below which steps are
            deterministic all the same (S_tmin of Karras et al. 2022, algorithm 2).
        second_order_above: of `dpm-solver++`, the noise level from which on down steps are of first
            order. Few steps of second order make narrow distributions too wide, of first order too narrow.
        start: where the reverse process starts; None is pure noise. Truncated diffusion (Zheng et al. 2023) with the
            joint Gaussian of a window for the prior: at high noise its denoiser is nearly exact.
        x_T: the normal numbers (S, B, K, L) of the start; drawn where None.
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
    step, from_noise, from_start, default_eta = SAMPLERS[sampler]
    if n_steps is None:
        n_steps = from_noise if start is None else min(from_start, start.step + 1)
    eta = default_eta if eta is None else eta
    most = N_STEPS if start is None else start.step + 1
    if not 1 <= n_steps <= most:
        raise InputError(f"n_steps: {n_steps} is not between 1 and {most}")
    shape = (n_samples, *observed.shape)
    draw = _drawer(generator, shape, observed, signs)
    conditions = model.condition(observed, cond_mask, time_points)
    steps = _spread(n_steps, None if start is None else start.step)
    levels = [1.0, *quadratic_schedule().alpha_bar[steps].tolist()]  # levels[i + 1] is steps[i]'s
    given = cond_mask.to(torch.bool)
    x = x_T = draw() if x_T is None else x_T
    if start is not None:
        x = _draw_start(start, levels[-1], observed, given, x_T)
    previous = None
    for i in reversed(range(n_steps)):
        level, target = levels[i + 1], levels[i]
        if not getattr(model, "conditional", True):
            x = torch.where(given, math.sqrt(level) * observed + math.sqrt(1 - level) * x_T, x)
        predicted = model.denoise(conditions, x, int(steps[i]))
        churn = eta if _noise_level(level) > noise_above else 0.0
        x, deviation, clean = step(x, predicted, level, target, churn, previous)
        previous = (clean, level) if clean is not None and _noise_level(target) > second_order_above else None
        if deviation > 0:
            x = x + deviation * (draw() if noise is None else noise[:, i])
    return torch.where(given, observed, x)


def _draw_start(start, level, observed, given, z):
    """Draws (S, B, K, L) of the noisy values at abar = `level`, given the observations, from normal numbers `z`.

    Of entries that are not given, jointly: sqrt(abar) mean + W z, with W W' = abar V + (1 - abar) I, where V is their
    covariance. Others are 0, and not read.
    """
    x = torch.zeros_like(z)
    values, masks, normals = observed.cpu().numpy(), given.cpu().numpy(), z.cpu().numpy()
    for b, (window, known) in enumerate(zip(values, masks, strict=True)):
        if known.all():
            continue
        drawn = gaussian.condition(start.gaussian, window, known).noisy(level).draw(normals[:, b][:, ~known])
        x[:, b, torch.from_numpy(~known)] = torch.from_numpy(drawn).to(x)
    return x


def _spread(n_steps, noisiest=None):
    """`n_steps` of the diffusion steps 0 .. `noisiest`, in order; None is `NOISIEST`, as long as they are few enough.

    They go with the square, denser at low noise: where a window says much about its gaps, the
    imputations are that narrow, and with even steps they come out too narrow.
    """
    noisiest = max(NOISIEST, n_steps - 1) if noisiest is None else noisiest
    wanted = ((torch.arange(1, n_steps + 1) / n_steps) ** 2 * (noisiest + 1)).round().long() - 1
    latest = torch.arange(noisiest + 1 - n_steps, noisiest + 1)  # leaves room for those that follow
    chosen, previous = [], -1
    for step, limit in zip(wanted.tolist(), latest.tolist(), strict=True):
        previous = min(max(step, previous + 1), limit)
        chosen.append(previous)
    return torch.tensor(chosen)


# --- one step of each sampler, from abar = `level` to abar = `target` --------------------------
# x, predicted: the noisy values at `level`, and the noise that the network predicts in them.
# eta: 0 adds no noise, 1 as much as the reverse SDE.
# previous: the clean values that the step before predicted, and its level; None for a first-order step.
# Returns the mean of the next x, the deviation of the noise to add, and the predicted clean values for `previous`.

Previous = tuple[torch.Tensor, float]
Moved = tuple[torch.Tensor, float, torch.Tensor | None]


def _step_ddpm(
    x: torch.Tensor, predicted: torch.Tensor, level: float, target: float, eta: float, previous: Previous | None
) -> Moved:
    """Ancestral sampling: Ho et al. 2020, algorithm 2, with the posterior variance; CSDI, algorithm 2.

    It is DDIM with eta = 1, where sigma^2 = (1 - abar_{t-1}) / (1 - abar_t) beta_t (Song et al. 2021, section 4.1).
    """
    return _step_ddim(x, predicted, level, target, 1.0, previous)


def _step_ddim(
    x: torch.Tensor, predicted: torch.Tensor, level: float, target: float, eta: float, previous: Previous | None
) -> Moved:
    """DDIM: Song et al. 2021, equation 12, with the sigma of equation 16."""
    sigma = eta * math.sqrt((1 - target) / (1 - level) * (1 - level / target))
    clean_part = math.sqrt(target / level) * (x - math.sqrt(1 - level) * predicted)  # sqrt(abar_{t-1}) x_0
    direction = math.sqrt(max(1 - target - sigma**2, 0.0)) * predicted  # pointing to x_t
    return clean_part + direction, sigma, None


def _step_dpmpp(
    x: torch.Tensor, predicted: torch.Tensor, level: float, target: float, eta: float, previous: Previous | None
) -> Moved:
    """DPM-Solver++(2M): Lu et al. 2022, algorithm 2, at eta = 0; SDE-DPM-Solver++(2M) of appendix A at eta = 1.

    Between them the noise is that of k-diffusion's eta. First and last step are of first order.
    """
    clean = (x - math.sqrt(1 - level) * predicted) / math.sqrt(level)
    if target == 1:  # no noise is left
        return clean, 0.0, clean
    h = _half_log_snr(target) - _half_log_snr(level)
    D = clean
    if previous is not None:
        previous_clean, previous_level = previous
        r = (_half_log_snr(level) - _half_log_snr(previous_level)) / h
        D = clean + (clean - previous_clean) / (2 * r)
    scale = math.sqrt((1 - target) / (1 - level)) * math.exp(-eta * h)
    mean = scale * x - math.sqrt(target) * math.expm1(-(1 + eta) * h) * D
    return mean, math.sqrt(-(1 - target) * math.expm1(-2 * eta * h)), clean


class Sampler(NamedTuple):
    """A way to reverse the diffusion, the numbers of steps that suit it from noise and after a `Start`, and its eta."""

    step: Callable[[torch.Tensor, torch.Tensor, float, float, float, Previous | None], Moved]
    from_noise: int
    from_start: int
    eta: float


SAMPLERS = {
    "ddpm": Sampler(_step_ddpm, N_STEPS, N_STEPS, 1.0),
    "ddim": Sampler(_step_ddim, N_STEPS, N_STEPS, 0.0),
    "dpm-solver++": Sampler(_step_dpmpp, 6, 4, 1.0),
}


def _noise_level(level):
    """Noise over signal, sqrt((1 - abar) / abar), at abar = `level`."""
    return math.sqrt((1 - level) / level)


def _half_log_snr(level):
    """The lambda of DPM-Solver: half the logarithm of the signal-to-noise ratio at abar = `level`."""
    return -math.log(_noise_level(level))


def _drawer(generator, shape, like, signs):
    """A function that draws standard normals of `shape` (S, B, K, L) on the device of `like`."""
    factors = torch.ones(shape[0]) if signs is None else torch.as_tensor(signs)
    factors = factors.to(like.dtype)[:, None, None, None]

    def from_one():
        return (factors * torch.randn(shape, generator=generator, dtype=like.dtype)).to(like.device)

    def from_many():
        drawn = torch.empty(shape, dtype=like.dtype)
        for s, row in enumerate(generator):
            for b, of_window in enumerate(row):
                drawn[s, b].normal_(generator=of_window)
        return (factors * drawn).to(like.device)

    return from_one if generator is None or isinstance(generator, torch.Generator) else from_many
