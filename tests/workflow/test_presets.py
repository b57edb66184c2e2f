"""Presets and the default run, end to end."""

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


def test_pretraining_starts_from_scratch_on_simulated_series(project):
    jobs = project.jobs("results/csdi/base/model.safetensors", configfiles=("config/presets/pretrain.yaml",))
    assert jobs == {"tidy_series", "cut_windows", "train_csdi"}


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
