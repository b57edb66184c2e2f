"""Training the score network by denoising score matching on fresh samples of the mixture."""

import itertools
import logging
from typing import Any

import numpy as np
import torch
from torch import nn

from scoredag import streams
from scoredag.likelihood import bounds, mixtures, score_network
from scoredag.likelihood.sde import SDE

WEIGHTINGS = {"likelihood": "importance", "noise-variance": "uniform"}  # and their times, see `bounds.TIMES`
_CHUNK = 100  # steps whose samples are drawn at once


def train(
    gmm: mixtures.Mixture,
    sde: SDE,
    *,
    weighting: str,
    smallest_time: float,
    n_steps: int,
    batch_size: int,
    width: int,
    n_layers: int,
    learning_rate: float,
    average_decay: float,
    seed: int,
    threads: int,
    progress: Any = None,
) -> score_network.Weights:
    """A network that minimises int lambda(t) E|s - grad log p_0t|^2 dt (Song et al. 2021, equation 7).

    With lambda = sigma^2, `noise-variance`, that is the mean of |sigma s + z|^2 over uniform times. With lambda = g^2,
    `likelihood`, it is, up to a factor, the mean of the same over times with the density of importance sampling,
    proportional to g^2 / sigma^2 (section 4.1). So the two differ in their times alone.

    Args:
        gmm: the mixture p_0, in the SDE's unit.
        sde: the forward SDE.
        weighting: one of `WEIGHTINGS`.
        smallest_time: eps, at which times begin.
        n_steps: steps of Adam; the learning rate falls to 0 with a cosine.
        batch_size: samples a step.
        width: units of a hidden layer.
        n_layers: hidden layers.
        learning_rate: of the first step.
        average_decay: decay a step of the moving average of the weights, which is returned.
        seed: integer.
        threads: of PyTorch; sums, and so the weights, depend on it.
        progress: a bar with `update(n)`, or None.

    Returns:
        The averaged weights, float32.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(streams.seed(seed, "weights"))
    widths = [score_network.N_INPUTS, *[width] * n_layers, 2]
    layers = [nn.Linear(*ends) for ends in itertools.pairwise(widths)]
    model = nn.Sequential(*(part for layer in layers[:-1] for part in (layer, nn.SiLU())), layers[-1])
    nn.init.zeros_(layers[-1].weight)
    averages = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for first in range(0, n_steps, _CHUNK):
        n = min(_CHUNK, n_steps - first)
        chunk = _samples(gmm, sde, weighting, smallest_time, n * batch_size, streams.seed(seed, "chunk", first))
        losses = []
        for step in range(n):
            part = slice(step * batch_size, (step + 1) * batch_size)
            inputs, factor, rest = (tensor[part] for tensor in chunk)
            loss = (model(inputs) * factor + rest).square().sum(dim=1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            decay = min(average_decay, (first + step + 1) / (first + step + 10))  # a short memory at first
            with torch.no_grad():
                torch._foreach_lerp_(averages, list(model.parameters()), 1 - decay)
            losses.append(loss.detach())
        if progress is not None:
            progress.update(n)
        if 10 * (first + n) // n_steps > 10 * first // n_steps:
            logging.info("step %d: mean of |sigma s + z|^2 is %.4f", first + n, float(torch.stack(losses).mean()))
    arrays = [average.numpy() for average in averages]
    return score_network.Weights([array.T for array in arrays[::2]], arrays[1::2])


def _samples(gmm, sde, weighting, smallest_time, n, seed):
    """Inputs of the network, and the factor on its output and the term that make it sigma s + z."""
    rng = streams.generator(seed, "noise")
    t, _ = bounds.draw_times(sde, smallest_time, n, rng, WEIGHTINGS[weighting])
    z = rng.standard_normal((n, 2))
    level = sde.log_noise_to_signal(t)
    noise = score_network.relative_noise(level)[:, None]
    y = np.sqrt(1 - noise**2) * gmm.sample(n, streams.seed(seed, "data")) + noise * z
    factor, rest = noise / np.hypot(noise, score_network.FINEST), z - noise * y
    return [
        torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
        for part in (score_network.features(y, noise[:, 0]), factor, rest)
    ]
