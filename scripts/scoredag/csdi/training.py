"""Training and fine-tuning of CSDI by denoising score matching on masked entries.

Everything random in a step follows from the seed and the number of the step alone, so that a run
that was killed goes on from its last saved state as if nothing had happened.
"""

import copy
import itertools
import logging
import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scoredag import streams
from scoredag.csdi import devices, diffusion, masks
from scoredag.csdi.network import LAYERS
from scoredag.errors import InputError

log = logging.getLogger(__name__)

DECAYS = ("cosine", "milestones")
WEIGHT_DECAY = {"adam": 1e-6, "adamw": 0.01, "muon": 0.1}
ADAM_SHARE = 0.2  # of the learning rate, for what muon leaves to Adam
EMBEDDING_RATE = {"adam": 1.0, "adamw": 1.0, "muon": 5.0}  # in learning rates
PARTS = {  # what `trainable` names: the beginnings of the parameters' names
    "all": ("",),
    "embeddings": ("embed_layer.",),
    "last-layers": (f"diffmodel.residual_layers.{LAYERS - 1}.", "diffmodel.output_projection"),
}


class Batch(NamedTuple):
    """Windows for one evaluation of the loss."""

    values: torch.Tensor  # (B, K, L), z-scores; any finite number where not observed
    observed_mask: torch.Tensor  # (B, K, L), 1 = known
    cond_mask: torch.Tensor  # (B, K, L), 1 = given to the network; a subset of the above
    time_points: torch.Tensor  # (B, L), in steps
    features: torch.Tensor | None = None  # (K,), rows of the feature embedding; None is all of them


class Settings(NamedTuple):
    """How to train; the config's keys under `training`."""

    n_steps: int  # 0 only validates
    batch_size: int
    learning_rate: float
    warm_up: int  # steps
    weight_decay: float | None  # None takes that of WEIGHT_DECAY
    gradient_clip: float  # largest norm of the gradient
    average_decay: float  # of the exponential moving average of the weights
    validate_every: int  # steps
    validation_draws: int  # diffusion steps a validation window is scored at
    optimizer: str = "adam"  # or another of WEIGHT_DECAY
    decay: str = "cosine"  # or another of DECAYS; milestones: a tenth after 75 % and again after 90 % of the steps
    masks: tuple = ("random",)  # strategies of `masks`
    step_power: float = 1.0  # diffusion steps are 50 u^step_power, u uniform; 1 is the paper's
    patience: int | None = None  # validations without a better one after which training stops
    embedding_rate: float | None = None  # of the feature embedding, in learning rates; None takes EMBEDDING_RATE's
    trainable: str = "all"  # or another of PARTS; the rest is frozen
    crop_features: tuple | None = None  # fewest and most features of a batch, chosen at random
    crop_steps: tuple | None = None  # shortest and longest crop of the windows of a batch
    save_every: int = 100  # steps
    threads: int = 1


class Diverged(InputError):  # noqa: N818
    """The loss stopped being finite; `best` is the state dict of the best weights so far, or None."""

    def __init__(self, message, best):
        super().__init__(message)
        self.best = best


def loss(model, batch, noise, step, schedule, seed=0):
    """Mean squared error of the predicted noise over targets (CSDI, equation 8).

    Targets are observed entries outside the conditional mask. `noise` (B, K, L), `step` (B,);
    `seed` is dropout's.
    """
    total, n_targets = _squared_error(model, batch, noise, step, schedule, seed)
    return total / n_targets.clamp(min=1)


def learning_rate(step, settings):
    """Linear warm-up to the peak, then half a cosine down to 1 % of it, or milestones; `step` from 0."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    if settings.decay == "milestones":
        passed = sum(step >= share * settings.n_steps for share in (0.75, 0.9))
        return settings.learning_rate * 0.1**passed
    progress = (step - settings.warm_up) / max(settings.n_steps - settings.warm_up, 1)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model, values, observed_mask, valid, settings, seed, *, store=None, progress=None, device="cpu"):
    """Train `model` in place and leave it with the weights of the lowest validation loss.

    Args:
        model: a `CSDI`.
        values: training windows (N, K, L), z-scores, float32 arrays; finite everywhere.
        observed_mask: (N, K, L), 1 = known.
        valid: a `Batch` of all validation windows with their fixed conditional masks.
        settings: a `Settings`.
        seed: integer; order of windows, masks, noise, dropout.
        store: where the state is kept, with `load()` (None: nothing there) and `save(state)`.
        progress: a tqdm bar of the steps, or something that acts like one.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        History, a list of dicts with step, epoch, split, loss, learning_rate, seconds: the
        mean training loss and the validation loss of the averaged weights at each validation.

    Raises:
        InputError: nothing observed to train on, an unknown setting, or out of memory.
        Diverged: the loss stopped being finite.
    """
    if not observed_mask.any():
        raise InputError("training: no value is observed in the training windows")
    device = devices.choose(device)
    run = _Run(model.to(device), settings, seed)
    state = store.load() if store else None
    if state:
        run.restore(state)
        log.info("going on after step %d", run.step)
    start = time.perf_counter() - run.seconds
    if progress is not None:
        progress.update(run.step)
    advice = "lower training.batch_size"
    with devices.workers(settings.threads, device) as pool, devices.enough_memory(advice):
        if not settings.n_steps:
            run.validate(pool, _to(device, valid), len(values), time.perf_counter() - start)
        while run.step < settings.n_steps and not run.is_stale():
            batch, noise, level = _draw(values, observed_mask, valid.cond_mask, settings, seed, run.step)
            value = run.update(pool, _to(device, batch), noise.to(device), level.to(device))
            if not math.isfinite(value):
                raise Diverged(
                    f"training: the loss is {value} at step {run.step}; lower training.learning_rate", run.best_weights
                )
            last = run.step == settings.n_steps
            if run.step % settings.validate_every == 0 or last:
                run.validate(pool, _to(device, valid), len(values), time.perf_counter() - start)
            if progress is not None:
                progress.set_postfix_str(run.summary(), refresh=False)
                progress.update()
            if store and not last and run.step % settings.save_every == 0:
                run.seconds = time.perf_counter() - start
                store.save(run.state())
    if run.best_weights is None:
        raise Diverged("training: the validation loss was never finite; lower training.learning_rate", None)
    model.load_state_dict(run.best_weights)
    model.to("cpu").eval()
    return run.history


def validation_loss(model, valid, settings, seed, schedule, pool=None):
    """The loss over all validation windows, with noise and steps that depend on `seed` alone."""
    model.eval()
    generator = torch.Generator().manual_seed(streams.seed(seed, "validation"))
    # one stratum of the diffusion steps a draw, so that few draws cover all noise levels
    edges = torch.linspace(0, diffusion.N_STEPS, settings.validation_draws + 1)
    parts = []
    for lower, upper in itertools.pairwise(edges):
        position = lower + (upper - lower) * torch.rand(len(valid.values), generator=generator)
        level = position.long().clamp(max=diffusion.N_STEPS - 1).to(valid.values.device)
        noise = torch.randn(valid.values.shape, generator=generator).to(valid.values.device)
        indices = torch.arange(len(level), device=level.device)
        parts += [(_part(valid, part), noise[part], level[part]) for part in indices.split(settings.batch_size)]

    def score(part):
        with torch.no_grad(), devices.precision(valid.values.device):
            return [value.item() for value in _squared_error(model, *part, schedule)]

    scores = list(pool.map(score, parts) if pool else map(score, parts))
    total, n_targets = (sum(column) for column in zip(*scores, strict=True))
    if not n_targets:
        raise InputError(
            "training: the validation windows hold no target; raise the shares of datasets.*.windows.held_out"
        )
    return total / n_targets


class _Run:
    """The state of training: weights, optimizer, averaged weights, the best ones, history."""

    def __init__(self, model, settings, seed):
        for field, known in {"optimizer": WEIGHT_DECAY, "decay": DECAYS, "trainable": PARTS}.items():
            if (value := getattr(settings, field)) not in known:
                raise InputError(f"training.{field}: '{value}' is unknown; known are {', '.join(known)}")
        self.model, self.settings, self.seed = model, settings, seed
        self.schedule = diffusion.quadratic_schedule()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(PARTS[settings.trainable]))
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizers = _optimizers(model, settings)
        self.averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay))
        self.step, self.seconds = 0, 0.0
        self.history, self.losses = [], []
        self.best_score, self.best_weights, self.since_best = math.inf, None, 0
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
                    _part(batch, chosen),
                    noise[chosen],
                    level[chosen],
                    self.schedule,
                    streams.seed(seed, number) % 2**32,
                )
            value = error / n_targets
            found = torch.autograd.grad(value, self.parameters, allow_unused=True, materialize_grads=True)
            return value.item(), found

        shares = torch.arange(len(level), device=level.device).tensor_split(min(self.settings.threads, len(level)))
        values, found = zip(*pool.map(gradients, enumerate(shares)), strict=True)
        for parameter, *parts in zip(self.parameters, *found, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0])
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clip)
        rate = learning_rate(self.step, self.settings)

        def step(optimizer, leaves, share):
            for parameter, leaf in leaves:
                leaf.grad = parameter.grad.view_as(leaf)
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.step()

        list(pool.map(step, *zip(*self.optimizers, strict=True)))
        self.averaged.update_parameters(self.model)
        self.losses.append(sum(values))
        self.step += 1
        return self.losses[-1]

    def validate(self, pool, valid, n_windows, seconds):
        """Score the averaged weights, keep them if they are the best, add to the history."""
        score = validation_loss(self.averaged.module, valid, self.settings, self.seed, self.schedule, pool)
        self.since_best += 1
        if score < self.best_score:
            self.best_score, self.since_best = score, 0
            self.best_weights = copy.deepcopy(self.averaged.module.state_dict())
        row = {
            "step": self.step,
            "epoch": self.step * self.settings.batch_size / n_windows,
            "learning_rate": learning_rate(self.step - 1, self.settings) if self.step else 0.0,
            "seconds": seconds,
        }
        if self.losses:
            self.history.append(row | {"split": "train", "loss": float(np.mean(self.losses))})
            log.info("step %d: training loss %.4f", self.step, self.history[-1]["loss"])
        self.history.append(row | {"split": "valid", "loss": score})
        log.info("step %d: validation loss %.4f", self.step, score)
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

    _REST = ("step", "seconds", "history", "losses", "best_score", "best_weights", "since_best")

    def restore(self, state):
        """Go back to a `state`."""
        self.model.load_state_dict(state["model"])
        for (optimizer, *_), stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self.averaged.load_state_dict(state["averaged"])
        for name in self._REST:
            setattr(self, name, state["rest"][name])


def _optimizers(model, settings):
    """Optimizers, each with its pairs of parameter and leaf, and its share of the learning rate.

    Muon orthogonalises the updates of the hidden layers' matrices (Jordan et al. 2024; the
    learning rate is scaled to Adam's, after Liu et al. 2025). It works on matrices, so that it
    gets 1x1 convolutions as views. Embedding, input, output, biases and norms stay with Adam. Muon's
    updates are as large at the end as at the start: without weight decay a long training ends in
    weights too large to be fine-tuned.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    decay = WEIGHT_DECAY[settings.optimizer] if settings.weight_decay is None else settings.weight_decay
    rate = EMBEDDING_RATE[settings.optimizer] if settings.embedding_rate is None else settings.embedding_rate
    embedding = [(named.pop(name), rate) for name in list(named) if name.startswith("embed_layer.")]
    if settings.optimizer != "muon":
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
        return _by_share(kind, [*embedding, *((parameter, 1.0) for parameter in named.values())], settings, decay)
    outer = ("diffmodel.input_projection.", "diffmodel.output_projection2.")
    hidden = {name for name, parameter in named.items() if parameter.ndim > 1 and not name.startswith(outer)}
    matrices = [(parameter, parameter.detach().flatten(1)) for name, parameter in named.items() if name in hidden]
    others = [(parameter, ADAM_SHARE) for name, parameter in named.items() if name not in hidden]
    optimizers = []
    for some in (matrices[part :: settings.threads] for part in range(min(settings.threads, len(matrices)))):
        options = {"weight_decay": decay, "adjust_lr_fn": "match_rms_adamw"}
        muon = torch.optim.Muon([leaf for _, leaf in some], settings.learning_rate, **options)
        optimizers.append((muon, some, 1.0))
    return optimizers + _by_share(torch.optim.AdamW, [*embedding, *others], settings, 0.0)


def _by_share(kind, parameters, settings, decay):
    """An optimizer of this kind for each share among `parameters`, pairs of a parameter and its share of the rate."""
    optimizers = []
    for share in sorted({share for _, share in parameters}):
        leaves = [(parameter, parameter) for parameter, own in parameters if own == share]
        optimizer = kind([leaf for _, leaf in leaves], settings.learning_rate, weight_decay=decay)
        optimizers.append((optimizer, leaves, share))
    return optimizers


def _squared_error(model, batch, noise, step, schedule, seed=0):
    """Sum of the squared errors of the predicted noise over targets, and their number."""
    target = batch.observed_mask - batch.cond_mask
    noisy = diffusion.add_noise(batch.values, noise, step, schedule)
    predicted = model(noisy, batch.values, batch.cond_mask, batch.time_points, step, batch.features, seed)
    return ((noise - predicted).square() * target).sum(), target.sum()


def _draw(values, observed_mask, test_masks, settings, seed, step):
    """The batch, noise and diffusion steps of a training step."""
    generator = torch.Generator().manual_seed(streams.seed(seed, "step", step))
    chosen = _chosen(len(values), settings.batch_size, seed, step)
    features, steps = _crop(values.shape, settings, generator)

    def cropped(windows):
        return torch.as_tensor(windows).float()[:, features, steps]

    def others(pool):
        return cropped(pool[torch.randint(len(pool), (len(chosen),), generator=generator)])

    observed = cropped(observed_mask[chosen])
    patterns = masks.Patterns(historical=others(observed_mask), test=others(test_masks))
    batch = Batch(
        values=cropped(values[chosen]),
        observed_mask=observed,
        cond_mask=masks.draw(settings.masks, observed, patterns, generator),
        time_points=torch.arange(observed.shape[2], dtype=torch.float32).expand(len(chosen), -1),
        features=features,
    )
    noise = torch.randn(observed.shape, generator=generator)
    return batch, noise, _levels(len(chosen), settings.step_power, generator)


def _levels(n, power, generator):
    """Diffusion steps (n,): each u^power of all, u uniform, together spread evenly, which steadies the gradient.

    One uniform number shifts a regular grid (Kingma et al. 2021, Variational diffusion models, appendix I.1).
    """
    grid = (torch.arange(n) + torch.rand((), generator=generator)) / n
    levels = (grid**power * diffusion.N_STEPS).long().clamp(max=diffusion.N_STEPS - 1)
    return levels[torch.randperm(n, generator=generator)]


def _crop(shape, settings, generator):
    """Random rows of features, in order, and a random slice of the steps."""

    def between(bounds, n):
        lowest, highest = (min(bound, n) for bound in bounds or (n, n))
        return int(torch.randint(lowest, highest + 1, (), generator=generator))

    n_features, length = between(settings.crop_features, shape[1]), between(settings.crop_steps, shape[2])
    features = torch.randperm(shape[1], generator=generator)[:n_features].sort().values
    first = int(torch.randint(shape[2] - length + 1, (), generator=generator))
    return features, slice(first, first + length)


def _chosen(n, size, seed, step):
    """Numbers of the windows of a step: each pass takes all in a new order, full batches only."""
    size = min(n, size)
    epoch, batch = divmod(step, n // size)
    order = streams.generator(seed, "order", epoch).permutation(n)
    return order[batch * size : (batch + 1) * size]


def _part(batch, chosen):
    """Some windows of a batch."""
    return Batch(*(field[chosen] for field in batch[:4]), batch.features)


def _to(device, batch):
    return Batch(*(None if field is None else field.to(device) for field in batch))
