"""Scores of a run: what cannot be scored is said in one line."""

import numpy as np
import pandas as pd
import pytest

from evaluate_csdi import evaluate_csdi
from scoredag.errors import InputError
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
        evaluate_csdi(**paths, settings={"seed": 1, "antithetic": True}, split="test")
    assert not (tmp_path / "metrics.parquet").exists()
