"""Imputation of many windows: streams and batches."""

import numpy as np
import torch

from scoredag.csdi import imputation
from scoredag.csdi.network import CSDI

OPTIONS = {"n_samples": 3, "seed": 1, "sampler": "ddpm", "n_steps": 4}


def a_problem(n=5):
    torch.manual_seed(0)
    model = CSDI(3).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.01)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 3, 6)).astype(np.float32)
    return model, np.arange(10, 10 + n), values, rng.random(values.shape) < 0.6


def impute(model, numbers, values, known, chunk, **more):
    parts = imputation.impute(model, numbers, values, known, chunk=chunk, **OPTIONS, **more)
    return np.concatenate([samples for _, samples in parts], axis=1)


def test_samples_depend_neither_on_the_chunk_nor_on_companions():
    model, numbers, values, known = a_problem()
    whole = impute(model, numbers, values, known, 15)
    assert whole.shape == (3, 5, 3, 6)
    for chunk in (1, 2, 7):  # less than a window's samples, and more
        found = impute(model, numbers, values, known, chunk, threads=2)
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)
    alone = impute(model, numbers[3:4], values[3:4], known[3:4], 3)
    np.testing.assert_allclose(alone, whole[:, 3:4], rtol=1e-5, atol=1e-5)


def test_known_entries_are_kept_and_unknown_ones_vary():
    model, numbers, values, known = a_problem()
    samples = impute(model, numbers, values, known, 15)
    assert (samples[:, known] == values[known]).all()
    assert (samples[:, ~known].std(axis=0) > 0).all()


def test_batches_cover_all_windows_once():
    model, numbers, values, known = a_problem()
    parts = imputation.impute(model, numbers, values, known, chunk=6, **OPTIONS)
    assert [part for part, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_antithetic_samples_start_from_opposite_numbers():
    model, numbers, values, known = a_problem()
    torch.nn.init.zeros_(model.diffmodel.output_projection2.weight)  # predicts no noise: a linear sampler
    torch.nn.init.zeros_(model.diffmodel.output_projection2.bias)
    samples = impute(model, numbers, values, known, 2, antithetic=True)
    np.testing.assert_allclose(samples[1][~known], -samples[0][~known], rtol=1e-5)
    assert not np.allclose(samples[2][~known], samples[0][~known])
