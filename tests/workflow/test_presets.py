"""Presets, downloads and the default run, end to end."""

import hashlib
import importlib
import io
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from scoredag.csdi import checkpoint
from scoredag.csdi.network import CSDI
from scoredag.series import physionet

SMALL = """
csdi:
  runs:
    nyc-weather-official:
      training: {n_steps: 4, batch_size: 4, warm_up: 1, validate_every: 2, validation_draws: 2}
      sampling: {n_steps: 3, n_samples: 2, chunk: 64}
    etth1-official: null
"""


@pytest.mark.slow
def test_the_official_checkpoint_is_fine_tuned(project, mirror):
    (project.folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    done = project.snakemake(
        "results/csdi/nyc-weather-official/metrics.parquet",
        configfiles=("config/presets/tiny.yaml", "config/presets/official.yaml", "small.yaml"),
        SCOREDAG_MIRROR=str(mirror),
    )
    assert done.returncode == 0, done.stdout
    metrics = pd.read_parquet(project.folder / "results/csdi/nyc-weather-official/metrics.parquet")
    assert "CSDI" in set(metrics["method"])


def test_the_official_preset_is_about_both_series(project):
    plan = project.snakemake("--summary", configfiles=("config/presets/official.yaml",)).stdout
    for run in ("nyc-weather-official", "etth1-official"):
        assert f"results/csdi/{run}/metrics.png" in plan
    assert "results/downloads/ETTh1.csv" in plan and "results/csdi/nyc-weather/" not in plan


def test_the_preset_of_islands_is_about_its_own_variants(project):
    plan = project.snakemake("--summary", configfiles=("config/presets/islands.yaml",)).stdout
    for variant in ("overdamped", "patient", "annealed", "tempering"):
        assert f"results/langevin/{variant}/samples.parquet" in plan
    assert "results/langevin/b/" not in plan


def test_the_preset_of_the_weights_that_ship_is_about_three_series(project):
    presets = ("config/presets/own-series.yaml", "config/presets/zero-shot.yaml")
    plan = project.snakemake("--summary", configfiles=presets).stdout
    for run in ("weather-zero", "own-zero", "etth1-zero"):
        assert f"results/csdi/{run}/metrics.png" in plan
    assert "results/csdi/own-series/" not in plan and "results/csdi/nyc-weather/" not in plan


def test_a_dataset_is_downloaded_once_wherever_it_comes_from(project, mirror):
    """Through the mirror, from which it may go; another url or a file at hand is no reason to run again."""
    series = "results/datasets/etth1/series.parquet"
    done = project.snakemake(series, SCOREDAG_MIRROR=str(mirror))
    assert done.returncode == 0, done.stdout
    table = pd.read_parquet(project.folder / series)
    assert len(table) == 17420 * 7 and table["value"].notna().all()
    (project.folder / "url.yaml").write_text(
        "datasets: {etth1: {url: [https://example.org/x, https://example.org/y]}}", encoding="utf-8"
    )
    (project.folder / "ETTh1.csv").write_bytes((mirror / "ETTh1.csv").read_bytes())
    assert project.dry_run(series, configfiles=("url.yaml",), SCOREDAG_MIRROR="/nowhere") == set()
    # another sha256 is
    (project.folder / "sha256.yaml").write_text(f"datasets: {{etth1: {{sha256: {'a' * 64}}}}}", encoding="utf-8")
    assert project.jobs(series, configfiles=("sha256.yaml",)) == {"fetch_file", "tidy_series"}


def test_the_mirror_is_a_key_and_the_file_at_hand_needs_none(project, tmp_path):
    content = b"when,x\n" + b"".join(b"2020-01-01T%02d:00,%d\n" % (hour, hour) for hour in range(24))
    sha256 = hashlib.sha256(content).hexdigest()
    entry = f"{{reader: csv, time: when, file: s.csv, url: 'https://example.org/s.csv', sha256: {sha256}}}"
    (project.folder / "mine.yaml").write_text(f"mirror: {tmp_path}\ndatasets: {{s: {entry}}}", encoding="utf-8")
    for folder in (tmp_path, project.folder):
        (folder / "s.csv").write_bytes(content)
        target = "results/downloads/s.csv"
        done = project.snakemake(target, "--forcerun", "fetch_file", configfiles=("mine.yaml",), SCOREDAG_MIRROR="")
        assert done.returncode == 0, done.stdout
        assert (project.folder / target).read_bytes() == content
        (folder / "s.csv").unlink()


def test_pretraining_starts_from_scratch_on_simulated_series_and_goes_on(project):
    train = {"tidy_series", "cut_windows", "train_csdi"}
    first, second = (
        (f"results/csdi/{run}/model.safetensors", (f"config/presets/{preset}.yaml",))
        for run, preset in (("days", "pretrain-days"), ("base", "pretrain"))
    )
    assert project.jobs(first[0], configfiles=first[1]) == train
    refused = project.snakemake("--dry-run", second[0], configfiles=second[1])
    assert refused.returncode and f"there is no file '{first[0]}'" in refused.stdout.splitlines()[-1]
    (project.folder / first[0]).parent.mkdir(parents=True)
    (project.folder / first[0]).write_bytes(b"")
    assert project.jobs(second[0], configfiles=second[1]) == train


def test_the_zoo_is_planned_as_soon_as_its_packages_are_there(project, root):
    overlay = "config/presets/zoo.yaml"
    datasets = yaml.safe_load((root / overlay).read_text(encoding="utf-8"))["datasets"]
    targets = [f"results/csdi/{name}/metrics.parquet" for name in datasets]
    refused = project.snakemake("--dry-run", *targets, configfiles=(overlay,))
    assert refused.returncode and "results/zoo/packages/" in refused.stdout.splitlines()[-1]
    for dataset in datasets.values():
        file = project.folder / dataset["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    jobs = project.jobs(*targets, configfiles=(overlay,))
    assert jobs >= {"tidy_series", "cut_windows", "train_csdi", "evaluate_csdi"}
    assert not jobs & {"fetch_file", "sample_langevin"}


def test_harder_gaps_replace_the_default_ones(project, root):
    overlay = "config/presets/hard-gaps.yaml"
    target = "results/datasets/nyc-weather/window_starts.parquet"
    done = project.snakemake(target, configfiles=(overlay,))
    assert done.returncode == 0, done.stdout
    starts = pd.read_parquet(project.folder / target)
    assert starts["held_out"].cat.categories.tolist() == ["outages", "high"]


PHYSIONET = """
datasets:
  physionet-2012:
    file: set-a.tar.gz
    url: null
    contents_sha256: null
    windows: {max_windows: 2}
csdi:
  checkpoints:
    official: {file: weights.safetensors, url: null, sha256: null}
  runs:
    physionet:
      sampling: {n_steps: 2, n_samples: 3}
"""


def write_records(path, n):
    """An archive of `n` patients, each with four values of each feature."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as archive:
        for record in range(132539, 132539 + n):
            lines = [
                f"{hour:02d}:07,{name},{rng.normal(10, 3):.2f}\n"
                for hour in range(0, 48, 12)
                for name in physionet.FEATURES
            ]
            content = "".join(["Time,Parameter,Value\n", *lines]).encode()
            header = tarfile.TarInfo(f"set-a/{record}.txt")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


@pytest.mark.slow
def test_patients_are_imputed_with_a_checkpoint_as_it_is(project):
    write_records(project.folder / "set-a.tar.gz", 20)
    torch.manual_seed(0)
    model = CSDI(35)
    checkpoint.save(model, project.folder / "weights.safetensors", {})
    (project.folder / "small.yaml").write_text(PHYSIONET, encoding="utf-8")
    configfiles = ("config/presets/physionet.yaml", "small.yaml")
    names = ("loss", "imputation", "surprise", "calibration", "metrics", "joint_scores")
    figures = [f"results/csdi/physionet/{name}.png" for name in names]
    assert "fetch_file" in project.jobs(*figures, configfiles=configfiles[:1])
    done = project.snakemake(*figures, configfiles=configfiles)
    assert done.returncode == 0, done.stdout
    for figure in figures:
        with Image.open(project.folder / figure) as image:
            assert min(image.size) > 400
    results = project.folder / "results"
    weights = load_file(results / "csdi/physionet/model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    history = pd.read_parquet(results / "csdi/physionet/history.parquet")
    assert history[["step", "split"]].to_numpy().tolist() == [[0, "valid"]]
    folder = results / "datasets/physionet-2012"
    series = pd.read_parquet(folder / "series.parquet")
    assert list(series.columns) == ["series", "time", "feature", "value"] and len(series) == 20 * 48 * 35
    assert list(series["feature"].cat.categories) == list(physionet.FEATURES)
    stats = pd.read_parquet(folder / "statistics.parquet").set_index("feature")
    assert stats["mean"]["HR"] == pytest.approx(series[series["feature"] == "HR"]["value"].mean())  # of all patients
    windows = pd.read_parquet(folder / "windows.parquet")
    n_windows = windows.groupby("split", observed=True)["window"].nunique()
    # a window a patient, three patterns; the few of validation are there four times
    assert n_windows[["train", "valid", "test"]].tolist() == [14, 4 * 2 * 3, 2 * 3]
    metrics = pd.read_parquet(results / "csdi/physionet/metrics.parquet")
    totals = metrics[(metrics["method"] == "CSDI") & (metrics["feature"] == "all") & (metrics["metric"] == "mae")]
    assert totals["held_out"].tolist() == ["random-10", "random-50", "random-90"]
    assert totals["n_targets"].tolist() == [2 * 14, 2 * 70, 2 * 126]
    scores = pd.read_parquet(results / "csdi/physionet/window_scores.parquet")
    assert scores.columns[0] == "series" and (scores["feature"] == "all").sum() == 2 * 3
    again = project.snakemake(*figures, configfiles=configfiles)
    assert "Nothing to be done" in again.stdout


@pytest.mark.slow
def test_the_official_weights_score_as_in_the_paper(project, mirror):
    small = "{windows: {max_windows: 16, held_out: {random-50: null, random-90: null}}}"
    (project.folder / "small.yaml").write_text(
        f"datasets: {{physionet-2012: {small}}}\ncsdi: {{runs: {{physionet: {{sampling: {{n_samples: 20}}}}}}}}\n",
        encoding="utf-8",
    )
    done = project.snakemake(
        "results/csdi/physionet/metrics.parquet",
        configfiles=("config/presets/physionet.yaml", "small.yaml"),
        SCOREDAG_MIRROR=str(mirror),
    )
    assert done.returncode == 0, done.stdout
    metrics = pd.read_parquet(project.folder / "results/csdi/physionet/metrics.parquet")
    totals = metrics[metrics["feature"] == "all"].set_index(["method", "metric"])["value"]
    assert 0.18 < totals["CSDI", "mae"] < 0.3 and 0.19 < totals["CSDI", "crps"] < 0.33
    crps = totals.loc[:, "crps"]
    assert crps["CSDI"] < crps[[method for method in crps.index if not method.startswith(("CSDI", "auto"))]].min()


def test_a_series_of_ones_own_is_read_with_its_gaps(project):
    overlay = "config/presets/own-series.yaml"
    assert "nyc-weather" not in project.snakemake("--dry-run", "--quiet", "rules", configfiles=(overlay,)).stdout
    done = project.snakemake("results/datasets/own-series/windows.parquet", configfiles=(overlay,))
    assert done.returncode == 0, done.stdout
    folder = project.folder / "results/datasets/own-series"
    missing = pd.read_parquet(folder / "statistics.parquet").set_index("feature")["missing_fraction"] * 4388
    assert missing.round().to_dict() == {
        **dict.fromkeys(["temp", "dewp", "humid", "wind_speed"], 20),
        "pressure": 448,
        **dict.fromkeys(["wind_dir_sin", "wind_dir_cos"], 97 + 196),  # missing, and calms
    }
    starts = pd.read_parquet(folder / "window_starts.parquet")["start"]
    assert starts.iloc[0] == pd.Timestamp("2013-07-01T04:00Z")  # midnight in New York


@pytest.mark.slow
def test_the_default_run_teaches_what_the_readme_says(project, root, monkeypatch):
    done = project.snakemake(configfiles=())
    assert done.returncode == 0, done.stdout
    results = project.folder / "results"
    langevin = pd.read_parquet(results / "langevin/metrics.parquet")
    distance = langevin[langevin["metric"] == "sliced_wasserstein2"].set_index("variant")["value"]
    assert distance["b"] < 3 * distance["exact"] < distance["c"] < distance["d"] < distance["a"]
    assert (langevin[langevin["metric"] == "non_finite"]["value"] == 0).all()
    page = (root / "docs/langevin.md").read_text(encoding="utf-8")
    monkeypatch.syspath_prepend(str(root / "docs"))
    make_langevin = importlib.import_module("make_langevin")
    assert make_langevin.rewrite(page, make_langevin.tables(results)) == page, "run docs/make_langevin.py"
    summary = pd.read_parquet(results / "likelihood/summary.parquet")
    assert (summary["slack"] > -3 * summary["std_error"]).all() and (summary["std_error"] < 0.02).all()
    entropy = summary[summary["statement"] == "2"].iloc[0]
    assert entropy["right"] == pytest.approx(entropy["left"], rel=0.01)
    explained = summary[summary["statement"] == "gap"]
    assert (explained["slack"].abs() < 3 * explained["std_error"]).all()
    bounds = pd.read_parquet(results / "likelihood/bounds.parquet")
    assert ((bounds["bound"] - bounds["nll"]) / bounds["bound_std_error"]).min() > -4  # of 600 points
    slack = summary.set_index(["statement", "score_model"])["slack"]
    assert slack["1", "scaled"] > 0.2 and slack["1", "biased"] > 0.2 and slack["1", "widened"] < 0.01
    distances = pd.read_parquet(results / "likelihood/dynamics_distances.parquet")
    at_data = distances[(distances["time"] < 1e-3) & (distances["metric"] == "mean_log_density")]
    logs = at_data.set_index(["score_model", "dynamics"])["value"].sort_index()
    assert (logs.drop("network-likelihood") - logs["none", "exact"]).abs().max() < 0.15  # of 0.04, its standard error
    network = logs["network-likelihood"]
    assert network["probability flow"] < network["reverse SDE"] - 0.1 < logs["exact"].min() - 0.15
    csdi = pd.read_parquet(results / "csdi/nyc-weather/metrics.parquet")
    crps = csdi[(csdi["metric"] == "crps") & (csdi["feature"] == "all")]
    table = crps.pivot(index="held_out", columns="method", values="value")
    assert sorted(table.index) == ["blocks-6", "random-10", "random-50", "random-90"]
    assert (table["CSDI"] < table.drop(columns=["CSDI", "CSDI, conformal", "auto"]).min(axis=1)).all()
    bound = csdi[(csdi["metric"] == "nll_bound") & (csdi["feature"] == "all")]
    assert len(bound) == 4 and (bound["value"] < np.log(2 * np.pi * np.e) / 2).all()  # a standard normal's
    again = project.snakemake(configfiles=())
    assert "Nothing to be done" in again.stdout
