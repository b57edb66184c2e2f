"""Figures: where they look, what their titles count, and the same bytes every time."""

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.figures import imputations, plane, style
from scoredag.gmm import readers
from scoredag.gmm.mixture import GaussianMixture


def a_mixture(x=0.0, y=0.0, variance=1.0):
    return GaussianMixture([0.5, 0.5], [[x - 2, y], [x + 2, y]], [variance * np.eye(2)] * 2)


@pytest.mark.parametrize(("x", "y", "variance"), [(0, 0, 1), (1000, 1000, 1), (0, 30, 4), (-7, 3, 1e-4), (1e5, 0, 1e6)])
def test_the_view_holds_the_mixture_and_little_else(x, y, variance):
    gmm = a_mixture(x, y, variance)
    view = plane.view_of(gmm)
    reach = 3 * np.sqrt(variance)
    assert (np.abs(gmm.means - view.centre) + reach <= view.half_width * (1 + 1e-9)).all()
    assert view.half_width < 2.2 * (2 + reach)


def test_the_shipped_mixture_is_seen_from_the_origin(root):
    view = plane.view_of(readers.read(root / "data/gmm.csv"))
    assert view.centre.tolist() == [0, 0] and 12 < view.half_width <= 14
    assert plane.view_of(a_mixture(), 7.5).half_width == 7.5


@pytest.mark.parametrize(
    ("points", "title"),
    [
        ([[0, 0], [1, 1]], "t"),
        ([[0, 0], [90, 0], [0, -90]], "t\n2 of 3 samples outside"),
        ([[np.nan, 0], [0, np.inf], [0, 0], [99, 0]], "t\n1 of 4 samples outside\n2 of 4 samples not finite"),
        ([[np.nan, 0]], "t\n1 of 1 samples not finite"),
    ],
)
def test_the_title_counts_what_cannot_be_seen(points, title):
    gmm = a_mixture()
    axes = plane.scatter(gmm, np.array(points, dtype=float), plane.view_of(gmm), "blue", "t").axes[0]
    assert axes.get_title() == title
    assert axes.get_aspect() == 1 and axes.get_xlabel() == "x"


def test_the_same_figure_is_the_same_bytes(tmp_path):
    gmm = a_mixture()
    for name in ("one", "two"):
        style.save(plane.density(gmm, plane.view_of(gmm), ellipses=True), tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_colour_that_is_none_is_refused():
    assert style.colour("#0072b2") == "#0072b2"
    with pytest.raises(InputError, match="'bluue' is not a colour"):
        style.colour("bluue")


@pytest.mark.parametrize("n_patterns", [1, 4, 9])
def test_every_pattern_has_its_own_line_of_calibration(n_patterns):
    nominal = np.arange(1, 10) / 10
    curves = {f"pattern-{i}": (nominal**i, 1000 + i) for i in range(n_patterns)}
    drawn = imputations.calibration(nominal, curves, 20, style.GREEN)
    lines = drawn.axes[0].get_lines()[1:]  # the first is the diagonal
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == n_patterns
    assert lines[0].get_color() == style.GREEN
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[1] == "held out: pattern-0 (1,000 targets)" and len(labels) == n_patterns + 1
    assert "20 samples" in drawn.axes[0].get_title()


def test_scores_stand_pattern_by_pattern_and_long_bars_are_cut():
    scores = {"mean": 9.0, "linear": 1.0, "ridge": 0.5, "CSDI": 0.25}
    rows = [
        (pattern, method, feature, metric, score * (1 + (pattern == "b")), 30, 1)
        for pattern in "ab"
        for method, score in scores.items()
        for feature in ("all", "x")
        for metric in ("mae", "rmse", "crps")
    ]
    table = pd.DataFrame(rows, columns=["held_out", "method", "feature", "metric", "value", "n_targets", "n_samples"])
    drawn = imputations.metrics(table, style.BLUE)
    assert len(drawn.axes) == 6
    axes = drawn.axes[3]
    assert axes.get_title(loc="left") == "b (30 targets)"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["CSDI", "ridge", "linear", "mean"]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.texts] == ["0.500", "1.000", "2.000", "18.000 (cut)"]
    assert max(bar.get_width() for bar in axes.patches) == 2 * 1.5  # twice the median
