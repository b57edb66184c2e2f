"""Imputation of many windows, a few at a time."""

import torch

from scoredag import streams
from scoredag.csdi import diffusion


def impute(model, numbers, values, known, *, n_samples, batch_size, seed, progress=iter, **sampling):
    """Sample the unknown entries of windows and yield them batch by batch.

    Args:
        model: a `CSDI` in evaluation mode.
        numbers: (N,), the windows' numbers; each has its own random stream, so that its samples
            depend neither on `batch_size` nor on the other windows.
        values: (N, K, L), z-scores.
        known: boolean (N, K, L), what the model is given.
        n_samples: S.
        batch_size: windows at once.
        seed: integer.
        progress: wraps the iterable of batches, for a progress bar.
        sampling: `sampler`, `n_steps` and `eta` of `diffusion.sample`.

    Yields:
        (slice, samples): which of the N windows, and an array (S, B, K, L), z-scores, float32.
    """
    time_points = torch.arange(values.shape[2], dtype=torch.float32)
    for first in progress(range(0, len(values), batch_size)):
        batch = slice(first, min(first + batch_size, len(values)))
        generators = [
            torch.Generator().manual_seed(streams.seed(seed, "window", int(number))) for number in numbers[batch]
        ]
        observed = torch.from_numpy(values[batch])
        drawn = diffusion.sample(
            model,
            observed,
            torch.from_numpy(known[batch]).float(),
            time_points.expand(len(observed), -1),
            n_samples,
            generator=generators,
            **sampling,
        )
        yield batch, drawn.numpy()
