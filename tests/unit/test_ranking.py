"""Which windows and features the figure of surprise shows."""

import pandas as pd
import pytest

import plot_surprise


def ranked(n):
    return pd.DataFrame({"window": range(n)})


@pytest.mark.parametrize(
    ("n", "most", "least"), [(1, [0], []), (2, [0], [1]), (3, [0], [2]), (4, [0, 1], [2, 3]), (9, [0, 1], [7, 8])]
)
def test_the_windows_at_both_ends_are_shown_and_none_twice(n, most, least):
    ends = list(plot_surprise._ends(ranked(n)))
    assert [row["window"] for is_most, row in ends if is_most] == most
    assert [row["window"] for is_most, row in ends if not is_most] == least


def test_features_count_by_what_they_add_beyond_what_is_usual_for_them():
    rows = [(0, "all", 6, 9.0), (0, "x", 1, 5.0), (0, "y", 3, 4.0), (0, "z", 2, 9.0)]
    rows += [(1, "all", 6, 5.0), (1, "x", 2, 5.0), (1, "y", 2, 0.0), (1, "z", 2, 9.5)]
    scores = pd.DataFrame(rows, columns=["window", "feature", "n_targets", "nll_bound"])

    def names(window, most):
        return [row["feature"] for row in plot_surprise._telling(scores, window, most)]

    assert names(0, most=True) == ["y", "x", "z"]
    assert names(0, most=False) == ["z", "x", "y"]
    assert names(1, most=True) == ["z", "x", "y"]
