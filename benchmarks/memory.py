"""Peak memory of imputation beyond the imports, measured from inside a process of its own (see csdi.py).

python benchmarks/memory.py WINDOWS SAMPLES CHUNK THREADS NETWORK_EVERY
"""

import itertools
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
from peaks import peak

from scoredag.csdi import checkpoint, imputation

BASE = Path(__file__).resolve().parents[1] / "data" / "csdi-base.safetensors"
N_FEATURES, LENGTH = 35, 48
N_STEPS = 2  # of 50: one step frees what it has allocated before the next


class Sparing:
    """A network that computes in every n-th evaluation only and returns the noisy values in the others.

    Memory peaks inside the network, so that some of its evaluations tell as much as all of them; what
    would pile up from window to window does so in either case.
    """

    def __init__(self, model, every):
        self.model, self.every, self.conditional = model, every, model.conditional
        self.condition, self.to = model.condition, model.to
        self.count = itertools.count()

    def denoise(self, conditions, noisy, step, seed=0):
        """The predicted noise, or `noisy`."""
        return noisy if next(self.count) % self.every else self.model.denoise(conditions, noisy, step, seed)


def main(n_windows, n_samples, chunk, threads, network_every):
    """Impute as a run does, a few windows at a time, and print the memory it took, in GB (10^9 bytes)."""
    before = peak()
    generator = np.random.default_rng(0)
    values = generator.normal(size=(n_windows, N_FEATURES, LENGTH)).astype(np.float32)
    parts = imputation.impute(
        Sparing(checkpoint.load(BASE, N_FEATURES), network_every),
        np.arange(n_windows),
        values,
        generator.random(values.shape) < 0.5,
        n_samples=n_samples,
        chunk=chunk,
        seed=0,
        threads=threads,
        device="cpu",
        sampler="dpm-solver++",
        n_steps=N_STEPS,
        eta=0.0,
        antithetic=False,
    )
    for _, samples in parts:
        assert np.isfinite(samples).all()
    print(json.dumps({"gigabytes": (peak() - before) / 1e9}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
