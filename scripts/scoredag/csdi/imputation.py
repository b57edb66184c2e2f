"""Imputation of many windows, a few at a time."""

import collections
import itertools

import torch

from scoredag import streams
from scoredag.csdi import devices, diffusion


def impute(
    model,
    numbers,
    values,
    known,
    *,
    n_samples,
    chunk,
    seed,
    threads=1,
    device="cpu",
    antithetic=False,
    time_points=None,
    progress=None,
    **sampling,
):
    """Sample the unknown entries of windows and yield them a few windows at a time.

    Args:
        model: a `CSDI` in evaluation mode.
        numbers: (N,), the windows' numbers; each sample of each window has its own random stream,
            so that it depends neither on `chunk` nor on the other windows.
        values: (N, K, L), z-scores.
        known: boolean (N, K, L), what the model is given.
        n_samples: S.
        chunk: windows x samples that a thread works on at once, which bounds the memory; 16
            times as many on a GPU.
        seed: integer.
        threads: chunks at the same time.
        device: `auto`, `cpu` or `cuda`.
        antithetic: draw samples 2 i and 2 i + 1 from the same numbers with opposite signs. Each is a
            sample as before, but errors of the pair cancel, so that fewer give the same median.
        time_points: (N, L), in steps; None takes 0, 1, .. L - 1.
        progress: a tqdm bar of windows, or something that acts like one.
        sampling: `sampler`, `n_steps`, `eta`, `noise_above` and `second_order_above` of `diffusion.sample`.

    Yields:
        (slice, samples): which of the N windows, and an array (S, B, K, L), z-scores, float32.

    Raises:
        InputError: out of memory, or an unknown device or sampler.
    """
    device, time_points, chunk = prepare(model, values, time_points, chunk, device)

    def sample(task):
        batch, drawn = task
        stream = {s: s // 2 * 2 if antithetic else s for s in drawn}
        generators = [
            [torch.Generator().manual_seed(streams.seed(seed, int(number), stream[s])) for number in numbers[batch]]
            for s in drawn
        ]
        with devices.precision(device):
            return diffusion.sample(
                model,
                torch.from_numpy(values[batch]).to(device),
                torch.from_numpy(known[batch]).float().to(device),
                torch.as_tensor(time_points[batch]).to(device),
                len(drawn),
                generator=generators,
                signs=[1 if s == stream[s] else -1 for s in drawn],
                **sampling,
            ).cpu()

    batches = list(slices(len(values), max(1, chunk // n_samples)))
    parts = [range(n_samples)[part] for part in slices(n_samples, chunk)]
    with devices.workers(threads, device) as pool, devices.enough_memory("lower sampling.chunk"):
        done = in_order(pool, sample, itertools.product(batches, parts), ahead=threads + 1)
        for batch in batches:
            samples = torch.cat([part.float() for part in itertools.islice(done, len(parts))])
            if progress is not None:
                progress.update(batch.stop - batch.start)
            yield batch, samples.numpy()


def prepare(model, values, time_points, chunk, device):
    """Move the model to a device: the device, time points (N, L) with their default, and the chunk that suits it.

    Raises:
        InputError: an unknown device, or none such.
    """
    device = devices.choose(device)
    model.to(device)
    if time_points is None:
        time_points = torch.arange(values.shape[2], dtype=torch.float32).expand(len(values), -1)
    return device, time_points, chunk * 16 if device.type == "cuda" else chunk


def slices(n, size):
    """Slices of at most `size` that cover 0 .. n - 1."""
    return (slice(first, min(first + size, n)) for first in range(0, n, size))


def in_order(pool, function, tasks, ahead):
    """Results of `function` for each task, in order, with no more than `ahead` of them at work or waiting."""
    waiting = collections.deque()
    for task in tasks:
        waiting.append(pool.submit(function, task))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
