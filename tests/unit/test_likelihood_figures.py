"""Figures of the likelihood bound: what stands where, from small tables."""

import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scoredag.figures import dynamics, likelihoods, style
from scoredag.gmm import views
from scoredag.gmm.mixture import GaussianMixture


def bounds_table(names):
    rng = np.random.default_rng(0)
    nll = rng.normal(5, 1, (len(names), 8))
    return pd.DataFrame(
        {
            "score_model": np.repeat(names, 8),
            "point": np.tile(np.arange(8), len(names)),
            "nll": nll.ravel(),
            "nll_error": 0.02,
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
    assert [axes.get_title() for axes in shown] == [f"{name}\nmean 0.250 nats" for name in names]
    for axes in shown:  # all points and their bars are in view, and so is 0
        low, high = axes.get_ylim()
        assert low < 0 and axes.dataLim.y1 <= high
        np.testing.assert_allclose(np.asarray(axes.containers[0].lines[0].get_ydata(), float), 0.25)


def test_maps_of_the_gap_are_the_right_way_up_and_end_where_data_end():
    sides = np.linspace(-2, 2, 21), np.linspace(-1, 3, 21)
    x, y = np.meshgrid(*sides)
    log_density = -(x**2) - (y - 1) ** 2 - 8 * (y > 2.9)
    maps = {"one": 0.1 * np.exp(y), "two": np.where(x > 1.5, np.nan, 0.0)}
    drawn = likelihoods.bound_gaps(log_density, maps, sides, {"one": 0.2, "two": 0.0})
    image = drawn.axes[0].images[0]
    values = image.get_array()
    assert image.origin == "lower" and list(image.get_extent()) == [-2, 2, -1, 3]
    assert values[5, 10] < values[15, 10]  # grows with y
    assert np.isnan(np.ma.filled(values, np.nan)[20, 0])
    assert drawn.axes[1].get_title() == "two\nmean 0.000 nats"
    other = np.ma.filled(drawn.axes[1].images[0].get_array(), np.nan)
    assert np.isnan(other[10, 20]) and other[10, 10] == 0  # not told, and on a scale with 0
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
    left, right = likelihoods.statements(summary, {"exact": (5.0, 0.1), "wrong": (6.0, 0.2)}).axes
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert len(left.containers) == 4
    assert [container.lines[0].get_xdata().tolist() for container in left.containers] == 4 * [[0.0, 0.3]]
    assert left.get_ylim() == right.get_ylim()  # a row is a model in both
    marks = {container.get_label(): container.lines[0].get_xdata() for container in right.containers}
    marks |= {line.get_label(): line.get_xdata() for line in right.lines}
    assert list(marks["reverse SDE"]) == [5.0, 5.0] and list(marks["its bound"]) == [5.0, 5.3]
    assert list(marks["probability flow"]) == [5.0, 6.0] and list(marks["entropy of the data"]) == [5.0, 5.0]


def test_estimators_fall_with_the_root_of_what_they_cost_and_rules_are_points():
    table = pd.DataFrame(
        [("plain", "uniform", 5.0, 0.1, 400.0, 1), ("plain", "importance", 5.0, 0.1, 20.0, 1),
         ("paired", "importance", 5.0, 0.1, 5.0, 2),
         ("quadrature", "30 x 16^2", 5.0, 1e-3, 1e-3, 7000), ("quadrature", "12 x 8^2", 5.0, 0.1, 0.1, 700)],
        columns=["estimator", "times", "bound", "std_error", "deviation", "evaluations"],
    )  # fmt: skip
    drawn = likelihoods.estimators(table)
    lines = {line.get_label(): line for line in drawn.axes[0].lines}
    for label, error in (("plain, times: uniform", 40.0), ("paired, times: importance", 5 * np.sqrt(2) / 10)):
        x, y = lines[label].get_data()
        assert x[0] == 100 and y[0] == pytest.approx(error) and y[-1] == pytest.approx(error * np.sqrt(100 / x[-1]))
    assert lines["quadrature"].get_xydata().tolist() == [[700, 0.1], [7000, 1e-3]]
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
    assert labels == [
        "one Gaussian: KL divergence (left side)",
        "mixture: KL divergence (left side)",
        "one Gaussian: its bound (right side)",
        "mixture: its bound (right side)",
    ]
    assert not any("$" in text for text in texts_of(drawn))
    for name in ("a.png", "b.png"):
        style.save(likelihoods.score_errors(table), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def paths_table(models):
    kinds = [
        ("none", "forward SDE"),
        *((model, kind) for model in models for kind in ("reverse SDE", "probability flow")),
    ]
    times, rng = [0.001, 0.5, 1.0], np.random.default_rng(0)
    rows = [(*key, t, i, *rng.standard_normal(2)) for key in kinds for t in times for i in range(20)]
    return pd.DataFrame(rows, columns=["score_model", "dynamics", "time", "particle", "x", "y"])


@pytest.mark.parametrize("models", [["exact"], ["exact", "mine"]])
def test_every_dynamics_has_a_row_and_its_particles_are_where_the_table_has_them(models):
    table = paths_table(models)
    times, paths = dynamics.paths_of(table)
    gmm = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    drawn = dynamics.panels(paths, times, [0, 2], [gmm, gmm], views.view_of(gmm))
    rows = np.reshape(drawn.axes, (-1, 3))
    assert len(rows) == 1 + 2 * len(models)
    assert [axes.get_title() for axes in rows[0, :2]] == ["t = 0", "t = 1"]
    row = rows[-1]  # the flow of the last model
    part = table[(table["score_model"] == models[-1]) & (table["dynamics"] == "probability flow")]
    for axes, t in zip(row, (0.001, 1.0), strict=False):
        cloud = axes.collections[1].get_offsets()
        np.testing.assert_array_equal(cloud, part.loc[part["time"] == t, ["x", "y"]])
        assert axes.get_aspect() == 1
    course = row[2].lines[0]
    np.testing.assert_array_equal(course.get_xdata(), times)
    np.testing.assert_array_equal(course.get_ydata(), part.loc[part["particle"] == 0, "x"])
    # a cross where it starts: at T, but for the forward SDE
    assert row[2].lines[1].get_xdata() == [1.0] and rows[0, 2].lines[1].get_xdata() == [0.001]
    assert not any("$" in text for text in texts_of(drawn))


@pytest.mark.parametrize("models", [["exact"], ["exact", "mine"]])
def test_frames_of_the_dynamics_are_the_same_bytes(models, tmp_path):
    times, paths = dynamics.paths_of(paths_table(models))
    gmm = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    for name in ("a.gif", "b.gif"):
        frames = dynamics.frames(paths, times, [2, 1, 0], [gmm] * 3, views.view_of(gmm))
        style.save_animation(frames, tmp_path / name, milliseconds=100, n_colours=256)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 3
        shown = []
        for i in range(3):
            image.seek(i)
            shown.append(np.asarray(image.convert("RGB")))
    red, green, blue = np.moveaxis(shown[0].astype(int), -1, 0)
    for colour in ((0, 114, 178), (213, 94, 0)):  # of followed particles
        assert (abs(red - colour[0]) + abs(green - colour[1]) + abs(blue - colour[2]) < 12).sum() > 20
    assert all((one != other).any() for one, other in itertools.pairwise(shown))
