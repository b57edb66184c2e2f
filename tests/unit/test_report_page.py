"""The report: its sentences follow from the tables, whatever these say; the page works, and asks nobody."""

import contextlib
import re
import shutil
import struct

import pandas as pd
import pytest

from scoredag import findings
from scoredag.figures import report_page, report_parts
from scoredag.figures.report_page import Figure, Finding, Links, Part, Section, Table, Text

HOSTILE = "<b>&\"</script>'"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


# -- sentences about the bound


def summary(**sides):
    """Left and right side of statement 1 of score models, with a standard error of 0.001."""
    rows = [("1", name, left, right, right - left, 0.001) for name, (left, right) in sides.items()]
    return pd.DataFrame(rows, columns=["statement", "score_model", "left", "right", "slack", "std_error"])


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ({"exact": (0.0, 0.001), "off": (0.1, 0.3)}, "The bound holds: in none of 2 comparisons"),
        ({"exact": (0.0, 0.001), "off": (0.3, 0.1)}, "The bound fails in 1 of 2 comparisons"),
    ],
)
def test_whether_the_bound_holds(sides, said):
    assert findings.bound_holds(summary(**sides)).startswith(said)


def test_which_model_breaks_the_bound_is_named():
    assert "most for `off` in statement 1 (-0.200 ± 0.001 nats)" in findings.bound_holds(summary(off=(0.3, 0.1)))


def test_points_below_their_bound_are_counted():
    points = pd.DataFrame({"score_model": "m", "nll": [1.0, 1.0], "bound": [1.2, 0.9], "nll_error": 0.05})
    points["bound_std_error"] = 0.01
    assert findings.bound_of_points(points).startswith("At 1 of 2 points")
    assert findings.bound_of_points(points.head(1)).startswith("At all 1 points")


def test_where_the_bound_is_tight():
    said = findings.where_tight(summary(tight=(0.1, 0.101), loose=(0.1, 0.4)))
    assert "tight for `tight`" in said and "loosest for `loose`: 0.400 nats where the divergence is 0.100" in said
    assert "tight for none" in findings.where_tight(summary(loose=(0.1, 0.4)))


def test_whether_the_bound_orders_models():
    assert "orders the score models as" in findings.bound_orders(summary(a=(0.1, 0.2), b=(0.2, 0.3)))
    said = findings.bound_orders(summary(a=(0.2, 0.2), b=(0.1, 0.6)))
    assert "does not order" in said and "`b` has 3.0 times the bound of `a`" in said


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ((0.04, 0.08), (0.08, 0.13), "Training with g² follows the bound, and the likelihood with it"),
        ((0.09, 0.10), (0.08, 0.13), "Training with g² follows the bound, but not the likelihood"),
        ((0.04, 0.18), (0.08, 0.13), "Training with g² does not reach the lower bound here, yet the lower divergence"),
        ((0.09, 0.18), (0.08, 0.13), "Training with g² follows neither"),
        ((0.04, 0.13), (0.08, 0.13), "Which weighting trains the bound better cannot be told"),
    ],
)
def test_whether_training_follows_the_bound(own, other, said):
    weightings = {"usual": "noise-variance", "bound": "likelihood"}
    assert findings.training_follows(summary(usual=other, bound=own), weightings).startswith(said)


def test_networks_that_are_not_there():
    table = summary(bound=(0.1, 0.2))
    assert findings.training_follows(table, {}) is None
    assert "No network with another weighting" in findings.training_follows(table, {"bound": "likelihood"})


def test_the_flow_is_compared_with_the_bound_of_its_own_model():
    bounds = pd.DataFrame({"score_model": ["z", "a"], "bound": [5.0, 9.0]})
    flows = {"z": pd.DataFrame({"flow_nll": [6.0]}), "a": pd.DataFrame({"flow_nll": [6.0]})}
    said = findings.flow_is_not_bounded(flows, bounds)
    assert "of `z` is above the bound, most for `z` (6.00 nats, bound 5.00)" in said
    assert "stays below" in findings.flow_is_not_bounded({"a": flows["a"]}, bounds)


def test_powers_of_the_scores_error():
    errors = pd.DataFrame({"law": "mixture", "error": "bias", "amount": [0.1, 0.2]})
    said = findings.error_grows(errors.assign(bound=[1.0, 4.0], divergence=[0.1, 0.8]))
    assert "by the power 2.0, the divergence by 3.0 and is 10 to 20 % of the bound" in said


def test_the_cheapest_estimator_is_that_of_the_same_cost():
    rows = [("one", "uniform", 3.0, 1), ("two", "uniform", 2.0, 4), ("quadrature", "9", 0.003, 100)]
    table = pd.DataFrame(rows, columns=["estimator", "times", "deviation", "evaluations"])
    said = findings.cheapest_estimator(table)
    assert "`one` with `uniform` times has the smallest error" in said and "take 1 million evaluations" in said


# -- sentences about Langevin dynamics


def of_variants(**metrics):
    """The table of metrics of variants, and of exact samples: sliced W2 0.1, mean log-density -5."""
    metrics = {"exact": {"sliced_wasserstein2": 0.1, "mean_log_density": -5.0}} | metrics
    rows = [(name, *item) for name, own in metrics.items() for item in own.items()]
    return pd.DataFrame(rows, columns=["variant", "metric", "value"])


def a_variant(distance, log_density=-5.0, r_hat=1.0, **more):
    own = {"non_finite": 0, "sliced_wasserstein2": distance, "mean_log_density": log_density}
    return own | {"split_r_hat_x": r_hat, "split_r_hat_y": r_hat} | more


@pytest.mark.parametrize(
    ("metrics", "moving", "said"),
    [
        (a_variant(0.12), None, "The mixture, as near as another exact sample (sliced W2 0.12, 1.2 times"),
        (a_variant(0.2, -5.1), None, "Nearly the mixture, a little too spread"),
        (a_variant(0.2, -4.9), None, "Nearly the mixture, a little too concentrated"),
        (a_variant(1.5), None, "Another law: its means are at rest, and single chains agree"),
        (a_variant(1.5, r_hat=2.0), None, "Another law, or one that is reached slowly"),
        (a_variant(0.12, -8.0), None, "Another law"),
        (a_variant(1.5, drift_z_y=8.74), "y", "Not at rest: the mean of y still moves after 1,000 steps (z = 8.7)"),
        (a_variant(1.5, non_finite=7), None, "7 particles diverged"),
    ],
)
def test_what_a_variant_samples(metrics, moving, said):
    assert findings.law_of_variant(of_variants(v=metrics), "v", moving, 1000).startswith(said)


def test_a_variant_without_noise():
    table = of_variants(v=a_variant(1.5), near=a_variant(0.1))
    assert findings.law_of_variant(table, "v", None, 10, False).startswith("No law at all")
    assert findings.law_of_variant(table, "near", None, 10, False).startswith("Near the mixture without noise")


def test_the_nearest_variant():
    said = findings.nearest(of_variants(b=a_variant(0.12), a=a_variant(4.0)))
    assert "`b` is nearest to the mixture: 0.12, 1.2 times" in said and "farthest is `a`: 4.00, 40 times" in said


def test_whether_chains_tell():
    table = of_variants(wrong=a_variant(1.5), slow=a_variant(0.1, r_hat=3.0))
    said = findings.chains_agree_on(table)
    assert "`wrong` has chains that agree on another law" in said and "`slow`, near the mixture" in said
    assert "say the same" in findings.chains_agree_on(of_variants(right=a_variant(0.1)))


def test_where_particles_end():
    modes = pd.DataFrame({"mode": [0.0, 1.0, None], "log_density": [-4.0, -5.0, None]})
    low = modes.assign(n_particles=[10, 90, 0], share=[0.1, 0.9, 0.0])
    assert "90.0 % in mode 1 and 10.0 % in mode 0; the highest mode has 10.00 %" in findings.ends_in_modes(low)
    high = modes.assign(n_particles=[60, 0, 40], share=[0.6, 0.0, 0.4])
    said = findings.ends_in_modes(high)
    assert "60.0 % in mode 0, 40.0 % in none; the first of these is the highest, and 1 of 2" in said


def test_whether_a_step_is_stable():
    laws = pd.DataFrame({"variant": ["v", "v"], "multiplier_across": [0.7, 0.8], "multiplier_along": [0.9, 0.9]})
    theory = pd.DataFrame({"quantity": ["stability_limit"], "value": [0.66]})
    assert "it contracts everywhere" in findings.step_is_stable(laws, theory, "v", 0.1)
    wild = findings.step_is_stable(laws.assign(multiplier_across=[-2.0, 0.5]), theory, "v", 1.0)
    assert "within 50 % of the components it expands, as the step of 1 is above the limit of 0.66" in wild


@pytest.mark.parametrize(
    ("cov_xx", "cov_yy", "said"),
    [
        (2.2, 0.1, "a temperature of its own in each direction and a current circulates"),
        (1.1, 0.55, "the component's own, but for the bias of a step"),
        (2.0, 1.0, "wider by the same factor both ways"),
        (0.5, 0.25, "narrower by the same factor both ways"),
    ],
)
def test_temperatures(cov_xx, cov_yy, said):
    laws = pd.DataFrame({"variant": ["v"], "component": 0, "cov_xx": cov_xx, "cov_yy": cov_yy, "circulation": 0.3})
    own = pd.DataFrame({"component": [0], "cov_xx": 1.0, "cov_yy": 0.5})
    assert said in findings.temperatures(laws, own, "v")
    assert findings.temperatures(laws.assign(cov_xx=float("nan")), own, "v") is None


def test_the_bias_of_a_step():
    theory = pd.DataFrame({"quantity": ["bias_slope"], "value": [-0.6]})
    rows = [("overdamped", 0.1, -0.06, 0.001), ("overdamped", 0.4, -0.48, 0.001), ("mala", 0.4, 0.0, 0.001)]
    sweep = pd.DataFrame(rows, columns=["kernel", "step_size", "bias", "std_error"])
    said = findings.bias_of_a_step(sweep, theory)
    assert "steps up to 0.1 agree" in said and "at 0.4 the bias is 2.0 times that" in said and "none is left" in said
    wrong = findings.bias_of_a_step(sweep.assign(bias=[0.1, 0.1, 0.1]), theory)
    assert "no step size of the sweep is small enough" in wrong and "some is left" in wrong


def test_when_a_variant_was_nearest():
    rows = [("away", 0, 4.0), ("away", 10, 1.0), ("away", 20, 2.0), ("near", 0, 4.0), ("near", 20, 0.5)]
    table = pd.DataFrame(rows, columns=["variant", "step", "value"]).assign(metric="sliced_wasserstein2")
    said = findings.on_the_way(table, ["away", "near", "none"])
    assert "`away` comes to 1.00 by step 10 and ends at 2.00; `near` ends at its nearest, 0.50." in said


# -- sentences about CSDI


def scores(metric, rows):
    """A table of one metric of all features, of {method: values under random-10 and blocks-6}."""
    found = [
        (pattern, method, "all", metric, value, 0.9 * value, 1.1 * value, 1000)
        for method, values in rows.items()
        for pattern, value in zip(("random-10", "blocks-6"), values, strict=True)
    ]
    columns = ["held_out", "method", "feature", "metric", "value", "lower", "upper", "n_targets"]
    return pd.DataFrame(found, columns=columns)


CRPS = scores("crps", {"auto": [0.1, 0.2], "CSDI": [0.11, 0.19], "CSDI, as in the paper": [0, 0], "linear": [0.2, 0.2]})


def history(losses):
    return pd.DataFrame({"step": [*range(0, 100 * len(losses), 100)], "split": "valid", "loss": losses})


def test_whether_training_helps():
    assert "falls from 0.400 to 0.200 (-50 %) at step 200" in findings.training_helps(history([0.4, 0.3, 0.2]))
    assert "then it rises by 50.0 % until step 200" in findings.training_helps(history([0.4, 0.2, 0.3]))
    assert "does not help" in findings.training_helps(history([0.2, 0.3]))
    assert findings.training_helps(history([0.2])) is None


def test_who_has_the_lowest_score():
    assert findings.ranking(CRPS) == "`auto` has the lowest CRPS under 1 of 2 patterns (blocks-6: `CSDI`)."
    alone = CRPS[~CRPS["method"].isin(["auto"])]
    assert findings.ranking(alone) == "`CSDI` has the lowest CRPS under 2 of 2 patterns."
    assert findings.ranking(CRPS[CRPS["method"] == "linear"]) is None


def test_beside_the_best_simpler_method():
    assert findings.beside_simpler(CRPS).endswith("random-10 -50 % (`linear`), blocks-6 +0 % (`linear`).")


@pytest.mark.parametrize(
    ("linear", "said"),
    [
        (0.2, "50 % below that of the best simpler method, `linear`, with 0.200; their 95 % intervals do not overlap"),
        (0.1001, "as much as the best simpler method, `linear`, with 0.100; their 95 % intervals overlap"),
        (0.05, "100 % above that of the best simpler method, `linear`"),
    ],
)
def test_the_score_of_a_pattern(linear, said):
    table = scores("crps", {"auto": [0.1, 0.2], "linear": [linear, 0.2]})
    assert said in findings.pattern_score(table, "random-10")
    assert "on 12 values, too few" in findings.pattern_score(table.assign(n_targets=12), "random-10")


def test_whether_the_scores_agree():
    tables = [scores(name, {"auto": [1, 1], "linear": [2, 2]}) for name in ("mae", "rmse", "crps")]
    assert "same best method under all 2" in findings.scores_disagree(pd.concat(tables))
    tables[1] = scores("rmse", {"auto": [3, 1], "linear": [2, 2]})
    said = findings.scores_disagree(pd.concat(tables))
    assert "under 1 of 2 patterns (random-10: MAE `auto`, RMSE `linear`, CRPS `auto`)" in said
    assert findings.scores_disagree(tables[0]) is None


def test_what_intervals_hold():
    right = findings.intervals_hold(scores("coverage_90", {"auto": [0.9, 0.91]}))
    assert right == "The 90 % intervals of `auto` hold 90 to 91 % of the held-out values: calibrated within 3 points."
    wrong = findings.intervals_hold(scores("coverage_90", {"CSDI": [0.5, 0.99]}))
    assert wrong.endswith("hold 50 to 99 %: too narrow under random-10 and too wide under blocks-6.")


def test_how_wide_intervals_are():
    assert "2.0 times as wide under blocks-6" in findings.intervals_widen(scores("interval_width_90", {"auto": [1, 2]}))
    assert "under each pattern" in findings.intervals_widen(scores("interval_width_90", {"auto": [1, 1]}))


def test_the_hardest_pattern():
    assert "0.100 under random-10 and 0.200, 2.0 times that, under blocks-6" in findings.hardest(CRPS)


def test_strategies_are_compared_where_they_differ():
    other = CRPS.assign(value=CRPS["value"] / 2)
    masks = {"one": ["random"], "two": ["blocks"], "same": ["random"]}
    assert "random-10: `two` (0.0550)" in findings.strategies_differ({"one": CRPS, "two": other}, masks)
    assert findings.strategies_differ({"one": CRPS, "same": other}, masks) is None


def test_draws_that_belong_together():
    held = {"auto": [0.8, 0.8], "auto, entries shuffled": [0.5, 0.79]}
    assert "52" not in findings.draws_belong_together(scores("coverage_80_of_mean", held))
    assert "hold 80 % by joint draws" in findings.draws_belong_together(scores("coverage_80_of_mean", held))
    same = {"auto": [0.8, 0.8], "auto, entries shuffled": [0.8, 0.79]}
    assert "little depends on it" in findings.draws_belong_together(scores("coverage_80_of_mean", same))


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ([-2.0, -1.5], "0.50 to 1.00 nats a value below"),
        ([0.0, 0.0], "1.00 nats a value above"),
        ([-2, 0], "1 of 2 patterns"),
    ],
)
def test_the_likelihood_beside_the_gaussians(bound, said):
    table = pd.concat([scores("nll_bound", {"CSDI": bound}), scores("nll", {"joint Gaussian": [-1.0, -1.0]})])
    assert said in findings.likelihood_beside_gaussian(table)


def test_what_is_missing():
    table = pd.DataFrame({"kind": "feature", "feature": ["a", "b", "all"], "share": [0.1, 0.3, 0.2]})
    assert findings.missing_share(table) == "20.0 % of the series' own values are missing, most of b (30 %)."
    assert "Nothing is missing" in findings.missing_share(table.assign(share=0.0))


# -- the page


def png(width=90, height=60):
    """The beginning of a PNG, as far as its size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I", 13, b"IHDR", width, height) + bytes(9)


def parts():
    figures = [
        Figure(f"langevin/{name}/scatter.png", png(), [f"Sample {name}."], "Dots.", {"variant": name}) for name in "ab"
    ]
    table = Table(["", "W2"], [["exact", "0.1"], ["a", "1"], ["b", "2"]], [{}, {"variant": "a"}, {"variant": "b"}])
    words = [Text(HOSTILE), Finding("`b` holds", {"variant": "b"}), Links("See", [("a b.html", HOSTILE)])]
    long = Table(["", *"pqrstuvw"], [["number"] + ["1,234,567.89"] * 8], [{}])
    sections = [
        Section("2", "All?", [*words, table, *figures, long]),
        Section("2a", "a?", [Text("x")], {"variant": "a"}),
    ]
    return [
        Part(f"1. {HOSTILE}", {"variant": {"a": f"a: {HOSTILE}", "b": "b"}}, sections),
        Part("2. Other", {"variant": {"a": "only"}}, [Section("3", "Other?", [Finding("stays", {"variant": "a"})])]),
    ]


def test_the_page_is_the_same_each_time_and_names_are_no_html():
    html = report_page.page("Answers", ["Lead"], parts())
    assert html == report_page.page("Answers", ["Lead"], parts())
    assert "<b>&" not in html and "&lt;b&gt;&amp;&quot;&lt;/script&gt;&#x27;" in html
    assert html.count("<figure") == 2 == html.count("data:image/png;base64,") and "<code>b</code> holds" in html
    assert html.count("data-label=") == 2  # none in the part with a single variant
    for target in re.findall(r'href="#([^"]+)"', html):
        assert f'id="{target}"' in html


def test_figures_beyond_the_limit_are_links(monkeypatch):
    monkeypatch.setattr(report_page, "MOST_BYTES", len(png()))
    html = report_page.page("Answers", [], parts())
    assert html.count("data:image/png;base64,") == 1 and "langevin/b/scatter.png (too large for this page)" in html


def test_parts_that_the_config_has_not_are_a_line():
    tables = report_parts.Tables(*[None] * 2, {}, *[None] * 9, {}, {}, {}, {}, {})
    sheet = report_parts.Sheet({}, {}, "../docs")
    found = report_parts.parts(tables, sheet, {"score_models": [], "variants": [], "runs": []})
    html = report_page.page("Answers", [], found)
    for said in ("no score models", "no Langevin variants", "no runs of CSDI"):
        assert f"This config has {said}" in html
    assert "<figure" not in html and "<button" not in html and 'href="../docs/langevin.md"' in html


def test_sentences_name_their_run_where_there_are_several():
    about = {"dataset": "d", "reader": "csv", "init": "base", "masks": ["random"], "n_steps": 9}
    missing = pd.DataFrame({"kind": "feature", "feature": ["a", "all"], "share": 0.0})
    for names in (["one"], ["one", "two"]):
        tables = report_parts.Tables(*[None] * 2, {}, *[None] * 9, {}, {}, {}, {}, {})._replace(
            histories={name: history([0.4, 0.2]) for name in names},
            scores=dict.fromkeys(names, CRPS),
            missingness={"d": missing},
        )
        shown = {("loss", name): report_parts.Shown("loss.png", png(), "Loss.", {"run": name}) for name in names}
        settings = {"score_models": [], "variants": [], "runs": [[name, about] for name in names]}
        found = report_parts.parts(tables, report_parts.Sheet(shown, {}, "docs"), settings)
        html = report_page.page("Answers", [], found)
        several = len(names) > 1
        assert ("<code>one</code>: The validation loss" in html) == several == ("<code>two</code>: random-10" in html)
        assert html.count("<figure") == len(names) and "which the paper did not use, fine-tuned from" in html


@contextlib.contextmanager
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="envs/requirements-test.txt is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no Chromium here; on Debian `apt install chromium` brings it")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def test_the_buttons_work_and_nothing_is_asked_for(tmp_path):
    path = tmp_path / "report.html"
    html = report_page.page("Answers", ["Lead"], parts())
    path.write_text(re.sub(r"(?<=base64,)[^\"]+", DOT, html), encoding="utf-8")
    with browser() as chromium:
        page, seen = chromium.new_page(viewport={"width": 420, "height": 800}), []
        page.on("request", lambda request: request.url.startswith("data:") or seen.append(request.url))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and seen.append(message.text))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
        shown = {"a": ["figure >> nth=0", "tr:has-text('a1')", "h3:has-text('a?')"], "b": ["figure >> nth=1"]}

        def visible(name):
            return {page.locator(selector).is_visible() for selector in shown[name]}

        page.click("button:has-text('a:')")
        assert (visible("a"), visible("b")) == ({False}, {True})
        page.click("button[data-all]")
        assert visible("a") == visible("b") == {True}
        page.click("button[data-all]")
        assert visible("a") == visible("b") == {False} and page.locator("text=exact").is_visible()
        assert page.locator("text=stays").is_visible()
        page.click("button:has-text('b') >> nth=-1")
        assert visible("b") == {True} and page.locator(".finding").first.is_visible()
        assert seen == [path.as_uri()]


DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
