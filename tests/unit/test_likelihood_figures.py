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
            "nll_error": 0.05,
            "bound": nll.ravel() + 0.25,
            "bound_std_error": 0.1,
        }
    )


def texts_of(drawn):
    drawn.canvas.draw()
    return [label.get_text() for axes in drawn.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]


@pytest.mark.parametrize("n_models", [1, 2, 5])
def test_every_score_model_has_a_panel_with_its_points_and_the_mean_gap_of_the_law(n_models):
    names = [f"model-{i}" for i in range(n_models)]
    table = bounds_table(names)
    drawn = likelihoods.bounds(table, dict.fromkeys(names, 0.3))
    shown = [axes for axes in drawn.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == [f"{name}\nmean gap 0.300 nats" for name in names]
    for name, axes in zip(names, shown, strict=True):
        points, _, (bars,) = axes.containers[0].lines
        np.testing.assert_array_equal(points.get_xdata(), table.loc[table["score_model"] == name, "nll"])
        np.testing.assert_allclose(list(points.get_ydata()), 0.25)
        for (_, low), (_, high) in bars.get_segments():
            assert high - low == pytest.approx(2 * np.hypot(0.1, 0.05))
        assert axes.get_ylim()[0] <= 0 and axes.dataLim.y1 <= axes.get_ylim()[1]
    assert shown[0].xaxis.label.get_visible() == (n_models <= 3) and shown[-1].xaxis.label.get_visible()


def test_maps_of_the_gap_are_the_right_way_up_and_end_where_data_or_knowledge_end():
    sides = np.linspace(-2, 2, 21), np.linspace(-1, 3, 21)
    x, y = np.meshgrid(*sides)
    log_density = -(x**2) - (y - 1) ** 2 - 8 * (y > 2.9)
    maps = {"one": 0.1 * np.exp(y), "two": np.where(x > 1.9, np.nan, 0.0)}
    drawn = likelihoods.bound_gaps(log_density, maps, sides, {"one": 0.2, "two": -1e-5})
    image = drawn.axes[0].images[0]
    values = image.get_array()
    assert image.origin == "lower" and list(image.get_extent()) == [-2, 2, -1, 3]
    assert values[5, 10] < values[15, 10]  # grows with y
    assert np.isnan(np.ma.filled(values, np.nan)[20, 0])
    assert [axes.get_title() for axes in drawn.axes[:2]] == ["one\nmean gap 0.200 nats", "two\nmean gap 0.000 nats"]
    other = drawn.axes[1].images[0]
    assert np.isnan(np.ma.filled(other.get_array(), np.nan)[10, 20]) and other.get_array()[10, 10] == 0
    assert image.norm(0) == 0 and other.norm.vmax == image.norm.vmax == pytest.approx(0.1 * np.exp(2.8))
    assert not any("$" in text for text in texts_of(drawn))


def test_maps_without_a_known_value_are_drawn():
    sides = np.linspace(-2, 2, 8), np.linspace(-2, 2, 8)
    x, y = np.meshgrid(*sides)
    drawn = likelihoods.bound_gaps(-(x**2) - y**2, {"one": np.full_like(x, np.nan)}, sides, {"one": 0.0})
    drawn.canvas.draw()


def test_slack_has_a_mark_a_statement_and_model_and_rows_line_up():
    names = ["exact", "wrong"]
    rows = [("2", "none", 5.0, 5.01, 0.01, 0.01)]
    rows += [
        (statement, name, 5.0, 5.0 + slack, slack, 0.01)
        for name, slack in zip(names, (0.0, 0.3), strict=True)
        for statement in ("1", "3", "4", "gap")
    ]
    summary = pd.DataFrame(rows, columns=["statement", "score_model", "left", "right", "slack", "std_error"])
    drawn = likelihoods.statements(summary, {"exact": 5.0, "wrong": 6.0}, {"exact": 0.05, "wrong": 0.1})
    left, right = drawn.axes
    drawn.canvas.draw()
    for axes in (left, right):
        assert [label.get_text() for label in axes.get_yticklabels() if label.get_visible()] == names
        assert axes.get_ylim() == left.get_ylim()
    boxes = [axes.get_window_extent() for axes in (left, right)]
    assert boxes[0].y0 == pytest.approx(boxes[1].y0, abs=1) and boxes[0].y1 == pytest.approx(boxes[1].y1, abs=1)
    assert len(left.containers) == 4
    assert [container.lines[0].get_xdata().tolist() for container in left.containers] == 4 * [[0.0, 0.3]]
    marks = {container.get_label(): container.lines for container in right.containers}
    assert list(marks["reverse SDE"][0].get_xdata()) == [5.0, 5.0]
    assert list(marks["its bound"][0].get_xdata()) == [5.0, 5.3]
    points, _, (bars,) = marks["probability flow"]
    assert list(points.get_xdata()) == [5.0, 6.0]
    np.testing.assert_allclose([list(segment[:, 0]) for segment in bars.get_segments()], [[4.9, 5.1], [5.8, 6.2]])
    assert right.lines[-1].get_label() == "entropy of the data" and list(right.lines[-1].get_xdata()) == [5.0, 5.0]


def test_estimators_stand_side_by_side_and_lose_their_error_at_their_cost():
    table = pd.DataFrame(
        [("plain", "uniform", 5.0, 0.1, 400.0, 1), ("plain", "importance", 5.0, 0.1, 20.0, 1),
         ("paired", "uniform", 5.0, 0.1, 17.0, 2), ("paired", "importance", 5.0, 0.1, 5.0, 2),
         ("quadrature", "10 x 8^2", 5.0, 0.1, 0.1, 640), ("quadrature", "50 x 24^2", 5.0, 1e-3, 1e-3, 20000)],
        columns=["estimator", "times", "bound", "std_error", "deviation", "evaluations"],
    )  # fmt: skip
    drawn = likelihoods.estimators(table)
    left, right = drawn.axes
    heights = [[bar.get_height() for bar in bars] for bars in left.containers]
    assert heights == [[400.0, 17.0], [20.0, 5.0]]
    assert [label.get_text() for label in left.get_xticklabels()] == ["plain\n1 score", "paired\n2 scores"]
    lines = {line.get_label(): line for line in right.lines}
    n, error = lines["paired, importance"].get_data()  # of n / 2 draws
    np.testing.assert_allclose(error, 5 / np.sqrt(np.asarray(n) / 2))
    assert lines["quadrature"].get_xdata().tolist() == [640, 20000]
    assert [text.get_text() for text in right.texts] == ["10 x 8^2", "50 x 24^2"]
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
    assert labels == ["Gaussian: divergence", "Mixture: divergence", "Gaussian: bound", "Mixture: bound"]
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
