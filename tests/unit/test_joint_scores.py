"""Joint scores: known values, and that they see what scores of single entries do not."""

import numpy as np
import pytest

from scoredag import joint_scores


def test_the_energy_score_of_one_entry_is_its_crps():
    """Of N(0, 1) at 0 that is (sqrt(2) - 1) / sqrt(pi)."""
    draws = np.random.default_rng(0).normal(size=(2000, 1))
    assert joint_scores.energy_score(draws, np.zeros(1)) == pytest.approx((2**0.5 - 1) / np.pi**0.5, abs=0.01)


def test_the_variogram_score_compares_roots_of_differences():
    draws, truth = np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0]]), np.array([0.0, 4.0, 4.0])
    # roots of differences: 1, 2, sqrt(3) of the draws; 2, 2, 0 of the truth
    assert joint_scores.variogram_score(draws, truth) == pytest.approx((1 + 0 + 3) / 3)
    assert joint_scores.variogram_score(draws[:, :1], truth[:1]) == 0


def test_scores_of_a_long_window_are_those_of_the_formulas_on_entries_spread_evenly():
    rng = np.random.default_rng(1)
    draws, truth = rng.normal(size=(7, 250)), rng.normal(size=250)
    apart = np.linalg.norm(draws[:, None] - draws, axis=-1)
    energy = np.linalg.norm(draws - truth, axis=-1).mean() - apart.sum() / (7 * 6) / 2
    assert joint_scores.energy_score(draws, truth) == pytest.approx(energy / 250**0.5)
    chosen = np.linspace(0, 249, joint_scores.MOST).round().astype(int)
    first, second = (chosen[place] for place in np.triu_indices(joint_scores.MOST, 1))
    roots = np.sqrt(np.abs(draws[:, first] - draws[:, second])).mean(axis=0)
    variogram = ((np.sqrt(np.abs(truth[first] - truth[second])) - roots) ** 2).mean()
    assert joint_scores.variogram_score(draws, truth) == pytest.approx(variogram, rel=1e-5)


def test_stray_draws_leave_scores_finite():
    draws = np.zeros((4, 3))
    draws[0, 0] = 1e25
    assert np.isfinite(joint_scores.energy_score(draws, np.zeros(3)))
    assert np.isfinite(joint_scores.variogram_score(draws, np.zeros(3)))


def correlated(n_windows, rng, n_draws=40):
    """Ten entries of a window that share most of their noise; draws of that law, and each entry shuffled."""
    shape = (n_windows, 10)

    def draw():
        return (rng.normal(size=(n_windows, 1)) + 0.1 * rng.normal(size=shape)).ravel()

    draws = np.stack([draw() for _ in range(n_draws)])
    return (
        draws,
        rng.permuted(draws, axis=0),
        draw(),
        np.repeat(np.arange(n_windows), 10),
        np.zeros(n_windows * 10, int),
    )


def test_shuffled_entries_are_seen_by_all_joint_scores():
    rng = np.random.default_rng(0)
    draws, shuffled, *rest = correlated(400, rng)

    def scores(these):
        terms = joint_scores.terms(these, *rest)
        return {name: top.sum() / bottom.sum() for name, (top, bottom) in terms.items()}

    joint, alone = scores(draws), scores(shuffled)
    assert joint["coverage_80_of_mean"] == pytest.approx(0.8, abs=0.06) and alone["coverage_80_of_mean"] < 0.5
    for name in ("energy_score", "variogram_score", "crps_of_mean"):
        assert joint[name] < 0.97 * alone[name], name


def test_terms_stand_at_the_first_entry_of_a_window_and_of_a_mean():
    window, feature = np.array([3, 3, 3, 7]), np.array([0, 1, 0, 1])
    draws, truth = np.arange(12.0).reshape(3, 4), np.array([1.0, 2.0, 3.0, 4.0])
    terms = joint_scores.terms(draws, truth, window, feature)
    assert terms["energy_score"][1].tolist() == [1, 0, 0, 1]
    top, bottom = terms["crps_of_mean"]
    assert bottom.tolist() == [2, 2, 0, 4] and top[2] == 0  # |mean of 1 and 3|, |2|, |4|
    assert terms["coverage_80_of_mean"][1].tolist() == [1, 1, 0, 1]
