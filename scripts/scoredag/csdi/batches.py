"""What a training step of CSDI sees: windows, crops, masks, noise and diffusion steps, all drawn from its number."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from scoredag import streams
from scoredag.csdi import diffusion, masks
from scoredag.csdi.settings import Settings
from scoredag.store.arrays import Stored


class Batch(NamedTuple):
    """Windows for one evaluation of the loss."""

    values: torch.Tensor  # (B, K, L), z-scores; any finite number where not observed
    observed_mask: torch.Tensor  # (B, K, L), 1 = known
    cond_mask: torch.Tensor  # (B, K, L), 1 = given to the network; a subset of the above
    time_points: torch.Tensor  # (B, L), in steps
    features: torch.Tensor | None = None  # (K,), rows of the feature embedding; None is all of them

    def part(self, chosen: torch.Tensor) -> "Batch":
        """The windows with the numbers `chosen`."""
        values, observed_mask, cond_mask, time_points = (field[chosen] for field in self[:4])
        return Batch(values, observed_mask, cond_mask, time_points, self.features)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        values, observed_mask, cond_mask, time_points = (field.to(device) for field in self[:4])
        features = None if self.features is None else self.features.to(device)
        return Batch(values, observed_mask, cond_mask, time_points, features)


def draw(
    values: np.ndarray | Stored,
    observed_mask: np.ndarray | Stored,
    test_masks: torch.Tensor,
    settings: Settings,
    seed: int,
    step: int,
    given: Sequence[int] = (),
) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """The batch, its noise (B, K, L) and its diffusion steps (B,) of a training step.

    Args:
        values, observed_mask: the training windows, (N, K, L).
        test_masks: conditional masks (M, K, L) of windows that are held out as the test windows are.
        settings: `batch_size`, `masks`, `crop_features`, `crop_steps`, `step_power`, `top_step` and `share_above`
            count.
        seed: of the training.
        step: number of the step, from 0.
        given: features of which all that is observed is given.
    """
    generator = torch.Generator().manual_seed(streams.seed(seed, "step", step))
    chosen = window_numbers(len(values), settings.batch_size, seed, step)
    features, steps = _crop(values.shape, settings, generator)

    def cropped(windows):
        return torch.as_tensor(windows).float()[:, features, steps]

    def picked(windows):
        """As many windows as the batch has, picked at random."""
        return cropped(windows[torch.randint(len(windows), (len(chosen),), generator=generator)])

    observed = cropped(observed_mask[chosen])
    patterns = masks.Patterns(historical=picked(observed_mask), test=picked(test_masks))
    cond_mask = masks.draw(settings.masks, observed, patterns, generator)
    always = torch.isin(features, torch.tensor(given, dtype=torch.long))
    cond_mask[:, always] = observed[:, always]
    batch = Batch(
        values=cropped(values[chosen]),
        observed_mask=observed,
        cond_mask=cond_mask,
        time_points=torch.arange(observed.shape[2], dtype=torch.float32).expand(len(chosen), -1),
        features=features,
    )
    noise = torch.randn(observed.shape, generator=generator)
    return batch, noise, diffusion_steps(len(chosen), settings, generator)


def window_numbers(n: int, size: int, seed: int, step: int) -> np.ndarray:
    """Numbers of the windows of a step: each pass takes all `n` in a new order, full batches only."""
    size = min(n, size)
    epoch, batch = divmod(step, n // size)
    return _order(n, seed, epoch)[batch * size : (batch + 1) * size]


@functools.lru_cache(maxsize=1)
def _order(n, seed, epoch):
    return streams.generator(seed, "order", epoch).permutation(n)


def diffusion_steps(n: int, settings: Settings, generator: torch.Generator) -> torch.Tensor:
    """Diffusion steps (n,): see `levels_at`, of uniform numbers that are spread evenly together.

    That steadies the gradient. One uniform number shifts a regular grid (Kingma et al. 2021, Variational diffusion
    models, appendix I.1).
    """
    grid = (torch.arange(n) + torch.rand((), generator=generator)) / n
    return levels_at(grid, settings)[torch.randperm(n, generator=generator)]


def levels_at(uniform: torch.Tensor, settings: Settings) -> torch.Tensor:
    """The diffusion steps (n,) of uniform numbers: (top_step + 1) u^step_power, and a share of them noisier."""
    n_low, n_high = settings.top_step + 1, diffusion.N_STEPS - settings.top_step - 1
    share = settings.share_above if n_high else 0.0
    low = n_low * ((uniform - share) / (1 - share)).clamp(min=0) ** settings.step_power
    high = n_low + n_high * (uniform / share if share else uniform)
    return torch.where(uniform < share, high, low.clamp(max=n_low - 0.5)).long().clamp(max=diffusion.N_STEPS - 1)


def _crop(shape: Sequence[int], settings: Settings, generator: torch.Generator) -> tuple[torch.Tensor, slice]:
    """Random rows of features, in order, and a random slice of steps; the logarithm of their number is uniform."""

    def between(bounds, n):
        lowest, highest = (min(bound, n) for bound in bounds or (n, n))
        drawn = lowest * ((highest + 1) / lowest) ** torch.rand((), generator=generator, dtype=torch.float64)
        return min(int(drawn), highest)

    n_features, length = between(settings.crop_features, shape[1]), between(settings.crop_steps, shape[2])
    features = torch.randperm(shape[1], generator=generator)[:n_features].sort().values
    first = int(torch.randint(shape[2] - length + 1, (), generator=generator))
    return features, slice(first, first + length)
