"""Optimizers of CSDI's training, its learning rate, and which weights are trained."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

from scoredag.csdi.muon import Muon
from scoredag.csdi.network import CSDI, LAYERS
from scoredag.csdi.settings import Settings

ADAM_SHARE = 0.2  # of the learning rate, for what muon leaves to Adam
TRAINABLE = {  # name: beginnings of the names of the parameters that are trained
    "all": ("",),
    "embeddings": ("embed_layer.",),
    "last-layers": (f"diffmodel.residual_layers.{LAYERS - 1}.", "diffmodel.output_projection"),
}


class Part(NamedTuple):
    """An optimizer and the parameters that it updates."""

    optimizer: torch.optim.Optimizer
    leaves: list[tuple[torch.Tensor, torch.Tensor]]  # parameters, each with the view of it that is updated
    share: float  # of the learning rate


def build(model: CSDI, settings: Settings) -> list[Part]:
    """Optimizers of the parameters of `model` that require a gradient; the feature embedding has a rate of its own."""
    kind = OPTIMIZERS[settings.optimizer]
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    decay = kind.weight_decay if settings.weight_decay is None else settings.weight_decay
    rate = kind.embedding_rate if settings.embedding_rate is None else settings.embedding_rate
    embedding = [(named.pop(name), rate) for name in list(named) if name.startswith("embed_layer.")]
    return kind.build(named, embedding, settings, decay)


def _adam(kind, named, embedding, settings, decay):
    """Parts with an optimizer of the class `kind`, torch.optim's Adam or AdamW."""
    return _by_share(kind, [*embedding, *((parameter, 1.0) for parameter in named.values())], settings, decay)


def _muon(named, embedding, settings, decay):
    """Parts with Muon for the hidden layers' matrices, and AdamW for embedding, input, output, biases and norms.

    1x1 convolutions are matrices as views. Muon's updates are as large at the end as at the start: without weight decay
    a long training ends in weights too large to be fine-tuned.
    """
    outer = ("diffmodel.input_projection.", "diffmodel.output_projection2.")
    hidden = {name for name, parameter in named.items() if parameter.ndim > 1 and not name.startswith(outer)}
    matrices = [(parameter, parameter.detach().flatten(1)) for name, parameter in named.items() if name in hidden]
    rest = [(parameter, ADAM_SHARE) for name, parameter in named.items() if name not in hidden]
    parts = []
    for leaves in (matrices[first :: settings.threads] for first in range(min(settings.threads, len(matrices)))):
        parts.append(Part(Muon([leaf for _, leaf in leaves], settings.learning_rate, decay), leaves, 1.0))
    return parts + _by_share(torch.optim.AdamW, [*embedding, *rest], settings, 0.0)


def _by_share(kind, parameters: Iterable[tuple[torch.Tensor, float]], settings, decay):
    """A part with an optimizer of the class `kind` for each share of the learning rate among `parameters`."""
    parts = []
    for share in sorted({share for _, share in parameters}):
        leaves = [(parameter, parameter) for parameter, of_parameter in parameters if of_parameter == share]
        optimizer = kind([leaf for _, leaf in leaves], settings.learning_rate, weight_decay=decay)
        parts.append(Part(optimizer, leaves, share))
    return parts


class Optimizer(NamedTuple):
    """How parameters are updated, and what null stands for in the config."""

    build: Callable[..., list[Part]]
    weight_decay: float
    embedding_rate: float  # in learning rates


OPTIMIZERS = {
    "adam": Optimizer(functools.partial(_adam, torch.optim.Adam), 1e-6, 1.0),
    "adamw": Optimizer(functools.partial(_adam, torch.optim.AdamW), 0.01, 1.0),
    "muon": Optimizer(_muon, 0.1, 20.0),
}


def learning_rate(step: int, settings: Settings) -> float:
    """The learning rate of a step, from 0: a linear warm-up to the peak, then one of `DECAYS`."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    return settings.learning_rate * DECAYS[settings.decay](step, settings)


def _cosine(step, settings):
    """Half a cosine from 1 down to 1 %."""
    progress = (step - settings.warm_up) / max(settings.n_steps - settings.warm_up, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def _milestones(step, settings):
    """A tenth after 75 % of the steps, a hundredth after 90 %."""
    return 0.1 ** sum(step >= share * settings.n_steps for share in (0.75, 0.9))


DECAYS = {"cosine": _cosine, "milestones": _milestones}
