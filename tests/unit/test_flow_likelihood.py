"""The likelihood of CSDI's probability flow: for a normal law whose noise is told exactly, the law's own."""

import numpy as np
import pytest
import torch

from scoredag import laws
from scoredag.csdi.network import CSDI


@pytest.fixture
def flow_likelihood(root, monkeypatch):
    """The script benchmarks/flow_likelihood.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import flow_likelihood

    return flow_likelihood


@pytest.mark.parametrize("step", [14, 22])
def test_with_the_exact_noise_it_is_the_laws_own(flow_likelihood, step):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4)) / 2
    law = laws.Gaussian(rng.normal(size=4), root @ root.T + 0.1 * np.eye(4))
    clean, noise_levels = law.draw(rng.normal(size=(1, 4)))[0], flow_likelihood.levels(step)[1]

    def exact(x, t, with_divergence):
        """The mean of the noise given x: s (C + s^2)^-1 (x - mean)."""
        inverse = noise_levels[t] * np.linalg.inv(law.covariance + noise_levels[t] ** 2 * np.eye(4))
        return inverse @ (x - law.mean), np.trace(inverse)

    sizes = np.array([4])
    draws = [
        flow_likelihood.surprise(exact, law, clean, step, np.random.default_rng(seed).normal(size=4))
        for seed in range(200)
    ]
    truth, error = law.surprises(clean, sizes)[0], np.std(draws) / np.sqrt(len(draws))
    assert truth - 4 * error - 0.01 < np.mean(draws) < truth + 4 * error + 0.01  # a bound, here next to tight
    assert error < 0.02


def test_the_divergence_is_that_of_finite_differences(flow_likelihood):
    torch.manual_seed(0)
    model = CSDI(2).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight)
    targets = np.zeros((2, 6), bool)
    targets[0, 1:4] = targets[1, 2] = True
    window = flow_likelihood.Window(np.random.default_rng(0).normal(size=(2, 6)), ~targets, targets)
    noise_of, x, width = flow_likelihood.field(model, window), np.array([0.1, -0.4, 1.0, 0.3]), 0.002
    noise, divergence = noise_of(x, 10, True)
    np.testing.assert_allclose(noise, noise_of(x, 10, False)[0], atol=1e-5)
    moves = width * np.eye(4)
    ahead, behind = ([noise_of(x + sign * move, 10, False)[0] for move in moves] for sign in (1, -1))
    slopes = np.diagonal(np.subtract(ahead, behind)) / (2 * width)
    assert divergence == pytest.approx(slopes.sum(), rel=0.01)
