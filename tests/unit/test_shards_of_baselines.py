"""Simpler methods impute in shards what one job imputes."""

import numpy as np
import pandas as pd
import pytest

from cut_windows import cut_windows
from fit_gaussian import fit_gaussian
from fit_structural import fit_structural
from gather_baselines import gather_baselines
from impute_baselines import impute_baselines
from scoredag.job import record
from scoredag.series import baselines, tidy, windows
from scoredag.store import tables

N, LENGTH = 1500, 12
HELD_OUT = [[f"random-{share}", {"pattern": "random", "share": share / 100, "length": None}] for share in (10, 50)]
SPLIT = {"length": LENGTH, "block": 120, "shares": (0.6, 0.2, 0.2), "split_seed": 1, "held_out": HELD_OUT}
SETTINGS = SPLIT | {"seed": 1, "train_stride": 6, "statistics": "train", "max_windows": None, "file": None}
SETTINGS |= {"max_validation_windows": 50, "circular": {}, "covariates": [], "plausible": {}, "transform": {}}
SETTINGS |= {"group": None, "profile": "none"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """What the job reads, of a series of two features."""
    folder = tmp_path_factory.mktemp("shards")
    names = ("series", "windows", "starts", "statistics", "profile", "structural")
    found = {f"{name}_path": str(folder / f"{name}.parquet") for name in names}
    found["gaussian_path"] = str(folder / "gaussian.safetensors")
    values = np.random.default_rng(0).normal(size=(N, 2)).cumsum(axis=0)
    times = pd.date_range("2020-01-01", periods=N, freq="1h", tz="UTC", name="time").as_unit("us")
    tables.write(tidy.to_tidy(pd.DataFrame(values, times, ["x", "y"])), found["series_path"], tables.SERIES)
    cut_windows(*(found[f"{name}_path"] for name in names[:5]), SETTINGS, "mine")
    fit_gaussian(*(found[f"{name}_path"] for name in ("windows", "statistics", "gaussian")), "mine")
    read = ("series", "profile", "statistics", "structural")
    fit_structural(*(found[f"{name}_path"] for name in read), SPLIT, "mine")
    return found


@pytest.mark.parametrize("n_shards", [2, 40])
def test_shards_give_the_table_of_one_job(paths, tmp_path, monkeypatch, n_shards):
    monkeypatch.setattr(windows, "MOST_ROWS", 5 * LENGTH * 2)  # five windows a part
    whole, joined = tmp_path / "whole.parquet", tmp_path / "joined.parquet"
    impute_baselines(**paths, baselines_path=whole, settings={}, dataset="mine")
    parts = [tmp_path / f"{number}.parquet" for number in range(n_shards + 1)]
    for number, part in enumerate(parts):
        impute_baselines(**paths, baselines_path=part, settings={"shard": [number, n_shards]}, dataset="mine")
    gather_baselines(parts, joined)
    assert record.digest(joined) == record.digest(whole)
    of_shards = [set(tables.read(part, tables.BASELINES)["method"]) for part in parts]
    assert of_shards[-1] == {baselines.STRUCTURAL} and baselines.STRUCTURAL not in set.union(*of_shards[:-1])
    assert sum(map(bool, of_shards)) > 2
