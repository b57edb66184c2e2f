"""Which observed entries of a window are held out as targets: patterns of missing entries.

`observed` (L, K) says which entries of a window have a value; the result (L, K) is true at the
targets, a subset of these. A window in which a pattern finds nothing to hide gets no target.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

OWN = "own"  # the pattern that needs a series with gaps
MOST_TRIED = 20  # stretches with gaps, of which a window takes the first that hides something of it


class OwnGaps:
    """The stretches of a series that have gaps, whose gaps other windows get: so long, and together, as they come."""

    def __init__(self, missing: np.ndarray, lengths: Sequence[int] | np.ndarray, length: int, day: int = 1):
        """Find the stretches, those of which some entry is missing, but not all.

        Args:
            missing: boolean (n_steps, K), of a series or several one below the other.
            lengths: of the series, which sum to n_steps.
            length: L, steps of a stretch.
            day: steps after which clocks tell the same time.
        """
        self._missing, self._length = missing, length
        counts = np.r_[0, np.cumsum(missing.sum(axis=1))]
        ends = np.cumsum(lengths)
        begins = ends - lengths
        firsts = np.concatenate([np.arange(b, e - length + 1) for b, e in zip(begins, ends, strict=True)])
        n_missing = counts[firsts + length] - counts[firsts]
        self._firsts = firsts[(n_missing > 0) & (n_missing < length * missing.shape[1])]
        phases = (self._firsts - begins[np.searchsorted(ends, self._firsts, side="right")]) % day
        self._by_phase = self._firsts[np.argsort(phases, kind="stable")]
        self._of_phase = np.r_[0, np.cumsum(np.bincount(phases, minlength=day))]
        self._day = day

    def __len__(self) -> int:
        """Number of the stretches."""
        return len(self._firsts)

    def like(self, first: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """What is missing (L, K) in some stretches, in random order, that begin at the time of day of a step.

        Args:
            first: the step, of its series; where no stretch begins at its time of day, any do.
            rng: random numbers.
        """
        phase = first % self._day
        alike = self._by_phase[self._of_phase[phase] : self._of_phase[phase + 1]]
        alike = alike if len(alike) else self._firsts
        for start in rng.choice(alike, min(MOST_TRIED, len(alike)), replace=False):
            yield self._missing[start : start + self._length]


def hold_out(
    observed: np.ndarray,
    rng: np.random.Generator,
    *,
    pattern: str,
    share: float | None = None,
    length: int | None = None,
    ranks: np.ndarray | None = None,
    gaps: Iterable[np.ndarray] = (),
) -> np.ndarray:
    """The targets of one window by one of the `PATTERNS`, some of which take more.

    Args:
        observed: boolean (L, K).
        rng: random numbers.
        pattern: its name.
        share: of what is observed, or of values that are hidden.
        length: steps of a run.
        ranks: (L, K), the share of a feature's values that lies below each.
        gaps: boolean (L, K) each, what is missing elsewhere, from `OwnGaps`.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is '{pattern}'; known are {', '.join(PATTERNS)}")
    settings = {"share": share, "length": length, "ranks": ranks, "gaps": gaps, "rng": rng}
    return PATTERNS[pattern].hold_out(observed, **{name: settings[name] for name in PATTERNS[pattern].takes})


def hold_out_random(observed: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: a random `share` of its true entries (rounded)."""
    known = np.flatnonzero(observed)
    chosen = rng.choice(known, size=round(share * len(known)), replace=False)
    mask = np.zeros(observed.shape, bool)
    mask.flat[chosen] = True
    return mask


def hold_out_blocks(observed: np.ndarray, share: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: runs of `length` steps of single features, as in a sensor that fails.

    Runs are added at random places, where they may touch, until at least `share` of the true
    entries are hidden; one that would hide the last of them is left out.
    """
    n_steps, n_features = observed.shape
    n_places = n_steps - length + 1
    n_observed = np.count_nonzero(observed)
    mask = np.zeros(observed.shape, bool)
    for place in rng.permutation(n_places * n_features):
        if np.count_nonzero(mask) >= share * n_observed:
            break
        feature, first = divmod(int(place), n_places)
        longer = mask.copy()
        longer[first : first + length, feature] = observed[first : first + length, feature]
        if np.count_nonzero(longer) < n_observed:
            mask = longer
    return mask


def hold_out_outages(observed: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean array like `observed`: all true entries of some features, as in a station that is down.

    Of the features with true entries, `share` (rounded) are hidden: at least one, never all.
    """
    features = np.flatnonzero(observed.any(axis=0))
    n_hidden = min(max(round(share * len(features)), 1), len(features) - 1)
    hidden = np.zeros(observed.shape[1], bool)
    hidden[rng.permutation(features)[: max(n_hidden, 0)]] = True
    return observed & hidden


def hold_out_high(observed: np.ndarray, share: float, ranks: np.ndarray) -> np.ndarray:
    """Boolean array like `observed`: the entries among the highest `share` of their feature.

    As of an instrument that fails there. Nothing that is given says so (missing not at random).
    """
    return observed & (ranks >= 1 - share)


def hold_out_low(observed: np.ndarray, share: float, ranks: np.ndarray) -> np.ndarray:
    """Boolean array like `observed`: the entries among the lowest `share` of their feature; see `hold_out_high`."""
    return observed & (ranks < share)


def hold_out_own(observed: np.ndarray, gaps: Iterable[np.ndarray]) -> np.ndarray:
    """Boolean array like `observed`: its true entries that are missing in the first of `gaps` with some of them."""
    hidden = (observed & missing for missing in gaps)
    return next((mask for mask in hidden if mask.any() and (observed & ~mask).any()), np.zeros(observed.shape, bool))


class Pattern(NamedTuple):
    """A pattern of missing entries: its function, what it hides and what gaps it stands for, in words.

    `takes` are the settings that the function takes.
    """

    hold_out: Callable[..., np.ndarray]
    hides: str
    gaps: str
    takes: frozenset[str]


PATTERNS: dict[str, Pattern] = {
    "random": Pattern(
        hold_out_random,
        "single entries at random, {share:.0%} of what is observed",
        "values that are missing at random",
        frozenset({"share", "rng"}),
    ),
    "blocks": Pattern(
        hold_out_blocks,
        "runs of {length} steps of single features, {share:.0%} of what is observed",
        "runs of missing steps",
        frozenset({"share", "length", "rng"}),
    ),
    "outages": Pattern(
        hold_out_outages,
        "whole features, {share:.0%} of them",
        "features that are missing in a whole window",
        frozenset({"share", "rng"}),
    ),
    "high": Pattern(
        hold_out_high,
        "the highest {share:.0%} of each feature's values",
        "values that are missing because they are high",
        frozenset({"share", "ranks"}),
    ),
    "low": Pattern(
        hold_out_low,
        "the lowest {share:.0%} of each feature's values",
        "values that are missing because they are low",
        frozenset({"share", "ranks"}),
    ),
    OWN: Pattern(
        hold_out_own,
        "what is missing elsewhere in the series at the same time of day",
        "gaps like the series' own",
        frozenset({"gaps"}),
    ),
}


def describe(pattern: str, share: float | None = None, length: int | None = None) -> str:
    """What one of the `PATTERNS` hides, in words."""
    return PATTERNS[pattern].hides.format(share=share, length=length).replace("%", " %")


def by_value(pattern: str) -> bool:
    """Whether it hides values because of what they are, which nothing given says."""
    return "ranks" in PATTERNS[pattern].takes
