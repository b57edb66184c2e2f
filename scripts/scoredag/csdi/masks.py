"""Conditional masks for training: the part of a window's values that the network is given.

A strategy takes the observed masks (B, K, L) of a batch, a `Patterns` of the same windows, and a
torch generator; it returns conditional masks (B, K, L), subsets of the observed ones. `random`,
`historical`, `mix` and `test-pattern` are those of CSDI, section 4.3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from scoredag.errors import InputError


class Patterns(NamedTuple):
    """Masks (B, K, L) of other windows, picked at random, one for each window of a batch."""

    historical: torch.Tensor  # the observed mask of a training window
    test: torch.Tensor  # the conditional mask of a window that is held out as the test windows are


def draw(
    strategies: Sequence[str], observed: torch.Tensor, patterns: Patterns, generator: torch.Generator
) -> torch.Tensor:
    """Conditional masks (B, K, L): each window follows one of `strategies`, names in `MASKS`, at random.

    A window that a strategy leaves without a target follows `random` instead.

    Raises:
        InputError: a strategy that does not exist.
    """
    for name in strategies:
        if name not in MASKS:
            raise InputError(f"training.masks: '{name}' is unknown; known are {', '.join(MASKS)}")
    drawn = torch.stack([MASKS[name](observed, patterns, generator) for name in strategies])
    choice = torch.randint(len(strategies), (len(observed),), generator=generator)
    chosen = drawn[choice, torch.arange(len(observed))]
    without_target = ((observed - chosen).sum((1, 2)) == 0)[:, None, None]
    if without_target.any():
        chosen = torch.where(without_target, random(observed, patterns, generator), chosen)
    return chosen


def random(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide a share of the observed entries that is uniform in [0, 1] for each window."""
    share = torch.rand(len(observed), 1, generator=generator)
    flat = observed.flatten(1)
    order = torch.rand(flat.shape, generator=generator).masked_fill(flat == 0, 2.0).argsort(dim=1)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(flat.shape[1]).expand_as(order))
    n_hidden = (share * flat.sum(1, keepdim=True)).round()
    return (flat * (rank >= n_hidden)).view_as(observed)


def historical(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide what is missing in another training window."""
    return observed * patterns.historical


def mix(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """`random` or `historical`, with probability 1/2 each."""
    coin = (torch.rand(len(observed), 1, 1, generator=generator) < 0.5).to(observed.dtype)
    return coin * random(observed, patterns, generator) + (1 - coin) * historical(observed, patterns, generator)


def test_pattern(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide what is missing or held out in a window to be tested on."""
    return observed * patterns.test


def blocks(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide contiguous runs of single features, of 2 steps to half the window, of any number up to 2 K."""
    n, n_features, length = observed.shape
    longest = max(2, length // 2)
    size = (n, 2 * n_features)
    feature = torch.randint(n_features, size, generator=generator)
    steps = torch.randint(2, longest + 1, size, generator=generator)
    first = torch.randint(1 - longest, length, size, generator=generator)
    used = torch.arange(2 * n_features) < torch.randint(1, 2 * n_features + 1, (n, 1), generator=generator)
    at = torch.arange(length)
    inside = (at >= first[..., None]) & (at < (first + steps)[..., None]) & used[..., None]  # (B, 2 K, L)
    hidden = torch.zeros_like(observed).scatter_add_(
        1, feature[..., None].expand(-1, -1, length), inside.to(observed.dtype)
    )
    return observed * (hidden == 0)


def gaps(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide one to three runs of steps, of up to two thirds of the window, of a random share of the features at once."""
    n, n_features, length = observed.shape
    longest = max(1, 2 * length // 3)
    steps = (longest ** torch.rand(n, 3, generator=generator)).ceil().long()  # most are short
    first = (torch.rand(n, 3, generator=generator) * (length + steps) - steps).ceil().long()  # or at an end
    used = torch.arange(3) < torch.randint(1, 4, (n, 1), generator=generator)
    at = torch.arange(length)
    inside = (at >= first[..., None]) & (at < (first + steps)[..., None]) & used[..., None]  # (B, 3, L)
    share = torch.rand(n, 1, 1, generator=generator)
    concerned = torch.rand(n, 3, n_features, generator=generator) < share.clamp(min=1 / n_features)
    return observed * ~(inside[:, :, None] & concerned[..., None]).any(dim=1)


def outages(observed: torch.Tensor, patterns: Patterns, generator: torch.Generator) -> torch.Tensor:
    """Hide all values of some features that have any, never of all; of a single one, none."""
    n, n_features, _ = observed.shape
    seen = observed.any(dim=2)
    most = seen.sum(1, keepdim=True) - 1
    n_hidden = torch.randint(1, max(2, n_features), (n, 1), generator=generator)
    n_hidden = torch.where(most > 0, (n_hidden - 1) % most.clamp(min=1) + 1, 0)
    order = torch.rand(n, n_features, generator=generator).argsort(dim=1)
    rank = order.masked_fill(~seen, n_features).argsort(dim=1).argsort(dim=1)  # those with values come first
    return observed * (rank >= n_hidden)[..., None]


MASKS = {
    "random": random,
    "historical": historical,
    "mix": mix,
    "test-pattern": test_pattern,
    "blocks": blocks,
    "gaps": gaps,
    "outages": outages,
}
