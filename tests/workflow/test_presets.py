"""Presets, downloads and the default run, end to end."""

import hashlib

import pandas as pd
import pytest

SMALL = """
csdi:
  runs:
    nyc-weather-official:
      training: {n_steps: 4, batch_size: 4, warm_up: 1, validate_every: 2, validation_draws: 2}
      sampling: {n_steps: 3, n_samples: 2, chunk: 64}
"""


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
    assert project.jobs(series, configfiles=("url.yaml",), SCOREDAG_MIRROR="/nowhere") == set()
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


def test_pretraining_starts_from_scratch_on_simulated_series(project):
    jobs = project.jobs("results/csdi/base/model.safetensors", configfiles=("config/presets/pretrain.yaml",))
    assert jobs == {"tidy_series", "cut_windows", "train_csdi"}


@pytest.mark.slow
def test_the_default_run_teaches_what_the_readme_says(project):
    done = project.snakemake(configfiles=())
    assert done.returncode == 0, done.stdout
    results = project.folder / "results"
    langevin = pd.read_parquet(results / "langevin/metrics.parquet")
    distance = langevin[langevin["metric"] == "sliced_wasserstein2"].set_index("variant")["value"]
    assert distance["b"] < 3 * distance["exact"] < distance["c"] < distance["d"] < distance["a"]
    assert (langevin[langevin["metric"] == "non_finite"]["value"] == 0).all()
    csdi = pd.read_parquet(results / "csdi/nyc-weather/metrics.parquet")
    crps = csdi[(csdi["metric"] == "crps") & (csdi["feature"] == "all")]
    table = crps.pivot(index="held_out", columns="method", values="value")
    assert sorted(table.index) == ["blocks-6", "random-10", "random-50", "random-90"]
    assert table["CSDI"]["random-10"] < table.drop(columns="CSDI").loc["random-10"].min()
    again = project.snakemake(configfiles=())
    assert "Nothing to be done" in again.stdout
