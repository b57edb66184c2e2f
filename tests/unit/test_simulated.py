"""Simulated series: streams a block, and numbers of the size that the docstring says."""

import itertools

import numpy as np
import pandas as pd
import pytest

from scoredag.series import simulated, worlds


def simulate(**options):
    return simulated.simulate(**{"n_features": 6, "n_steps": 400, "block": 100, "seed": 1} | options)


def test_shape_names_and_times():
    wide = simulate(n_features=12, n_steps=250, start="2001-02-03", interval="15min")
    assert wide.shape == (250, 12)
    assert wide.columns[[0, 1, 11]].tolist() == ["feature_00", "feature_01", "feature_11"]
    assert wide.columns.is_monotonic_increasing
    assert wide.index[0] == pd.Timestamp("2001-02-03", tz="UTC")
    assert (np.diff(wide.index) == np.timedelta64(15, "m")).all()
    assert (wide.dtypes == np.float64).all()


def test_series_depends_on_the_seed_alone():
    pd.testing.assert_frame_equal(simulate(), simulate())
    assert not np.isclose(simulate(seed=2), simulate()).any(axis=0).all()
    assert simulate(seed=2).corrwith(simulate()).abs().max() < 0.9


@pytest.mark.parametrize("n_steps", [100, 130, 300, 900])
def test_block_does_not_depend_on_the_length(n_steps):
    expected = simulate(n_steps=900)[:n_steps]
    pd.testing.assert_frame_equal(simulate(n_steps=n_steps), expected, check_freq=False)


def test_every_block_is_another_world():
    blocks = simulate(n_steps=300).to_numpy().reshape(3, 100, 6)
    correlations = [np.corrcoef(block.T) for block in blocks]
    assert np.abs(correlations[0] - correlations[1]).max() > 0.3
    assert np.abs(correlations[1] - correlations[2]).max() > 0.3


@pytest.fixture(scope="module")
def many():
    return simulate(n_features=8, n_steps=20_000, block=200)


def test_values_are_finite(many):
    assert np.isfinite(many.to_numpy()).all()


def test_variance_is_near_one(many):
    variances = many.var()
    assert variances.between(0.6, 1.4).all()
    assert variances.mean() == pytest.approx(1, abs=0.2)


def test_features_of_a_block_are_related_and_smooth(many):
    """There is something to learn: features predict each other, and an hour the next."""
    blocks = many.to_numpy().reshape(-1, 200, 8)
    blocks = blocks[(blocks.std(axis=1) > 1e-3).all(axis=1)]
    between = np.mean([np.abs(np.corrcoef(block.T)[np.triu_indices(8, 1)]).mean() for block in blocks])
    next_hour = np.mean([np.corrcoef(block[1:, 0], block[:-1, 0])[0, 1] for block in blocks])
    assert between > 0.2
    assert next_hour > 0.5


def explained(target, others):
    """Largest share of the variance of `target` (n,) that a quadratic of two columns of `others` explains."""
    shares = []
    for i, j in itertools.combinations(range(others.shape[1]), 2):
        a, b = others[:, i], others[:, j]
        terms = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=1)
        rest = target - terms @ np.linalg.lstsq(terms, target)[0]
        shares.append(1 - rest.var() / target.var())
    return max(shares)


def test_some_features_follow_from_two_others():
    blocks = simulate(n_steps=6000).to_numpy().reshape(-1, 100, 6)
    best = np.array([[explained(block[:, k], np.delete(block, k, axis=1)) for k in range(6)] for block in blocks])
    assert 0.1 < (best > 0.99).mean() < 0.7


@pytest.mark.parametrize("n_features", [2, 3])
def test_few_features(n_features):
    assert np.isfinite(simulate(n_features=n_features).to_numpy()).all()


@pytest.fixture(scope="module")
def kinds():
    """400 worlds of any kind, (400, 96, 6)."""
    return simulate(n_features=6, n_steps=400 * 96, block=96, world="any").to_numpy().reshape(400, 96, 6)


def test_worlds_of_any_kind_are_finite_and_of_like_size(kinds):
    assert np.isfinite(kinds).all() and np.abs(kinds).max() <= 20
    assert np.abs(kinds.mean()) < 0.05 and kinds.std() == pytest.approx(1, abs=0.1)


def test_worlds_are_of_many_kinds(kinds):
    """Slow and fast, rounded and exact, mostly one value, heavy-tailed, with cycles of other lengths than a day."""
    series = kinds.transpose(0, 2, 1).reshape(-1, 96)
    steps = np.array([np.corrcoef(x[1:], x[:-1])[0, 1] for x in series if x.std() > 1e-3])
    assert (steps > 0.95).mean() > 0.1 and (np.abs(steps) < 0.3).mean() > 0.05
    values = np.array([len(np.unique(x)) for x in series])
    assert (values == 96).mean() > 0.4 and (values < 20).mean() > 0.1
    offset = np.abs(series.mean(axis=1)) / (series.std(axis=1) + 1e-6)
    assert (offset > 2).mean() > 0.05  # a window that lies far from the mean of all
    power = np.abs(np.fft.rfft(series - series.mean(axis=1, keepdims=True), axis=1))[:, 2:] ** 2
    peak = 2 + power.argmax(axis=1)[(power.max(axis=1) > 0.5 * power.sum(axis=1)) & (power.sum(axis=1) > 1)]
    assert len(np.unique(peak)) > 8


@pytest.mark.parametrize("n_features", [1, 2, 32])
def test_worlds_of_any_kind_have_any_number_of_features(n_features):
    worlds_ = [worlds.draw(48, n_features, np.random.default_rng(i)) for i in range(20)]
    assert all(world.shape == (48, n_features) and np.isfinite(world).all() for world in worlds_)
