"""Strategies of conditional masks: what is hidden, how much of it, and what is left to find."""

import itertools

import pytest
import torch

from scoredag.csdi import masks
from scoredag.errors import InputError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def observed_masks(n=400, n_features=5, length=20, share=0.7, seed=0):
    return (torch.rand(n, n_features, length, generator=generator(seed)) < share).float()


def patterns_of(observed, seed=5):
    historical, test = (observed_masks(*observed.shape, share=0.6, seed=seed + i) for i in range(2))
    return masks.Patterns(historical, test)


def runs(hidden):
    """Lengths of the stretches of true entries of a row."""
    return [len(list(group)) for true, group in itertools.groupby(hidden.tolist()) if true]


@pytest.mark.parametrize("shape", [(400, 5, 20), (50, 1, 20), (50, 5, 1), (50, 1, 1)], ids=str)
@pytest.mark.parametrize("name", masks.MASKS)
def test_what_is_given_is_observed_and_the_same_for_the_same_generator(name, shape):
    observed = observed_masks(*shape)
    before = observed.clone()
    one, same, other = (masks.MASKS[name](observed, patterns_of(observed), generator(i)) for i in (1, 1, 2))
    assert one.shape == observed.shape and one.dtype == observed.dtype
    assert ((one == 0) | ((one == 1) & (observed == 1))).all()
    assert torch.equal(observed, before) and torch.equal(one, same)
    drawn = name not in ("historical", "test-pattern")
    assert torch.equal(one, other) != drawn or shape[1:] != (5, 20)


def test_random_takes_every_number_of_targets_equally_often():
    observed = torch.ones(6000, 2, 5)
    n_hidden = (observed - masks.random(observed, None, generator())).sum((1, 2)).long()
    counts = n_hidden.bincount(minlength=11) / 600  # 0 and 10 get half of what the others do
    expected = torch.tensor([0.5, *[1.0] * 9, 0.5])
    assert (counts - expected).abs().max() < 0.2


def test_historical_hides_exactly_what_the_other_window_misses():
    observed = observed_masks()
    patterns = patterns_of(observed)
    hidden = observed - masks.historical(observed, patterns, generator())
    assert torch.equal(hidden.bool(), observed.bool() & ~patterns.historical.bool())


def test_test_pattern_hides_exactly_what_a_window_to_be_tested_on_does():
    observed = observed_masks()
    patterns = patterns_of(observed)
    hidden = observed - masks.test_pattern(observed, patterns, generator())
    assert torch.equal(hidden.bool(), observed.bool() & ~patterns.test.bool())


def test_mix_is_historical_half_of_the_time():
    observed = observed_masks(4000)
    patterns = patterns_of(observed)
    found = masks.mix(observed, patterns, generator())
    historical = masks.historical(observed, patterns, generator())
    same = (found == historical).all(dim=(1, 2)).double().mean().item()
    assert same == pytest.approx(0.5, abs=4 * 0.5 / 4000**0.5)
    others = (found != historical).any(dim=(1, 2))
    shares = 1 - found[others].sum((1, 2)) / observed[others].sum((1, 2))
    assert shares.min() < 0.05 and shares.max() > 0.95  # as random's


def test_blocks_are_runs_of_single_features():
    observed = torch.ones(2000, 5, 20)
    hidden = observed - masks.blocks(observed, None, generator())
    lengths = [length for row in hidden.flatten(0, 1) for length in runs(row)]
    inside = [length for row in hidden[:, :, 1:-1].flatten(0, 1) for length in runs(row) if row[0] == row[-1] == 0]
    assert min(inside) == 2  # a shorter one has been cut off by an end of the window
    assert {2, 5, 10} <= set(lengths)
    touched = hidden.any(dim=2).sum(1)
    assert touched.min() <= 1 and touched.max() == 5
    assert (hidden.mean((0, 1)) - hidden.mean()).abs().max() < 0.1  # everywhere about as often
    assert (hidden.mean((0, 2)) - hidden.mean()).abs().max() < 0.02


def test_a_block_leaves_the_other_features_alone():
    observed = torch.ones(3000, 5, 20)
    hidden = (observed - masks.blocks(observed, None, generator())).any(dim=2)
    single = hidden.sum(1) == 1
    assert single.any() and (hidden[single].sum(0) > 0).all()


def test_outages_hide_whole_features_of_any_number_but_all():
    observed = observed_masks(3000)
    given = masks.outages(observed, None, generator())
    hidden = (given != observed).any(dim=2)
    assert (given[hidden] == 0).all()
    counts = hidden.sum(1).bincount(minlength=6)
    assert counts[0] == counts[5] == 0
    assert (counts[1:5] / 3000 - 0.25).abs().max() < 0.04
    assert (hidden.double().mean(0) - 0.5).abs().max() < 0.04


def test_outages_leave_a_feature_that_has_values():
    observed = observed_masks(3000, share=1.0)
    observed[:, [0, 2]] = 0
    given = masks.outages(observed, None, generator())
    hidden = (given != observed).any(dim=2).sum(1)
    assert sorted(set(hidden.tolist())) == [1, 2]
    observed[:, [1, 3]] = 0
    assert torch.equal(masks.outages(observed, None, generator()), observed)


def test_outages_of_the_only_feature_would_leave_nothing_and_are_drawn_at_random_instead():
    observed = torch.ones(500, 1, 20)
    assert torch.equal(masks.outages(observed, None, generator()), observed)
    given = masks.draw(("outages",), observed, patterns_of(observed), generator()).sum((1, 2))
    assert given.min() <= 1 and given.max() >= 19 and given.unique().numel() > 10


def test_each_window_follows_one_of_the_strategies():
    observed = observed_masks(3000)
    patterns = patterns_of(observed)
    found = masks.draw(("historical", "test-pattern"), observed, patterns, generator())
    historical = (found == observed * patterns.historical).all(dim=(1, 2))
    assert (historical ^ (found == observed * patterns.test).all(dim=(1, 2))).all()
    assert historical.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 3000**0.5)


def test_a_window_left_without_a_target_falls_back_to_random():
    observed = observed_masks(1000)
    patterns = patterns_of(observed)
    patterns.historical[::2] = 1.0  # nothing is missing there
    found = masks.draw(("historical",), observed, patterns, generator())
    assert torch.equal(found[1::2], (observed * patterns.historical)[1::2])
    shares = (1 - found[::2].sum((1, 2)) / observed[::2].sum((1, 2))).sort().values
    assert (shares - (torch.arange(500) + 0.5) / 500).abs().max() < 0.08


@pytest.mark.parametrize("name", masks.MASKS)
def test_windows_with_nothing_observed_stay_empty(name):
    observed = observed_masks(20)
    observed[::3] = 0
    found = masks.draw((name, "random"), observed, patterns_of(observed), generator())
    assert found.isfinite().all() and (found[::3] == 0).all()
    assert (masks.draw((name,), torch.zeros(4, 5, 20), patterns_of(torch.zeros(4, 5, 20)), generator()) == 0).all()


def test_unknown_names_are_refused_with_those_that_are_known():
    observed = observed_masks(3)
    with pytest.raises(InputError, match=r"^training.masks: 'stripes' is unknown; known are random, .*outages$"):
        masks.draw(("random", "stripes"), observed, patterns_of(observed), generator())


def test_gaps_are_runs_that_several_features_share():
    generator = torch.Generator().manual_seed(0)
    observed = torch.ones(400, 5, 30)
    hidden = 1 - masks.gaps(observed, None, generator)
    assert hidden.sum((1, 2)).min() >= 0 and set(hidden.unique().tolist()) == {0.0, 1.0}
    runs = (hidden.diff(dim=2) == 1).sum(2) + hidden[..., 0]
    assert runs.max() == 3  # of one feature
    assert (hidden.any(dim=1).sum(1) > 20).any()  # steps of a window that are concerned
    together = hidden.sum(1)  # features that are hidden at a step
    assert (together == 5).any() and (together == 1).any()
    assert 0.05 < hidden.mean() < 0.5
    assert hidden[:, :, 0].any() and hidden[:, :, -1].any()  # both ends
