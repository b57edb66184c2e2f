"""Figures of the likelihood bound: what stands where, from small tables."""

import numpy as np
import pandas as pd
import pytest

from scoredag.figures import likelihoods, style


def bounds_table(names):
    rng = np.random.default_rng(0)
    nll = rng.normal(5, 1, (len(names), 8))
    return pd.DataFrame(
        {
            "score_model": np.repeat(names, 8),
            "point": np.tile(np.arange(8), len(names)),
            "nll": nll.ravel(),
            "bound": nll.ravel() + 0.25,
            "bound_std_error": 0.1,
        }
    )


def texts_of(drawn):
    drawn.canvas.draw()
    return [label.get_text() for axes in drawn.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]


@pytest.mark.parametrize("n_models", [1, 2, 5])
def test_every_score_model_has_a_panel_with_its_mean_gap(n_models):
    names = [f"model-{i}" for i in range(n_models)]
    drawn = likelihoods.bounds(bounds_table(names))
    shown = [axes for axes in drawn.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == [f"{name}\nmean gap 0.250 nats" for name in names]
    for axes in shown:  # all points and their bars are in view, the diagonal from corner to corner
        assert axes.get_xlim() == axes.get_ylim() == tuple(axes.lines[0].get_xdata())
        assert axes.dataLim.y0 >= axes.get_ylim()[0] and axes.dataLim.y1 <= axes.get_ylim()[1]


def test_maps_of_the_gap_are_the_right_way_up_and_end_where_data_end():
    sides = np.linspace(-2, 2, 21), np.linspace(-1, 3, 21)
    x, y = np.meshgrid(*sides)
    log_density = -(x**2) - (y - 1) ** 2 - 8 * (y > 2.9)
    drawn = likelihoods.bound_gaps(log_density, {"one": 0.1 * np.exp(y), "two": np.full_like(x, -1e-5)}, sides)
    image = drawn.axes[0].images[0]
    values = image.get_array()
    assert image.origin == "lower" and list(image.get_extent()) == [-2, 2, -1, 3]
    assert values[5, 10] < values[15, 10]  # grows with y
    assert np.isnan(np.ma.filled(values, np.nan)[20, 0])
    assert drawn.axes[1].get_title() == "two\nmean 0.000 nats"
    assert np.ma.min(drawn.axes[1].images[0].get_array()) > 0  # a gap below 0, by the grid's error, on a log scale
    assert not any("$" in text for text in texts_of(drawn))


def test_slack_has_a_mark_a_statement_and_model():
    names = ["exact", "wrong"]
    rows = [("2", "none", 5.0, 5.01, 0.01, 0.01)]
    rows += [
        (statement, name, 5.0, 5.0 + slack, slack, 0.01)
        for name, slack in zip(names, (0.0, 0.3), strict=True)
        for statement in ("1", "3", "4", "gap")
    ]
    summary = pd.DataFrame(rows, columns=["statement", "score_model", "left", "right", "slack", "std_error"])
    left, right = likelihoods.statements(summary, {"exact": 5.0, "wrong": 6.0}).axes
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert len(left.containers) == 4
    assert [container.lines[0].get_xdata().tolist() for container in left.containers] == 4 * [[0.0, 0.3]]
    marks = {line.get_label(): line.get_xdata() for line in right.lines}
    assert list(marks["reverse SDE"]) == [5.0, 5.0] and list(marks["its bound"]) == [5.0, 5.3]
    assert list(marks["probability flow"]) == [5.0, 6.0] and list(marks["entropy of the data"]) == [5.0, 5.0]


def test_estimators_stand_side_by_side_with_their_numbers():
    table = pd.DataFrame(
        [("plain", "uniform", 5.0, 0.1, 400.0), ("plain", "importance", 5.0, 0.1, 20.0),
         ("paired", "uniform", 5.0, 0.1, 17.0), ("paired", "importance", 5.0, 0.1, 5.0)],
        columns=["estimator", "times", "bound", "std_error", "deviation"],
    )  # fmt: skip
    drawn = likelihoods.estimators(table)
    heights = [[bar.get_height() for bar in bars] for bars in drawn.axes[0].containers]
    assert heights == [[400.0, 17.0], [20.0, 5.0]]
    assert not any("$" in text for text in texts_of(drawn))


def test_both_laws_have_divergence_and_bound(tmp_path):
    rows = [
        (law, error, amount, amount**2, 3 * amount**2, 0.001)
        for law in ("gaussian", "mixture")
        for error in ("scale", "bias")
        for amount in (0.1, 0.2)
    ]
    table = pd.DataFrame(rows, columns=["law", "error", "amount", "divergence", "bound", "std_error"])
    drawn = likelihoods.score_errors(table)
    assert [axes.get_title() for axes in drawn.axes] == ["score times 1 - a", "a added to the score"]
    labels = drawn.axes[0].get_legend_handles_labels()[1]
    assert labels == ["gaussian: divergence", "mixture: divergence", "gaussian: bound", "mixture: bound"]
    assert not any("$" in text for text in texts_of(drawn))
    for name in ("a.png", "b.png"):
        style.save(likelihoods.score_errors(table), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
