"""Figures: where they look, what their titles count, and the same bytes every time."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scoredag.errors import InputError
from scoredag.figures import absences, chains, imputations, joint, plane, style
from scoredag.gmm import mixture_files, views
from scoredag.gmm.mixture import GaussianMixture
from scoredag.series import absences as counting
from scoredag.series import gaps


def a_mixture(x=0.0, y=0.0, variance=1.0):
    return GaussianMixture([0.5, 0.5], [[x - 2, y], [x + 2, y]], [variance * np.eye(2)] * 2)


@pytest.mark.parametrize(("x", "y", "variance"), [(0, 0, 1), (1000, 1000, 1), (0, 30, 4), (-7, 3, 1e-4), (1e5, 0, 1e6)])
def test_the_view_holds_the_mixture_and_little_else(x, y, variance):
    gmm = a_mixture(x, y, variance)
    view = views.view_of(gmm)
    reach = 3 * np.sqrt(variance)
    assert (np.abs(gmm.means - view.centre) + reach <= view.half_width * (1 + 1e-9)).all()
    assert view.half_width < 2.2 * (2 + reach)


def test_the_shipped_mixture_is_seen_from_the_origin(root):
    view = views.view_of(mixture_files.read(root / "data/gmm.csv"))
    assert view.centre.tolist() == [0, 0] and 12 < view.half_width <= 14
    assert views.view_of(a_mixture(), 7.5).half_width == 7.5


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
    axes = plane.scatter(gmm, np.array(points, dtype=float), views.view_of(gmm), "blue", "t").axes[0]
    assert axes.get_title() == title
    assert axes.get_aspect() == 1 and axes.get_xlabel() == "x"


def test_the_same_figure_is_the_same_bytes(tmp_path):
    gmm = a_mixture()
    for name in ("one", "two"):
        style.save(plane.density(gmm, views.view_of(gmm), ellipses=True), tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_colour_that_is_none_is_refused():
    assert style.colour("#0072b2") == "#0072b2"
    with pytest.raises(InputError, match="'bluue' is not a colour"):
        style.colour("bluue")


@pytest.mark.parametrize("n_patterns", [1, 4, 9])
def test_every_pattern_has_its_own_line_of_calibration(n_patterns):
    nominal = np.arange(1, 10) / 10
    curves = {f"pattern-{i}": (nominal**i, np.full(5, 0.2), 1000 + i) for i in range(n_patterns)}
    drawn = imputations.calibration({"as sampled": (nominal, curves)}, 20, style.GREEN)
    lines = drawn.axes[0].get_lines()[1:]  # the first is the diagonal
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == n_patterns
    assert lines[0].get_color() == style.GREEN
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[1] == "held out: pattern-0 (1,000 targets)" and len(labels) == n_patterns + 1
    assert "20 samples" in drawn.get_suptitle()


def test_corrected_intervals_have_a_panel_beside_those_as_sampled():
    nominal = np.arange(1, 10) / 10
    shares = np.array([0.1, 0.5, 0.4])
    panels = {
        title: (nominal[:n], {"a": (nominal[:n], shares, 30)}) for title, n in (("as sampled", 7), ("corrected", 9))
    }
    drawn = imputations.calibration(panels, 20, style.BLUE)
    above, below = drawn.axes[:2], drawn.axes[2:]
    assert [axes.get_title() for axes in above] == ["as sampled", "corrected"]
    assert [len(axes.get_lines()[1].get_xdata()) for axes in above] == [7, 9]
    for axes in above:  # what is promised is at 0, and as far from both ends
        assert axes.get_lines()[1].get_ydata() == pytest.approx(0) and axes.get_ylim() == (-5, 5)
    for axes in below:  # an even share is 1
        np.testing.assert_allclose(axes.get_lines()[1].get_ydata(), 3 * shares)
        assert axes.get_ylim() == (0, 1.6)


def test_panels_of_scores_have_a_row_for_each_method_and_a_marker_for_each_pattern():
    scores = {"mean": 9.0, "linear": 1.0, "ridge": 0.5, "CSDI": 0.25}
    drawn = imputations.metrics(scores_table(scores, ["all", "x"]), style.BLUE)
    assert len(drawn.axes) == 3 + 2
    axes = drawn.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["CSDI", "ridge", "linear", "mean"]
    assert axes.yaxis_inverted()
    assert len({axes.get_xlim() for axes in drawn.axes[:3]}) == len({axes.get_xlim() for axes in drawn.axes[3:]}) == 1
    assert {axes.get_xscale() for axes in drawn.axes} == {"log"}
    assert [part.lines[0].get_xdata().tolist() for part in axes.containers] == [[0.25, 0.5, 1, 9], [0.5, 1, 2, 18]]
    (lines,) = axes.containers[1].lines[2]
    np.testing.assert_allclose(
        [segment[:, 0] for segment in lines.get_segments()], [[0.4, 0.6], [0.8, 1.2], [1.6, 2.4], [14.4, 21.6]]
    )
    (legend,) = drawn.subfigs[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["a (30 targets)", "b (30 targets)"]


def test_scores_of_0_are_on_a_linear_axis():
    drawn = imputations.metrics(scores_table({"mean": 1.0, "CSDI": 0.0}, ["all", "x"]), style.BLUE)
    assert {axes.get_xscale() for axes in drawn.axes} == {"linear"} and drawn.axes[0].get_xlim()[0] == 0


@pytest.mark.parametrize(("lowest", "between"), [(0.1, True), (0.001, False)])
def test_of_many_powers_of_ten_only_these_have_ticks(lowest, between):
    drawn = imputations.metrics(scores_table({"mean": 1.0, "CSDI": lowest}, ["all", "x"]), style.BLUE)
    low, high = drawn.axes[0].get_xlim()
    ticks = [tick for tick in drawn.axes[0].get_xticks() if low <= tick <= high]
    assert len(ticks) >= 3 and any(not np.isclose(np.log10(tick) % 1, [0, 1]).any() for tick in ticks) == between


def test_runs_from_scratch_stand_beside_the_history():
    history = pd.DataFrame({"step": [0, 9], "split": "valid", "loss": [0.4, 0.3]})
    drawn = imputations.history(history, style.BLUE, {"alone": history.assign(loss=[1.0, 0.8])})
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert labels == ["validation (averaged weights)", "validation of alone, from scratch"]
    assert drawn.axes[0].get_lines()[1].get_ydata().tolist() == [1.0, 0.8]


def scores_table(scores, features):
    """Columns of metrics.parquet for the patterns a and b, the scores of b twice those of a."""
    rows = [
        (pattern, method, feature, metric, value, 0.8 * value, 1.2 * value, 30, 1)
        for pattern in "ab"
        for method, score in scores.items()
        for feature in features
        for metric, value in dict.fromkeys(("mae", "rmse", "crps"), score * (1 + (pattern == "b"))).items()
    ]
    names = ["held_out", "method", "feature", "metric", "value", "lower", "upper", "n_targets", "n_samples"]
    table = pd.DataFrame(rows, columns=names)
    corrected = table[(table["method"] == "CSDI") & (table["metric"] == "mae")]
    as_in_paper = table[table["method"] == "CSDI"].assign(method="CSDI, as in the paper")
    return pd.concat([table, as_in_paper, corrected.assign(method="CSDI, conformal", metric="coverage_90")])


def test_joint_scores_have_a_panel_each_and_a_marker_for_each_method_and_pattern():
    scores = {"CSDI": 0.5, "auto": 0.25, "auto, entries shuffled": 0.75}
    rows = [
        (pattern, method, "all", metric, value, value - 0.1, value + 0.2, 30, 10)
        for pattern in "ab"
        for method, value in scores.items()
        for metric in (*joint.SCORES, "mae")
    ]
    names = ["held_out", "method", "feature", "metric", "value", "lower", "upper", "n_targets", "n_samples"]
    drawn = joint.joint_scores(pd.DataFrame(rows, columns=names))
    assert len(drawn.axes) == len(joint.SCORES)
    first = drawn.axes[0]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["a", "b"]
    assert [part.lines[0].get_xdata().tolist() for part in first.containers] == [[0.5] * 2, [0.25] * 2, [0.75] * 2]
    (lines,) = first.containers[0].lines[2]
    np.testing.assert_allclose([line[:, 0] for line in lines.get_segments()], [[0.4, 0.7]] * 2)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == list(scores)


def test_features_stand_beside_the_best_baseline_with_their_intervals():
    drawn = imputations.metrics(scores_table({"mean": 9.0, "ridge": 0.5, "CSDI": 0.25}, ["all", "x", "y"]), style.BLUE)
    axes = drawn.axes[-1]
    assert [tick.get_text() for tick in drawn.axes[-2].get_yticklabels()] == ["x", "y"]
    assert axes.get_xlabel() == "CRPS (grey: ridge)"
    values, _, (lines,) = axes.containers[1].lines
    assert values.get_xdata().tolist() == [0.5, 0.5]
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[0.4, 0.6]] * 2


def test_of_very_many_features_the_first_are_shown():
    names = ["all", *(f"f{i}" for i in range(300))]
    drawn = imputations.metrics(scores_table({"mean": 1.0, "CSDI": 0.5}, names), style.BLUE)
    assert len(drawn.axes[-1].get_yticks()) == imputations.MAX_FEATURES
    assert "the first 40 of 300" in drawn.subfigs[1].get_suptitle()


@pytest.mark.parametrize(("n_panels", "n_axes"), [(0, 0), (1, 1), (3, 3), (5, 6)])
def test_gaps_have_a_panel_each(n_panels, n_axes):
    times = np.datetime64("2020-01-01T00:00") + np.arange(9) * np.timedelta64(1, "h")
    observed = np.where(np.arange(9) // 3 == 1, np.nan, 1.0)
    quantiles = np.where(np.isnan(observed), [[0.0], [1.0], [2.0]], observed)
    panel = {"title": "t", "label": "x (m)", "times": times, "ends": (times[3], times[5])}
    drawn = imputations.filled_gaps(
        [panel | {"observed": observed, "quantiles": quantiles}] * n_panels, style.BLUE, 0.9
    )
    assert len(drawn.axes) == n_axes
    if n_panels:
        assert drawn.axes[0].get_ylabel() == "x (m)" and drawn.axes[0].get_title() == "t"
        labels = [text.get_text() for text in drawn.legends[0].get_texts()]
        assert labels == ["the gap", "5-95 % band", "median", "imputed", "observed"]
        assert all(axes.get_xlabel() == "time (UTC)" for axes in drawn.axes[max(n_panels - 3, 0) : n_panels])
    else:
        assert drawn.texts[0].get_text() == "The series has no gaps."


def convergence_table():
    names = list(chains._METRICS)
    rows = [("exact", 0, name, 0.1) for name in names]
    rows += [(variant, step, name, 1 / (1 + step)) for variant in "ab" for step in (0, 1, 10) for name in names]
    return pd.DataFrame(rows, columns=["variant", "step", "metric", "value"])


def test_convergence_has_a_panel_a_metric_and_the_noise_floor():
    drawn = chains.convergence(convergence_table(), {"a": "a: first", "b": "b"}, ["b"], 1000)
    assert len(drawn.axes) == len(chains._METRICS) + 1
    labels = [text.get_text() for text in drawn.axes[-1].get_legend().get_texts()]
    assert labels == ["a: first", "b\n(still moves at its last step)", "noise floor: exact samples of 1,000"]
    for axes in drawn.axes[:-1]:
        assert [len(line.get_xdata()) for line in axes.lines] == [3, 3, 2]
        assert axes.lines[-1].get_ydata() == [0.1, 0.1]
        assert [line.get_marker() for line in axes.lines[:2]] == ["None", "o"]
        assert axes.get_xlabel() == "step" and axes.xaxis.get_tick_params()["labelbottom"]


def test_numbers_on_logarithmic_axes_are_plain():
    rows = [("mala", size, 10, size / 50, 1e-4) for size in (0.1, 0.5)]
    sweep = pd.DataFrame(rows, columns=["kernel", "step_size", "n_steps", "bias", "std_error"])
    counts = np.array([[1, 3], [50, 700]])
    for drawn in (
        chains.convergence(convergence_table(), {"a": "a", "b": "b"}, [], 1000),
        chains.sweep(sweep, -0.6, 0.01),
        plane.binned(a_mixture(), counts, {"outside": 0, "not finite": 0}, views.view_of(a_mixture()), "t"),
    ):
        drawn.canvas.draw()
        for axes in drawn.axes:
            labels = [label.get_text() for label in axes.get_yticklabels() + axes.get_xticklabels()]
            assert not any("$" in label for label in labels)
            assert sum(bool(label) for label in axes.get_yticklabels()) > 1 or not axes.axison


def test_biases_keep_their_sign_and_stand_beside_the_slope_of_theory():
    rows = [("overdamped", 0.1, 50, 0.001, 0.01), ("overdamped", 0.2, 25, -0.06, 0.01), ("mala", 0.1, 50, 0.0, 0.01)]
    table = pd.DataFrame(rows, columns=["kernel", "step_size", "n_steps", "bias", "std_error"])
    drawn = chains.sweep(table, -0.3, 0.01)
    for axes, scale in zip(drawn.axes, (0, 1), strict=True):
        _, theory = axes.lines[:2]
        assert theory.get_label() == "theory for small tau: -0.300 tau (+- 0.02)"
        sizes, drops = theory.get_data()
        np.testing.assert_allclose(drops, -0.3 * sizes ** (1 - scale))
        points = axes.containers[0].lines[0]  # bars come with it
        np.testing.assert_allclose(
            points.get_ydata().astype(float), np.array([0.001, -0.06]) / np.array([0.1, 0.2]) ** scale
        )


def test_modes_have_their_share_beside_them_or_a_cross():
    shares = pd.DataFrame({"x": [-2.0, 2.0, 0.0], "y": [0.0, 0.5, 9.0], "share": [0.9875, 0.0025, 0.0]})
    axes = plane.scatter(a_mixture(), np.zeros((4, 2)), views.view_of(a_mixture()), "blue", "t", shares).axes[0]
    assert {text.get_text(): text.xy for text in axes.texts} == {"98.8 %": (-2.0, 0.0), "0.25 %": (2.0, 0.5)}
    (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert crosses.get_xydata().tolist() == [[0.0, 9.0]]
    assert crosses.get_label() == "mode that no particle reaches (1 of 3)"


def test_panels_of_the_comparison_have_one_height_whatever_lies_outside():
    samples = {"one": np.zeros((5, 2)), "two": np.full((5, 2), 99.0)}
    drawn = plane.comparison(a_mixture(), samples, views.view_of(a_mixture()), "blue")
    drawn.draw_without_rendering()
    panels = drawn.axes[:3]
    assert len({round(axes.get_position().height, 6) for axes in panels}) == 1
    assert [text.get_text() for text in panels[2].texts] == ["5 of 5 samples outside"]
    assert drawn.axes[-1].get_ylabel() == "log-density (nats), clipped below"


def test_short_paths_are_drawn_whole_from_crosses_to_dots_with_arrows_in_a_view_of_their_own():
    paths = np.random.default_rng(0).normal(size=(3, 20, 2)).cumsum(axis=1) / 20
    axes = plane.trajectories(a_mixture(), paths, np.arange(20), views.view_of(a_mixture()), "t").axes[0]
    dots = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    np.testing.assert_array_equal(dots, paths[:, -1])
    (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses.get_xydata(), paths[:, 0])
    assert axes.get_title() == "t\nshown: 3 particles, all steps" and len(axes.texts) == 2 * 3
    low, high = paths.min(axis=(0, 1)), paths.max(axis=(0, 1))
    for (start, end), least, most in zip((axes.get_xlim(), axes.get_ylim()), low, high, strict=True):
        assert start < least < most < end and end - start == pytest.approx(1.2 * (high - low).max())


def test_of_long_paths_the_first_steps_of_two_are_drawn():
    paths = 3 * np.random.default_rng(0).normal(size=(6, 500, 2))
    view = views.view_of(a_mixture())
    axes = plane.trajectories(a_mixture(), paths, np.arange(0, 1000, 2), view, "t").axes[0]
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() == "."]
    n = len(drawn[0])
    assert len(drawn) == 2 and 5 < n < 50
    np.testing.assert_array_equal(drawn, paths[:2, :n])
    assert axes.get_title() == f"t\nshown: 2 particles, steps 0 to {2 * (n - 1)}" and not axes.texts
    np.testing.assert_allclose(axes.get_xlim(), [-view.half_width, view.half_width])


@pytest.mark.parametrize("far", [np.nan, np.inf, 1e300])
def test_paths_that_leave_for_good_are_drawn_as_far_as_they_can_be_seen(far, tmp_path):
    paths = np.zeros((2, 9, 2))
    paths[:, 5:] = far
    drawn = plane.trajectories(a_mixture(), paths, np.arange(9), views.view_of(a_mixture()), "t")
    style.save(drawn, tmp_path / "t.png")
    assert np.isfinite(drawn.axes[0].get_xlim()).all()


def test_many_samples_are_binned_in_parts_and_none_is_lost():
    view = views.View(np.zeros(2), 2.0)
    x = np.random.default_rng(0).normal(size=(5000, 2))
    x[:7] = np.nan
    counts, lost = plane.count(np.array_split(x, 3), view, n_cells=50)
    whole, same = plane.count([x], view, n_cells=50)
    np.testing.assert_array_equal(counts, whole)
    assert lost == same and lost["not finite"] == 7
    assert counts.sum() + sum(lost.values()) == 5000
    drawn = plane.binned(a_mixture(), counts, lost, view, "t")
    assert "7 of 5000 samples not finite" in drawn.axes[0].get_title()
    one = plane.count([np.array([[1.9, -1.9]])], view, n_cells=4)[0]
    assert one[3, 0] == 1  # the first axis is along x


def test_animations_hold_a_frame_a_snapshot_and_are_the_same_twice(tmp_path):
    snapshots = {step: a_mixture().sample(50, step) for step in (0, 1, 10)}
    for name in ("one.gif", "two.gif"):
        frames = plane.frames(a_mixture(), snapshots, views.view_of(a_mixture()), style.BLUE, "t")
        style.save_animation(frames, tmp_path / name, milliseconds=100)
    assert (tmp_path / "one.gif").read_bytes() == (tmp_path / "two.gif").read_bytes()
    with Image.open(tmp_path / "one.gif") as image:
        assert image.n_frames == 3


def test_a_feature_with_dollars_in_its_name_is_no_formula(tmp_path):
    times = pd.date_range("2020-01-01", periods=4, freq="1h").to_numpy()
    observed = np.array([1.0, np.nan, np.nan, 2.0])
    panel = {"title": "a gap", "label": "US $^$", "times": times, "ends": (times[1], times[2])}
    drawn = imputations.filled_gaps([panel | {"observed": observed, "quantiles": np.ones((3, 4))}], "blue", 0.9)
    style.save(drawn, tmp_path / "gaps.png")
    assert (tmp_path / "gaps.png").stat().st_size > 1000


def surprise_columns(scores, n_columns, n_features):
    times = pd.date_range("2020-01-01", periods=6, freq="1h").to_numpy()
    observed = np.array([1.0, 2.0, np.nan, 3.0, np.nan, 2.0])
    target = np.where(np.arange(6) == 2, 9.0, np.nan)
    quantiles = np.where(np.arange(6) == 2, [[1.5], [2.5], [3.5]], observed)
    panel = {"observed": observed, "target": target, "quantiles": quantiles, "times": times, "least_span": 1.0}
    panels = [panel | {"title": f"{i} nats", "label": "x (m)"} for i in range(n_features)]
    return [
        {"title": f"{letter}: 1.0", "of": scores.iloc[i], "shade": style.GREEN, "panels": panels}
        for i, letter in enumerate("abcd"[:n_columns])
    ]


def test_a_window_with_fewer_features_leaves_its_places_empty():
    scores = pd.DataFrame({"x": [2, 1], "nll_bound": [2.0, 1.0], "nll_bound_std_error": 0.1})
    columns = surprise_columns(scores, 2, 3)
    columns[1]["panels"] = columns[1]["panels"][:1]
    _, *panels = imputations.surprise(scores, columns, "random-10", style.BLUE, 0.9).axes
    assert [axes.axison for axes in panels] == [True, True, True, False, True, False]
    assert [bool(axes.get_xlabel()) for axes in panels] == [False, True, False, False, True, False]


@pytest.mark.parametrize(("n_columns", "dated"), [(4, True), (1, False)])
def test_the_surprise_of_all_windows_stands_above_a_column_for_each_that_is_shown(n_columns, dated):
    x = pd.date_range("2020-01-01", periods=8, freq="30D") if dated else np.arange(8, 0, -1)
    scores = pd.DataFrame({"x": x, "nll_bound": np.arange(8.0, 0, -1), "nll_bound_std_error": 0.25})
    drawn = imputations.surprise(scores, surprise_columns(scores, n_columns, 3), "random-10", style.BLUE, 0.9)
    top, *panels = drawn.axes
    assert len(panels) == 3 * n_columns and "random-10" in drawn.get_suptitle()
    assert [text.get_text() for text in top.texts] == list("abcd"[:n_columns])
    assert [text.xy[1] for text in top.texts] == [8.0, 7.0, 6.0, 5.0][:n_columns]
    _, _, (lines,) = top.containers[0].lines
    assert np.ptp(lines.get_segments()[0][:, 1]) == 1.0  # two standard errors either way
    assert "(UTC)" in top.get_xlabel() if dated else "least to the most" in top.get_xlabel()
    assert panels[0].get_ylabel() == "x (m)" and panels[-1].get_xlabel() == "time (UTC)"
    assert all(axes.get_ylim()[0] < 1 and axes.get_ylim()[1] > 9 for axes in panels)


@pytest.mark.parametrize(("level", "label"), [(0.9, "5-95 % band"), (0.5, "25-75 % band"), (0.95, "2.5-97.5 % band")])
def test_a_band_is_labelled_by_its_quantiles(level, label):
    assert style.band_label(level) == label


def test_letters_that_no_font_has_are_told_in_one_line(tmp_path, caplog, recwarn):
    for title, told in (("Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n", False), ("\N{EGYPTIAN HIEROGLYPH A001}", True)):
        figure = style.figure(3, 2)
        figure.add_subplot().set_title(title)
        style.save(figure, tmp_path / "figure.png")
        assert ("no font here has the letters" in caplog.text) == told
    assert not recwarn


def missingness_of(missing, freq="1h"):
    """The figure of what is missing in a series (n_steps, K) of features f0, f1, .., drawn."""
    times = pd.date_range("2020-01-01", periods=len(missing), freq=freq, tz="UTC", name="time").as_unit("us")
    wide = pd.DataFrame(np.where(missing, np.nan, 1.0), times, [f"f{i}" for i in range(missing.shape[1])])
    table = counting.count(wide, np.array([len(wide)]), gaps.find(missing))
    drawn = absences.missingness(table, "mine")
    drawn.draw_without_rendering()
    return drawn


def a_pattern(n_features, n_steps=480):
    """Feature i is missing in the first i steps of each 48; the last two are always missing together."""
    missing = np.arange(n_steps)[:, None] % 48 < np.arange(n_features)
    missing[:, -1] = missing[:, -2]
    return missing


def test_what_is_missing_is_a_map_with_most_above_and_three_more_views():
    drawn = missingness_of(a_pattern(5))
    top, bottom = drawn.subfigs
    assert top.get_suptitle() == "mine: 3.75 % of the values are missing (480 steps of 5 features)"
    over_time, beside, _ = top.axes
    assert [tick.get_text() for tick in over_time.get_yticklabels()] == ["f3", "f4", "f2", "f1", "f0"]
    shares = over_time.collections[0].get_array()
    assert shares.shape == (5, 160) and shares[0].tolist() == [1.0] + [0.0] * 15 + [1.0] + shares[0].tolist()[17:]
    assert [text.get_text() for text in beside.texts] == ["6.25 %", "6.25 %", "4.17 %", "2.08 %", "0 %"]
    left, right = bottom.subfigs
    matrix = left.axes[0].collections[0].get_array()
    np.testing.assert_allclose(
        np.ma.filled(matrix, np.nan),
        [[np.nan, 1, 2 / 3, 1 / 3], [1, np.nan, 2 / 3, 1 / 3], [1, 1, np.nan, 0.5], [1, 1, 1, np.nan]],
    )
    lengths, hours = right.axes
    assert [tick.get_text() for tick in lengths.get_xticklabels()] == ["1", "2-3"]
    assert [text.get_text() for text in lengths.texts] == ["10", "30"]
    assert lengths.get_title() == "40 gaps, the longest of 3 steps"
    np.testing.assert_allclose([bar.get_height() for bar in lengths.patches], [1 / 4, 3 / 4, 1 / 9, 8 / 9])
    np.testing.assert_allclose(hours.get_lines()[0].get_ydata(), [0.5] * 3 + [0.0] * 21)
    assert [text.get_text() for text in right.legends[0].get_texts()] == ["f3", "f4", "f2", "f1", "all features"]


@pytest.mark.parametrize(("n_features", "paired"), [(1, False), (2, True), (41, True), (42, False)])
def test_what_is_missing_at_once_is_shown_of_two_to_forty_features_with_gaps(n_features, paired):
    missing = a_pattern(max(n_features, 2))[:, -n_features:] if n_features <= 2 else a_pattern(n_features)
    missing[0] = np.arange(n_features) > (0 if n_features > 2 else -1)
    titles = [axes.get_title() for axes in missingness_of(missing).axes]
    assert ("where the row is missing, the column is as well" in titles) == paired


def test_of_very_many_features_those_with_the_most_missing_are_shown():
    missing = np.arange(480)[:, None] < np.arange(200)
    over_time = missingness_of(missing).axes[0]
    assert [tick.get_text() for tick in over_time.get_yticklabels()] == [f"f{i}" for i in range(199, 139, -1)]
    assert over_time.get_title(loc="left") == "140 more features are not shown: of each 29 % or less is missing"


def test_months_have_a_panel_where_they_occur_and_no_gap_has_none():
    assert [axes.get_xlabel() for axes in missingness_of(a_pattern(3), "1D").axes][-1] == "month"
    drawn = missingness_of(np.zeros((480, 3), bool))
    assert drawn.texts[0].get_text() == "mine: no value is missing\n(480 steps of 3 features)"
    assert not drawn.axes
