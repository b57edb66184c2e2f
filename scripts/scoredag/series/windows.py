"""Windows of a series: split without leaks, cut, held-out targets, normalise."""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from scoredag import slices
from scoredag.errors import InputError
from scoredag.series import tidy, transforms
from scoredag.store import files, tables, weights
from scoredag.store.arrays import Stored

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")
ROLES = ("observed", "target", "missing")
OBSERVED, TARGET, MISSING = range(3)
USUAL_VALID = 100  # validation windows, at most
ENOUGH = 12  # validation windows under a pattern
FEW_FEATURES = 6  # of fewer, windows hold so few values that more of them are wanted
MOST_REPEATS = 6
FAR = 1.0  # deviations by which the mean of new data is told to lie elsewhere
WHOLE = (0, 1)  # the number of a shard, and of how many
MOST_SHOWN = 2000  # windows that a figure takes its axes from, and chooses some of
MOST_ROWS = 1 << 18  # of the table of windows that are in memory at once
ABSURD = 1e6  # how many times its usual spread a value may lie from the median


def assign_splits(n_steps: int | Sequence[int] | np.ndarray, block: int, shares: Sequence[float]) -> np.ndarray:
    """Split of each step, (n_steps,) codes of `SPLITS`: contiguous blocks, spread over the series.

    No block spans two series.

    Each block goes to the split that is furthest behind its share, so that every season is in
    every split and no step in two.

    Args:
        n_steps: length of the series, or a list with the length of each of several.
        block: steps a block.
        shares: of (train, valid, test); they sum to 1.
    """
    lengths = [min(block, n - first) for n in np.atleast_1d(n_steps) for first in range(0, n, block)]
    counts = np.zeros(len(shares))
    chosen = []
    for i in range(len(lengths)):
        split = int(np.argmax(np.asarray(shares) * (i + 1) - counts))
        counts[split] += 1
        chosen.append(split)
    return np.repeat(chosen, lengths)


def deal_series(n_series: int, shares: Sequence[float], seed: int) -> np.ndarray:
    """Split of each of several series, (n_series,) codes of `SPLITS`: each belongs to one as a whole.

    Patients are dealt so in CSDI's code: a permutation, of which test takes the first, and a second one of the
    rest, with the same seed again, of which training takes the first. With its seed, 1, PhysioNet 2012 has the
    paper's first fold, whose training patients the official weights know. Every split gets one of three series.

    Args:
        n_series: how many there are.
        shares: of (train, valid, test); they sum to 1.
        seed: integer below 2^32.
    """
    n_test = max(int(shares[2] * n_series), 1)
    n_train = min(int(shares[0] * n_series), n_series - n_test - 1)
    order = np.random.RandomState(seed).permutation(n_series)
    rest = np.random.RandomState(seed).permutation(order[n_test:])
    codes = np.full(n_series, SPLITS.index("valid"))
    codes[order[:n_test]] = SPLITS.index("test")
    codes[rest[: max(n_train, 0)]] = SPLITS.index("train")
    return codes


def split(
    lengths: Sequence[int] | np.ndarray, several: bool, block: int, shares: Sequence[float], split_seed: int
) -> np.ndarray:
    """Split of each step, (n_steps,): `deal_series` of several series, none longer than a block, else `assign_splits`.

    Args:
        lengths: of the series, which sum to n_steps.
        several: whether there are several, and be it one that has a name.
        block: steps a block.
        shares: of (train, valid, test); they sum to 1.
        split_seed: for `deal_series`.
    """
    if several and max(lengths) <= block:
        return np.repeat(deal_series(len(lengths), shares, split_seed), lengths)
    return assign_splits(lengths, block, shares)


def starts(
    splits: np.ndarray, length: int, strides: Sequence[int], lengths: Sequence[int] | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """First step and split code of every window that lies in one split and one series, by first step.

    Where validation or test windows leave steps over at the end, a last window ends with these; it
    overlaps the one before. One of several series that is shorter than a window gets one all the same.

    Args:
        splits: (n_steps,) from `assign_splits`, or of several series one below the other.
        length: L, steps a window.
        strides: steps between windows of (train, valid, test); below `length` they overlap.
        lengths: of the series, which sum to n_steps; None is one series.

    Returns:
        Two integer arrays (N,).
    """
    ends = np.cumsum([len(splits)] if lengths is None else lengths)
    edges = np.unique(np.r_[0, np.flatnonzero(np.diff(splits)) + 1, ends])
    borders = {0, *ends.tolist()}
    windows_of_splits = []
    for begin, end in itertools.pairwise(edges.tolist()):
        split = splits[begin]
        firsts = list(range(begin, end - length + 1, strides[split]))
        if firsts and split != SPLITS.index("train") and firsts[-1] + length < end:
            firsts.append(end - length)
        if not firsts and lengths is not None and {begin, end} <= borders:
            firsts = [begin]
        windows_of_splits += [(first, split) for first in firsts]
    first_steps, codes = np.array(windows_of_splits, dtype=np.int64).reshape(-1, 2).T
    return first_steps, codes


def limited(window_splits: np.ndarray, most_valid: int, most_test: int | None) -> np.ndarray:
    """Boolean (N,): which windows remain of at most so many validation and test windows; of tests None keeps all.

    Validation windows are spread evenly, test windows are the first ones.
    """
    valid = np.flatnonzero(window_splits == SPLITS.index("valid"))
    test = np.flatnonzero(window_splits == SPLITS.index("test"))
    kept = window_splits == SPLITS.index("train")
    kept[valid[np.linspace(0, len(valid) - 1, min(len(valid), most_valid)).round().astype(int)]] = True
    kept[test[:most_test]] = True
    return kept


def statistics(wide: pd.DataFrame, splits: np.ndarray, of: str = "train") -> pd.DataFrame:
    """Mean, standard deviation and missing share of each feature.

    Mean and deviation are taken over the observed values of the training split alone, or of all
    splits; the missing share over the whole series.

    Args:
        wide: the series, (n_steps, K).
        splits: (n_steps,), codes of `SPLITS`.
        of: `train` or `all`.

    Raises:
        InputError: a feature that is never observed, or constant, in the training split, or that
            has a value so far out, anywhere, that nothing else would count beside it.
    """
    train = wide if of == "all" else wide[splits == SPLITS.index("train")]
    where = "data" if of == "all" else "training split"
    # not by the deviation, which rounding keeps from being 0
    unseen = train.columns[train.isna().all()]
    constant = train.columns[train.max() == train.min()]
    for names, fault in ((unseen, "no value is observed"), (constant, "constant")):
        if len(names):
            which = (
                f"feature '{names[0]}'" if len(names) == 1 else f"features {', '.join(f'{name!r}' for name in names)}"
            )
            raise InputError(f"{which}: {fault} in the {where}; leave {'it' if len(names) == 1 else 'them'} out")
    for feature in wide.columns:
        _refuse_absurd(wide[feature], train[feature])
    return pd.DataFrame(
        {
            "feature": wide.columns,
            "mean": train.mean().to_numpy(),
            "std": train.std(ddof=0).to_numpy(),
            "missing_fraction": wide.isna().mean().to_numpy(),
        }
    )


def statistics_of_training(
    wide: pd.DataFrame, path: files.PathLike, transform: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The statistics by which a trained model's windows were normalised; the missing share is that of the series.

    Args:
        wide: the series, (n_steps, K), transformed.
        path: of the model's weights.
        transform: from `transforms.choose`; the model's has to be the same.

    Raises:
        InputError: weights without statistics, of other features, or with other transforms.
    """
    metadata = weights.metadata(path)
    known = metadata.get("statistics")
    if known is None:
        raise InputError(f"{path}: has no statistics of a training; name weights that were trained on a series")
    if metadata["features"] != list(wide.columns):
        raise InputError(f"{path}: trained on {metadata['features']}, but the series has {list(wide.columns)}")
    here = {} if transform is None else transforms.metadata(transform)
    if {name: known[name] for name in transforms.MORE if name in known} != here:
        trained, own = (stats.get("transform", "none") for stats in (known, here))
        raise InputError(
            f"{path}: its training had the transforms {trained}, but the dataset has {own}; write the same"
        )
    moments = {name: known[name] for name in ("mean", "std")}
    return pd.DataFrame({"feature": wide.columns, **moments, "missing_fraction": wide.isna().mean().to_numpy()})


def elsewhere(wide: pd.DataFrame, stats: pd.DataFrame) -> pd.DataFrame:
    """Features whose values lie elsewhere than `stats` say: `feature`, `mean` and `std` here, and both there.

    That is by more than `FAR` deviations, or with a deviation more than twice, or less than half, as large.
    """
    here = pd.DataFrame({"feature": wide.columns, "mean": wide.mean().to_numpy(), "std": wide.std(ddof=0).to_numpy()})
    both = here.merge(stats, on="feature", suffixes=("", "_there"))
    ratio = both["std"] / both["std_there"]
    return both[((both["mean"] - both["mean_there"]).abs() > FAR * both["std_there"]) | (ratio > 2) | (ratio < 0.5)]


def tell_elsewhere(wide: pd.DataFrame, stats: pd.DataFrame, name: str) -> None:
    """Log which features of a series of that name `elsewhere` names."""
    for row in elsewhere(wide, stats).itertuples():
        log.warning(
            "%s: '%s' has mean %.4g and deviation %.4g, where the model was trained %.4g and %.4g; here it may err",
            name, row.feature, row.mean, row.std, row.mean_there, row.std_there,
        )  # fmt: skip


def _refuse_absurd(values, train):
    """Refuse a value of a feature further out than any natural quantity has: one of 1e30, say.

    The usual spread is the interquartile range; where it is 0, as of rain, which mostly does not
    fall, the median distance of the other values from the median.
    """
    lower, median, upper = train.quantile([0.25, 0.5, 0.75])
    distance = (values - median).abs()
    spread = upper - lower
    if spread == 0:
        others = (train - median).abs()
        spread = others[others > 0].median()
    if distance.max() > ABSURD * spread:
        time, times = distance.idxmax(), distance.max() / spread
        place = ", ".join(map(str, time)) if isinstance(time, tuple) else time
        raise InputError(
            f"feature '{values.name}': {values[time]:g} at {place} is absurd, {times:.0e} times as far from the median "
            "as is usual; set datasets.*.plausible for its column"
        )


def assign_patterns(window_splits: np.ndarray, n_patterns: int) -> tuple[np.ndarray, np.ndarray]:
    """Which windows there are when targets are held out by several patterns of missing entries.

    Each validation and test window is repeated once a pattern. Repeated windows come last, pattern by pattern: one
    more pattern leaves the numbers of the others.

    Args:
        window_splits: (N,), from `starts`.
        n_patterns: how many patterns there are.

    Returns:
        Two integer arrays, one entry a window: which of the N it is, and the pattern, -1 in
        training windows.
    """
    held_out = np.flatnonzero(window_splits != SPLITS.index("train"))
    patterns = np.where(window_splits == SPLITS.index("train"), -1, 0)
    which = np.r_[np.arange(len(window_splits)), np.tile(held_out, n_patterns - 1)]
    return which, np.r_[patterns, np.repeat(np.arange(1, n_patterns), len(held_out))]


def most_valid(wanted: int | str, n_features: int) -> tuple[int, int]:
    """The largest number of validation windows, `auto` or wanted, and how many are enough not to take them again."""
    times = max(1, FEW_FEATURES // n_features)
    most = USUAL_VALID * times if wanted == "auto" else int(wanted)
    return most, min(ENOUGH * times, most)


def repeats(window_splits: np.ndarray, enough: int) -> int:
    """How often validation windows are there under each pattern: fewer than `enough` are so several times."""
    n_valid = int(np.count_nonzero(window_splits == SPLITS.index("valid")))
    return min(-(-enough // n_valid), MOST_REPEATS) if n_valid else 1


def again(window_splits: np.ndarray, n_repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Which windows there are where validation windows are there `n_repeats` times, and the turn of each, from 0.

    Two integer arrays, one entry a window. Those that are there again come last.
    """
    valid = np.flatnonzero(window_splits == SPLITS.index("valid"))
    which = np.r_[np.arange(len(window_splits)), np.tile(valid, n_repeats - 1)]
    turns = np.repeat(np.arange(1, n_repeats), len(valid))
    return which, np.r_[np.zeros(len(window_splits), int), turns]


def cut(
    wide: pd.DataFrame,
    first_steps: np.ndarray,
    window_splits: np.ndarray,
    length: int,
    hold_out: Callable[[int, np.ndarray], np.ndarray],
    which: np.ndarray | None = None,
) -> pd.DataFrame:
    """The table of windows, by window, step and feature.

    Steps beyond the end of a series are missing. Where a validation or test window overlaps the one
    before, what it hides of the steps that were there already is missing, too: a target counts once.

    Args:
        wide: the series, (n_steps, K), or several.
        first_steps: (N,), from `starts`, some repeated if so wished.
        window_splits: (N,), of the same windows.
        length: L.
        hold_out: function of a window's number and its observed (L, K) to a boolean (L, K), a
            subset of the observed entries: the targets. Asked for validation and test windows only.
        which: numbers of the windows that the table has; all.
    """
    which = np.arange(len(first_steps)) if which is None else which
    n, n_features = len(which), wide.shape[1]
    before = which - 1
    first, split = first_steps[which], window_splits[which]
    lengths = tidy.series_of(wide)[1]
    values = values_at(wide.to_numpy(), first, length, lengths)
    roles = np.where(np.isnan(values), np.int8(MISSING), np.int8(OBSERVED))
    ends = np.cumsum(lengths)
    series, series_before = (np.searchsorted(ends, steps, side="right") for steps in (first, first_steps[before]))
    ahead = first - first_steps[before]  # of the window before
    same = (series == series_before) & (split == window_splits[before]) & (ahead > 0)
    fresh = np.where(same, length - ahead, 0)  # the first step that no window had before
    for place in np.flatnonzero(split != SPLITS.index("train")):
        hidden = hold_out(int(which[place]), roles[place] == OBSERVED)
        roles[place][hidden] = TARGET
        hidden[max(fresh[place], 0) :] = False
        roles[place][hidden], values[place][hidden] = MISSING, np.nan
    size = length * n_features
    return pd.DataFrame(
        {
            "window": np.repeat(which.astype(np.int32), size),
            "step": np.tile(np.repeat(np.arange(length, dtype=np.int32), n_features), n),
            "feature": pd.Categorical.from_codes(np.tile(np.arange(n_features), n * length), wide.columns),
            "value": values.ravel(),
            "role": pd.Categorical.from_codes(roles.ravel(), ROLES),
            "split": pd.Categorical.from_codes(np.repeat(split.astype(np.int8), size), SPLITS),
        }
    )


def steps_of(first_steps: np.ndarray, length: int, n_steps: int) -> np.ndarray:
    """The steps (N, L) of windows; beyond the end of the series the last one."""
    return (first_steps[:, None] + np.arange(length)).clip(max=n_steps - 1)


def values_at(
    series: np.ndarray, first_steps: np.ndarray, length: int, lengths: Sequence[int] | np.ndarray
) -> np.ndarray:
    """What is observed in each window, (N, L, K), NaN where nothing is or the series has ended.

    Args:
        series: (n_steps, K), of several series one below the other.
        first_steps: (N,), of the windows.
        length: L.
        lengths: of the series, which sum to n_steps.
    """
    values = series[steps_of(first_steps, length, len(series))]
    ends = np.cumsum(lengths)
    end = ends[np.searchsorted(ends, first_steps, side="right")]
    values[first_steps[:, None] + np.arange(length) >= end[:, None]] = np.nan
    return values


def z_scores(values: np.ndarray, stats: pd.DataFrame, profile: np.ndarray | float = 0.0) -> np.ndarray:
    """Values (..., K) in physical units as z-scores: transformed where their feature is, less the profile."""
    return (transforms.forward(values, stats) - profile - stats["mean"].to_numpy()) / stats["std"].to_numpy()


def numbers(path: str, split: str) -> np.ndarray:
    """The numbers (N,) of the windows of `split` in the table at `path`, in its order."""
    found = [
        rows.loc[rows["split"] == split, "window"].unique()
        for rows in tables.batches(path, tables.WINDOWS, ["window", "split"])
    ]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int32)


def read(
    path: str, stats: pd.DataFrame, split: str, which: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`to_arrays` of the windows of `split` in the table at `path`, or of a range `which` of them.

    Beside the arrays, which take 5 bytes an entry, no more than one of `parts` is in memory.
    """
    which = numbers(path, split) if which is None else which
    shape = len(which), len(stats), length_of(path)
    values, roles = np.empty(shape, np.float32), np.empty(shape, np.int8)
    for part, rows in parts(path, stats, split, which):
        _, values[part], roles[part] = to_arrays(rows, stats)
    return which, values, roles


def stored(path: str, stats: pd.DataFrame, split: str, folder: files.PathLike) -> tuple[Stored, Stored]:
    """Values (N, K, L) as z-scores and which of them are known, of the windows of `split`, on the disk of `folder`."""
    which = numbers(path, split)
    shape = len(which), len(stats), length_of(path)
    values, known = Stored(shape, np.float32, folder), Stored(shape, np.bool_, folder)
    for part, rows in parts(path, stats, split, which):
        _, values[part], roles = to_arrays(rows, stats)
        known[part] = roles != MISSING
    return values, known


def parts(
    path: str, stats: pd.DataFrame, split: str, which: np.ndarray, batch: int = 1
) -> Iterator[tuple[slice, pd.DataFrame]]:
    """Yield the rows of a few windows at a time: (which of the N, rows of the table at `path`).

    A part has about `MOST_ROWS` rows, and whole batches of `batch` windows but for the last one.

    Args:
        path: of the table.
        stats: from `statistics`.
        split: its name.
        which: (N,), from `numbers`, or a range of these.
        batch: windows that are computed together.
    """
    places, ends = borders(path, stats, which, batch)
    yield from zip(places, tables.ranges(path, tables.WINDOWS, "window", ends, split=split), strict=True)


def borders(
    path: str, stats: pd.DataFrame, which: np.ndarray, batch: int = 1
) -> tuple[list[slice], list[tuple[int, int]]]:
    """Which of the windows `which` each of `parts` has, and the numbers of its first and its last one."""
    places = list(slices.covering(len(which), in_a_part(path, stats, batch)))
    return places, [(int(which[place][0]), int(which[place][-1])) for place in places]


def in_a_part(path: str, stats: pd.DataFrame, batch: int = 1) -> int:
    """How many windows each of `parts` has, but the last one."""
    return batch * max(1, MOST_ROWS // (batch * len(stats) * length_of(path)))


def table(path: str, split: str, which: Sequence[int] | np.ndarray | None = None) -> pd.DataFrame:
    """The rows of `split` in the table of windows at `path`, or those of the windows `which`, in any place."""
    if which is None:
        return tables.read(path, tables.WINDOWS, filters=[("split", "==", split)])
    return tables.some(path, tables.WINDOWS, "window", which, split=split)


def some(path: str, split: str, which: np.ndarray, most: int = MOST_SHOWN) -> pd.DataFrame:
    """The rows of at most `most` of the windows `which` of `split` in the table at `path`, spread evenly."""
    return table(path, split, which[spread(len(which), most)])


def read_some(path: str, stats: pd.DataFrame, split: str, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`to_arrays` of at most `most` windows of `split` in the table at `path`, spread evenly."""
    return to_arrays(some(path, split, numbers(path, split), most), stats)


def length_of(path: str) -> int:
    """Steps of a window in the table at `path`."""
    return tables.greatest(path, "step") + 1


def share(which: np.ndarray, batch: int, number: int, n_shards: int) -> np.ndarray:
    """The windows of shard `number` (from 0) of `n_shards`, out of those numbered `which` (N,).

    Shards have whole batches of `batch` windows, so that batches, on which last digits depend, are those of a single
    job. Where there are fewer batches than shards, some shards are empty.
    """
    n_batches = -(-len(which) // batch)
    first, last = (batch * (n_batches * place // n_shards) for place in (number, number + 1))
    if n_shards > 1:
        last = min(last, len(which))
        log.info(
            "shard %d of 0 to %d: %d of %d windows, batches of %d",
            number,
            n_shards - 1,
            last - first,
            len(which),
            batch,
        )
    return which[first:last]


def spread(n: int, most: int) -> slice:
    """Every n-th of `n` things, so that they are at most `most`."""
    return slice(None, None, max(1, -(-n // most)))


def profile(table: pd.DataFrame, n_features: int) -> np.ndarray:
    """What is subtracted from the (transformed) values of windows, (N, K, L); 0 where nothing is."""
    shape = (-1, int(table["step"].max()) + 1, n_features)
    if "profile" in table:
        return table["profile"].to_numpy().reshape(shape).transpose(0, 2, 1)
    return np.broadcast_to(0.0, (len(table) // (shape[1] * n_features), n_features, shape[1]))


def to_arrays(table: pd.DataFrame, stats: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of one split as arrays.

    Args:
        table: rows of the table of windows, in its order.
        stats: from `statistics`.

    Returns:
        windows (N,), their numbers; values (N, K, L) as z-scores, 0 where missing, float32;
        roles (N, K, L), codes of `ROLES`, int8.
    """
    n_features = len(stats)
    length = int(table["step"].max()) + 1
    shape = (-1, length, n_features)
    subtracted = table["profile"].to_numpy().reshape(shape) if "profile" in table else 0.0
    scores = z_scores(table["value"].to_numpy().reshape(shape), stats, subtracted)
    names = list(table["role"].cat.categories)
    roles = np.array([ROLES.index(name) for name in names], np.int8)[table["role"].cat.codes].reshape(shape)
    numbers = table["window"].to_numpy()[:: length * n_features]
    scores = np.nan_to_num(scores, nan=0.0).astype(np.float32)
    return numbers, np.ascontiguousarray(scores.transpose(0, 2, 1)), np.ascontiguousarray(roles.transpose(0, 2, 1))
