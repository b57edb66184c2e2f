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

DISTANCE = "sliced_wasserstein2"
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
    assert findings.bound_of_points(points.head(1)).startswith("At the only point")
    assert findings.bound_of_points(points).endswith("The mean gap of `m` is 0.050 nats.")
    two = pd.concat([points.head(1), points.head(1).assign(score_model="n", bound=1.5)])
    assert findings.bound_of_points(two).endswith("from 0.200 nats for `m` to 0.500 for `n`.")


def test_where_the_bound_is_tight():
    said = findings.where_tight(summary(tight=(0.1, 0.101), loose=(0.1, 0.4)))
    assert (
        "the bound of `tight` cannot be told from the divergence. The bound is the loosest for `loose`: 0.400 nats"
        in said
    )
    assert findings.where_tight(summary(loose=(0.1, 0.4))).startswith("The bound is not tight for `loose`: 0.400")


def test_whether_the_bound_orders_models():
    assert "no two score models" in findings.bound_orders(summary(a=(0.1, 0.2), b=(0.2, 0.3)))
    said = findings.bound_orders(summary(a=(0.2, 0.2), b=(0.1, 0.6)))
    assert "does not order" in said and "`b` has the higher bound (0.600 nats, `a` 0.200), but the lower div" in said
    within_errors = findings.bound_orders(summary(a=(0.0882, 0.0891), b=(0.0871, 0.437)))
    assert "need not mean" in within_errors and "alike within 3 standard errors, 0.00424 nats" in within_errors
    assert "no two score models" in findings.bound_orders(summary(a=(0.1, 0.1), b=(0.099, 0.105)))


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ((0.04, 0.08), (0.08, 0.13), "Training with g² follows the bound, and the likelihood with it"),
        ((0.09, 0.10), (0.08, 0.13), "Training with g² follows the bound, but not the likelihood"),
        ((0.04, 0.18), (0.08, 0.13), "Training with g² does not reach the lower bound here, yet the lower divergence"),
        ((0.09, 0.18), (0.08, 0.13), "Training with g² follows neither"),
        ((0.04, 0.13), (0.08, 0.13), "Which weighting trains the bound better cannot be told"),
        ((0.08, 0.08), (0.081, 0.13), "Training with g² follows the bound, but the divergences cannot be told apart"),
    ],
)
def test_whether_training_follows_the_bound(own, other, said):
    networks = {"usual": network("noise-variance"), "bound": network("likelihood")}
    assert findings.training_follows(summary(usual=other, bound=own), networks).startswith(said)


def network(weighting, n_steps=9):
    return {"weighting": weighting, "otherwise": {"n_steps": n_steps}}


def test_networks_that_are_not_there():
    table = summary(bound=(0.1, 0.2))
    assert findings.training_follows(table, {}) is None
    own = {"bound": network("likelihood")}
    assert "No network that differs in its weighting alone" in findings.training_follows(table, own)


def test_networks_trained_otherwise_are_not_compared():
    networks = {"bound": network("likelihood"), "short": network("noise-variance", n_steps=1)}
    said = findings.training_follows(summary(bound=(0.1, 0.2), short=(0.3, 0.4)), networks)
    assert "No network that differs in its weighting alone" in said and "short" not in said


def flow(*over):
    """A flow that is `over` its bound of 5 nats at so many points."""
    points = range(len(over))
    bounds = pd.DataFrame({"score_model": "m", "point": points, "bound": 5.0, "bound_std_error": 0.0})
    return {"m": pd.DataFrame({"point": points, "flow_nll": [5.0 + value for value in over]})}, bounds


@pytest.mark.parametrize(
    ("over", "head", "end"),
    [
        ([1.0, 1.2, 0.8], "The bound is about the reverse SDE alone:", "above it for `m` (by 1.00 ± 0.12 nats)."),
        ([-1.0, -1.2], "For no score model", "though the bound is not about it."),
        (
            [0.2, 0.0, 0.1],
            "For no score model",
            "For `m` it is above the bound by 0.10 ± 0.06 nats, which may be chance.",
        ),
    ],
)
def test_the_flow_is_above_the_bound_if_by_more_than_chance(over, head, end):
    said = findings.flow_is_not_bounded(*flow(*over))
    assert said.startswith(head) and said.endswith(end)


def test_the_flow_is_compared_with_the_bound_of_its_own_model():
    flows, bounds = flow(1.0, 1.1)
    assert "for `m`" in findings.flow_is_not_bounded(
        flows, pd.concat([bounds.assign(score_model="z", bound=9), bounds])
    )
    assert findings.flow_is_not_bounded(flows, bounds.assign(score_model="z")) is None


def test_powers_of_the_scores_error():
    errors = pd.DataFrame({"law": "mixture", "error": "bias", "amount": [0.1, 0.2]})
    said = findings.error_grows(errors.assign(bound=[1.0, 4.0], divergence=[0.1, 0.8]))
    assert "by the power 2.0, the divergence by 3.0 and is 10 to 20 % of the bound" in said


def test_the_cheapest_estimator_is_that_of_the_same_cost():
    rows = [("one", "uniform", 3.0, 1), ("two", "uniform", 2.0, 4), ("quadrature", "9", 0.003, 100)]
    table = pd.DataFrame(rows, columns=["estimator", "times", "deviation", "evaluations"])
    said = findings.cheapest_estimator(table)
    assert "`one` with `uniform` times has the smallest error" in said and "take 1 million evaluations" in said
    said = findings.cheapest_estimator(table.assign(deviation=[3.0, 2.0, 0.3]))
    assert "take 100 evaluations" in said
    assert "`two`" not in findings.cheapest_estimator(table.head(1))


@pytest.mark.parametrize(("flow", "said"), [(0.35, "(alike)"), (0.7, "(the SDE nearer)"), (0.01, "(the flow nearer)")])
def test_distances_within_the_noise_are_alike(flow, said):
    rows = [("none", "exact", 0.2), ("m", "reverse SDE", 0.3), ("m", "probability flow", flow)]
    table = pd.DataFrame(rows, columns=["score_model", "dynamics", "value"])
    assert said in findings.dynamics_agree(table.assign(metric=DISTANCE, time=0.0))


# -- sentences about Langevin dynamics


def of_variants(**metrics):
    """The table of metrics of variants, and of exact samples: sliced W2 0.1, mean log-density -5."""
    metrics = {"exact": {"sliced_wasserstein2": 0.1, "mean_log_density": -5.0}} | metrics
    rows = [(name, *item) for name, own in metrics.items() for item in own.items()]
    return pd.DataFrame(rows, columns=["variant", "metric", "value"])


def a_variant(distance, log_density=-5.0, r_hat=1.0, **more):
    own = {"non_finite": 0, "sliced_wasserstein2": distance, "mean_log_density": log_density, "drift_z_x": 0.1}
    return own | {"split_r_hat_x": r_hat, "split_r_hat_y": r_hat} | more


@pytest.mark.parametrize(
    ("metrics", "moving", "said"),
    [
        (
            a_variant(0.12),
            None,
            "The mixture, as far as 10,000 particles tell: about as near as another exact sample (sliced W2 0.12, 1.2",
        ),
        (a_variant(0.2, -5.1), None, "Close to the mixture, as far as 10,000 particles tell, a little too spread"),
        (
            a_variant(0.2, -4.9),
            None,
            "Close to the mixture, as far as 10,000 particles tell, a little too concentrated",
        ),
        (a_variant(0.2, -5.01), None, "Close to the mixture, as far as 10,000 particles tell (sliced"),
        (a_variant(1.5), None, "Another law: no mean moves clearly, and single chains agree"),
        (a_variant(1.5, r_hat=2.0), None, "Another law, or one that is reached slowly: no mean moves clearly, single"),
        (
            a_variant(1.5, r_hat=float("nan")),
            None,
            "Another law, or one that is reached slowly: no mean moves clearly (",
        ),
        (a_variant(1e30, -1e61), "x", "Away from the mixture after 1,000 steps, where it has next to no density"),
        (a_variant(0.12, -8.0), None, "Another law"),
        (a_variant(1.5, drift_z_y=8.74), "y", "Not at rest: the mean of y still moves after 1,000 steps (z = 8.7)"),
        (a_variant(1.5, non_finite=7), None, "7 particles diverged"),
        (a_variant(1.5, non_finite=1), None, "1 particle diverged"),
    ],
)
def test_what_a_variant_samples(metrics, moving, said):
    told = findings.law_of_variant(of_variants(v=metrics), "v", moving, about())
    assert told.startswith(said) and "nan" not in told and len(told) < 300


def about(has_noise=True):
    return {"n_steps": 1000, "n_particles": 10_000, "has_noise": has_noise}


def test_means_that_were_not_followed_are_not_at_rest():
    metrics = {name: value for name, value in a_variant(1.5).items() if not name.startswith(("drift", "split"))}
    told = findings.law_of_variant(of_variants(v=metrics), "v", None, about())
    assert "whether means still move is unknown (" in told and "nan" not in told


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (a_variant(1.5, -4.4), "No law at all: without noise particles end higher than exact samples"),
        (a_variant(1.5, -9.0), "No law at all: without noise particles end no higher than exact samples"),
        (a_variant(0.1), "Near the mixture without noise"),
        (a_variant(3e31, -1e62), "Away from the mixture after 1,000 steps, where it has next to no density"),
    ],
)
def test_a_variant_without_noise(metrics, said):
    told = findings.law_of_variant(of_variants(v=metrics), "v", None, about(has_noise=False))
    assert told.startswith(said) and len(told) < 300


def test_the_nearest_variant():
    said = findings.nearest(of_variants(b=a_variant(0.12), a=a_variant(4.0)))
    assert "`b` is nearest to the mixture: 0.12, 1.2 times" in said and "farthest is `a`: 4.00, 40 times" in said
    alike = findings.nearest(of_variants(b=a_variant(0.12), a=a_variant(0.15)))
    assert alike.endswith("; `a` is farther by less than the floor.")
    assert "3.0e+31, 3.0e+32 times" in findings.nearest(of_variants(b=a_variant(0.12), a=a_variant(3e31)))


def test_whether_chains_tell():
    table = of_variants(wrong=a_variant(1.5), slow=a_variant(0.1, r_hat=3.0))
    said = findings.chains_agree_on(table)
    assert "`wrong`, far from the mixture by distance, has chains that agree" in said and "`slow`, near the" in said
    assert "say the same" in findings.chains_agree_on(of_variants(right=a_variant(0.1)))
    assert findings.chains_agree_on(of_variants(away=a_variant(1e9, -1e18, r_hat=0.96))) is None


def test_where_particles_end():
    table = of_variants(v=a_variant(1.5), away=a_variant(1e9, -1e18))
    modes = pd.DataFrame({"mode": [0.0, 1.0, None], "log_density": [-4.0, -5.0, None]})
    low = modes.assign(n_particles=[10, 90, 0], share=[0.1, 0.9, 0.0])
    assert "90.0 % in mode 1 and 10.0 % in mode 0; the highest mode has 10.00 %" in findings.ends_in_modes(
        low, table, "v"
    )
    high = modes.assign(n_particles=[60, 0, 40], share=[0.6, 0.0, 0.4])
    said = findings.ends_in_modes(high, table, "v")
    assert (
        "60.0 % in mode 0, 40.0 % in none; the first of these is the highest, and 1 of 2 modes has no particles" in said
    )
    assert findings.ends_in_modes(high, table, "away") is None
    none = findings.ends_in_modes(modes.assign(n_particles=[0, 0, 9], share=[0.0, 0.0, 1.0]), table, "v")
    assert none == "Without noise no particle ends in a mode: steps are too few or too large for that."


def test_whether_a_step_is_stable():
    laws = pd.DataFrame({"variant": ["v", "v"], "multiplier_across": [0.7, 0.8], "multiplier_along": [0.9, 0.9]})
    assert "it contracts everywhere; steps below 0.667 do" in findings.step_is_stable(laws, "v", 0.1)
    wild = findings.step_is_stable(laws.assign(multiplier_across=[-2.0, 0.5]), "v", 1.0)
    assert "within 1 of 2 components it expands, as the step of 1 is above the limit of 0.667" in wild
    assert findings.step_is_stable(laws, "w", 1.0) is None


@pytest.mark.parametrize(
    ("cov_xx", "cov_yy", "said"),
    [
        (2.2, 0.1, "another factor in each direction and a current circulates"),
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
    theory = pd.DataFrame({"quantity": ["bias_slope"], "value": [-0.6], "std_error": [0.0]})
    rows = [("overdamped", 0.1, -0.06, 0.001), ("overdamped", 0.4, -0.48, 0.001), ("mala", 0.4, 0.0, 0.001)]
    sweep = pd.DataFrame(rows, columns=["kernel", "step_size", "bias", "std_error"])
    said = findings.bias_of_a_step(sweep, theory)
    assert "steps up to 0.1 agree" in said and "at 0.4 the bias is 2.0 times that" in said and "no bias is seen" in said
    wrong = findings.bias_of_a_step(sweep.assign(bias=[0.1, 0.1, 0.1]), theory)
    assert "no step size of the sweep is small enough" in wrong and "some bias is seen" in wrong
    lost = findings.bias_of_a_step(sweep.assign(bias=[-0.06, float("nan"), 0.0]), theory)
    assert "steps up to 0.1 agree" in lost and "nan" not in lost


def test_when_a_variant_was_nearest():
    rows = [("away", 0, 4.0), ("away", 10, 1.0), ("away", 20, 2.0), ("near", 0, 4.0), ("near", 20, 0.5)]
    table = pd.DataFrame([*rows, ("exact", 0, 0.28)], columns=["variant", "step", "value"]).assign(metric=DISTANCE)
    said = findings.on_the_way(table, ["away", "near", "none"])
    assert "`away` comes to 1.00 by step 10 and ends at 2.00; `near` ends as near as it comes, 0.50." in said
    noisy = pd.DataFrame(
        [("v", 0, 4.0), ("v", 10, 0.30), ("v", 20, 0.36), ("exact", 0, 0.28)], columns=table.columns[:3]
    )
    assert "`v` ends as near as it comes, 0.36" in findings.on_the_way(noisy.assign(metric=DISTANCE), ["v"])


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
    told = findings.training_helps(history([0.4, 0.3, 0.2]))
    assert told == "The validation loss falls by 50 % from 0.400 to 0.200 at step 200, whose weights are kept."
    assert "falls by 0.2 % from 0.400 to 0.399" in findings.training_helps(history([0.4, 0.3992]))
    assert "falls by less than 0.1 % from" in findings.training_helps(history([0.4, 0.39999]))
    assert "of the steps it falls by 25 %." in findings.training_helps(history([0.5] * 9 + [0.4, 0.3]))
    assert "then it rises by 50 % until step 200" in findings.training_helps(history([0.4, 0.2, 0.3]))
    assert "does not help" in findings.training_helps(history([0.2, 0.3]))
    assert findings.training_helps(history([0.2])) is None


def test_who_has_the_lowest_score():
    assert findings.ranking(CRPS) == (
        "`auto` has the lowest CRPS under 1 of 2 patterns, by 95 % intervals clear of the next method under none of "
        "these (blocks-6: `CSDI`, by 5.0 %)."
    )
    one = CRPS[CRPS["held_out"] == "random-10"]
    assert "under 1 of 1 pattern, by 95 % intervals clear of the next method under none" in findings.ranking(one)
    far = scores("crps", {"auto": [0.1, 0.1], "linear": [0.2, 0.2]})
    assert findings.ranking(far).endswith(
        "under 2 of 2 patterns, by 95 % intervals clear of the next method under 2 of these."
    )
    alone = CRPS[~CRPS["method"].isin(["auto"])]
    assert findings.ranking(alone).startswith("`CSDI` has the lowest CRPS under 2 of 2 patterns, by 95 %")
    assert findings.ranking(CRPS[CRPS["method"] == "linear"]) is None


def test_a_pattern_without_the_average_is_passed_over():
    there = CRPS[(CRPS["method"] != "auto") | (CRPS["held_out"] == "random-10")]
    assert findings.ranking(there).startswith("`auto` has the lowest CRPS under 1 of 1 pattern")
    assert "blocks-6" not in findings.beside_simpler(there) and findings.hardest(there) is None
    assert findings.pattern_score(there, "blocks-6") is None


def test_corrected_draws_are_no_other_method():
    rows = {"CSDI": [0.1, 0.1], "CSDI, conformal": [0.09, 0.09], "linear": [0.2, 0.2]}
    assert "under 2 of 2 patterns, by 95 % intervals clear" in findings.ranking(scores("crps", rows))


def test_too_few_values_tell_no_methods_apart():
    few = pd.concat([scores(name, {"auto": [1, 1], "linear": [2, 2]}) for name in ("mae", "rmse", "crps")])
    few["n_targets"] = few["held_out"].map({"random-10": 12, "blocks-6": 1000})
    assert findings.ranking(few).startswith("`auto` has the lowest CRPS under 1 of 1 pattern, by")
    assert "random-10" not in findings.beside_simpler(few) and findings.hardest(few) is None
    assert findings.scores_disagree(few) == "MAE, RMSE and CRPS name the same best method under 1 pattern."
    few["n_targets"] = 12
    assert findings.intervals_hold(scores("coverage_90", {"auto": [0.5, 0.99]}).assign(n_targets=12)) is None
    for said in (findings.ranking, findings.beside_simpler, findings.hardest, findings.scores_disagree):
        assert said(few) is None


def test_beside_the_best_simpler_method():
    said = "random-10 -50 % (`linear`), blocks-6 +0 % (`linear`); their 95 % intervals overlap under blocks-6."
    assert findings.beside_simpler(CRPS).endswith(said)


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
    assert "same best method under each of 2 patterns" in findings.scores_disagree(pd.concat(tables))
    tables[1] = scores("rmse", {"auto": [3, 1], "linear": [2, 2]})
    said = findings.scores_disagree(pd.concat(tables))
    assert said.endswith("under 1 of 2 patterns (random-10: MAE `auto`, RMSE `linear`, CRPS `auto`).")
    tables[1] = scores("rmse", {"auto": [2.1, 1], "linear": [2, 2]})
    assert "but the 95 % intervals of these methods overlap." in findings.scores_disagree(pd.concat(tables))
    assert findings.scores_disagree(tables[0]) is None


def test_quantiles_of_errors_make_no_other_method():
    rows = {"linear": [1, 1], "linear, dressed": [1, 1], "auto": [2, 2]}
    tables = [scores(name, rows) for name in ("mae", "rmse")] + [scores("crps", rows | {"linear": [1.5, 1.5]})]
    assert "same best method under each of 2" in findings.scores_disagree(pd.concat(tables))


def test_what_intervals_hold():
    right = findings.intervals_hold(scores("coverage_90", {"auto": [0.9, 0.91]}))
    assert right == "The 90 % intervals of `auto` hold 90 to 91 % of the held-out values: calibrated within 3 points."
    wrong = findings.intervals_hold(scores("coverage_90", {"CSDI": [0.5, 0.99]}))
    held = "hold 50 to 99 % of the held-out values"
    assert wrong.endswith(f"{held}: too narrow under random-10.")  # 99 % is not above 90 % by more than its interval
    unclear = findings.intervals_hold(scores("coverage_90", {"CSDI": [0.85, 0.9]}))
    assert unclear.endswith(
        "hold 85 to 90 % of the held-out values: off by more than 3 points, but not by more than chance."
    )


def test_how_wide_intervals_are():
    assert "2.0 times as wide under blocks-6" in findings.intervals_widen(scores("interval_width_90", {"auto": [1, 2]}))
    single = scores("interval_width_90", {"auto": [1, 2]}).head(1)
    assert findings.intervals_widen(single) == "The 90 % intervals of `auto` are 1.00 wide (z-scores)."
    assert "under each pattern" in findings.intervals_widen(scores("interval_width_90", {"auto": [1, 1]}))


def test_the_hardest_pattern():
    assert "0.100 under random-10 and 0.200, 2.0 times that, under blocks-6" in findings.hardest(CRPS)
    assert "cannot be told" in findings.hardest(scores("crps", {"auto": [0.1, 0.101]}))


def test_strategies_are_compared_where_they_differ():
    other = CRPS.assign(**{name: CRPS[name] / 2 for name in ("value", "lower", "upper")})
    masks = {"one": ["random"], "two": ["blocks"], "same": ["random"]}
    alike = {run: {"init": "base"} for run in masks}
    (said,) = findings.strategies_differ({"one": CRPS, "two": other}, masks, alike)
    assert "1 training each: random-10: blocks (0.0550), then random (0.110)" in said and "overlap" not in said
    assert findings.strategies_differ({"one": CRPS, "same": other}, masks, alike) == []
    (said,) = findings.strategies_differ({"one": CRPS, "two": CRPS.assign(value=CRPS["value"] * 0.99)}, masks, alike)
    assert "intervals of the two overlap under random-10, blocks-6." in said


def test_strategies_of_runs_that_differ_otherwise_are_not_compared():
    masks = {"one": ["random"], "two": ["blocks"]}
    otherwise = {
        "one": {"init": "base", "training": {"n_steps": 9}},
        "two": {"init": "scratch", "training": {"n_steps": 1}},
    }
    assert findings.strategies_differ(dict.fromkeys(masks, CRPS), masks, otherwise) == [
        "The runs `one` and `two` do not tell which strategy is better: they differ in their `init`, "
        "`training.n_steps`, too."
    ]


def test_draws_that_belong_together():
    held = {"auto": [0.8, 0.8], "auto, entries shuffled": [0.5, 0.79]}
    assert "52" not in findings.draws_belong_together(scores("coverage_80_of_mean", held))
    assert "hold 80 % by joint draws" in findings.draws_belong_together(scores("coverage_80_of_mean", held))
    short = scores("coverage_80_of_mean", {"auto": [0.6, 0.6], "auto, entries shuffled": [0.2, 0.5]})
    assert findings.draws_belong_together(short).endswith("of sums, though joint draws hold too little as well.")
    same = {"auto": [0.8, 0.8], "auto, entries shuffled": [0.8, 0.79]}
    assert "little depends on it" in findings.draws_belong_together(scores("coverage_80_of_mean", same))


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ([-2.0, -1.5], "0.50 to 1.00 nats a value below"),
        ([0.0, 0.0], "1.00 nats a value above"),
        ([-2, 0], "1 of 2 patterns (nats a value: random-10 1.00) and above it under the rest (blocks-6 1.00)"),
        ([-1.05, -1.05], "0.05 nats a value below the exact one of the joint Gaussian. Their 95 % intervals overlap"),
    ],
)
def test_the_likelihood_beside_the_gaussians(bound, said):
    table = pd.concat([scores("nll_bound", {"CSDI": bound}), scores("nll", {"joint Gaussian": [-1.0, -1.0]})])
    table["lower"], table["upper"] = table["value"] - 0.1, table["value"] + 0.1
    assert said in findings.likelihood_beside_gaussian(table)


def test_what_is_missing():
    table = pd.DataFrame({"kind": "feature", "feature": ["a", "b", "all"], "share": [0.1, 0.3, 0.2]})
    assert findings.missing_share(table) == "20 % of the series' own values are missing, most of b (30 %)."
    assert findings.missing_share(table.tail(2).assign(share=0.0001)) == (
        "less than 0.1 % of the series' own values are missing."
    )
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
    assert "<figure" not in html and "<button" not in html and 'href="../docs/langevin.html"' in html


def test_sentences_name_their_run_where_there_are_several():
    about = {"dataset": "d", "reader": "csv", "init": "base", "masks": ["random"], "n_steps": 9, "otherwise": {}}
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
