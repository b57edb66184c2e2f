"""Imputed values as multiples of a step: one that the user names, or a small share of what the feature varies by."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from scoredag.errors import InputError
from scoredag.series import angles, features

DIGITS = 3  # of the standard deviation of a feature without a step, at least
SLACK = 1e-9  # of a step: 0.6 / 0.2 is less than 3


class Grid(NamedTuple):
    """What values of K features are rounded to, and between which ends they stay; arrays (K,)."""

    steps: np.ndarray
    decimals: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    def nearest(self, values: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The multiples nearest to `values` (n,) of the features `which` (n,), moved inside the ends."""
        multiples = _multiples(np.round(values / self.steps[which]), self.steps[which], self.decimals[which])
        return multiples.clip(self.lowest[which], self.highest[which])


def grid(steps: Sequence[float | None], deviations: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> Grid:
    """The grid of K features with the given `steps`; one without has a thousandth of its deviation or finer.

    The ends of a feature with a step are moved inwards to the next multiple, if one lies between them.
    """
    named = np.array([step is not None for step in steps])
    fine = np.ceil(DIGITS - np.log10(deviations)).astype(int)
    decimals = np.array([digits if step is None else _decimals(step) for step, digits in zip(steps, fine, strict=True)])
    sizes = np.array([10.0**-digits if step is None else step for step, digits in zip(steps, fine, strict=True)])
    first = _multiples(np.ceil(lowest / sizes - SLACK), sizes, decimals)
    last = _multiples(np.floor(highest / sizes + SLACK), sizes, decimals)
    moved = named & (first <= last)
    return Grid(sizes, decimals, np.where(moved, first, lowest), np.where(moved, last, highest))


def steps_of(
    names: Sequence[str], steps: Mapping[str, float], circular: Mapping[str, float], grouped: bool
) -> list[float | None]:
    """The step of each feature, None where there is none.

    Args:
        names: of K features.
        steps: {column: step}.
        circular: {column: period} of those that became a sine and a cosine.
        grouped: whether features are {group}_{column}.

    Raises:
        InputError: a column of `steps` has no feature, or is an angle's.
    """
    parts = angles.components(names, circular, grouped)
    for column in steps:
        if column in circular or any(features.column_of(part, [column], grouped) for part in parts):
            raise InputError(f"'{column}' is circular: sine and cosine are filled in, which have no step; leave it out")
    return [None if column is None else steps[column] for column in features.columns_of(names, steps, grouped)]


def _decimals(step):
    """How many decimals a number is written with: 1 of 0.2, 0 of 5."""
    return len(format(Decimal(str(step)), "f").partition(".")[2].rstrip("0"))


def _multiples(counts, steps, decimals):
    """`counts` times `steps` with as many decimals as these have: 0.6, not 0.6000000000000001; and no -0."""
    return np.round(counts * steps * 10.0**decimals) / 10.0**decimals + 0.0
