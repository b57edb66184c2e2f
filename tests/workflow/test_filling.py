"""Real gaps filled and intervals corrected, on request by path or by a setting of the run."""

import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoredag.__main__ import main
from scoredag.job import record

TINY, MORE = "config/presets/tiny.yaml", "more.yaml"
RUN = "results/csdi/nyc-weather"
OVERLAY = "csdi: {runs: {nyc-weather: {fill_gaps: true}}}\n"


def test_notebooks_are_executed_by_path_and_by_config(edited):
    """Each is made of its results alone, and again when its source, or a module that it imports, changes."""
    pages = [f"results/notebooks/{name}.html" for name in ("csdi", "langevin")]
    assert edited.jobs(*pages) == {"execute_notebook"}
    done = edited.snakemake(*pages)
    assert done.returncode == 0, done.stdout
    for page in pages:
        text = (edited.folder / page).read_text(encoding="utf-8")
        assert "data:image/png;base64," in text and "Traceback (most recent" not in text
    assert edited.jobs(*pages) == set()
    edited.edit("notebooks/langevin.py", "## Questions", "## Some questions")
    assert edited.jobs(pages[0]) == set() and edited.jobs(pages[1]) == {"execute_notebook"}
    (edited.folder / MORE).write_text("notebooks: [csdi]\n", encoding="utf-8")
    assert edited.jobs(configfiles=(TINY, MORE)) == set()
    edited.edit("scripts/scoredag/csdi/diffusion.py", "N_STEPS = 50", "N_STEPS = 50  # T")
    assert "execute_notebook" in edited.jobs(configfiles=(TINY, MORE))


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
    assert (rows["time"].to_numpy()[::4] == missing["time"].to_numpy()).all()
    assert (rows["feature"].astype(str).to_numpy()[::4] == missing["feature"].astype(str).to_numpy()).all()
    assert rows["draw"].tolist() == list(range(4)) * len(missing) and np.isfinite(rows["value"]).all()
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
    assert len(scope["means"]) == 4 and scope["pooled"].lower < scope["pooled"].estimate < scope["pooled"].upper


def run_again(project):
    (project.folder / MORE).write_text(OVERLAY, encoding="utf-8")
    done = project.snakemake(configfiles=(TINY, MORE))
    assert done.returncode == 0, done.stdout
    return project.folder


def test_gaps_ask_for_no_more_than_their_own_jobs(edited, caplog):
    (edited.folder / MORE).write_text(OVERLAY, encoding="utf-8")
    assert edited.jobs(configfiles=(TINY, MORE)) == {"fill_gaps", "plot_gaps", "plot_explore"}
    assert edited.jobs(f"{RUN}/gaps.png") == {"fill_gaps", "plot_gaps"}
    run_again(edited)
    the_whole_series_is_there(edited.folder)
    the_corrected_intervals_are_scored(edited.folder)
    one_core_gives_the_same_bytes(edited)
    new_data_are_filled_by_the_run(edited.folder, caplog)
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


def new_data_are_filled_by_the_run(folder, caplog):
    """Its own file to the same bytes; of a longer one only what new rows touch; another one not at all."""
    model, whole = folder / RUN / "model.safetensors", folder / "data/nyc-weather.csv"
    table = pd.read_csv(whole, dtype=str, keep_default_na=False)
    times = sorted(table["time_hour"].unique())

    def applied(last, output="filled", **more):
        part = folder / "part.csv"
        table[table["time_hour"] < times[last]].to_csv(part, index=False)
        words = [word for key, value in more.items() for word in ("--set", f"{key}={value}")]
        main(["apply", str(model), str(part), "--output", str(folder / output), *words])
        return pd.read_parquet(folder / output / "imputed.parquet")

    def drawn():
        found = re.findall(r"(\d+) of (\d+) windows are drawn", caplog.text)
        caplog.clear()
        return found

    caplog.set_level("INFO")

    main(["apply", str(model), str(whole), "--output", str(folder / "same")])
    for name in ("imputed.csv", "imputed.parquet"):
        same, own = folder / "same" / name, folder / RUN / name
        assert record.digest(same) == record.digest(own)
    first = applied(1000)
    assert drawn() == []
    longer = applied(1100)
    ((n_drawn, n_windows),) = drawn()
    assert 0 < int(n_drawn) < int(n_windows) / 2
    early = longer.iloc[: len(first) - 12 * first["feature"].nunique()]  # a window before the first new row
    pd.testing.assert_frame_equal(early, first.iloc[: len(early)])
    anew = applied(1100, "anew")
    assert (longer["quality"] == anew["quality"]).all() and longer["value"].notna().all()
    assert (longer["value"] - anew["value"]).abs().max() < 0.05  # the structural model sees new rows everywhere
    for last, more, message in [
        (5, {}, "part.csv: 5 steps are fewer than a window of the model, 12"),
        (100, {"features": "[temp]"}, "has no feature 'EWR_pressure'"),
        (100, {"tme": "time"}, "'tme' is not a key"),
        (100, {"seed": "2"}, "'seed' is not a key"),
        (100, {"interval": "5"}, "datasets.nyc-weather.interval: YAML reads this as the number 5"),
        (100, {"reader": "foo"}, "datasets.nyc-weather.reader: 'foo' is not one of"),
    ]:
        with pytest.raises(SystemExit, match=re.escape(message)):
            applied(last, "refused", **more)
    with pytest.raises(SystemExit, match="no such file"):
        main(["apply", str(folder / "none.safetensors"), str(whole), "--output", str(folder / "refused")])
    for words, message in [
        (["--output", str(whole)], "is no folder that can be written"),
        (["--output", str(folder / "refused"), "--set", "time"], "--set time: has no value; write time=VALUE"),
        (["--output", str(folder / "refused"), "--level", "90"], "--level 90: is not between 0 and 1"),
    ]:
        with pytest.raises(SystemExit, match=re.escape(message)):
            main(["apply", str(model), str(folder / "part.csv"), *words])
    choice = folder / RUN / "start_choice.parquet"
    kept = choice.read_bytes()
    choice.write_bytes((folder / RUN / "history.parquet").read_bytes())
    with pytest.raises(SystemExit, match=r"is not what .* was made with"):
        applied(100, "refused")
    choice.write_bytes(kept)
    assert not (folder / "refused").exists()


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
