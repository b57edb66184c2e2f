"""Real gaps filled and intervals corrected, on request by path or by a setting of the run."""

import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

TINY, MORE = "config/presets/tiny.yaml", "more.yaml"
RUN = "results/csdi/nyc-weather"
OVERLAY = "csdi: {runs: {nyc-weather: {fill_gaps: true}}}\n"


COMPLETING = {"complete_series", "aggregate_series", "plot_aggregates"}


def test_completed_series_and_aggregates_are_made_by_path_alone(root, edited, monkeypatch):
    """They leave what fills the gaps as it is, whose jobs they do not ask for."""
    assert edited.jobs() == set() and edited.jobs(f"{RUN}/aggregates.png") == COMPLETING
    done = edited.snakemake(f"{RUN}/aggregates.png")
    assert done.returncode == 0, done.stdout
    completed = edited.folder / RUN / "completed.parquet"
    before = completed.read_bytes()
    table = pq.read_table(completed)
    assert table.column_names == ["draw", "time", "feature", "value"]
    series = pd.read_parquet(edited.folder / "results/datasets/nyc-weather/series.parquet")
    missing = series[series["value"].isna()]
    rows = table.to_pandas()
    assert (rows["time"].to_numpy()[::20] == missing["time"].to_numpy()).all()
    assert (rows["feature"].astype(str).to_numpy()[::20] == missing["feature"].astype(str).to_numpy()).all()
    assert rows["draw"].tolist() == list(range(20)) * len(missing) and np.isfinite(rows["value"]).all()
    aggregates = pq.read_table(edited.folder / RUN / "aggregates.parquet")
    names = ["period", "start", "feature", "statistic", "estimate", "lower", "upper"]
    names += ["shifted", "shifted_lower", "shifted_upper", "missing", "n_steps"]
    assert aggregates.column_names == names and set(aggregates["period"].to_pylist()) == {"day"}
    with Image.open(edited.folder / RUN / "aggregates.png") as image:
        assert min(image.size) > 400 and len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 20
    done = edited.snakemake(f"{RUN}/completed.parquet", "--cores", "1", "--forcerun", "complete_series")
    assert done.returncode == 0 and completed.read_bytes() == before, done.stdout
    the_page_pools_what_it_says(root, edited.folder, monkeypatch)
    keys = {"aggregates: {period: week}": {"aggregate_series", "plot_aggregates"}, "completed: {draws: 3}": COMPLETING}
    for key, jobs in keys.items():
        (edited.folder / MORE).write_text(f"csdi: {{runs: {{nyc-weather: {{{key}}}}}}}\n", encoding="utf-8")
        assert edited.jobs(f"{RUN}/aggregates.png", configfiles=(TINY, MORE)) == jobs
        assert edited.jobs(configfiles=(TINY, MORE)) == set()


def the_page_pools_what_it_says(root, folder, monkeypatch):
    monkeypatch.chdir(folder)
    page = (root / "docs/filling.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope = {}
    exec(snippet, scope)
    assert len(scope["means"]) == 20 and scope["pooled"].lower < scope["pooled"].estimate < scope["pooled"].upper


def run_again(project):
    (project.folder / MORE).write_text(OVERLAY, encoding="utf-8")
    done = project.snakemake(configfiles=(TINY, MORE))
    assert done.returncode == 0, done.stdout
    return project.folder


def test_gaps_ask_for_no_more_than_their_own_jobs(edited):
    (edited.folder / MORE).write_text(OVERLAY, encoding="utf-8")
    assert edited.jobs(configfiles=(TINY, MORE)) == {"fill_gaps", "plot_gaps", "plot_explore"}
    assert edited.jobs(f"{RUN}/gaps.png") == {"fill_gaps", "plot_gaps"}
    run_again(edited)
    the_whole_series_is_there(edited.folder)
    the_corrected_intervals_are_scored(edited.folder)
    one_core_gives_the_same_bytes(edited)
    again = edited.snakemake(configfiles=(TINY, MORE))
    assert "Nothing to be done" in again.stdout, again.stdout
    edited.edit("config/config.yaml", "pressure: mbar", "pressure: hPa")
    assert edited.jobs(configfiles=(TINY, MORE)) == {
        "plot_gaps",
        "plot_explore",
        "plot_imputation",
        "plot_surprise",
        "write_card",
    }


def the_whole_series_is_there(folder):
    table = pq.read_table(folder / RUN / "imputed.parquet")
    assert table.column_names == ["time", "feature", "value", "lower", "upper", "imputed", "quality"]
    imputed = table.to_pandas()
    series = pd.read_parquet(folder / "results/datasets/nyc-weather/series.parquet")
    missing = series["value"].isna().to_numpy()
    assert (imputed["time"] == series["time"]).all() and (imputed["feature"] == series["feature"]).all()
    assert (imputed["imputed"].to_numpy() == missing).all() and missing.sum() > 1000
    assert (imputed["value"].to_numpy()[~missing] == series["value"].to_numpy()[~missing]).all()
    assert np.isfinite(imputed["value"]).all()
    assert (imputed[["lower", "upper"]].isna().all(axis=1) == ~missing).all()
    wide = pd.read_csv(folder / RUN / "imputed.csv", index_col="time", parse_dates=True)
    assert (wide.to_numpy().ravel() == imputed["value"].to_numpy()).all()
    log = (folder / "logs/csdi/nyc-weather/fill_gaps.log").read_text(encoding="utf-8")
    assert "windows of 12 steps fill them" in log and "filled by an average of quantiles that" in log
    with Image.open(folder / RUN / "gaps.png") as image:
        assert min(image.size) > 400 and len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 20


def one_core_gives_the_same_bytes(project):
    paths = [project.folder / RUN / f"imputed.{kind}" for kind in ("csv", "parquet")]
    before = [path.read_bytes() for path in paths]
    target = f"{RUN}/imputed.csv"
    done = project.snakemake(target, "--cores", "1", "--forcerun", "fill_gaps", configfiles=(TINY, MORE))
    assert done.returncode == 0, done.stdout
    assert [path.read_bytes() for path in paths] == before


def the_corrected_intervals_are_scored(folder):
    windows = pd.read_parquet(folder / "results/datasets/nyc-weather/windows.parquet")
    targets = (windows["split"] == "valid") & (windows["role"] == "target")
    assert pq.read_table(folder / RUN / "validation_samples.parquet").num_rows == targets.sum()
    metrics = pd.read_parquet(folder / RUN / "metrics.parquet")
    corrected = metrics[(metrics["method"] == "CSDI, conformal") & (metrics["metric"] != "weight")]
    names = {f"{name}_{percent}" for name in ("coverage", "interval_width") for percent in (50, 80, 90, 95)}
    assert names | {"mae", "rmse", "crps"} <= set(corrected["metric"])
    assert set(corrected["held_out"]) == {"random-10", "blocks-6"}
    coverage = corrected[(corrected["feature"] == "all") & (corrected["metric"] == "coverage_90")]["value"]
    assert (abs(coverage - 0.9) < 0.1).all()  # three samples of a poor model, as sampled, hold a half at most
