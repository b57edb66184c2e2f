"""Training and fine-tuning of CSDI by denoising score matching on masked entries."""

import itertools
import logging
import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scoredag import streams
from scoredag.csdi import diffusion
from scoredag.errors import InputError

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Windows for one evaluation of the loss."""

    values: torch.Tensor  # (B, K, L), z-scores; any finite number where not observed
    observed_mask: torch.Tensor  # (B, K, L), 1 = known
    cond_mask: torch.Tensor  # (B, K, L), 1 = given to the network; a subset of the above
    time_points: torch.Tensor  # (B, L), in steps


class Settings(NamedTuple):
    """How to train; the config's keys under `training`."""

    n_steps: int
    batch_size: int
    learning_rate: float
    warm_up: int  # steps
    weight_decay: float
    gradient_clip: float  # largest norm of the gradient
    average_decay: float  # of the exponential moving average of the weights
    validate_every: int  # steps
    validation_draws: int  # diffusion steps a validation window is scored at


def loss(model, batch, noise, step, schedule):
    """Mean squared error of the predicted noise over targets (CSDI, equation 8).

    Targets are observed entries outside the conditional mask. `noise` (B, K, L), `step` (B,).
    """
    target = batch.observed_mask - batch.cond_mask
    noisy = diffusion.add_noise(batch.values, noise, step, schedule)
    predicted = model(noisy, batch.values, batch.cond_mask, batch.time_points, step)
    return ((noise - predicted).square() * target).sum() / target.sum().clamp(min=1)


def random_mask(observed_mask, generator):
    """Conditional mask (B, K, L) of the paper's random strategy (section 4.3).

    Each window hides a share of its observed entries; the share is uniform in [0, 1].
    """
    share = torch.rand(len(observed_mask), 1, generator=generator)
    flat = observed_mask.flatten(1)
    order = torch.rand(flat.shape, generator=generator).masked_fill(flat == 0, 2.0).argsort(dim=1)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(flat.shape[1]).expand_as(order))
    n_hidden = (share * flat.sum(1, keepdim=True)).round()
    return (flat * (rank >= n_hidden)).view_as(observed_mask)


def learning_rate(step, settings):
    """Linear warm-up, then half a cosine from the peak down to 1 % of it; `step` from 0."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(settings.n_steps - settings.warm_up, 1)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model, values, observed_mask, valid, settings, seed, progress=iter):
    """Train `model` in place and leave it with the weights of the lowest validation loss.

    Args:
        model: a `CSDI`.
        values: training windows (N, K, L), z-scores, float32 arrays; finite everywhere.
        observed_mask: (N, K, L), 1 = known.
        valid: a `Batch` of all validation windows with their fixed conditional masks.
        settings: a `Settings`.
        seed: integer; order of windows, masks, noise, dropout.
        progress: wraps the iterable of steps, for a progress bar.

    Returns:
        History, a list of dicts with step, epoch, split, loss, learning_rate, seconds: the
        mean training loss and the validation loss of the averaged weights at each validation.

    Raises:
        InputError: nothing observed to train on, or the loss stopped being finite.
    """
    if not observed_mask.any():
        raise InputError("training: no value is observed in the training windows")
    generator = torch.Generator().manual_seed(streams.seed(seed, "training"))
    schedule = diffusion.quadratic_schedule()
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay))
    time_points = torch.arange(values.shape[2], dtype=torch.float32)
    batches = _batches(len(values), settings.batch_size, generator)
    history, losses, best = [], [], (math.inf, None)
    start = time.perf_counter()
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.seed(seed, "dropout"))
        for step in progress(range(settings.n_steps)):
            chosen = next(batches)
            known = torch.from_numpy(observed_mask[chosen]).float()
            batch = Batch(
                torch.from_numpy(values[chosen]),
                known,
                random_mask(known, generator),
                time_points.expand(len(chosen), -1),
            )
            noise = torch.randn(batch.values.shape, generator=generator)
            level = torch.randint(diffusion.N_STEPS, (len(chosen),), generator=generator)
            rate = learning_rate(step, settings)
            losses.append(_update(model, optimizer, rate, batch, noise, level, schedule, settings.gradient_clip))
            averaged.update_parameters(model)
            if not math.isfinite(losses[-1]):
                raise InputError(f"training: the loss is {losses[-1]} at step {step + 1}; lower training.learning_rate")
            if (step + 1) % settings.validate_every and step + 1 < settings.n_steps:
                continue
            score = validation_loss(averaged.module, valid, settings, seed, schedule)
            if score < best[0]:
                best = (score, {name: value.clone() for name, value in averaged.module.state_dict().items()})
            row = {
                "step": step + 1,
                "epoch": (step + 1) * settings.batch_size / len(values),
                "learning_rate": rate,
                "seconds": time.perf_counter() - start,
            }
            history.append(row | {"split": "train", "loss": float(np.mean(losses))})
            history.append(row | {"split": "valid", "loss": score})
            log.info("step %d: training loss %.4f, validation loss %.4f", step + 1, np.mean(losses), score)
            losses = []
    if best[1] is None:
        raise InputError("training: the validation loss was never finite; lower training.learning_rate")
    model.load_state_dict(best[1])
    model.eval()
    return history


@torch.no_grad()
def validation_loss(model, valid, settings, seed, schedule):
    """The loss over all validation windows, with noise and steps that depend on `seed` alone."""
    model.eval()
    generator = torch.Generator().manual_seed(streams.seed(seed, "validation"))
    # one stratum of the diffusion steps a draw, so that few draws cover all noise levels
    edges = torch.linspace(0, diffusion.N_STEPS, settings.validation_draws + 1)
    total, n_targets = 0.0, 0.0
    for lower, upper in itertools.pairwise(edges):
        position = lower + (upper - lower) * torch.rand(len(valid.values), generator=generator)
        level = position.long().clamp(max=diffusion.N_STEPS - 1)
        noise = torch.randn(valid.values.shape, generator=generator)
        for part in torch.arange(len(level)).split(4 * settings.batch_size):
            batch = Batch(*(field[part] for field in valid))
            weight = (batch.observed_mask - batch.cond_mask).sum().item()
            total += weight * loss(model, batch, noise[part], level[part], schedule).item()
            n_targets += weight
    if not n_targets:
        raise InputError("training: the validation windows hold no target; raise datasets.*.windows.held_out")
    return total / n_targets


def _update(model, optimizer, rate, batch, noise, level, schedule, gradient_clip):
    """One step of the optimizer; returns the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    value = loss(model, batch, noise, level, schedule)
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()
    return value.item()


def _batches(n, size, generator):
    """Endless index arrays: each pass over the windows in a new order, full batches only."""
    while True:
        order = torch.randperm(n, generator=generator).numpy()
        if n <= size:
            yield order
        for first in range(0, n - size + 1, size) if n > size else ():
            yield order[first : first + size]
