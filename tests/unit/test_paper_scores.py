"""The row of scores "as in the paper" against CSDI's formulas, written with PyTorch's quantiles and medians."""

import numpy as np
import pytest
import torch

from scoredag import metrics


@pytest.mark.parametrize("n_samples", [1, 2, 7, 20])
def test_scores_of_the_paper_are_those_of_its_formulas_in_pytorch(n_samples):
    """Sums over levels of 2 |(q - x) (1[x <= q] - level)|, each over the sum of |x|; lower medians."""
    rng = np.random.default_rng(n_samples)
    samples, truth = rng.normal(size=(n_samples, 300)).round(1), rng.normal(size=300).round(1)  # some are equal
    drawn, x = torch.from_numpy(samples), torch.from_numpy(truth)
    expected = 0.0
    for level in np.arange(0.05, 1.0, 0.05):
        q = torch.quantile(drawn, float(level), dim=0)
        expected += float(2 * ((q - x) * ((x <= q).double() - level)).abs().sum() / x.abs().sum()) / 19
    assert metrics.crps(samples, truth, np.ones(300)) == pytest.approx(expected, rel=1e-12)
    errors = drawn.median(dim=0).values - x
    terms = metrics.paper_terms(samples, truth)
    assert metrics.ratio("mae", *map(np.sum, terms["mae"])) == pytest.approx(float(errors.abs().mean()))
    assert metrics.ratio("rmse", *map(np.sum, terms["rmse"])) == pytest.approx(float(errors.square().mean().sqrt()))
