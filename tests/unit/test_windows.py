"""Windows of a series: no leaks between splits, held-out targets, statistics, arrays."""

import itertools
import logging

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from cut_windows import cut_windows
from scoredag.errors import InputError
from scoredag.series import missingness, tidy, windows
from scoredag.store import tables, weights

SHARES = (0.7, 0.1, 0.2)
LENGTH = 24
BLOCK = 60
N_STEPS = 6_000
TRAIN, VALID, TEST = range(3)


@pytest.fixture(scope="module")
def splits():
    return windows.assign_splits(N_STEPS, BLOCK, SHARES)


@pytest.fixture(scope="module")
def found(splits):
    return windows.starts(splits, LENGTH, (6, LENGTH, LENGTH))


@pytest.fixture(scope="module")
def wide():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N_STEPS, 3)) * [1.0, 10.0, 0.01] + [0.0, 1000.0, -5.0]
    values[rng.uniform(size=values.shape) < 0.1] = np.nan
    times = pd.date_range("2020-01-01", periods=N_STEPS, freq="1h", tz="UTC", name="time")
    return pd.DataFrame(values, times, ["wind", "pressure", "humid"])


def hold_out_fifth(window, observed):
    return missingness.hold_out_random(observed, 0.2, np.random.default_rng(window))


@pytest.fixture(scope="module")
def table(wide, found):
    return windows.cut(wide, *found, LENGTH, hold_out_fifth)


def as_cube(column):
    """A column of the table of windows as (N, L, K)."""
    return np.asarray(column).reshape(-1, LENGTH, 3)


def test_windows_are_cut_in_parts_as_they_are_together(wide, found, table):
    parts = np.array_split(np.arange(len(found[0])), 5)
    together = pd.concat([windows.cut(wide, *found, LENGTH, hold_out_fifth, part) for part in parts])
    pd.testing.assert_frame_equal(together.reset_index(drop=True), table)


def test_each_block_is_in_one_split(splits):
    assert splits.shape == (N_STEPS,)
    blocks = splits.reshape(-1, BLOCK)
    assert (blocks == blocks[:, :1]).all()


def test_shares_are_met(splits):
    np.testing.assert_allclose(np.bincount(splits) / N_STEPS, SHARES, rtol=1e-12)


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.55, 0.15, 0.3)])
@pytest.mark.parametrize("n_blocks", [7, 36, 101])
def test_shares_are_met_within_one_block(shares, n_blocks):
    counts = np.bincount(windows.assign_splits(n_blocks * 5, 5, shares), minlength=3) / 5
    assert np.abs(counts - np.multiply(shares, n_blocks)).max() <= 1


def test_every_split_is_spread_over_the_series(splits):
    for quarter in splits.reshape(4, -1):
        assert set(quarter) == {TRAIN, VALID, TEST}


def test_last_block_may_be_short():
    whole = windows.assign_splits(100, 10, SHARES)
    np.testing.assert_array_equal(windows.assign_splits(93, 10, SHARES), whole[:93])


def test_starts_are_those_of_a_walk_through_each_stretch(splits, found):
    expected, begin = [], 0
    for split, stretch in itertools.groupby(splits.tolist()):
        n = len(list(stretch))
        stride = 6 if split == TRAIN else LENGTH
        expected += [(begin + first, split) for first in range(0, n, stride) if first + LENGTH <= n]
        if split != TRAIN and n % LENGTH:
            expected.append((begin + n - LENGTH, split))
        begin += n
    np.testing.assert_array_equal(np.transpose(found), expected)


def test_no_hour_is_in_two_splits(splits, found):
    first_steps, codes = found
    hours = {code: set() for code in (TRAIN, VALID, TEST)}
    for first, code in zip(first_steps.tolist(), codes.tolist(), strict=True):
        hours[code].update(range(first, first + LENGTH))
    for one, other in itertools.combinations(hours.values(), 2):
        assert one and other and not one & other
    for code, steps in hours.items():
        assert max(steps) < N_STEPS
        assert (splits[sorted(steps)] == code).all()


@pytest.mark.parametrize("split", [VALID, TEST])
def test_validation_and_test_windows_overlap_at_the_end_of_a_block_alone_and_leave_nothing_over(splits, found, split):
    first_steps, codes = found
    mine = first_steps[codes == split]
    overlap = np.flatnonzero(np.diff(mine) < LENGTH) + 1
    assert len(overlap) > 5
    assert ((mine[overlap] + LENGTH) % BLOCK == 0).all()
    covered = np.unique(mine[:, None] + np.arange(LENGTH))
    np.testing.assert_array_equal(covered, np.flatnonzero(splits == split))


def test_training_windows_overlap_by_the_stride(found):
    first_steps, codes = found
    gaps = np.diff(first_steps[codes == TRAIN])
    assert gaps.min() == 6
    assert (gaps == 6).mean() > 0.5


def test_series_too_short_for_a_window_gives_none():
    first_steps, codes = windows.starts(np.zeros(10, dtype=int), 11, (1, 11, 11))
    assert len(first_steps) == len(codes) == 0
    assert windows.starts(np.zeros(10, dtype=int), 10, (1, 10, 10))[0].tolist() == [0]


def test_statistics_are_those_of_the_training_split(wide, splits):
    stats = windows.statistics(wide, splits)
    assert list(stats.columns) == tables.STATISTICS.names
    assert stats["feature"].tolist() == ["wind", "pressure", "humid"]
    train = wide.to_numpy()[splits == TRAIN]
    np.testing.assert_allclose(stats["mean"], np.nanmean(train, axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stats["std"], np.nanstd(train, axis=0), rtol=1e-9)
    np.testing.assert_allclose(stats["missing_fraction"], np.isnan(wide.to_numpy()).mean(axis=0))


def test_statistics_do_not_see_validation_and_test(wide, splits):
    changed = wide.copy()
    changed[splits != TRAIN] = 1e3
    columns = ["feature", "mean", "std"]
    expected = windows.statistics(wide, splits)[columns]
    pd.testing.assert_frame_equal(windows.statistics(changed, splits)[columns], expected)


# the mean of so many equal numbers is not exactly the number
@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 1048.36])
def test_constant_feature_is_refused(wide, splits, value):
    changed = wide.copy()
    changed.loc[splits == TRAIN, "pressure"] = value
    with pytest.raises(InputError, match=r"\A.*'pressure'.*constant.*\Z"):
        windows.statistics(changed, splits)


def test_feature_never_observed_in_training_is_refused(wide, splits):
    changed = wide.copy()
    changed.loc[splits == TRAIN, "humid"] = np.nan
    with pytest.raises(InputError, match=r"\A.*'humid'.*no value.*\Z"):
        windows.statistics(changed, splits)


@pytest.mark.parametrize("value", [1e30, -1e30, 1e300, 1e9])
@pytest.mark.parametrize("split", [TRAIN, VALID, TEST])
def test_an_absurd_value_is_refused_with_its_time_and_a_cure(wide, splits, value, split):
    changed = wide.copy()
    step = np.flatnonzero(splits == split)[7]
    changed.iloc[step, 2] = value
    with pytest.raises(InputError) as caught:
        windows.statistics(changed, splits)
    line = str(caught.value)
    assert "\n" not in line and line.endswith("set datasets.*.plausible for its column")
    assert f"feature 'humid': {value:g} at {wide.index[step]} " in line


@pytest.mark.parametrize("value", [1e30, -1e9])
def test_an_absurd_value_of_a_feature_that_mostly_rests_is_refused(wide, splits, value):
    changed = wide.copy()
    rng = np.random.default_rng(0)
    changed["humid"] = np.where(rng.uniform(size=N_STEPS) < 0.1, rng.gamma(0.5, size=N_STEPS), 0.0)
    windows.statistics(changed, splits)
    changed.iloc[11, 2] = value
    with pytest.raises(InputError, match=r"'humid'.*plausible"):
        windows.statistics(changed, splits)


HEAVY = {
    "student 3": lambda rng, n: rng.standard_t(3, size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(size=n),
    "log-normal": lambda rng, n: rng.lognormal(0, 2, size=n),
    "rain": lambda rng, n: np.where(rng.uniform(size=n) < 0.02, rng.lognormal(0, 2, size=n), 0.0),
    "switch": lambda rng, n: np.where(np.arange(n) == 5, 1e9, 0.0),
    "counts": lambda rng, n: np.where(rng.uniform(size=n) < 0.3, rng.poisson(1e5, size=n), 0.0),
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-30,
    "huge": lambda rng, n: rng.normal(size=n) * 1e30,
    "pressure": lambda rng, n: 101_325 + np.round(rng.normal(size=n), 2),
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_tails_and_odd_scales_pass(splits, name):
    for seed in range(5):
        values = HEAVY[name](np.random.default_rng(seed), N_STEPS)
        stats = windows.statistics(pd.DataFrame({"x": values}), splits)
        assert np.isfinite(stats["std"]).all()


def test_windows_hold_the_series_from_their_first_step(wide, found, table):
    assert list(table.columns) == tables.WINDOWS.names
    assert table["window"].tolist() == np.repeat(np.arange(len(found[0])), LENGTH * 3).tolist()
    assert table["feature"][:6].tolist() == ["wind", "pressure", "humid"] * 2
    assert table["step"][:6].tolist() == [0, 0, 0, 1, 1, 1]
    for i, values in enumerate(as_cube(table["value"])):
        expected = wide.to_numpy()[found[0][i] : found[0][i] + LENGTH]
        hidden = np.isnan(values) & ~np.isnan(expected)
        assert not hidden[overlap_of(found, i) :].any()
        np.testing.assert_array_equal(values[~hidden], expected[~hidden])


def overlap_of(found, i):
    """Steps of a validation or test window that the one before has, too."""
    first_steps, codes = found
    return max(first_steps[i - 1] + LENGTH - first_steps[i], 0) if i and codes[i - 1] == codes[i] != TRAIN else 0


def test_each_entry_is_a_target_once_also_where_windows_overlap(wide, found):
    table = windows.cut(wide, *found, LENGTH, lambda window, observed: observed)  # hides all that there is
    targets = table[table["role"] == "target"]
    steps = found[0][targets["window"]] + targets["step"]
    assert not pd.DataFrame({"step": steps, "feature": targets["feature"]}).duplicated().any()
    held_out = np.isin(np.arange(N_STEPS), found[0][found[1] != TRAIN][:, None] + np.arange(LENGTH))
    assert len(targets) == wide[held_out].notna().to_numpy().sum()


def test_windows_name_their_split(found, table):
    names = as_cube(table["split"])[:, 0, 0]
    assert names.tolist() == [("train", "valid", "test")[code] for code in found[1]]


def test_missing_entries_are_those_without_a_value(table):
    np.testing.assert_array_equal(table["role"] == "missing", table["value"].isna())


def test_targets_are_only_in_validation_and_test(table):
    assert set(table.loc[table["split"] == "train", "role"]) == {"observed", "missing"}
    assert set(table.loc[table["role"] == "target", "split"]) == {"valid", "test"}


def test_targets_are_the_asked_share_of_what_is_observed(wide, found, table):
    held_out = table[table["split"] != "train"]
    n_targets = (as_cube(held_out["role"]) == "target").sum(axis=(1, 2))
    for i, n in zip(np.flatnonzero(found[1] != TRAIN), n_targets, strict=True):
        values = wide.to_numpy()[found[0][i] : found[0][i] + LENGTH]
        share = round(0.2 * np.count_nonzero(~np.isnan(values)))
        assert n == share if not overlap_of(found, i) else n < share


def test_what_was_counted_before_stays_hidden(wide, found, table):
    """An overlapping window is no easier than the others: it misses as large a share."""
    roles = as_cube(table["role"])
    overlapping = [i for i in range(len(roles)) if overlap_of(found, i)]
    for i in overlapping:
        values = wide.to_numpy()[found[0][i] : found[0][i] + LENGTH]
        n = np.count_nonzero(~np.isnan(values))
        assert (roles[i] == "observed").sum() == n - round(0.2 * n)
    assert len(overlapping) > 10


def test_hold_out_draws_from_the_observed_entries_alone_and_evenly():
    observed = np.random.default_rng(0).uniform(size=(6, 4)) < 0.6
    rng = np.random.default_rng(1)
    masks = np.array([missingness.hold_out_random(observed, 0.5, rng) for _ in range(2_000)])
    assert masks.dtype == bool
    assert not masks[:, ~observed].any()
    assert set(masks.sum(axis=(1, 2))) == {round(0.5 * observed.sum())}
    expected = round(0.5 * observed.sum()) / observed.sum()
    assert np.abs(masks.mean(axis=0)[observed] - expected).max() < 5 * 0.5 / np.sqrt(2_000)


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.1, 1), (1.0, 12)])
def test_hold_out_rounds_to_whole_entries(share, n):
    mask = missingness.hold_out_random(np.ones((3, 4), bool), share, np.random.default_rng(0))
    assert mask.sum() == n


def test_hold_out_of_nothing_observed_is_empty():
    assert not missingness.hold_out_random(np.zeros((3, 4), bool), 0.5, np.random.default_rng(0)).any()


def random_observed(share, shape=(24, 18), seed=0):
    return np.random.default_rng(seed).uniform(size=shape) < share


def runs(column):
    """Lengths of the stretches of true entries."""
    return [len(list(group)) for true, group in itertools.groupby(column.tolist()) if true]


PATTERNS = [
    {"pattern": "random", "share": 0.1},
    {"pattern": "random", "share": 0.9},
    {"pattern": "blocks", "share": 0.1, "length": 6},
    {"pattern": "blocks", "share": 0.8, "length": 24},
    {"pattern": "blocks", "share": 0.5, "length": 1},
    {"pattern": "outages", "share": 0.2},
    {"pattern": "outages", "share": 0.9},
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_targets_are_a_subset_of_what_is_observed_and_the_same_for_the_same_seed(pattern, share):
    observed = random_observed(share)
    before = observed.copy()
    one, same, other = (missingness.hold_out(observed, np.random.default_rng(seed), **pattern) for seed in (1, 1, 2))
    assert one.dtype == bool and one.shape == observed.shape
    assert not (one & ~observed).any()
    np.testing.assert_array_equal(observed, before)
    np.testing.assert_array_equal(one, same)
    assert share < 0.5 or (one != other).any()


def test_an_unknown_pattern_is_an_error():
    with pytest.raises(ValueError, match="random, blocks, outages"):
        missingness.hold_out(random_observed(1.0), np.random.default_rng(0), pattern="stripes", share=0.1)


@pytest.mark.parametrize(("share", "length"), [(0.1, 6), (0.1, 1), (0.3, 24), (0.6, 5)])
def test_blocks_are_runs_of_their_length_until_the_share_is_reached(share, length):
    observed = random_observed(1.0)
    masks = [missingness.hold_out_blocks(observed, share, length, np.random.default_rng(seed)) for seed in range(99)]
    for mask in masks:
        assert min(itertools.chain.from_iterable(runs(column) for column in mask.T)) >= length
        assert share * mask.size <= mask.sum() < share * mask.size + length
    assert (np.sum(masks, axis=0) > 0).mean() > 0.9  # every place has its turn


def test_blocks_count_observed_entries_alone():
    observed = random_observed(0.4)
    mask = missingness.hold_out_blocks(observed, 0.25, 6, np.random.default_rng(0))
    assert 0.25 * observed.sum() <= mask.sum() < 0.25 * observed.sum() + 6
    hidden = mask | ~observed  # a run may cross what is missing
    for feature in np.flatnonzero(mask.any(axis=0)):
        assert max(runs(hidden[:, feature])) >= 6


@pytest.mark.parametrize("shape", [(24, 1), (6, 3), (1, 1), (1, 5)])
def test_blocks_leave_something(shape):
    observed = np.ones(shape, bool)
    mask = missingness.hold_out_blocks(observed, 0.99, min(6, shape[0]), np.random.default_rng(0))
    assert mask.sum() < observed.size
    assert mask.any() == (observed.size > min(6, shape[0]))


def test_blocks_find_nothing_to_hide_in_one_entry():
    observed = np.zeros((24, 3), bool)
    observed[5, 1] = True
    assert not missingness.hold_out_blocks(observed, 0.5, 6, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("share", "n"), [(0.01, 1), (0.2, 4), (0.5, 9), (0.99, 17)])
def test_outages_hide_whole_features(share, n):
    observed = random_observed(0.5)
    mask = missingness.hold_out_outages(observed, share, np.random.default_rng(0))
    hidden = mask.any(axis=0)
    assert hidden.sum() == n
    np.testing.assert_array_equal(mask[:, hidden], observed[:, hidden])


def test_outages_take_features_with_values_and_never_the_last():
    observed = np.zeros((24, 6), bool)
    observed[3:9, [1, 4]] = True
    taken = {tuple(missingness.hold_out_outages(observed, 0.9, np.random.default_rng(i)).any(axis=0)) for i in range(9)}
    assert {tuple(np.flatnonzero(features)) for features in taken} == {(1,), (4,)}
    observed[:, 4] = False
    assert not missingness.hold_out_outages(observed, 0.9, np.random.default_rng(0)).any()


def test_validation_and_test_windows_are_repeated_once_a_pattern():
    splits = np.array([TRAIN, TEST, VALID, VALID, TEST, TRAIN, VALID, VALID])
    which, patterns = windows.assign_patterns(splits, 3)
    assert which.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 6, 7, 1, 2, 3, 4, 6, 7]
    assert patterns.tolist() == [-1, 0, 0, 0, 0, -1, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_one_more_pattern_leaves_the_numbers_of_all_windows(found):
    few, more = (np.array(windows.assign_patterns(found[1], n)) for n in (2, 3))
    assert np.array_equal(few, more[:, : few.shape[1]]) and more.shape[1] > few.shape[1]


def test_one_pattern_leaves_the_windows_as_they_are(found):
    which, patterns = windows.assign_patterns(found[1], 1)
    assert which.tolist() == list(range(len(found[0])))
    np.testing.assert_array_equal(patterns, np.where(found[1] == TRAIN, -1, 0))


def test_high_and_low_hide_what_is_among_the_extremes_of_its_feature_and_observed():
    ranks, observed = np.linspace(0, 0.99, 12).reshape(6, 2), np.ones((6, 2), bool)
    observed[5, 1] = False
    options = {"share": 0.3, "ranks": ranks}
    high, low = (
        missingness.hold_out(observed, np.random.default_rng(0), pattern=p, **options) for p in ("high", "low")
    )
    assert np.array_equal(high, observed & (ranks >= 0.7)) and np.array_equal(low, ranks < 0.3)
    assert high.sum() == 3 and low.sum() == 4


def masks_like(gaps, first, rng):
    return [mask.tolist() for mask in gaps.like(first, rng)]


def test_own_gaps_are_those_of_stretches_at_the_same_time_of_day_in_one_series():
    """Two series of 40 steps, days of 8: a gap of both features at 10 and 11, one of a feature at 47 and 48."""
    missing = np.zeros((80, 2), bool)
    missing[10:12] = True
    missing[47:49, 0] = True
    gaps = missingness.OwnGaps(missing, [40, 40], 6, day=8)
    # of the first series stretches from 5 to 11, of the second, whose step 7 is missing, from 2 to 8
    assert len(gaps) == 7 + 7
    rng = np.random.default_rng(0)
    of_first, of_second = missing[6:12].tolist(), missing[46:52].tolist()
    assert sorted(masks_like(gaps, 6, rng)) == sorted([of_first, of_second])  # both begin at the time of 6
    assert sorted(masks_like(gaps, 30, rng)) == sorted([of_first, of_second])
    alone = missingness.OwnGaps(missing[:40], [40], 6, day=20)
    assert len(masks_like(alone, 0, rng)) == 7  # none begins at its time of day: any
    assert not len(missingness.OwnGaps(missing[20:40], [20], 6)) and not len(
        missingness.OwnGaps(~missing[20:30], [10], 4)
    )


def test_the_own_pattern_takes_the_first_gaps_that_hide_some_of_what_is_there_but_not_all():
    observed = np.array([[True, False], [True, False], [True, False]])
    nothing, everything = np.array([[False, True]] * 3), np.ones((3, 2), bool)
    some = np.array([[False, True], [True, True], [False, False]])
    hidden = missingness.hold_out(observed, np.random.default_rng(0), pattern="own", gaps=[nothing, everything, some])
    assert np.array_equal(hidden, some & observed) and hidden.sum() == 1
    assert not missingness.hold_out(observed, np.random.default_rng(0), pattern="own", gaps=[nothing]).any()


def test_windows_lose_what_is_missing_elsewhere(cut, wide):
    """Runs of four steps of two features together, always at the same hours: so are the targets."""
    gappy = wide.fillna(0.0)
    for first in range(12, len(wide) - 24, 24 * 5):
        gappy.iloc[first : first + 4, :2] = np.nan
    table, _ = cut(OWN, series=gappy)
    targets = table[table["role"] == "target"]
    assert len(targets) and set(targets["feature"].cat.codes) == {0, 1}
    counts = targets.groupby(["window", "step"], observed=True).size()
    assert (counts == 2).all()  # together
    runs = counts.reset_index().groupby("window")["step"].agg(lambda steps: steps.max() - steps.min() + 1)
    assert (runs == 4).mean() > 0.5 and (runs <= 4).all()


def test_without_gaps_there_are_no_windows_with_gaps_like_its_own(cut, wide, caplog):
    caplog.set_level(logging.INFO)
    _, starts = cut(RANDOM, OWN, series=wide.fillna(0.0))
    assert list(starts["held_out"].cat.categories) == ["random-20"]
    assert "mine: no value is missing: no windows with gaps like its own" in caplog.text


def test_covariates_are_never_hidden_and_their_gaps_are_told(cut, wide, caplog):
    complete = wide.fillna({"wind": 0.0})
    for pattern in (RANDOM, BLOCKS, ("high", {"pattern": "high", "share": 0.25, "length": None}), OWN):
        table, _ = cut(pattern, series=complete, covariates=["wind"])
        targets = table[table["role"] == "target"]
        assert set(targets["feature"].astype(str)) == {"pressure", "humid"}, pattern
    assert "covariate" not in caplog.text
    cut(RANDOM, covariates=["wind"])
    assert (
        f"'wind' is a covariate, but {wide['wind'].isna().sum()} of its {len(wide)} values are missing" in caplog.text
    )


@pytest.mark.parametrize(
    ("covariates", "line"),
    [
        (["rain"], "there is no feature 'rain'; the features are wind, pressure, humid"),
        (["wind", "pressure", "humid"], "every feature is one; leave out those that are to be filled"),
    ],
)
def test_covariates_that_are_none_or_all_are_refused(cut, covariates, line):
    with pytest.raises(InputError, match=rf"^datasets\.mine\.covariates: {line}$"):
        cut(RANDOM, covariates=covariates)


def trained(wide, path, **metadata):
    """Weights that were trained on the features of a series, with mean 5 and deviation 2 of each."""
    known = {"mean": [5.0] * wide.shape[1], "std": [2.0] * wide.shape[1]}
    metadata = {"features": list(wide.columns), "statistics": known} | metadata
    weights.write(path, metadata, lambda texts: safetensors.numpy.save({"x": np.zeros(1)}, texts))
    return path


def test_new_data_have_the_statistics_of_the_trained_model_and_the_log_says_where_they_lie_elsewhere(
    cut, wide, tmp_path, caplog
):
    model = trained(wide, tmp_path / "model.safetensors")
    near = wide.assign(wind=wide["wind"] * 2 + 5)  # mean 5, deviation 2
    cut(RANDOM, series=near, model_path=model)
    found = tables.read(tmp_path / "statistics.parquet", tables.STATISTICS)
    assert found["mean"].tolist() == [5.0] * 3 and found["std"].tolist() == [2.0] * 3
    assert found["missing_fraction"].to_numpy() == pytest.approx(near.isna().mean().to_numpy())
    assert "'wind'" not in caplog.text and "mine: 'pressure' has mean 1000 and deviation 9.8" in caplog.text
    cut(RANDOM, series=wide.assign(wind=3.0), model_path=model)  # a constant is no fault where nothing is estimated


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        ({"statistics": None}, "has no statistics of a training; name weights that were trained on a series"),
        (
            {"statistics": {"mean": [0.0] * 3, "std": [1.0] * 3, "transform": ["log", None, None]}},
            r"its training had the transforms \['log', None, None\], but the dataset has none; write the same",
        ),
        (
            {"features": ["a", "b", "c"]},
            r"trained on \['a', 'b', 'c'\], but the series has \['wind', 'pressure', 'humid'\]",
        ),
    ],
)
def test_weights_of_no_training_or_of_other_features_are_refused(cut, wide, tmp_path, metadata, line):
    with pytest.raises(InputError, match=line):
        cut(RANDOM, model_path=trained(wide, tmp_path / "model.safetensors", **metadata))


def test_high_values_are_those_of_the_training_split(cut, wide, found):
    pattern = ("high", {"pattern": "high", "share": 0.25, "length": None})
    table, _ = cut(pattern)
    splits = windows.assign_splits(len(wide), BLOCK, SHARES)
    bounds = wide[splits == TRAIN].quantile(0.75)
    held_out = table[table["split"] != "train"]
    hidden = held_out[held_out["role"] == "target"]
    kept = held_out[held_out["role"] == "observed"]
    for feature in wide.columns:
        assert (
            hidden.loc[hidden["feature"] == feature, "value"].min()
            > kept.loc[kept["feature"] == feature, "value"].max()
        )
        assert hidden.loc[hidden["feature"] == feature, "value"].min() == pytest.approx(bounds[feature], abs=0.2)


def test_windows_that_are_there_again_come_last_and_know_their_turn():
    which, turns = windows.again(np.array([TRAIN, VALID, TEST, VALID]), 3)
    assert which.tolist() == [0, 1, 2, 3, 1, 3, 1, 3] and turns.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    which, turns = windows.again(np.array([TRAIN, VALID]), 1)
    assert which.tolist() == [0, 1] and turns.tolist() == [0, 0]


def test_no_more_validation_windows_than_asked_for_remain_spread_evenly():
    splits = np.array([TRAIN, VALID, VALID, TEST, VALID, VALID, VALID, TEST])
    kept = windows.limited(splits, 3, None)
    assert kept.tolist() == [True, True, False, True, True, False, True, True]
    assert windows.limited(splits, 9, 1).tolist() == [True] * 7 + [False]


def test_few_validation_windows_are_there_several_times(found):
    splits = np.array([TRAIN, VALID, VALID, VALID, VALID, VALID, TEST])
    assert windows.repeats(splits, 12) == 3  # of 5, so that there are 12 or more
    assert windows.repeats(splits, 5) == 1 and windows.repeats(np.repeat(VALID, 12), 12) == 1
    assert windows.repeats(splits[:2], 12) == windows.MOST_REPEATS and windows.repeats(splits[:1], 12) == 1


@pytest.mark.parametrize(
    ("wanted", "n_features", "most", "enough"),
    [
        ("auto", 18, 100, 12),
        ("auto", 4, 100, 12),
        ("auto", 2, 300, 36),
        ("auto", 1, 600, 72),
        (50, 1, 50, 50),
        (8, 9, 8, 8),
    ],
)
def test_few_features_get_more_validation_windows(wanted, n_features, most, enough):
    assert windows.most_valid(wanted, n_features) == (most, enough)


SERIES = {"seed": 1, "length": LENGTH, "block": BLOCK, "shares": SHARES, "train_stride": 6}
SERIES |= {
    "split_seed": 1,
    "statistics": "train",
    "max_windows": None,
    "max_validation_windows": 50,
    "profile": "none",
    "file": "data/mine.csv",
}
SERIES |= {"circular": {}, "covariates": [], "group": None, "plausible": {}, "transform": {}}
OWN = ("mine", {"pattern": "own", "share": None, "length": None})
RANDOM = ("random-20", {"pattern": "random", "share": 0.2, "length": None})
BLOCKS = ("blocks-4", {"pattern": "blocks", "share": 0.1, "length": 4})
OUTAGES = ("outages", {"pattern": "outages", "share": 0.3, "length": None})


@pytest.fixture
def cut(wide, tmp_path):
    """A function of patterns that runs the script: windows, starts."""
    paths = [tmp_path / f"{name}.parquet" for name in ("series", "windows", "starts", "statistics", "profile")]

    def run(*patterns, series=wide, model_path=None, **changes):
        tables.write(tidy.to_tidy(series), paths[0], tables.SERIES)
        cut_windows(*paths, SERIES | {"held_out": patterns} | changes, "mine", model_path)
        return tables.read(paths[1], tables.WINDOWS), tables.read(paths[2], tables.WINDOW_STARTS)

    return run


def targets_of(cut_tables):
    """{(pattern, start): {(step, feature) of a target}} of the test windows."""
    table, starts = cut_tables
    targets = table[(table["split"] == "test") & (table["role"] == "target")].merge(starts, on="window")
    entries = zip(targets["step"], targets["feature"], strict=True)
    found = {}
    for key, entry in zip(zip(targets["held_out"], targets["start"], strict=True), entries, strict=True):
        found.setdefault(key, set()).add(entry)
    return found


def test_every_test_window_is_there_under_every_pattern(cut, wide, found):
    table, starts = cut(RANDOM, BLOCKS)
    n_tests, n_valid = (found[1] == TEST).sum(), (found[1] == VALID).sum()
    split = table.groupby("window")["split"].first()
    assert split.value_counts()[["train", "valid", "test"]].tolist() == [
        (found[1] == TRAIN).sum(), 2 * n_valid, 2 * n_tests,
    ]  # fmt: skip
    assert starts["held_out"].isna().tolist() == (split == "train").tolist()
    assert starts[(split == "valid").tolist()]["held_out"].value_counts().tolist() == [n_valid, n_valid]
    tests = starts[(split == "test").tolist()]
    assert tests["held_out"].value_counts().tolist() == [n_tests, n_tests]
    one, other = (part["start"].tolist() for _, part in tests.groupby("held_out", observed=True))
    assert one == other == wide.index[found[0][found[1] == TEST]].tolist()
    numbers = table["window"].to_numpy()
    assert numbers.tolist() == np.repeat(np.arange(len(starts)), LENGTH * 3).tolist()


def test_another_pattern_changes_nothing_for_the_others(cut):
    few = targets_of(cut(RANDOM, BLOCKS))
    more = targets_of(cut(RANDOM, OUTAGES, BLOCKS))
    turned = targets_of(cut(BLOCKS, RANDOM))
    assert {name for name, _ in more} == {"random-20", "blocks-4", "outages"}
    assert few == {key: entries for key, entries in more.items() if key[0] != "outages"} == turned


def test_patterns_of_one_kind_draw_apart(cut):
    found = targets_of(cut(RANDOM, ("again", RANDOM[1])))
    differ = [found[name, start] != found["again", start] for name, start in found if name == "random-20"]
    assert np.mean(differ) > 0.9


def test_a_window_with_nothing_observed_has_no_targets(cut, wide, found):
    gone = wide.copy()
    first = found[0][found[1] == TEST][3]
    gone.iloc[first : first + LENGTH] = np.nan
    table, starts = cut(RANDOM, BLOCKS, OUTAGES, series=gone)
    empty = starts.loc[starts["start"] == wide.index[first], "window"]
    assert len(empty) == 3
    assert set(table[table["window"].isin(empty)]["role"]) == {"missing"}


@pytest.mark.parametrize("lengths", [None, (30,) * 12, (10,) * 12, (50, 26, 24, 70, 49, 10)])
def test_steps_in_no_window_are_counted_in_the_log(cut, wide, caplog, lengths):
    if lengths:
        wide = pd.concat({f"p{i:02}": wide.iloc[:n] for i, n in enumerate(lengths)}, names=["series"])
    with caplog.at_level(logging.INFO):
        _, starts = cut(RANDOM, series=wide, train_stride=7)
    whose = starts["series"] if lengths else itertools.repeat(None)
    covered = set()
    for name, start in zip(whose, starts["start"], strict=False):
        times = wide.index if name is None else wide.loc[name].index
        covered |= {(name, time) for time in times[(times >= start) & (times < start + pd.Timedelta(f"{LENGTH}h"))]}
    said = [line for line in caplog.messages if "no window" in line]
    left_out = len(wide) - len(covered)
    assert said == ([f"mine: {left_out} of {len(wide)} steps lie in no window"] if left_out else [])
    assert bool(left_out) == (lengths != (10,) * 12)


def test_arrays_give_the_windows_back(wide, splits, found, table):
    stats = windows.statistics(wide, splits)
    numbers, values, roles = windows.to_arrays(table, stats)
    n = len(found[0])
    assert numbers.tolist() == list(range(n))
    assert values.shape == roles.shape == (n, 3, LENGTH)
    assert values.dtype == np.float32
    physical = values * stats["std"].to_numpy()[:, None] + stats["mean"].to_numpy()[:, None]
    expected = as_cube(table["value"]).transpose(0, 2, 1)
    np.testing.assert_allclose(
        np.where(roles == windows.MISSING, np.nan, physical),
        expected,
        atol=1e-5 * stats["std"].max(),
    )
    assert (values[roles == windows.MISSING] == 0).all()
    names = np.array(windows.ROLES)[roles]
    np.testing.assert_array_equal(names, as_cube(table["role"]).transpose(0, 2, 1))


def test_arrays_name_roles_alike_in_whatever_order_the_table_has_them(wide, splits, table):
    stats = windows.statistics(wide, splits)
    turned = table.assign(role=table["role"].cat.reorder_categories(["missing", "target", "observed"]))
    np.testing.assert_array_equal(windows.to_arrays(turned, stats)[2], windows.to_arrays(table, stats)[2])


def test_arrays_have_scores_of_mean_zero_and_deviation_one(wide, splits):
    """Windows side by side hold each training value once."""
    first_steps, codes = windows.starts(splits, BLOCK, (BLOCK, BLOCK, BLOCK))
    train = codes == TRAIN
    table = windows.cut(wide, first_steps[train], codes[train], BLOCK, hold_out_fifth)
    _, values, roles = windows.to_arrays(table, windows.statistics(wide, splits))
    for feature in range(3):
        scores = values[:, feature][roles[:, feature] != windows.MISSING]
        assert scores.mean() == pytest.approx(0, abs=1e-5)
        assert scores.std() == pytest.approx(1, abs=1e-5)


def test_arrays_of_one_split_survive_the_file(wide, splits, found, table, tmp_path):
    stats = windows.statistics(wide, splits)
    tables.write(table, tmp_path / "windows.parquet", tables.WINDOWS)
    part = tables.read(tmp_path / "windows.parquet", tables.WINDOWS, filters=[("split", "==", "test")])
    numbers, values, roles = windows.to_arrays(part, stats)
    _, all_values, all_roles = windows.to_arrays(table, stats)
    test = found[1] == TEST
    np.testing.assert_array_equal(numbers, np.flatnonzero(test))
    np.testing.assert_array_equal(values, all_values[test])
    np.testing.assert_array_equal(roles, all_roles[test])


@pytest.fixture
def stored(table, tmp_path, monkeypatch):
    """The table of windows as a file of many row groups, of which few rows are read at once."""
    monkeypatch.setattr(tables, "ROW_GROUP", 500)
    monkeypatch.setattr(windows, "MOST_ROWS", 700)
    tables.write(table, tmp_path / "windows.parquet", tables.WINDOWS)
    return tmp_path / "windows.parquet"


@pytest.mark.parametrize("split", windows.SPLITS)
def test_windows_are_read_a_few_at_a_time(wide, splits, table, stored, split):
    stats = windows.statistics(wide, splits)
    expected = windows.to_arrays(table[table["split"] == split], stats)
    for found, whole in zip(windows.read(stored, stats, split), expected, strict=True):
        np.testing.assert_array_equal(found, whole)
    numbers = windows.numbers(stored, split)
    for found, whole in zip(windows.read(stored, stats, split, numbers[3:20]), expected, strict=True):
        np.testing.assert_array_equal(found, whole[3:20])
    on_disk = windows.stored(stored, stats, split, stored.parent)
    for found, whole in zip(on_disk, (expected[1], expected[2] != windows.MISSING), strict=True):
        np.testing.assert_array_equal(found[np.arange(len(numbers))], whole)
    chosen = windows.table(stored, split, numbers[[1, 5]])
    assert sorted(chosen["window"].unique()) == numbers[[1, 5]].tolist()
    assert (windows.some(stored, split, numbers)["window"].unique() == numbers).all()


def test_parts_have_whole_batches_and_read_no_row_group_in_vain(wide, splits, stored, monkeypatch):
    stats, groups = windows.statistics(wide, splits), []
    read = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_groups", lambda self, which, **more: groups.append(which) or read(self, which, **more)
    )
    numbers = windows.numbers(stored, "train")[:50]
    parts = list(windows.parts(stored, stats, "train", numbers, batch=4))
    assert [part.stop - part.start for part, _ in parts] == [8] * 6 + [2]  # 700 rows are not quite 10 windows
    assert [rows["window"].nunique() for _, rows in parts] == [8] * 6 + [2]
    last = (numbers[-1] + 1) * LENGTH * 3 // 500
    assert all(len(which) <= 1 for which in groups)  # no more in memory
    groups = [group for which in groups for group in which]
    assert set(groups) == set(range(last + 1)) and last < pq.read_metadata(stored).num_row_groups - 10
    assert len(groups) <= last + len(parts)  # but those that two parts share


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(("n", "batch"), [(0, 4), (1, 4), (23, 1), (24, 4), (25, 4), (100, 20)])
def test_shards_are_whole_batches_in_order(n, batch, n_shards):
    which = np.arange(100, 100 + n)
    shards = [windows.share(which, batch, number, n_shards) for number in range(n_shards)]
    np.testing.assert_array_equal(np.concatenate(shards), which)
    ends = np.cumsum([len(shard) for shard in shards])[:-1]
    assert all(end % batch == 0 or end == n for end in ends)
    if n >= n_shards * batch:
        assert max(map(len, shards)) - min(map(len, shards)) < 2 * batch


LENGTHS = [60, 24, 10, 30, 24, 59, 1, 48, 24, 24, 33, 60]


@pytest.fixture(scope="module")
def several():
    """Series of LENGTHS, one below the other; each value tells its row."""
    rows = np.arange(sum(LENGTHS))
    names = np.repeat([f"p{i:02d}" for i in range(len(LENGTHS))], LENGTHS)
    hours = np.concatenate([np.arange(n) for n in LENGTHS])
    times = pd.DatetimeIndex(pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h"), name="time")
    index = pd.MultiIndex.from_arrays([names, times], names=["series", "time"])
    return pd.DataFrame(rows[:, None] + [0.0, 0.25, 0.5], index, ["wind", "pressure", "humid"])


def test_blocks_do_not_span_series():
    splits = windows.assign_splits([130, 50, 60], 60, SHARES)
    assert len(splits) == 240
    single = windows.assign_splits(6, 1, SHARES)  # three blocks of the first series, one of each other
    expected = np.repeat(single[:5], [60, 60, 10, 50, 60])
    np.testing.assert_array_equal(splits, expected)


@pytest.mark.parametrize(("n", "counts"), [(3997, [2797, 401, 799]), (10, [7, 1, 2]), (4, [2, 1, 1]), (3, [1, 1, 1])])
def test_series_are_dealt_whole_by_their_shares(n, counts):
    codes = windows.deal_series(n, SHARES, 1)
    assert np.bincount(codes, minlength=3).tolist() == counts
    np.testing.assert_array_equal(codes, windows.deal_series(n, SHARES, 1))


def test_series_are_dealt_as_in_the_papers_code():
    """Its steps, one by one: shuffle, take a fifth, shuffle the rest again with the same seed."""
    order = np.arange(50)
    np.random.RandomState(1).shuffle(order)
    rest = order[10:].copy()
    np.random.RandomState(1).shuffle(rest)
    codes = windows.deal_series(50, SHARES, 1)
    assert set(np.flatnonzero(codes == TEST)) == set(order[:10])
    assert set(np.flatnonzero(codes == TRAIN)) == set(rest[:35])


def test_another_split_seed_deals_otherwise():
    assert (windows.deal_series(50, SHARES, 1) != windows.deal_series(50, SHARES, 2)).any()


def test_no_window_spans_two_series_and_short_series_get_one(several):
    ends = np.cumsum(LENGTHS)
    splits = np.repeat(windows.deal_series(len(LENGTHS), SHARES, 1), LENGTHS)
    first_steps, codes = windows.starts(splits, LENGTH, (6, LENGTH, LENGTH), LENGTHS)
    whose = np.searchsorted(ends, first_steps, side="right")
    assert set(whose) == set(range(len(LENGTHS)))
    short = np.array(LENGTHS)[whose] < LENGTH
    assert (first_steps[short] == (ends - LENGTHS)[whose[short]]).all()
    assert len(set(whose[short])) == short.sum() == 2
    assert (first_steps[~short] + LENGTH <= ends[whose[~short]]).all()
    np.testing.assert_array_equal(codes, splits[first_steps])
    table = windows.cut(several, first_steps, codes, LENGTH, hold_out_fifth)
    for first, end, roles, values in zip(
        first_steps, ends[whose], as_cube(table["role"]), as_cube(table["value"]), strict=True
    ):
        n = min(end - first, LENGTH)
        assert (roles[n:] == "missing").all() and np.isnan(values[n:]).all()
        there = roles[:n] != "missing"
        np.testing.assert_array_equal(values[:n][there], several.to_numpy()[first : first + n][there])


def test_several_series_survive_the_tidy_table(several, tmp_path):
    table = tidy.to_tidy(several)
    assert list(table.columns) == ["series", "time", "feature", "value"]
    tables.write(table, tmp_path / "series.parquet", tables.SERIES)
    found = tidy.from_tidy(tables.read(tmp_path / "series.parquet", tables.SERIES))
    pd.testing.assert_frame_equal(found, several, check_index_type=False)
    names, lengths = tidy.series_of(found)
    assert names.tolist() == [f"p{i:02d}" for i in range(len(LENGTHS))] and lengths.tolist() == LENGTHS


def test_windows_of_several_series_say_whose_they_are(cut, several):
    table, starts = cut(RANDOM, BLOCKS, series=several)
    assert list(starts.columns) == ["series", "window", "start", "held_out"]
    first = table.groupby("window")["value"].first()
    whose = starts.set_index("window")["series"]
    for window in first.index[first.notna()]:
        row = several.index[int(first[window])]
        assert row == (whose[window], starts["start"][window])
    splits = table.groupby("window")["split"].first().groupby(whose, observed=True).nunique()
    assert (splits == 1).all() and len(splits) == len(LENGTHS)


def test_a_first_series_of_one_step_tells_no_spacing(cut, several):
    """The distance to the next series is none: it may be 0, or go back."""
    one = several.iloc[:1].rename(index={several.index[0][0]: "!"}, level="series")
    assert tidy.spacing(one) is None and tidy.spacing(pd.concat([one, several])) == pd.Timedelta("1h")
    gappy = several.assign(wind=several["wind"].where(np.arange(len(several)) % 7 > 0))
    _, starts = cut(RANDOM, OWN, series=pd.concat([one, gappy]))
    assert (starts["series"] == "!").any() and set(starts["held_out"].dropna()) == {"random-20", "mine"}


def test_long_series_are_cut_into_blocks(cut, several):
    table, starts = cut(RANDOM, series=several.iloc[:84], block=12, length=5)
    splits = table.groupby("window")["split"].first()
    assert set(splits) == {"train", "valid", "test"}
    assert splits.groupby(starts["series"], observed=True).nunique().max() > 1


def test_held_out_entries_of_a_series_do_not_depend_on_the_others(cut, several):
    """Whatever comes before it in the file; the number of series stays, so that the split does."""
    other = several.copy()
    other.iloc[: LENGTHS[0]] = np.nan
    one, two = (targets_by_series(cut(RANDOM, series=wide)) for wide in (several, other))
    tests = set(one) & set(two) - {"p00"}
    assert tests and all(one[name] == two[name] for name in tests)


def targets_by_series(cut_tables):
    table, starts = cut_tables
    targets = table[table["role"] == "target"].merge(starts[["window", "series"]], on="window")
    return {
        name: set(zip(part["window"], part["step"], part["feature"], strict=True))
        for name, part in targets.groupby("series", observed=True)
    }


def test_a_series_shorter_than_a_window_is_refused_with_its_file_and_key(cut, wide):
    with pytest.raises(InputError) as caught:
        cut(RANDOM, series=wide.iloc[: LENGTH - 1])
    found = f"{LENGTH - 1} steps are fewer than a window of {LENGTH} (datasets.mine.windows.length); "
    assert str(caught.value).startswith(f"data/mine.csv: {found}") and "\n" not in str(caught.value)


def test_as_many_blocks_as_the_message_says_give_every_split_a_window(cut, wide):
    """Six with the default shares; five do not."""
    for n_blocks, enough in ((6, True), (5, False)):
        series = wide.iloc[: n_blocks * LENGTH]
        if enough:
            assert set(cut(RANDOM, series=series, block=LENGTH)[0]["split"]) == {"train", "valid", "test"}
        else:
            with pytest.raises(InputError, match="each split needs one"):
                cut(RANDOM, series=series, block=LENGTH)


@pytest.mark.parametrize("pattern", [RANDOM, BLOCKS, OUTAGES], ids=lambda pattern: pattern[0])
def test_sine_and_cosine_of_an_angle_are_hidden_together(cut, wide, pattern):
    """As they are missing together; the other features stay alone."""
    named = wide.rename(columns=dict(zip(wide.columns, ["A_dir_sin", "A_dir_cos", "temp"], strict=True)))
    named["A_dir_cos"] = named["A_dir_cos"].where(named["A_dir_sin"].notna())
    named["A_dir_sin"] = named["A_dir_sin"].where(named["A_dir_cos"].notna())
    for circular, together in (({"dir": 360}, True), ({}, False)):
        table, _ = cut(pattern, series=named, circular=circular, group="place")
        roles = as_cube(table["role"])
        sine, cosine, temp = ((roles == "target")[:, :, i] for i in range(3))
        assert sine.any() and (sine == cosine).all() == together
        assert temp.any() and (temp != sine).any()


def test_a_feature_that_no_statistics_can_be_of_is_named_with_its_file(cut, wide):
    with pytest.raises(InputError, match=r"^data/mine.csv: feature 'humid': constant in the training split"):
        cut(RANDOM, series=wide.assign(humid=0.5))


def test_fewer_than_three_series_are_refused(cut, several):
    with pytest.raises(
        InputError,
        match=r"data/mine.csv: 2 series, 84 steps, in blocks of 60 \(datasets.mine.windows.block\) .* needs one",
    ) as caught:
        cut(RANDOM, series=several.iloc[:84], length=48, block=60)
    assert "\n" not in str(caught.value)


def test_statistics_of_all_splits_are_those_of_all_values(wide, splits):
    stats = windows.statistics(wide, splits, "all")
    np.testing.assert_allclose(stats["mean"], np.nanmean(wide, axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stats["std"], np.nanstd(wide, axis=0), rtol=1e-9)
    assert (stats["mean"] != windows.statistics(wide, splits)["mean"]).all()


def test_statistics_are_a_setting(cut, wide, splits, tmp_path):
    cut(RANDOM, statistics="all")
    found = tables.read(tmp_path / "statistics.parquet", tables.STATISTICS)
    pd.testing.assert_frame_equal(found, windows.statistics(wide, splits, "all"), check_dtype=False)


def test_max_windows_takes_the_first_test_windows_of_each_pattern_and_changes_no_other(cut):
    all_of_them, few = cut(RANDOM, BLOCKS), cut(RANDOM, BLOCKS, max_windows=3)
    entries, fewer = targets_of(all_of_them), targets_of(few)
    kept = sorted(start for name, start in entries if name == "random-20")[:3]
    assert fewer == {key: found for key, found in entries.items() if key[1] in kept}
    for split in ("train", "valid"):
        one, two = (table[table["split"] == split].drop(columns="window") for table, _ in (all_of_them, few))
        pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_all_constant_and_all_unseen_features_are_told_at_once():
    wide = pd.DataFrame({"a": 1.0, "b": [1.0, 2.0] * 5, "c": 2.0, "d": np.nan, "e": np.nan})
    with pytest.raises(InputError, match=r"^features 'd', 'e': no value is observed in the data; leave them out$"):
        windows.statistics(wide, np.zeros(10, int), "all")
    with pytest.raises(InputError, match=r"^features 'a', 'c': constant in the data; leave them out$"):
        windows.statistics(wide[["a", "b", "c"]], np.zeros(10, int), "all")
