"""Training and fine-tuning of CSDI by denoising score matching on masked entries.

Everything random in a step follows from the seed and the number of the step alone, so that a run
that was killed goes on from its last saved state as if nothing had happened.
"""

import copy
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from scoredag import streams
from scoredag.csdi import batches, devices, diffusion, optimizers, resume
from scoredag.csdi.batches import Batch
from scoredag.csdi.network import CSDI
from scoredag.csdi.settings import Settings
from scoredag.errors import InputError, UserFacingError
from scoredag.store.arrays import Stored

log = logging.getLogger(__name__)


class DivergenceError(UserFacingError, RuntimeError):
    """The loss stopped being finite; `best` is the state dict of the best weights so far, None before a better one."""

    def __init__(self, message: str, best: dict[str, torch.Tensor] | None):
        super().__init__(message)
        self.best = best


def loss(
    model: torch.nn.Module,
    batch: Batch,
    noise: torch.Tensor,
    step: torch.Tensor,
    schedule: diffusion.Schedule,
    seed: int = 0,
) -> torch.Tensor:
    """Mean squared error of the predicted noise over targets (CSDI, equation 8).

    Targets are observed entries outside the conditional mask. `noise` (B, K, L), `step` (B,);
    `seed` is dropout's.
    """
    total, n_targets = _squared_error(model, batch, noise, step, schedule, seed)
    return total / n_targets.clamp(min=1)


def train(
    model: CSDI,
    values: np.ndarray | Stored,
    observed_mask: np.ndarray | Stored,
    valid: Batch,
    settings: Settings,
    seed: int,
    *,
    store: resume.Store | None = None,
    progress: tqdm | None = None,
    device: str = "auto",
    given: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Train `model` in place and leave it with the weights of the lowest validation loss, those it came with included.

    Args:
        model: a `CSDI`.
        values: training windows (N, K, L), z-scores, float32, in memory or on disk; finite everywhere.
        observed_mask: (N, K, L), 1 = known.
        valid: a `Batch` of all validation windows with their fixed conditional masks.
        settings: a `Settings`.
        seed: integer; order of windows, masks, noise, dropout.
        store: where the state is saved, so that a killed training goes on; None saves none.
        progress: a tqdm bar of the steps, or something that acts like one.
        device: `auto`, `cpu` or `cuda`.
        given: features of which all that is observed is given.

    Returns:
        History, a list of dicts with step, epoch, split, loss, learning_rate: the
        mean training loss and the validation loss of the averaged weights at each validation.

    Raises:
        InputError: nothing observed to train on, an unknown setting, or out of memory.
        DivergenceError: the loss stopped being finite.
    """
    if not observed_mask.any():
        raise InputError("training: no value is observed in the training windows")
    place = devices.choose(device)
    run = _Run(model.to(place), settings, seed)
    state = store.load() if store else None
    if state:
        run.restore(state)
        log.info("going on after step %d", run.step)
    start = time.perf_counter() - run.seconds
    if progress is not None:
        progress.update(run.step)
    advice = "lower training.batch_size"
    with devices.workers(settings.threads, place) as pool, devices.enough_memory(advice):
        if not run.step:
            run.validate(pool, valid.to(place), len(values), time.perf_counter() - start)
        while run.step < settings.n_steps and not run.is_stale():
            batch, noise, level = batches.draw(values, observed_mask, valid.cond_mask, settings, seed, run.step, given)
            value = run.update(pool, batch.to(place), noise.to(place), level.to(place))
            if not math.isfinite(value):
                raise DivergenceError(
                    f"training: the loss is {value} at step {run.step}; lower training.learning_rate",
                    run.best_weights if run.best_step else None,
                )
            last = run.step == settings.n_steps
            if run.step % settings.validate_every == 0 or last:
                run.validate(pool, valid.to(place), len(values), time.perf_counter() - start)
            if progress is not None:
                progress.set_postfix_str(run.summary(), refresh=False)
                progress.update()
            if store and not last and run.step % settings.save_every == 0:
                run.seconds = time.perf_counter() - start
                store.save(run.state())
    if run.best_weights is None:
        raise DivergenceError("training: the validation loss was never finite; lower training.learning_rate", None)
    if settings.n_steps:
        log.info(
            "validation loss %.4f as it came, %.4f after step %d, whose weights are kept",
            run.history[0]["loss"], run.best_score, run.best_step,
        )  # fmt: skip
    model.load_state_dict(run.best_weights)
    model.to("cpu").eval()
    return run.history


def validation_loss(
    model: torch.nn.Module,
    valid: Batch,
    settings: Settings,
    seed: int,
    schedule: diffusion.Schedule,
    pool: Executor | None = None,
) -> float:
    """The loss over all validation windows, with noise and steps that depend on `seed` alone."""
    model.eval()
    generator = torch.Generator().manual_seed(streams.seed(seed, "validation"))
    parts = []
    for draw in range(settings.validation_draws):
        # one stratum a draw, so that few draws cover all noise levels; these come as often as in training
        position = (draw + torch.rand(len(valid.values), generator=generator)) / settings.validation_draws
        level = batches.levels_at(position, settings).to(valid.values.device)
        noise = torch.randn(valid.values.shape, generator=generator).to(valid.values.device)
        indices = torch.arange(len(level), device=level.device)
        parts += [(valid.part(part), noise[part], level[part]) for part in indices.split(settings.batch_size)]

    def score(part):
        with torch.no_grad(), devices.precision(valid.values.device):
            batch, noise, level = part
            return [value.item() for value in _squared_error(model, batch, noise, level, schedule)]

    scores = list(pool.map(score, parts) if pool else map(score, parts))
    total, n_targets = (sum(column) for column in zip(*scores, strict=True))
    if not n_targets:
        raise InputError(
            "training: the validation windows hold no target; raise the shares of datasets.*.windows.held_out"
        )
    return total / n_targets


_CHOICES: dict[str, dict[str, Any]] = {
    "optimizer": optimizers.OPTIMIZERS,
    "decay": optimizers.DECAYS,
    "trainable": optimizers.TRAINABLE,
}


class _Run:
    """The state of training: weights, optimizer, averaged weights, the best ones, history."""

    def __init__(self, model, settings, seed):
        for field, known in _CHOICES.items():
            if (value := getattr(settings, field)) not in known:
                raise InputError(f"training.{field}: '{value}' is unknown; known are {', '.join(known)}")
        self.model, self.settings, self.seed = model, settings, seed
        self.schedule = diffusion.quadratic_schedule()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(optimizers.TRAINABLE[settings.trainable]))
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizers = optimizers.build(model, settings) if settings.n_steps else []  # a second of imports
        self.averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay))
        self.step, self.seconds = 0, 0.0
        self.history, self.losses = [], []
        self.best_score, self.best_weights, self.best_step, self.since_best = math.inf, None, 0, 0
        model.train()

    def update(self, pool, batch, noise, level):
        """One step of the optimizer; returns the loss before it."""
        seed = streams.seed(self.seed, "dropout", self.step)
        n_targets = (batch.observed_mask - batch.cond_mask).sum().clamp(min=1)

        def gradients(part):
            number, chosen = part
            with devices.precision(batch.values.device):
                error, _ = _squared_error(
                    self.model,
                    batch.part(chosen),
                    noise[chosen],
                    level[chosen],
                    self.schedule,
                    streams.seed(seed, number) % 2**32,
                )
            value = error / n_targets
            return value.item(), torch.autograd.grad(value, self.parameters, allow_unused=True, materialize_grads=True)

        shares = torch.arange(len(level), device=level.device).tensor_split(min(self.settings.threads, len(level)))
        losses, shared = zip(*pool.map(gradients, enumerate(shares)), strict=True)
        for parameter, *parts in zip(self.parameters, *shared, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0])
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clip)
        rate = optimizers.learning_rate(self.step, self.settings)

        def step(optimizer, leaves, share):
            for parameter, leaf in leaves:
                leaf.grad = parameter.grad.view_as(leaf)
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.step()

        list(pool.map(step, *zip(*self.optimizers, strict=True)))
        self.averaged.update_parameters(self.model)
        self.losses.append(sum(losses))
        self.step += 1
        return self.losses[-1]

    def validate(self, pool, valid, n_windows, seconds):
        """Score the averaged weights, keep them if they are the best, add to the history."""
        score = validation_loss(self.averaged.module, valid, self.settings, self.seed, self.schedule, pool)
        self.since_best += 1
        if score < self.best_score:
            self.best_score, self.best_step, self.since_best = score, self.step, 0
            self.best_weights = copy.deepcopy(self.averaged.module.state_dict())
        row = {
            "step": self.step,
            "epoch": self.step * self.settings.batch_size / n_windows,
            "learning_rate": optimizers.learning_rate(self.step - 1, self.settings) if self.step else 0.0,
        }
        if self.losses:
            self.history.append(row | {"split": "train", "loss": float(np.mean(self.losses))})
            log.info("step %d: training loss %.4f", self.step, self.history[-1]["loss"])
        self.history.append(row | {"split": "valid", "loss": score})
        log.info("step %d: validation loss %.4f, after %.1f s", self.step, score, seconds)
        self.losses = []

    def is_stale(self):
        """Whether validation has not become better for too long."""
        stale = self.settings.patience is not None and self.since_best >= self.settings.patience
        if stale:
            log.info("stopping at step %d: no better validation in the last %d", self.step, self.since_best)
        return stale

    def summary(self):
        """A few words for the progress bar."""
        parts = [f"loss {self.losses[-1]:.4f}"] if self.losses else []
        parts += [f"validation {self.history[-1]['loss']:.4f}"] if self.history else []
        return ", ".join(parts)

    def state(self):
        """All that `restore` needs: tensors, numbers, text, lists and dicts."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer, *_ in self.optimizers],
            "averaged": self.averaged.state_dict(),
            "rest": {name: getattr(self, name) for name in self._REST},
        }

    _REST = ("step", "seconds", "history", "losses", "best_score", "best_weights", "best_step", "since_best")

    def restore(self, state):
        """Go back to a `state`."""
        self.model.load_state_dict(state["model"])
        for (optimizer, *_), stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self.averaged.load_state_dict(state["averaged"])
        for name in self._REST:
            setattr(self, name, state["rest"][name])


def _squared_error(model, batch, noise, step, schedule, seed=0):
    """Sum of the squared errors of the predicted noise over targets, and their number."""
    target = batch.observed_mask - batch.cond_mask
    noisy = diffusion.add_noise(batch.values, noise, step, schedule)
    predicted = model(noisy, batch.values, batch.cond_mask, batch.time_points, step, batch.features, seed)
    return ((noise - predicted).square() * target).sum(), target.sum()
