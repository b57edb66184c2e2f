"""How surprising a window is: the variational bound on the negative log-likelihood of its targets.

Ho et al. 2020 (Denoising diffusion probabilistic models), equations 5 to 12, for the conditional model of CSDI
(Tashiro et al. 2021, section 4). With x_0 the targets of a window, t = 1 .. T, and all given the observations,

    -log p(x_0) <= L_T + L_{T-1} + ... + L_0,
    L_T = KL(q(x_T | x_0) || N(0, I)),        small, not 0: the schedule ends at abar_T = 3e-5,
    L_{t-1} = KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)),
    L_0 = -log p(x_0 | x_1).

p(x_{t-1} | x_t) is normal with the mean of ancestral sampling. Its variance is beta_t (`beta`, the default), or else
sigma_t^2 = beta_t (1 - abar_{t-1}) / (1 - abar_t), which is that of q (`posterior`): the two choices of Ho et al.,
section 3.2. At low noise 50 steps are coarse, and sigma_t^2, the variance where x_0 is known, is several times too
small for a smooth density: there `beta` is far nearer the truth.

The last step of ancestral sampling, from x_1, adds no noise: sigma_1 = 0, and its density is infinite or nothing. So
the decoder p(x_0 | x_1) is normal with variance beta_1 whichever the choice: the bound is that of a sampler that ends
by adding noise of deviation sqrt(beta_1) = 0.01. Where the density of the targets is smooth over so little, beta_1 is
the best variance but for a share of about beta_1. A value that is known exactly, one of a few that a sensor can give,
gets log(0.01 sqrt(2 pi)) = -3.7 nats, and nothing gets less.

The bound is that of ancestral sampling over all steps, whichever sampler draws the samples. With a `diffusion.Start`
it is that of ancestral sampling from there on, at the t that is `step` + 1: L_{t-1} .. L_0 alone are summed, and

    KL(q(x_t | x_0) || p(x_t)),    q = N(sqrt(a) x_0, (1 - a) I),    p = N(sqrt(a) mu, a V + (1 - a) I),

stands in place of L_T, with a = abar_t, and mu and V the mean and covariance that the joint Gaussian of a window gives
the targets, the observations given. That p is not a product, so a feature gets its part by the chain rule: the mean
divergence of its targets' law from that under p, given the targets of the features before it. Parts are at least 0
and add up to the whole; another order of the features moves some of it from one to another.

Entries that are neither observed nor targets have no value. They enter as in training, as noise about the mean, drawn
anew at each step, and the bound is that of a sampler that does so; where no value is missing, it is the usual one.
The law at the start is that of the targets with them left out.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from scoredag import gaussian, slices, streams
from scoredag.csdi import devices, diffusion, imputation
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

DEVIATIONS = (0.003, 3.0)  # least and largest, in z-scores, of what the observations leave open of a target
DRAWS_A_STRATUM = 2  # the fewest with a standard error


class Terms(NamedTuple):
    """L_0 .. L_{T-1} of one target, each offset + weight x squared error of the noise; (T,) nats, float64."""

    offset: torch.Tensor
    weight: torch.Tensor


def terms(schedule: diffusion.Schedule, variance: str = "beta") -> Terms:
    """The `Terms` of a `diffusion.Schedule`.

    With the posterior variance, weight_t = (SNR_{t-1} / SNR_t - 1) / 2 (Ho et al. 2020, equation 12).

    Raises:
        InputError: an unknown variance.
    """
    if variance not in VARIANCES:
        raise InputError(f"variance: '{variance}' is unknown; known are {', '.join(VARIANCES)}")
    beta, after = schedule
    before = torch.cat([torch.ones(1, dtype=after.dtype), after[:-1]])
    of_q = beta * (1 - before) / (1 - after)
    of_p = VARIANCES[variance](beta, of_q)
    of_p = torch.cat([beta[:1], of_p[1:]])
    ratio = of_q / of_p
    # ratio = 0 is the decoder: minus the log of a density in place of a divergence
    offset = torch.where(ratio > 0, (ratio - 1 - ratio.log()) / 2, (2 * math.pi * of_p).log() / 2)
    return Terms(offset, beta**2 / (2 * of_p * (1 - beta) * (1 - after)))


def _posterior(beta, of_q):
    """The variance of ancestral sampling, which is that of q(x_{t-1} | x_t, x_0)."""
    return of_q


def _beta(beta, of_q):
    """The variance of the forward step."""
    return beta


VARIANCES = {"posterior": _posterior, "beta": _beta}  # of p(x_{t-1} | x_t): the two choices of Ho et al., section 3.2


def prior_divergence(clean: torch.Tensor, schedule: diffusion.Schedule) -> torch.Tensor:
    """L_T of each entry of `clean`, nats, in its shape."""
    abar = schedule.alpha_bar[-1].item()
    return (abar * (clean**2 - 1) - math.log1p(-abar)) / 2


def start_divergences(
    start: diffusion.Start, values: np.ndarray, known: np.ndarray, targets: np.ndarray, abar: float
) -> np.ndarray:
    """KL(q(x_t | x_0) || p(x_t)) of the targets of windows at a start, in parts of their features by the chain rule.

    Args:
        start: the joint Gaussian, whose draws are brought to the diffusion step where abar is `abar`.
        values: (N, K, L), z-scores; anything where neither known nor target.
        known, targets: boolean (N, K, L).
        abar: in (0, 1).

    Returns:
        (N, K), nats, at least 0.
    """
    result = np.zeros(values.shape[:2])
    for parts, window, given, target in zip(result, values, known, targets, strict=True):
        if target.any():
            law = gaussian.condition(start.gaussian, window, given).marginal(target[~given]).noisy(abar)
            centre = math.sqrt(abar) * window[target].astype(np.float64)
            parts[:] = law.divergences(centre, 1 - abar, target.sum(axis=1))
    return result


def anticipated(schedule: diffusion.Schedule) -> torch.Tensor:
    """The squared error of the noise (T,) that is to be expected at each step, in [0, 1].

    It is that of the best guess where a target is normal, the observations given, with a deviation that is anything
    within `DEVIATIONS` (uniform in its logarithm). A bad guess makes the estimates less sure, not wrong.
    """
    least, most = (schedule.alpha_bar / (1 - schedule.alpha_bar) * deviation**2 for deviation in DEVIATIONS)
    return (most.log1p() - least.log1p()) / math.log((DEVIATIONS[1] / DEVIATIONS[0]) ** 2)


def bounds(
    model: CSDI,
    numbers: Sequence[int] | np.ndarray,
    values: np.ndarray,
    known: np.ndarray,
    targets: np.ndarray,
    *,
    seed: int,
    n_draws: int = 16,
    variance: str = "beta",
    chunk: int = 20,
    threads: int = 2,
    device: str = "auto",
    time_points: imputation.TimePoints | None = None,
    progress: tqdm | None = None,
    schedule: diffusion.Schedule | None = None,
    start: diffusion.Start | None = None,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Estimate the bound of the targets of windows and yield it a few windows at a time.

    The sum over t is taken at `n_draws` random steps, importance sampled and stratified: two independent draws of step
    and noise in each of n_draws / 2 strata of equal probability, whose differences give the standard error. The noise's
    square, whose mean is 1, is a control variate of its squared error: at low noise, where the network can hardly tell
    the noise, the two are nearly the same.

    Args:
        model: a `CSDI` in evaluation mode; more exactly, anything with its `condition` and `denoise`.
        numbers: (N,), the windows' numbers; each window has its own random stream, so that it depends
            neither on `chunk` nor on the other windows.
        values: (N, K, L), z-scores, the targets' included; 0 where missing.
        known: boolean (N, K, L), what the model is given.
        targets: boolean (N, K, L), whose bound is wanted; none of them is known.
        seed: integer.
        n_draws: evaluations of the network a window, an even number.
        variance: of p(x_{t-1} | x_t), one of `VARIANCES`.
        chunk: windows that a thread works on at once, which bounds the memory; 16 times as many on a GPU.
        threads: chunks at the same time.
        device: `auto`, `cpu` or `cuda`.
        time_points: (N, L), in steps; None takes 0, 1, .. L - 1.
        progress: a tqdm bar of windows, or something that acts like one.
        schedule: a `diffusion.Schedule`, the one that the model was trained with; None takes the paper's.
        start: where the reverse process starts, a step of the schedule and a law; None is pure noise after all steps.

    Yields:
        (slice, bound, squared standard error): which of the N windows, and two arrays (B, 1 + K), nats and nats^2,
        float64: the sum over all targets of a window, then over those of each feature.

    Raises:
        InputError: `n_draws` is not even, an unknown variance or device, or out of memory.
    """
    if n_draws < DRAWS_A_STRATUM or n_draws % DRAWS_A_STRATUM:
        raise InputError(f"n_draws: {n_draws} is not an even number; write 2, 4, 6 ..")
    schedule = diffusion.quadratic_schedule() if schedule is None else schedule
    if start is not None:
        schedule = diffusion.Schedule(*(part[: start.step + 1] for part in schedule))
    offset, weight = terms(schedule, variance)
    expected = anticipated(schedule)
    share = weight * expected / (weight * expected).sum()
    # an unbiased estimate of sum_t weight_t error_t is the mean of factor_t error_t over steps drawn with these shares
    factor = weight / share
    control = expected**2
    place, times = imputation.prepare(model, values, time_points, device)
    chunk = imputation.chunk_on(device, chunk)

    def of_start(batch):
        """L_T, or what stands in its place, (B, 1 + K)."""
        if start is None:
            return _sums(prior_divergence(torch.from_numpy(values[batch]), schedule), torch.from_numpy(targets[batch]))
        law = start_divergences(start, values[batch], known[batch], targets[batch], schedule.alpha_bar[-1].item())
        return _with_total(torch.from_numpy(law))

    def at(table, step):
        """Entries (B, 1, 1) of a table (T,)."""
        return table.to(place)[step][:, None, None].float()

    @torch.no_grad()
    def estimate(batch):
        clean, given, target = (
            torch.from_numpy(part[batch]).to(place, torch.float32) for part in (values, known, targets)
        )
        with devices.precision(place):
            conditions = model.condition(clean, given, torch.as_tensor(times[batch]).to(place))
        drawn = []
        for step, noise in _draws(numbers[batch], clean.shape[1:], n_draws, share, seed):
            step, noise = step.to(place), noise.to(place)
            noisy = diffusion.add_noise(clean, noise, step, schedule)
            with devices.precision(place):
                predicted = model.denoise(conditions, noisy.unsqueeze(0), step).squeeze(0).float()
            squares = (noise - predicted) ** 2 - at(control, step) * (noise**2 - 1)
            drawn.append(_sums(at(factor, step) * squares, target))
        drawn = torch.stack(drawn).unflatten(0, (-1, DRAWS_A_STRATUM))
        exact = of_start(batch) + _sums(torch.full_like(clean, offset.sum().item(), dtype=torch.float64), target)
        of_strata = drawn.var(dim=1) / DRAWS_A_STRATUM  # squared errors of their means
        return exact + drawn.mean(dim=(0, 1)), of_strata.mean(dim=0) / len(of_strata)

    batches = list(slices.covering(len(values), chunk))
    with devices.workers(threads, place) as pool, devices.enough_memory("lower sampling.chunk"):
        done = slices.in_order(pool, estimate, batches, ahead=threads + 1)
        for batch, (bound, squared_error) in zip(batches, done, strict=True):
            if progress is not None:
                progress.update(batch.stop - batch.start)
            yield batch, bound.numpy(), squared_error.numpy()


def _draws(numbers, shape, n_draws, share, seed):
    """Yield `n_draws` times the steps (B,) and the noise (B, K, L) of windows, stratum by stratum."""
    generators = [torch.Generator().manual_seed(streams.seed(seed, int(number))) for number in numbers]
    until = share.cumsum(0)
    for draw in range(n_draws):
        uniform = torch.cat([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])
        quantile = (draw // DRAWS_A_STRATUM + uniform) / (n_draws // DRAWS_A_STRATUM)
        step = torch.searchsorted(until, quantile, right=True).clamp(max=len(share) - 1)
        yield step, torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def _sums(nats, target):
    """Sums (B, 1 + K) of `nats` (B, K, L) over all targets of a window and over those of each feature, float64."""
    return _with_total((nats.double() * target).sum(dim=2).cpu())


def _with_total(of_feature):
    """The sum over features (B, K) before them, (B, 1 + K)."""
    return torch.cat([of_feature.sum(dim=1, keepdim=True), of_feature], dim=1)
