"""Imputation of many windows, a few at a time."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scoredag import gaussian, slices, streams
from scoredag.csdi import devices, diffusion
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store import files, tables

TimePoints = np.ndarray | torch.Tensor


def options(
    sampling: dict[str, Any], gaussian_path: files.PathLike, choice_path: files.PathLike | None
) -> dict[str, Any]:
    """The arguments of `impute` that the config's `sampling` says, `start` with the Gaussian of a file.

    Args:
        sampling: of the config; its start is a diffusion step, None for noise, or "auto".
        gaussian_path: of the joint Gaussian of the dataset's windows.
        choice_path: of the table that says which start "auto" is.

    Raises:
        InputError: a start without a Gaussian, or a file cannot be read.
    """
    step = sampling["start"]
    if choice_path:
        choice = tables.read(choice_path, tables.START_CHOICE)
        chosen = choice.loc[choice["chosen"], "step"].iloc[0]
        step = None if pd.isna(chosen) else int(chosen)
    if step is None:
        return sampling | {"start": None}
    law = gaussian.load(gaussian_path)
    if law is None:
        raise InputError(f"{gaussian_path}: there was no joint Gaussian to estimate; write sampling.start: null")
    return sampling | {"start": diffusion.Start(step, law)}


def impute(
    model: CSDI,
    numbers: Sequence[int] | np.ndarray,
    values: np.ndarray,
    known: np.ndarray,
    *,
    seed: int,
    sampler: str = "dpm-solver++",
    n_steps: int | None = None,
    eta: float | None = None,
    noise_above: float = 0.5,
    second_order_above: float = 0.0,
    start: diffusion.Start | None = None,
    n_samples: int = 20,
    antithetic: bool = True,
    chunk: int = 20,
    threads: int = 2,
    device: str = "auto",
    time_points: TimePoints | None = None,
    progress: tqdm | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Sample the unknown entries of windows and yield them a few windows at a time.

    Defaults are the schema's of `sampling`.

    Args:
        model: a `CSDI` in evaluation mode.
        numbers: (N,), the windows' numbers; each sample of each window has its own random stream,
            so that it depends neither on `chunk` nor on the other windows.
        values: (N, K, L), z-scores.
        known: boolean (N, K, L), what the model is given.
        seed: integer.
        sampler, n_steps, eta, noise_above, second_order_above, start: as in `diffusion.sample`.
        n_samples: S.
        antithetic: draw samples 2 i and 2 i + 1 from the same numbers with opposite signs. Each is a
            sample as before, but errors of the pair cancel, so that fewer give the same median.
        chunk: windows x samples that a thread works on at once, which bounds the memory; 16
            times as many on a GPU.
        threads: chunks at the same time.
        device: `auto`, `cpu` or `cuda`.
        time_points: (N, L), in steps; None takes 0, 1, .. L - 1.
        progress: a tqdm bar of windows, or something that acts like one.

    Yields:
        (slice, samples): which of the N windows, and an array (S, B, K, L), z-scores, float32.

    Raises:
        InputError: out of memory, or an unknown device or sampler.
    """
    place, times = prepare(model, values, time_points, device)
    at_once, chunk = windows_at_once(device, chunk, n_samples), chunk_on(device, chunk)

    def sample(task):
        batch, drawn = task
        stream = {s: s // 2 * 2 if antithetic else s for s in drawn}
        generators = [
            [torch.Generator().manual_seed(streams.seed(seed, int(number), stream[s])) for number in numbers[batch]]
            for s in drawn
        ]
        with devices.precision(place):
            return diffusion.sample(
                model,
                torch.from_numpy(values[batch]).to(place),
                torch.from_numpy(known[batch]).float().to(place),
                torch.as_tensor(times[batch]).to(place),
                len(drawn),
                sampler=sampler,
                n_steps=n_steps,
                eta=eta,
                noise_above=noise_above,
                second_order_above=second_order_above,
                start=start,
                generator=generators,
                signs=[1 if s == stream[s] else -1 for s in drawn],
            ).cpu()

    batches = list(slices.covering(len(values), at_once))
    parts = [range(n_samples)[part] for part in slices.covering(n_samples, chunk)]
    with devices.workers(threads, place) as pool, devices.enough_memory("lower sampling.chunk"):
        done = slices.in_order(pool, sample, itertools.product(batches, parts), ahead=threads + 1)
        for batch in batches:
            samples = torch.cat([part.float() for part in itertools.islice(done, len(parts))])
            if progress is not None:
                progress.update(batch.stop - batch.start)
            yield batch, samples.numpy()


def windows_at_once(device: str, chunk: int, n_samples: int) -> int:
    """Windows of a batch on a device, each with `n_samples` samples, where a CPU works on `chunk` at once.

    Raises:
        InputError: an unknown device, or none such.
    """
    return max(1, chunk_on(device, chunk) // n_samples)


def chunk_on(device: str, chunk: int) -> int:
    """The chunk of a CPU as it suits a device: a GPU takes 16 times as many.

    Raises:
        InputError: an unknown device, or none such.
    """
    return chunk * 16 if devices.choose(device).type == "cuda" else chunk


def prepare(
    model: CSDI, values: np.ndarray, time_points: TimePoints | None, device: str
) -> tuple[torch.device, TimePoints]:
    """Move the model to a device: the device, and time points (N, L) with their default.

    Raises:
        InputError: an unknown device, or none such.
    """
    place = devices.choose(device)
    model.to(place)
    if time_points is None:
        time_points = torch.arange(values.shape[2], dtype=torch.float32).expand(len(values), -1)
    return place, time_points
