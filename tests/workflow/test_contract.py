"""The tiny run, end to end: every promised file is there and holds what it should."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import safetensors
from PIL import Image

from scoredag.gmm import mixture
from scoredag.store import files

COLUMNS = {
    "gmm/parameters.parquet": "component weight mean_x mean_y cov_xx cov_xy cov_yy",
    "gmm/exact.parquet": "particle x y",
    "gmm/modes.parquet": "mode x y log_density",
    **{f"langevin/{variant}/samples.parquet": "particle step x y" for variant in "abcd"},
    **{
        f"langevin/{variant}/{name}.parquet": "particle step x y"
        for variant in "abcd"
        for name in ("history", "chains")
    },
    "langevin/metrics.parquet": "variant metric value",
    **{f"langevin/{variant}/rates.parquet": "variant metric value" for variant in "bcd"},
    "langevin/convergence.parquet": "variant step metric value",
    "langevin/sweep.parquet": "kernel step_size n_steps bias std_error",
    "langevin/theory.parquet": "quantity value std_error",
    "langevin/stationary.parquet": "variant component multiplier_across multiplier_along cov_xx cov_xy cov_yy "
    "circulation",
    "langevin/a/modes.parquet": "mode x y log_density n_particles share",
    **{
        f"likelihood/{model}/{table}.parquet": columns
        for model in ("exact", "widened", "network-likelihood")
        for table, columns in {
            "likelihoods": "point x y nll nll_error gap flow_nll",
            "map": "x y nll gap nll_error gap_error",
            "quantities": "quantity value error",
            "estimates": "point x y bound bound_std_error drawn_bound drawn_std_error",
            "estimated_quantities": "quantity value error",
        }.items()
    },
    "likelihood/bounds.parquet": "score_model point x y nll nll_error bound bound_std_error",
    "likelihood/summary.parquet": "statement score_model left right slack std_error",
    "likelihood/estimators.parquet": "estimator times bound std_error deviation evaluations",
    "likelihood/score_errors.parquet": "law error amount divergence bound std_error",
    "likelihood/dynamics.parquet": "score_model dynamics time particle x y",
    "likelihood/dynamics_distances.parquet": "score_model dynamics time metric value",
    "datasets/nyc-weather/series.parquet": "time feature value",
    "datasets/nyc-weather/missingness.parquet": "kind feature other time bin count total share",
    "datasets/nyc-weather/windows.parquet": "window step feature value role split",
    "datasets/nyc-weather/window_starts.parquet": "window start held_out",
    "datasets/nyc-weather/statistics.parquet": "feature mean std missing_fraction",
    "datasets/nyc-weather/structural.parquet": "feature component parameter value",
    "datasets/nyc-weather/baselines.parquet": "split window step feature method value deviation",
    "csdi/nyc-weather/history.parquet": "step epoch split loss learning_rate",
    "csdi/nyc-weather/samples.parquet": "window step feature truth samples",
    "csdi/nyc-weather/window_scores.parquet": "window start held_out feature n_targets n_draws nll_bound "
    "nll_bound_std_error gaussian_nll",
    **{
        f"csdi/nyc-weather/{name}.parquet": "held_out method feature metric value lower upper n_targets n_samples"
        for name in ("metrics", "validation_metrics")
    },
    "csdi/nyc-weather/validation_samples.parquet": "window step feature truth samples",
    "csdi/nyc-weather/start_choice.parquet": "step held_out crps n_targets chosen",
}
PATTERNS = {"random-10": (0.09, 0.11), "blocks-6": (0.1, 0.18)}  # shares of targets
NAMES = {"variant": "abcd", "dataset": ["nyc-weather"], "run": ["nyc-weather"]}  # in the tiny run


def promised_figures():
    """The figures that docs/results.md promises, but for those made on request, with the names of the tiny run."""
    page = (Path(__file__).parents[2] / "docs/results.md").read_text(encoding="utf-8")
    for cell, meaning in re.findall(r"^\| (`.*?`) \| (.*) \|$", page, re.MULTILINE):
        folder = ""
        for path in re.findall(r"`([^`]+)`", cell):
            folder = path.rpartition("/")[0] or folder
            path = f"{folder}/{path.rpartition('/')[2]}"
            if path.endswith((".png", ".gif")) and "on request" not in meaning:
                key = next(iter(re.findall(r"{(\w+)}", path)), None)
                names = "b" if path.endswith(".gif") else NAMES.get(key, [""])
                yield from (path.format(**{key: name}) if key else path for name in names)


FIGURES = list(promised_figures())


@pytest.fixture(scope="module")
def results(finished):
    return finished.folder / "results"


@pytest.mark.parametrize("path", COLUMNS)
def test_tables_have_their_columns_and_rows(results, path):
    table = pq.read_table(results / path)
    assert table.column_names == COLUMNS[path].split()
    assert table.num_rows > 0


@pytest.mark.parametrize("path", FIGURES)
def test_figures_are_there_and_show_something(results, path):
    with Image.open(results / path) as image:
        assert min(image.size) > 400
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 20


def test_there_is_nothing_else(results):
    found = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    rates = ["langevin/a/rates.parquet"]  # empty, as there is no noise
    models = (f"{name}/model.safetensors" for name in ("csdi/nyc-weather", "likelihood/network-likelihood"))
    empty = "datasets/nyc-weather/profile.parquet"  # as nothing is subtracted
    others = {"datasets/nyc-weather/gaussian.safetensors"}
    others |= {f"csdi/nyc-weather/{name}" for name in ("model-card.md", "explore.html")} | {"langevin/explore.html"}
    assert found == {*COLUMNS, *FIGURES, *rates, *models, empty, *others}


def test_the_series_is_on_the_full_grid_in_physical_units(results):
    series = pd.read_parquet(results / "datasets/nyc-weather/series.parquet")
    wide = series.pivot(index="time", columns="feature", values="value")
    assert (wide.index.to_series().diff().dropna() == pd.Timedelta("1h")).all()
    assert len(wide) == 8730 and str(wide.index[0]) == "2013-01-01 06:00:00+00:00"
    assert wide["EWR_temp"].iloc[0] == 39.02
    assert 0.09 < wide["JFK_pressure"].isna().mean() < 0.12


def test_what_is_missing_is_counted(results):
    series = pd.read_parquet(results / "datasets/nyc-weather/series.parquet")
    table = pd.read_parquet(results / "datasets/nyc-weather/missingness.parquet")
    assert set(table["kind"]) == {"feature", "time", "gaps", "in_gaps", "longest_gap", "pair", "hour", "month"}
    of_features = table[table["kind"] == "feature"].set_index("feature")["count"]
    missing = series["value"].isna().groupby(series["feature"], observed=True).sum()
    assert of_features.to_dict() == missing.to_dict() | {"all": missing.sum()}
    for kind in ("time", "in_gaps", "hour", "month"):
        counts = table[table["kind"] == kind].groupby("feature", observed=True)["count"].sum()
        assert counts.to_dict() == of_features.to_dict()


def test_no_hour_is_in_two_splits_and_targets_are_held_out_of_tests_only(results):
    windows = pd.read_parquet(results / "datasets/nyc-weather/windows.parquet")
    starts = pd.read_parquet(results / "datasets/nyc-weather/window_starts.parquet").set_index("window")
    hours = windows["window"].map(starts["start"]) + pd.to_timedelta(windows["step"], unit="h")
    assert windows.groupby(hours)["split"].nunique().max() == 1
    patterns = windows["window"].map(starts["held_out"].astype(object))
    assert (patterns.isna() == (windows["split"] == "train")).all()
    assert not (windows[windows["split"] == "train"]["role"] == "target").any()
    assert ((windows["role"] == "missing") == windows["value"].isna()).all()
    for split in ("valid", "test"):
        n_hours = set()
        for name, (lowest, highest) in PATTERNS.items():
            part = windows[(windows["split"] == split) & (patterns == name)]
            assert not part.assign(hour=hours).duplicated(["hour", "feature"]).any()
            n_hours.add(len(part))
            shares = part["role"].value_counts()
            assert lowest < shares["target"] / (shares["target"] + shares["observed"]) < highest
        assert len(n_hours) == 1


def test_every_target_of_the_test_split_is_imputed(results):
    windows = pd.read_parquet(results / "datasets/nyc-weather/windows.parquet")
    targets = windows[(windows["split"] == "test") & (windows["role"] == "target")]
    samples = pd.read_parquet(results / "csdi/nyc-weather/samples.parquet")
    key = ["window", "step", "feature"]
    assert targets[key].astype(str).to_numpy().tolist() == samples[key].astype(str).to_numpy().tolist()
    assert (targets["value"].to_numpy() == samples["truth"].to_numpy()).all()
    drawn = np.stack(samples["samples"].to_list())
    assert drawn.shape == (len(targets), 3) and np.isfinite(drawn).all()


@pytest.mark.parametrize(("name", "samples"), [("metrics", "samples"), ("validation_metrics", "validation_samples")])
def test_metrics_cover_all_patterns_and_methods_and_say_how_many(results, name, samples):
    metrics = pd.read_parquet(results / f"csdi/nyc-weather/{name}.parquet")
    assert metrics["held_out"].drop_duplicates().tolist() == list(PATTERNS)
    assert {"all", "EWR_temp", "LGA_pressure"} <= set(metrics["feature"])
    assert np.isfinite(metrics["value"]).all()
    assert (metrics["lower"] <= metrics["upper"]).all()
    assert metrics[metrics["feature"] == "all"].eval("lower <= value <= upper").mean() > 0.95
    n_targets = 0
    points = ["mean", "last value", "linear", "spline", "nearest neighbours", "ridge", "masked ridge"]
    dressed = ["joint Gaussian", "structural", *(f"{point}, dressed" for point in points)]
    of_intervals = {f"{name}_{percent}" for name in ("coverage", "interval_width") for percent in (50, 80, 90, 95)}
    for _, part in metrics.groupby("held_out"):
        scores = {method: rows[rows["feature"] == "all"] for method, rows in part.groupby("method")}
        of_csdi = {"CSDI", "CSDI, as in the paper", "CSDI, conformal"}
        assert set(scores) == {*points, *dressed, *of_csdi, "auto", "auto, entries shuffled"}
        paper = scores["CSDI, as in the paper"].set_index("metric")["value"]
        assert set(paper.index) == {"mae", "rmse", "crps"}
        assert paper["crps"] == scores["CSDI"].set_index("metric").at["crps", "value"]
        if name == "metrics":
            weights = part[(part["metric"] == "weight") & (part["feature"] == "all")]
            assert weights["value"].sum() == pytest.approx(1)
        for method in points:
            point = scores[method][scores[method]["metric"] != "weight"]
            assert set(point["metric"]) == {"mae", "rmse", "crps"} and (point["n_samples"] == 1).all()
        for method in [*dressed, "CSDI, conformal", "auto"]:
            of_points = scores[method][
                ~scores[method]["metric"].str.contains("^nll$|weight|_of_mean|_score|_distance_")
            ]
            assert set(of_points["metric"]) == {"mae", "rmse", "crps"} | of_intervals
        joint = {"energy_score", "variogram_score", "crps_of_mean", "coverage_80_of_mean"}
        for method in ("CSDI", "CSDI, conformal", "auto", "auto, entries shuffled"):
            assert joint <= set(scores[method]["metric"])
        assert set(scores["auto, entries shuffled"]["metric"]) == joint
        csdi = scores["CSDI"].set_index("metric").drop(["weight", *joint], errors="ignore")
        bound = {"nll_bound"} if name == "metrics" else set()
        assert set(csdi.index) == {"mae", "rmse", "crps"} | bound  # one draw of each pair is too few for intervals
        assert (csdi["n_samples"].drop(bound) == 3).all() and all(csdi.loc[[*bound], "n_samples"] == 4)
        counts = part[(part["feature"] != "all") & (part["method"] == "CSDI") & (part["metric"] == "mae")]["n_targets"]
        assert counts.sum() == csdi["n_targets"].iloc[0]
        n_targets += counts.sum()
    assert n_targets == len(pq.read_table(results / f"csdi/nyc-weather/{samples}.parquet"))


def test_every_test_window_is_scored_and_the_metrics_are_the_mean_over_targets(results):
    scores = pd.read_parquet(results / "csdi/nyc-weather/window_scores.parquet")
    windows = pd.read_parquet(results / "datasets/nyc-weather/windows.parquet")
    starts = pd.read_parquet(results / "datasets/nyc-weather/window_starts.parquet").set_index("window")
    targets = windows[(windows["split"] == "test") & (windows["role"] == "target")]
    whole, each = scores[scores["feature"] == "all"], scores[scores["feature"] != "all"]
    counts = targets.groupby(["window", "feature"], observed=True).size()
    assert each.set_index(["window", each["feature"].astype(str)])["n_targets"].to_dict() == counts.to_dict()
    assert (starts.loc[whole["window"], "start"].to_numpy() == whole["start"].to_numpy()).all()
    nats = (each["nll_bound"] * each["n_targets"]).groupby(each["window"]).sum()
    np.testing.assert_allclose(nats.to_numpy(), whole["nll_bound"] * whole["n_targets"])
    assert np.isfinite(scores["nll_bound"]).all() and (scores["nll_bound_std_error"] > 0).all()
    assert np.isfinite(scores["gaussian_nll"]).all()
    table = pd.read_parquet(results / "csdi/nyc-weather/metrics.parquet")
    for metric, column, method in (("nll_bound", "nll_bound", "CSDI"), ("nll", "gaussian_nll", "joint Gaussian")):
        rows = table[table["metric"] == metric]
        assert set(rows["method"]) == {method}
        metrics = rows.set_index(["held_out", "feature"])["value"]
        for (pattern, feature), part in scores.groupby(["held_out", "feature"], observed=True):
            mean = np.average(part[column], weights=part["n_targets"])
            assert metrics[pattern, feature] == pytest.approx(mean)


def test_langevin_metrics_name_each_variant_and_the_noise_floor(results):
    metrics = pd.read_parquet(results / "langevin/metrics.parquet")
    table = metrics.pivot(index="variant", columns="metric", values="value")
    assert list(table.index) == ["a", "b", "c", "d", "exact"]
    names = (
        "drift_effect_log_density drift_effect_x drift_effect_y drift_log_density drift_x drift_y "
        "drift_z_log_density drift_z_x drift_z_y "
        "effective_sample_size_x effective_sample_size_y energy_distance grid_divergence maximum_mean_discrepancy "
        "mean_log_density non_finite occupancy_total_variation sliced_wasserstein2 split_r_hat_x split_r_hat_y"
    )
    assert list(table.columns) == names.split()
    assert table.loc["exact", "sliced_wasserstein2"] == table["sliced_wasserstein2"].min()
    of_chains = table.filter(regex="drift|split|effective")
    assert of_chains.loc[["b", "c", "d"]].notna().all(axis=None) and of_chains.loc["a"].isna().all()


def test_convergence_names_each_variant_step_and_the_noise_floor(results):
    table = pd.read_parquet(results / "langevin/convergence.parquet")
    steps = {variant: sorted(part["step"].unique()) for variant, part in table.groupby("variant")}
    assert steps == {"exact": [0], **{variant: [0, 1, 7, 50] for variant in "abcd"}}
    assert np.isfinite(table["value"]).all()


def test_history_and_chains_are_those_of_the_first_particles(results):
    samples, history, chains = (
        pd.read_parquet(results / f"langevin/b/{name}.parquet") for name in ("samples", "history", "chains")
    )
    for table, n_particles in ((history, 300), (chains, 8)):
        assert set(table["particle"]) == set(range(n_particles))
    assert chains["step"].unique().tolist() == list(range(51))
    last = samples[(samples["step"] == 50) & (samples["particle"] < 300)]
    pd.testing.assert_frame_equal(history[history["step"] == 50].reset_index(drop=True), last.reset_index(drop=True))


def test_snapshots_are_kept(results):
    samples = pd.read_parquet(results / "langevin/b/samples.parquet")
    assert samples["step"].unique().tolist() == [0, 10, 50]


def test_the_model_says_what_it_was_trained_on(results):
    with safetensors.safe_open(results / "csdi/nyc-weather/model.safetensors", framework="np") as stored:
        metadata = json.loads(stored.metadata()["scoredag"])
    assert metadata["dataset"] == "nyc-weather" and metadata["init"] == "base"
    assert metadata["features"][0] == "EWR_temp" and len(metadata["config_sha256"]) == 64
    assert metadata["init_sha256"] == files.sha256(Path(__file__).parents[2] / "data/csdi-base.safetensors")
    stats = pd.read_parquet(results / "datasets/nyc-weather/statistics.parquet")
    assert metadata["statistics"] == {name: stats[name].tolist() for name in ("mean", "std")}
    starts = pd.read_parquet(results / "datasets/nyc-weather/window_starts.parquet")
    assert metadata["n_windows"] == starts["held_out"].isna().sum() and metadata["window_length"] == 12
    history = pd.read_parquet(results / "csdi/nyc-weather/history.parquet")
    best = history[history["split"] == "valid"].sort_values("loss").iloc[0]
    assert (metadata["kept_step"], metadata["validation_loss"]) == (best["step"], best["loss"])
    assert metadata["n_steps"] == 6


def test_the_card_has_the_scores_of_the_tables(results):
    card = (results / "csdi/nyc-weather/model-card.md").read_text(encoding="utf-8")
    metrics = pd.read_parquet(results / "csdi/nyc-weather/metrics.parquet")
    metrics = metrics[metrics["feature"] == "all"].set_index(["held_out", "method", "metric"])
    for pattern in PATTERNS:
        for method in ("auto", "CSDI"):
            rows = (metrics.loc[pattern, method, metric] for metric in ("mae", "rmse", "crps"))
            scores = (f"{row['value']:#.3g} ({row['lower']:#.3g} to {row['upper']:#.3g})" for row in rows)
            assert f"| {pattern} | {method} | {' | '.join(scores)} |\n" in card
        shares = (metrics.at[(pattern, "auto", f"coverage_{percent}"), "value"] for percent in (50, 80, 90, 95))
        assert f"| {pattern} | auto | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |\n" in card
    assert (
        "| training windows | 145 of 12 steps |\n" in card
        and "| training | 6 steps; the weights that are kept are" in card
    )
    assert not re.search(r"\b(nan|None|inf)\b", card)


def test_likelihoods_are_in_nats_of_the_plane(results):
    """Coarse as the tiny grid is, the exact score's are near those of the mixture itself."""
    table = pd.read_parquet(results / "likelihood/bounds.parquet")
    assert set(table["score_model"]) == {"exact", "widened", "network-likelihood"}
    gmm = mixture.from_table(pd.read_parquet(results / "gmm/parameters.parquet"))
    exact = table[table["score_model"] == "exact"]
    np.testing.assert_allclose(exact["nll"], -gmm.log_density(exact[["x", "y"]].to_numpy()), atol=1.5)
    assert (exact["bound"] > exact["nll"] - 4 * exact["bound_std_error"] - 1.5).all()
    assert np.isfinite(table[["nll", "bound", "bound_std_error"]]).all(axis=None)


def test_the_map_has_null_where_the_grid_cannot_tell(results):
    """Nothing is far from the mixture's own likelihood for the exact score, coarse as the tiny grid is."""
    path = results / "likelihood/exact/map.parquet"
    stored = pq.read_table(path)
    table = pd.read_parquet(path)
    values = ["nll", "gap", "nll_error", "gap_error"]
    known = table["nll"].notna()
    assert 0 < known.sum() < len(table)
    assert {stored[name].null_count for name in values} == {(~known).sum()}  # null, not NaN
    assert (table.loc[known, ["nll_error", "gap_error"]] <= 0.5).all(axis=None) and (table.loc[known, "gap"] >= 0).all()
    gmm = mixture.from_table(pd.read_parquet(results / "gmm/parameters.parquet"))
    truth = -gmm.log_density(table.loc[known, ["x", "y"]].to_numpy())
    np.testing.assert_allclose(table.loc[known, "nll"], truth, atol=1.0)


def test_the_summary_names_each_statement(results):
    summary = pd.read_parquet(results / "likelihood/summary.parquet").set_index(["statement", "score_model"])
    models = ("exact", "widened", "network-likelihood")
    assert set(summary.index) == {
        ("2", "none"),
        *((part, model) for part in ("1", "3", "4", "gap") for model in models),
    }
    np.testing.assert_allclose(summary["slack"], summary["right"] - summary["left"])
    assert (summary["slack"] > -5 * summary["std_error"]).all()


def test_the_same_particles_move_by_three_dynamics(results):
    table = pd.read_parquet(results / "likelihood/dynamics.parquet")
    kinds = ("reverse SDE", "probability flow")
    expected = [
        ("none", "forward SDE"),
        *((model, kind) for model in ("exact", "network-likelihood") for kind in kinds),
    ]
    assert list(dict.fromkeys(zip(table["score_model"], table["dynamics"], strict=True))) == expected
    assert table["time"].nunique() == 6 and table["particle"].nunique() == 100 and len(table) == 5 * 6 * 100
    last = table[table["time"] == 1].set_index("particle")[["x", "y"]].to_numpy().reshape(5, 100, 2)
    np.testing.assert_allclose(last, last[:1].repeat(5, axis=0))
    distances = pd.read_parquet(results / "likelihood/dynamics_distances.parquet")
    assert np.isfinite(distances["value"]).all()
    of_metrics = {metric: part["value"].max() for metric, part in distances.groupby("metric")}
    assert list(of_metrics) == ["mean_log_density", "neighbour_distance", "round_trip_error", "sliced_wasserstein2"]
    assert of_metrics["round_trip_error"] < 1e-2


def test_the_score_network_says_what_it_was_trained_on(results):
    with safetensors.safe_open(results / "likelihood/network-likelihood/model.safetensors", framework="np") as stored:
        metadata = json.loads(stored.metadata()["scoredag"])
    assert metadata["weighting"] == "likelihood" and metadata["process"]["name"] == "vp"
    assert metadata["unit"] == pytest.approx(4.953249) and metadata["training"]["n_steps"] == 20


def test_the_log_tells_of_the_impossible_wind_speed(project):
    done = project.snakemake("results/datasets/nyc-weather/series.parquet", configfiles=())
    assert done.returncode == 0, done.stdout
    log = (project.folder / "logs/datasets/nyc-weather/tidy_series.log").read_text(encoding="utf-8")
    assert "wind_speed" in log and "1048.36" in log and "plausible range 0 to 200" in log
