"""Scores of a run: what cannot be scored is said in one line, and in how many parts windows are read shows nowhere."""

import importlib

import numpy as np
import pandas as pd
import pytest

from evaluate_csdi import evaluate_csdi
from plot_calibration import plot_calibration
from scoredag.errors import InputError
from scoredag.series import forecasts, windows
from scoredag.store import tables


def test_a_split_without_targets_is_refused(tmp_path):
    splits = np.repeat(["train", "valid", "test"], 3)
    table = {"window": np.repeat([0, 1, 2], 3), "step": [0, 1, 2] * 3, "feature": pd.Categorical(["x"] * 9)}
    table |= {"value": 0.0, "role": pd.Categorical(["observed"] * 9, ["observed", "target", "missing"])}
    tables.write(pd.DataFrame(table | {"split": pd.Categorical(splits)}), tmp_path / "windows.parquet", tables.WINDOWS)
    starts = {"window": range(3), "start": pd.date_range("2020-01-01", periods=3, tz="UTC")}
    starts["held_out"] = pd.Categorical([None, "few", "few"])
    tables.write(pd.DataFrame(starts), tmp_path / "starts.parquet", tables.WINDOW_STARTS)
    stats = {"feature": ["x"], "mean": [0.0], "std": [1.0], "missing_fraction": [0.0]}
    tables.write(pd.DataFrame(stats), tmp_path / "statistics.parquet", tables.STATISTICS)
    none = {"window": [], "step": [], "feature": pd.Categorical([], categories=["x"]), "truth": [], "samples": []}
    for name in ("samples", "validation"):
        tables.write(pd.DataFrame(none), tmp_path / f"{name}.parquet", tables.imputations(2))
    tables.write_rows([], tmp_path / "baselines.parquet", tables.BASELINES)
    names = ("samples", "validation", "baselines", "windows", "starts", "statistics", "metrics")
    paths = {f"{name}_path": tmp_path / f"{name}.parquet" for name in names} | {"scores_path": None}
    with pytest.raises(InputError, match="hides nothing in the test windows; raise its shares"):
        evaluate_csdi(**paths, settings={"seed": 1, "antithetic": True}, split="test", threads=1)
    assert not (tmp_path / "metrics.parquet").exists()


@pytest.fixture
def simulated(root, tmp_path, monkeypatch):
    """Paths of the tables of 40 validation and 60 test windows under four patterns."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    benchmark = importlib.import_module("windows")
    monkeypatch.setattr(benchmark, "N_VALID", 40)
    benchmark.simulate(tmp_path, 60)
    paths = {name: f"{name}.parquet" for name in ("samples", "baselines", "windows", "statistics")}
    paths |= {"validation": "validation_samples.parquet", "starts": "window_starts.parquet"}
    return {f"{name}_path": str(tmp_path / path) for name, path in paths.items()}


def test_windows_scored_in_parts_by_two_threads_have_the_scores_of_all_at_once(simulated, tmp_path, monkeypatch):
    def scores(name, threads):
        path, settings = tmp_path / f"{name}.parquet", {"seed": 1, "antithetic": True}
        options = {"scores_path": None, "metrics_path": path, "settings": settings, "split": "test", "threads": threads}
        evaluate_csdi(**simulated, **options)
        figure = tmp_path / f"{name}.png"
        plot_calibration(**simulated, figure_path=figure, settings={"colour": "#0072b2", "antithetic": True})
        return tables.read(path, tables.CSDI_METRICS), figure.read_bytes()

    whole, figure = scores("whole", 1)
    assert set(whole["held_out"]) == {"random-10", "random-50", "random-90", "blocks-6"}
    assert {"auto", "CSDI", "CSDI, conformal", "auto, entries shuffled", "linear, dressed"} <= set(whole["method"])
    monkeypatch.setattr(windows, "MOST_ROWS", 7 * 18 * 24)
    monkeypatch.setattr(forecasts, "AT_ONCE", 500)
    n_parts = len(windows.borders(simulated["windows_path"], range(18), np.arange(60))[0])
    in_parts, same = scores("parts", 2)
    assert n_parts == 9 and same == figure
    pd.testing.assert_frame_equal(in_parts, whole, check_exact=True)


def test_blocks_are_whole_windows(simulated, monkeypatch):
    monkeypatch.setattr(forecasts, "AT_ONCE", 400)
    starts = tables.read(simulated["starts_path"], tables.WINDOW_STARTS)
    stats = tables.read(simulated["statistics_path"], tables.STATISTICS)
    paths = [simulated[f"{name}_path"] for name in ("samples", "baselines", "windows")]
    (part,) = forecasts.parts(*paths, starts, stats, "test")
    blocks = list(forecasts.blocks(part))
    assert len(blocks) > 20 and max(len(block.targets.truth) for block in blocks) < 800
    np.testing.assert_array_equal(np.concatenate([block.draws for block in blocks], axis=1), part.draws)
    of_blocks = [set(block.targets.window) for block in blocks]
    assert sum(map(len, of_blocks)) == len(set.union(*of_blocks)) == 60
