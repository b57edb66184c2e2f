"""Transformed features: a dataset with a transform is the transformed dataset, told in physical units."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from cut_windows import cut_windows
from evaluate_csdi import evaluate_csdi
from impute_baselines import impute_baselines
from scoredag import gaussian
from scoredag.errors import InputError
from scoredag.series import components, forecasts, profiles, tidy, transforms, windows
from scoredag.store import tables

SETTINGS = {"seed": 1, "length": 12, "block": 48, "shares": (0.6, 0.2, 0.2), "train_stride": 6, "split_seed": 1}
SETTINGS |= {"statistics": "train", "max_windows": None, "max_validation_windows": 50, "file": "mine.csv"}
SETTINGS |= {"circular": {}, "covariates": [], "group": "station", "profile": "calendar"}
SETTINGS |= {"held_out": [["random-30", {"pattern": "random", "share": 0.3, "length": None}]]}
CHOSEN = {"rain": "log1p", "flow": "log", "humid": "logit"}
RANGES = {"humid": [0, 100]}
NAMES = ["A_rain", "A_flow", "A_humid", "A_temp"]
BY_HAND = {
    "A_rain": np.log1p,
    "A_flow": np.log,
    "A_humid": lambda x: np.log((x + 0.5) / (100.5 - x)),  # of a range that is half a percent wider at either end
    "A_temp": lambda x: x,
}


def series(n=720, seed=0):
    """Rain that mostly does not fall, a flow, humidity with values at both ends, a temperature; some missing."""
    rng = np.random.default_rng(seed)
    z = np.sin(2 * np.pi * np.arange(n) / 24)[:, None] + rng.normal(size=(n, 4))
    values = [np.maximum(z[:, 0], 0) ** 3, np.exp(2 * z[:, 1]), (50 + 40 * z[:, 2]).clip(0, 100).round(), 20 + z[:, 3]]
    times = pd.date_range("2020-01-01", periods=n, freq="1h", tz="UTC", name="time").as_unit("us")
    return pd.DataFrame(np.column_stack(values), times, NAMES).mask(rng.random((n, 4)) < 0.05)


def cut(folder, wide, transform=CHOSEN, **changes):
    """Run the script; the table of statistics."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.parquet" for name in ("series", "windows", "starts", "statistics", "profile")]
    tables.write(tidy.to_tidy(wide), paths[0], tables.SERIES)
    cut_windows(*paths, SETTINGS | {"transform": transform, "plausible": RANGES} | changes, "mine")
    return tables.read(paths[3], tables.STATISTICS)


def by_hand(wide):
    return wide.apply(lambda column: BY_HAND[column.name](column))


def test_a_logarithm_is_advised_where_deviations_grow_with_the_level(tmp_path, caplog):
    rng = np.random.default_rng(0)
    level = np.exp(np.cumsum(0.15 * rng.normal(size=720)))
    wide = series().set_axis(["rain", "flow", "humid", "temp"], axis=1).assign(price=level, steady=100 + level)
    caplog.set_level("INFO")

    def told(transform):
        caplog.clear()
        cut(tmp_path, wide, transform, group=None)
        return [record.getMessage() for record in caplog.records if "a logarithm takes" in record.getMessage()]

    (line,) = told({})
    assert line.startswith(
        "mine: features that vary in proportion to their level: 'flow', 'price'; "
    ) and line.endswith("transform: {flow: log}")
    assert told({"flow": "log", "price": "log"}) == []


def test_the_gain_of_a_logarithm_is_a_difference_of_log_likelihoods():
    """Of x = e^z with z white the densities of both laws are known by their scales; and without values above 0."""
    x = np.exp(np.random.default_rng(0).normal(size=2000))
    errors, relative = (y[1:-1] - (y[:-2] + y[2:]) / 2 for y in (x, np.log(x)))
    likelihoods = [
        stats.laplace.logpdf(part, scale=np.abs(part).mean()).mean() for part in (errors, relative)
    ]  # of log x, with -log x for that of x
    expected = likelihoods[1] - np.log(x[1:-1]).mean() - likelihoods[0]
    assert transforms.gain_of_log(x) == pytest.approx(expected) and expected > transforms.WORTH
    assert transforms.gain_of_log(np.r_[x, 0.0]) == transforms.gain_of_log(x[:50]) == -np.inf
    assert transforms.gain_of_log(np.ones(500)) == -np.inf
    assert transforms.gain_of_log(100 + x) < transforms.WORTH


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_each_transform_rises_and_comes_back(name, kind):
    low, high = -2.0, 3.0
    values = {"log": np.geomspace(1e-9, 1e9, 400), "log1p": np.r_[0, np.geomspace(1e-3, 1e9, 399)]}
    values = values.get(name, np.linspace(low, high, 400)).astype(kind)
    forward, inverse = transforms.TRANSFORMS[name][:2]
    there = forward(values, low, high)
    assert (np.diff(there) > 0).all() and transforms.TRANSFORMS[name].accepts(values, low, high).all()
    np.testing.assert_allclose(inverse(there, low, high), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_what_is_far_out_stays_finite_also_as_float32(name):
    forward, inverse = transforms.TRANSFORMS[name][:2]
    back = inverse(np.linspace(-1e3, 1e3, 501), 5.0, 6.0)
    assert (np.diff(back) >= 0).all()
    with np.errstate(over="raise"):
        assert np.isfinite(forward(back.astype(np.float32), 5.0, 6.0)).all()
    if name == "logit":
        assert back.min() >= 5 - 1 / 200 and back.max() <= 6 + 1 / 200


def test_the_config_names_the_same_transforms(root):
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    key = schema["$defs"]["dataset"]["properties"]["transform"]
    assert key["additionalProperties"]["enum"] == list(transforms.TRANSFORMS)


def test_z_scores_are_of_transformed_values_less_the_profile_and_values_stay(tmp_path):
    wide = series()
    stats = cut(tmp_path, wide)
    assert transforms.names(stats) == ["log1p", "log", "logit", None]
    assert stats[["low", "high"]].to_numpy()[2].tolist() == [0, 100] and stats["low"].isna().sum() == 3
    profile, expected = profiles.read(tmp_path / "profile.parquet"), by_hand(wide).to_numpy()
    assert np.ptp(profile[:, 1]) > 3  # of the logarithm: two of its waves
    assert abs(np.nanmean(expected - profile, axis=0)).max() < 0.3
    expected = (expected - profile - stats["mean"].to_numpy()) / stats["std"].to_numpy()
    np.testing.assert_allclose(windows.z_scores(wide.to_numpy(), stats, profile), expected, atol=1e-9)
    numbers, scores, roles = windows.read(tmp_path / "windows.parquet", stats, "test")
    starts = tables.read(tmp_path / "starts.parquet", tables.WINDOW_STARTS).set_index("window")
    first = wide.index.get_loc(starts.loc[numbers[1], "start"])
    known = roles[1] != windows.MISSING
    np.testing.assert_allclose(scores[1][known], expected[first : first + 12].T[known], atol=1e-5)
    table = tables.read(tmp_path / "windows.parquet", tables.WINDOWS)
    shown = table.loc[table["window"] == numbers[1], "value"].to_numpy().reshape(12, 4)
    np.testing.assert_array_equal(shown.T[known], wide.to_numpy()[first : first + 12].T[known])


def test_without_a_transform_tables_have_the_columns_that_they_had(tmp_path):
    assert list(cut(tmp_path, series(), {}).columns) == tables.STATISTICS.names
    values = np.ones((2, 4))
    assert transforms.inverse(values, cut(tmp_path, series(), {})) is values


def scored(folder, wide, samples_of, **changes):
    """Statistics, baselines, forecasts as z-scores, and scores of a dataset with the draws `samples_of`."""
    stats = cut(folder, wide, **changes)
    training = windows.read(folder / "windows.parquet", stats, "train")[1:]
    law = gaussian.choose(training[0], training[1] == windows.OBSERVED, *windows_of(folder, stats))
    gaussian.save(law, folder / "gaussian.safetensors", {})
    components.save({}, folder / "structural.parquet")
    names = ("series", "profile", "windows", "starts", "statistics", "structural", "baselines")
    paths = {f"{name}_path": folder / f"{name}.parquet" for name in names}
    impute_baselines(**paths, gaussian_path=folder / "gaussian.safetensors", settings={}, dataset="mine")
    for split, name in (("valid", "validation"), ("test", "samples")):
        table = windows.table(folder / "windows.parquet", split)
        rows = table.loc[table["role"] == "target", ["window", "step", "feature", "value"]]
        rows = rows.rename(columns={"value": "truth"})
        rows = rows.assign(samples=list(samples_of(rows, stats).T))
        tables.write(rows, folder / f"{name}.parquet", tables.imputations(9))
    names = ("samples", "validation", "baselines", "windows", "starts", "statistics", "metrics")
    paths = {f"{name}_path": folder / f"{name}.parquet" for name in names}
    evaluate_csdi(**paths, scores_path=None, settings={"seed": 1, "antithetic": False}, split="test", threads=1)
    starts = tables.read(paths["starts_path"], tables.WINDOW_STARTS)
    read = forecasts.read(
        *(paths[f"{name}_path"] for name in names[:4:2]), paths["windows_path"], starts, stats, "test"
    )
    baselines = tables.read(paths["baselines_path"], tables.BASELINES)
    return stats, baselines, read, tables.read(paths["metrics_path"], tables.CSDI_METRICS)


def windows_of(folder, stats):
    _, values, roles = windows.read(folder / "windows.parquet", stats, "valid")
    return values, roles == windows.OBSERVED, roles == windows.TARGET


def test_a_dataset_with_transforms_scores_as_the_transformed_dataset(tmp_path):
    """Baselines, z-scores, intervals and scores are the same; errors in units are those of physical medians."""
    wide = series()

    def off(rows):
        return np.random.default_rng(len(rows)).normal(size=(9, len(rows))) / 5

    def of_transformed(rows, stats):
        return rows["truth"].to_numpy() + off(rows)

    def of_physical(rows, stats):
        moved, _ = transforms.forward_targets(rows, np.zeros((1, len(rows))), stats)
        feature = rows["feature"].cat.codes.to_numpy()
        return transforms.inverse(moved["truth"].to_numpy() + off(rows), stats, feature)

    stats, baselines, found, metrics = scored(tmp_path / "a", wide, of_physical)
    plain_stats, plain_baselines, plain, plain_metrics = scored(
        tmp_path / "b", by_hand(wide), of_transformed, transform={}
    )
    np.testing.assert_allclose(stats[["mean", "std"]], plain_stats[["mean", "std"]], atol=1e-12)
    feature = baselines["feature"].cat.codes.to_numpy()
    np.testing.assert_allclose(
        baselines["value"],
        transforms.inverse(plain_baselines["value"].to_numpy(), stats, feature),
        rtol=1e-6,
        atol=1e-6,
    )
    np.testing.assert_allclose(baselines["deviation"], plain_baselines["deviation"], rtol=1e-6)
    np.testing.assert_allclose(found.targets.truth, plain.targets.truth, atol=1e-9)
    np.testing.assert_allclose(found.draws, plain.draws, atol=1e-4)
    for name, (values, _) in plain.points.items():
        np.testing.assert_allclose(found.points[name][0], values, atol=1e-5)
    keys = ["held_out", "method", "feature", "metric"]
    both = metrics.merge(plain_metrics, on=keys, suffixes=("", "_plain"))
    assert len(both) == len(metrics) == len(plain_metrics)
    is_physical = both["metric"].str.endswith("_physical")
    np.testing.assert_allclose(*both.loc[~is_physical, ["value", "value_plain"]].to_numpy().T, rtol=1e-3, atol=1e-4)

    rows, samples = tables.read_imputations(tmp_path / "a/samples.parquet")
    errors = np.abs(np.median(samples, axis=0) - rows["truth"]).groupby(rows["feature"], observed=True).mean()
    table = metrics[(metrics["method"] == "CSDI") & (metrics["metric"] == "mae_physical")].set_index("feature")["value"]
    assert set(table.index) == set(NAMES)  # features have units of their own: none of all together
    np.testing.assert_allclose(table[NAMES], errors[NAMES], rtol=1e-4)
    scored_z = metrics[(metrics["method"] == "auto") & (metrics["feature"] == "A_temp")].set_index("metric")["value"]
    std = stats["std"].to_numpy()[3]
    assert scored_z["mae_physical"] == pytest.approx(std * scored_z["mae"])
    assert scored_z["rmse_physical"] == pytest.approx(std * scored_z["rmse"])


def test_errors_are_those_of_what_the_transform_makes_of_them():
    stats = pd.DataFrame({"feature": ["x", "y"], "mean": [1.0, 5.0], "std": [0.5, 2.0], "transform": ["log", None]})
    stats = stats.assign(low=np.nan, high=np.nan)
    found = transforms.errors(np.array([2.0, -3.0]), np.array([10.0, 4.0]), stats, np.array([0, 1]))
    np.testing.assert_allclose(found, [10 * np.e - 10, -6])
    assert transforms.metadata(stats) == {"transform": ["log", None], "low": [None] * 2, "high": [None] * 2}


def test_deviations_are_small_enough_for_the_smallest_values():
    wide = pd.DataFrame({"x": np.geomspace(1e-4, 1e4, 9), "y": np.arange(9.0)})
    stats = pd.DataFrame({"feature": ["x", "y"], "mean": 0.0, "std": [2.0, 3.0], "transform": ["log", None]})
    found = transforms.deviations(wide, stats.assign(low=np.nan, high=np.nan))
    np.testing.assert_allclose(found, [1e-4 * (np.e - 1 / np.e), 3])


@pytest.mark.parametrize(
    ("transform", "value", "words"),
    [
        (
            {"rain": "log1p"},
            -2,
            "mine.csv: feature 'A_rain': -2 at 2020-01-03 04:00:00.* has no log1p, which takes",
        ),
        (
            {"rain": "log"},
            0,
            "mine.csv: feature 'A_rain': 0 at .* has no log, which takes values above 0; set plausible",
        ),
        ({"humid": "logit"}, 101, "mine.csv: feature 'A_humid': 101 at .* its plausible range"),
        ({"snow": "log"}, 1, "datasets.mine.transform: there is no feature 'snow'; the features are A_rain, A_flow, "),
        ({"A_rain": "log1p"}, 1, "datasets.mine.transform: there is no feature 'A_rain'"),
    ],
)
def test_what_has_no_transform_is_one_line(tmp_path, transform, value, words):
    wide = series()
    wide["A_rain"] += 1
    column = f"A_{next(iter(transform))}".replace("A_A_", "A_").replace("snow", "temp")
    wide.iloc[[52, 60], wide.columns.get_loc(column)] = value
    with pytest.raises(InputError, match=f"^{words}") as caught:
        cut(tmp_path, wide, transform)
    assert "\n" not in str(caught.value)


def test_a_transform_that_leaves_no_difference_is_refused(tmp_path):
    wide = series().assign(A_flow=1e17 + np.arange(720) % 2 * 16)
    with pytest.raises(
        InputError, match=r"^mine\.csv: feature 'A_flow': its log is constant; leave its transform out$"
    ):
        cut(tmp_path, wide, {"flow": "log"})
