"""The Langevin step beside other ways to compute the mixture's score, on 10^4 particles x 150 components.

python benchmarks/langevin.py [--markdown] [--quick]

Ours is a whole step of unadjusted Langevin (score, noise and update) by `langevin.run`; the peers compute the
score alone. Sides take turns, times are medians. `--scale` moves 10^7 particles instead and prints time and memory;
`--gather` moves one shard, takes it for all of many particles, and prints what joining and reading these takes.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch
from peaks import peak
from scipy.special import logsumexp

from gather_shards import gather_shards
from scoredag.figures import plane
from scoredag.gmm import langevin, mixture_files, particles, views
from scoredag.store import tables

try:
    import jax
except ImportError:
    jax = None

GMM = mixture_files.read(Path(__file__).resolve().parents[1] / "data/gmm.csv")
STEPS = 200  # of ours in a turn
SHARD = 250_000  # particles
SETTINGS = {"step_size": 0.1, "noise_covariance": np.eye(2), "seed": 1}


def ours(x, threads):
    """A function that moves the particles by STEPS steps, the mixture's field prepared."""
    return lambda: langevin.run(GMM, n_particles=len(x), n_steps=STEPS, start=x, threads=threads, **SETTINGS)


def distributions(x):
    """torch.distributions and autograd."""
    parts = torch.distributions.MultivariateNormal(torch.tensor(GMM.means), torch.tensor(GMM.covariances))
    weights = torch.distributions.Categorical(torch.tensor(GMM.weights))
    mixture = torch.distributions.MixtureSameFamily(weights, parts)

    def score():
        points = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(mixture.log_prob(points).sum(), points)[0].numpy()

    return score


def vectorised(x):
    """NumPy over all pairs, with SciPy's log-sum-exp."""

    def score():
        away = GMM.means - x[:, None]
        pull = np.einsum("kij,nkj->nki", GMM.precisions, away)
        logs = GMM.log_scales - 0.5 * np.einsum("nki,nki->nk", away, pull)
        return np.einsum("nk,nki->ni", np.exp(logs - logsumexp(logs, axis=1, keepdims=True)), pull)

    return score


def tuned(x):
    """NumPy as in `mixture`: an array a coordinate."""
    return lambda: GMM.score(x)


def compiled(x):
    """JAX: jit of vmap of grad."""
    jax.config.update("jax_enable_x64", True)
    whiteners, means, scales = (jax.numpy.asarray(a) for a in (GMM.whiteners, GMM.means, GMM.log_scales))

    def log_density(point):
        white = jax.numpy.einsum("kij,kj->ki", whiteners, means - point)
        return jax.scipy.special.logsumexp(scales - 0.5 * (white**2).sum(axis=1))

    score, points = jax.jit(jax.vmap(jax.grad(log_density))), jax.numpy.asarray(x)
    return lambda: np.asarray(score(points).block_until_ready())


def dense(x):
    """Products with a 6 x K and a K x 6 matrix about a softmax: the fewest operations of a dense method."""
    p, m = GMM.precisions, GMM.means
    pull = np.einsum("kij,kj->ki", p, m)
    constant = GMM.log_scales - 0.5 * np.einsum("ki,ki->k", pull, m)
    quadratic = [-0.5 * p[:, 0, 0], -p[:, 0, 1], -0.5 * p[:, 1, 1]]
    into = torch.tensor(np.stack([constant, *pull.T, *quadratic]))
    back = torch.tensor(np.stack([*pull.T, p[:, 0, 0], p[:, 0, 1], p[:, 1, 1]], axis=1))
    points = torch.tensor(x)

    def score():
        a, b = points.T
        features = torch.stack([torch.ones_like(a), a, b, a * a, a * b, b * b], dim=1)
        means = torch.softmax(features @ into, dim=1) @ back
        along_x = means[:, 0] - means[:, 2] * a - means[:, 3] * b
        return torch.stack([along_x, means[:, 1] - means[:, 3] * a - means[:, 4] * b], dim=1).numpy()

    return score


def exponentials(x):
    """The exponential function alone, of N x K numbers, in torch."""
    numbers = -40 * torch.rand(len(x), GMM.n_components, dtype=torch.float64)
    result = torch.empty_like(numbers)
    return lambda: torch.exp(numbers, out=result)


PEERS = {
    "torch.distributions.MixtureSameFamily, autograd": (distributions, 100),
    "NumPy, vectorised, log-sum-exp": (vectorised, 150),
    "NumPy, an array a coordinate (GaussianMixture.score)": (tuned, None),
    "JAX, jit(vmap(grad))": (compiled, 50),
    "torch, two matrix products about a softmax": (dense, 8),
    "torch, exp of N x K numbers": (exponentials, 1),
}


def seconds(function):
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(n_particles, n_rounds, threads):
    """Rows of the table: peer, its time a step, ours, ratio, goal."""
    x = GMM.sample(n_particles, 1)
    step = ours(x, threads)
    step()
    rows = []
    for name, (make, goal) in PEERS.items():
        if make is compiled and jax is None:
            rows.append((name, "not installed", "", "", str(goal), ""))
            continue
        peer = make(x)
        result = peer()
        if make is not exponentials:
            np.testing.assert_allclose(result, GMM.score(x), rtol=1e-7, atol=1e-7)
        pairs = [(seconds(peer), seconds(step) / STEPS) for _ in range(n_rounds)]
        theirs, mine = (f"{statistics.median(side) * 1e3:.3g} ms" for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        judged = (str(goal), "yes" if ratio >= goal else "no") if goal else ("", "")
        rows.append((name, theirs, mine, f"{ratio:.3g}", *judged))
    return rows


def print_table(rows, markdown):
    """As Markdown, or in columns."""
    head = ("peer", "peer, a step", "ours, a step", "ratio", "at least", "met")
    if markdown:
        for row in (head, ["---"] * len(head), *rows):
            print("| " + " | ".join(row) + " |")
    else:
        for row in (head, *rows):
            print(f"{row[0]:55}" + "".join(f"{cell:>14}" for cell in row[1:]))


def scale(n_particles, threads):
    """Move many particles, shard by shard; print seconds, and the peak of memory."""
    start = time.perf_counter()
    for first in range(0, n_particles, SHARD):
        n = min(SHARD, n_particles - first)
        langevin.run(GMM, n_particles=n, first=first, n_steps=1000, threads=threads, **SETTINGS)
    took = time.perf_counter() - start
    print(f"{n_particles} particles x 1000 steps: {took:.0f} s, {1e6 * took / n_particles:.1f} ns a particle and step")
    print(f"peak of memory: {peak() / 1e9:.2f} GB, torch's imports included")


def gather(n_particles, threads):
    """Join one shard, again and again, to a table of many particles, and read it as the metrics and figures do."""
    n_shards = -(-n_particles // SHARD)

    def told(what, function):
        begin = time.perf_counter()
        function()
        took = time.perf_counter() - begin
        print(f"{what}: {took:.1f} s, {peak() / 1e9:.2f} GB at most, torch's imports included", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        shards, whole = [str(Path(folder) / f"{number}.parquet") for number in range(2)], str(Path(folder) / "whole")

        def move():
            for number, path in enumerate(shards):
                options = {"n_particles": SHARD, "first": number * SHARD, "n_steps": 1000, "threads": threads}
                tables.write(langevin.simulate(GMM, **options, **SETTINGS), path, tables.PARTICLES)

        told(f"2 shards of {SHARD} particles x 1000 steps", move)
        paths = [shards[0]] + [shards[1]] * (n_shards - 1)  # the first particles are there once
        settings = {"variant": {"snapshots": [], "n_steps": 1000}}
        told(f"{n_shards} shards joined", lambda: gather_shards(paths, whole, settings))
        print(f"{Path(whole).stat().st_size / (n_shards * SHARD):.1f} bytes a particle")
        told("the first 10000 of them", lambda: particles.read_last(whole, 10_000))
        told("all of them, counted in bins", lambda: plane.count(particles.batches(whole), views.view_of(GMM)))


def main():
    """Print the table, or what many particles take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few particles and rounds")
    parser.add_argument("--scale", type=int, metavar="N", help="move N particles by 1000 steps, shard by shard")
    parser.add_argument("--gather", type=int, metavar="N", help="join shards of N particles, and read them")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.scale:
        scale(options.scale, options.threads)
        return
    if options.gather:
        gather(options.gather, options.threads)
        return
    n_particles, n_rounds = (500, 2) if options.quick else (options.particles, options.rounds)
    print(f"{n_particles} particles x {GMM.n_components} components, float64, {options.threads} threads\n")
    print_table(compare(n_particles, n_rounds, options.threads), options.markdown)


if __name__ == "__main__":
    main()
