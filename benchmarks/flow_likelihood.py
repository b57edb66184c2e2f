"""The likelihood of the probability flow of CSDI on some test windows of the default run, beside the variational bound.

python benchmarks/flow_likelihood.py                # the table of docs/surprise.md: ten minutes of one core
python benchmarks/flow_likelihood.py --targets 1    # one window of each pattern

The default run has to be there. The network knows whole diffusion steps alone, so that these are the grid of the ODE.
With x = x_t / sqrt(abar_t) and the noise level s = sqrt((1 - abar_t) / abar_t) it is dx/ds = eps(x, t)
(Karras et al. 2022, equation 3), from the targets with the least noise to where the reverse process starts, and

    log p_0(x_0) = log p_S(x_S) + int div eps ds    (Song et al. 2021, Score-based generative modeling, equation 39),

with p_S of the joint Gaussian. The divergence is exact: one gradient for each target. What is left of the way, from
the least noise to the values themselves, is bounded as the bound's last step is, with the same decoder.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from scoredag import gaussian, laws, streams
from scoredag.csdi import checkpoint, diffusion, imputation, network
from scoredag.series import windows
from scoredag.store import tables

REPLICAS = 48  # gradients at a time
SEED = 1

# (x (D,), diffusion step) to the predicted noise (D,), and its divergence where the third argument says so
Field = Callable[[np.ndarray, int, bool], tuple[np.ndarray, float]]


class Window(NamedTuple):
    """One window (K, L): z-scores, where they are given to the network, and where they are targets."""

    values: np.ndarray
    given: np.ndarray
    targets: np.ndarray


def levels(step: int) -> tuple[np.ndarray, np.ndarray]:
    """abar_t and the noise level of the diffusion steps 0 .. `step`, two arrays (step + 1,)."""
    abar = diffusion.quadratic_schedule().alpha_bar[: step + 1].numpy()
    return abar, np.sqrt((1 - abar) / abar)


def field(model: network.CSDI, window: Window) -> Field:
    """The predicted noise of a window's targets, as a function of their noisy values."""
    values, given = (torch.from_numpy(part)[None].float() for part in (window.values, window.given))
    target = torch.from_numpy(window.targets)
    times = torch.arange(values.shape[2], dtype=torch.float32)[None]
    with torch.no_grad():
        conditions = model.condition(values, given, times)

    def at(x, step, with_divergence):
        root = float(np.sqrt(levels(step)[0][-1]))
        noisy = torch.zeros(values.shape)
        noisy[0, target] = torch.from_numpy(root * x).float()
        if not with_divergence:
            with torch.no_grad():
                return model.denoise(conditions, noisy[None], step)[0, 0, target].double().numpy(), np.nan
        places, slopes = torch.nonzero(target), 0.0
        for some in places.split(REPLICAS):
            copies = noisy.expand(len(some), *noisy.shape).clone().requires_grad_()
            predicted = model.denoise(conditions, copies, step)
            number = torch.arange(len(some))
            (gradient,) = torch.autograd.grad(predicted[number, 0, some[:, 0], some[:, 1]].sum(), copies)
            slopes += gradient[number, 0, some[:, 0], some[:, 1]].double().sum().item()
        return predicted[0, 0, target].detach().double().numpy(), root * slopes

    return at


def flow_surprise(
    noise_of: Field, start: laws.Gaussian | laws.LowRank, x: np.ndarray, steps: np.ndarray, noise_levels: np.ndarray
) -> float:
    """-log p_0(x) in nats of the flow that ends in the law `start` of x_S, both in the scale of the values.

    Args:
        noise_of: the field.
        start: at the last of the `steps`.
        x: (D,), with the noise of the first step.
        steps: diffusion steps, increasing; the ODE is solved on them by Heun's method, and the divergence is integrated
            over the logarithm of the noise level by a cubic spline.
        noise_levels: of each diffusion step.
    """
    spans, slopes = noise_levels[steps], []
    for i, step in enumerate(steps):
        noise, divergence = noise_of(x, step, True)
        slopes.append(divergence * spans[i])
        if i + 1 < len(steps):
            width = spans[i + 1] - spans[i]
            ahead, _ = noise_of(x + width * noise, steps[i + 1], False)
            x = x + width * (noise + ahead) / 2
    along = CubicSpline(np.log(spans), slopes).integrate(*np.log(spans[[0, -1]]))
    return float(start.surprises(x, np.array([len(x)]))[0] - along)


def surprise(
    noise_of: Field,
    law: laws.Gaussian | laws.LowRank,
    clean: np.ndarray,
    step: int,
    normals: np.ndarray,
    every: int = 1,
) -> float:
    """The bound in nats of targets `clean` (D,): the flow, and the last step of ancestral sampling.

    Args:
        noise_of: the field.
        law: of the targets, the observations given.
        clean: z-scores.
        step: where the reverse process starts.
        normals: standard normal numbers (D,), the noise of the last step.
        every: the ODE takes every `every`-th diffusion step, and the last.
    """
    abar, noise_levels = levels(step)
    steps = np.unique([*range(0, step, every), step])
    noisy_law = law.noisy(abar[-1])  # of sqrt(abar) x_S
    x = clean + noise_levels[0] * normals
    predicted, _ = noise_of(x, 0, False)
    # log q(x_0 | clean) - log of the decoder N(x_0 - s_0 eps, beta_1), beta_1 = 1 - abar_0; the square of the normal
    # numbers, whose mean is 1, is a control variate
    ratio = noise_levels[0] ** 2 / (1 - abar[0])
    last = ratio * ((predicted - normals) ** 2 - normals**2) + ratio - 1 - np.log(ratio)
    scaled = _Scaled(noisy_law, float(np.sqrt(abar[-1])))
    return flow_surprise(noise_of, scaled, x, steps, noise_levels) + float(last.sum()) / 2


class _Scaled(NamedTuple):
    """The law of x, where that of `scale` x is known."""

    law: laws.Gaussian | laws.LowRank
    scale: float

    def surprises(self, x, sizes):
        return self.law.surprises(self.scale * x, sizes) - sizes * np.log(self.scale)


def rows(results: Path, n_targets: int) -> Iterator[tuple]:
    """Yield pattern, number of targets, nats a target (flow, with every second step, bound, Gaussian), and seconds.

    Of each pattern windows without missing values, spread evenly, one more as long as targets are fewer than that.
    """
    run, dataset = results / "csdi/nyc-weather", results / "datasets/nyc-weather"
    model = checkpoint.load(run / "model.safetensors")
    stats = tables.read(dataset / "statistics.parquet", tables.STATISTICS)
    numbers, values, roles = windows.read(dataset / "windows.parquet", stats, "test")
    starts = tables.read(dataset / "window_starts.parquet", tables.WINDOW_STARTS).set_index("window").loc[numbers]
    scores = tables.read(run / "window_scores.parquet", tables.WINDOW_SCORES).query("feature == 'all'")
    scores, chosen = scores.set_index("window"), {"start": "auto"}
    start = imputation.options(chosen, dataset / "gaussian.safetensors", run / "start_choice.parquet")["start"]
    targets = roles == windows.TARGET
    complete = (targets | (roles == windows.OBSERVED)).all(axis=(1, 2))
    for pattern in starts["held_out"].cat.categories:
        places = np.flatnonzero((starts["held_out"] == pattern).to_numpy() & complete)
        n_windows = int(np.ceil(n_targets / targets[places].sum(axis=(1, 2)).mean()))
        for place in places[np.linspace(0, len(places) - 1, n_windows + 2).astype(int)[1:-1]]:
            window = Window(values[place], roles[place] == windows.OBSERVED, targets[place])
            law = gaussian.condition(start.gaussian, window.values, window.given)
            clean = window.values[window.targets].astype(np.float64)
            normals = streams.generator(SEED, "flow", int(numbers[place])).standard_normal(len(clean))
            begin = time.perf_counter()
            noise_of = field(model, window)
            fine, coarse = (surprise(noise_of, law, clean, start.step, normals, every) for every in (1, 2))
            known = scores.loc[numbers[place]]
            of_flow = np.array([fine, coarse]) / len(clean)
            yield pattern, len(clean), *of_flow, known["nll_bound"], known["gaussian_nll"], time.perf_counter() - begin


def main() -> None:
    """Print each window, and means over those of each pattern, a target counting once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[1] / "results")
    parser.add_argument("--targets", type=int, default=250)
    arguments = parser.parse_args()
    found = {}
    for pattern, *row in rows(arguments.results, arguments.targets):
        found.setdefault(pattern, []).append(row)
        print(pattern, *(f"{number:.3f}" for number in row), flush=True)
    print(
        "\n| pattern | targets | flow | on every second step | variational bound | joint Gaussian | seconds a window |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    for pattern, table in found.items():
        n_targets, *nats, seconds = np.transpose(table)
        means = " | ".join(f"{np.average(column, weights=n_targets):.3f}" for column in nats)
        print(f"| {pattern} | {n_targets.sum():.0f} | {means} | {np.median(seconds):.0f} |")


if __name__ == "__main__":
    main()
