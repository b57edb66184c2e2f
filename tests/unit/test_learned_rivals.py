"""What learned rivals are trained on hides values as CSDI's training does, and they are scored as baselines are."""

import numpy as np
import pytest
import torch

from scoredag import metrics


@pytest.fixture
def learned_rivals(root, monkeypatch):
    """The script benchmarks/learned_rivals.py as a module; it asks for PyPOTS only when it trains."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import learned_rivals

    return learned_rivals


def test_hidden_windows_are_the_windows_less_some_values(learned_rivals):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(40, 6, 5)).astype(np.float32)
    windows[rng.random(windows.shape) < 0.1] = np.nan
    hidden = learned_rivals.hidden(windows)
    kept = ~np.isnan(hidden)
    np.testing.assert_array_equal(hidden[kept], windows[kept])
    shares = kept.sum((1, 2)) / (~np.isnan(windows)).sum((1, 2))
    assert (shares < 1).all()
    assert shares.min() < 0.2 < 0.8 < shares.max()


def split_of(learned_rivals, rng, n):
    """Windows of one step and feature, each of which is a target, under two patterns by turns."""
    whole = rng.normal(size=(n, 1, 1))
    targets, codes = np.ones_like(whole, bool), np.zeros(n, int)
    return learned_rivals.Split(np.full_like(whole, np.nan), whole, targets, np.arange(n) % 2, codes)


def test_points_are_scored_by_pattern_and_dressed_with_their_validation_errors(learned_rivals):
    rng = np.random.default_rng(1)
    splits = {name: split_of(learned_rivals, rng, 4000) for name in ("valid", "test")}
    valid, test = (split.truth + np.where(split.pattern, 1.0, 0.1) * rng.normal(size=4000) for split in splits.values())
    trained = learned_rivals.Trained(valid, test, 1, 0.0, 0.0)
    rows = learned_rivals.scores(trained, splits, ["near", "far"])
    found = {(pattern, score): value for pattern, score, value in rows}
    errors = np.abs(test - splits["test"].truth)
    for code, (pattern, deviation) in enumerate((("near", 0.1), ("far", 1.0))):
        here = splits["test"].pattern == code
        assert found[pattern, "mae"] == pytest.approx(errors[here].mean())
        assert found[pattern, "rmse"] == pytest.approx(np.sqrt((errors[here] ** 2).mean()))
        # of a normal law: deviation / sqrt(pi) over the mean of |truth|, sqrt(2 / pi); 19 levels leave out both ends
        assert found[pattern, "crps"] == pytest.approx(20 / 19 * deviation / np.sqrt(2), rel=0.05)
        for percent in metrics.PERCENTS:
            assert found[pattern, f"coverage_{percent}"] == pytest.approx(percent / 100, abs=0.04)
