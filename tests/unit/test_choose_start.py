"""Where the reverse process starts: each start is scored on the same windows, and the better one is taken."""

import numpy as np
import pandas as pd
import pytest
import torch

from choose_start import STEPS, _descend, _in_turn, _ratio, choose_start
from scoredag import gaussian
from scoredag.csdi import checkpoint, imputation
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store import tables

SAMPLING = {
    "sampler": "dpm-solver++", "n_steps": None, "eta": None, "noise_above": 0.5, "second_order_above": 0.0,
    "antithetic": True, "chunk": 20,
}  # fmt: skip


@pytest.fixture
def choice(tmp_path):
    """A function of an estimate that runs the script on four validation windows of a known law: its table."""

    def run(estimate):
        rng = np.random.default_rng(0)
        K, L = 2, 6
        torch.manual_seed(0)
        checkpoint.save(CSDI(K), tmp_path / "model.safetensors", {"features": ["x", "y"]})
        gaussian.save(estimate, tmp_path / "gaussian.safetensors", {})
        values = rng.multivariate_normal(np.zeros(K * L), law().covariance, size=4).reshape(4, K, L)
        target = rng.random((4, L, K)) < 0.3
        table = pd.DataFrame(
            {
                "window": np.repeat(np.arange(4), K * L),
                "step": np.tile(np.repeat(np.arange(L), K), 4),
                "feature": pd.Categorical(["x", "y"] * (4 * L)),
                "value": values.transpose(0, 2, 1).ravel(),
                "role": pd.Categorical(np.where(target.ravel(), "target", "observed")),
                "split": pd.Categorical(["valid"] * (4 * K * L)),
            }
        )
        tables.write(table, tmp_path / "windows.parquet", tables.WINDOWS)
        starts = {"window": range(4), "start": pd.date_range("2020-01-01", periods=4, tz="UTC")}
        starts["held_out"] = pd.Categorical(["a", "a", "b", "b"])
        tables.write(pd.DataFrame(starts), tmp_path / "starts.parquet", tables.WINDOW_STARTS)
        stats = {"feature": ["x", "y"], "mean": [0.0, 0.0], "std": [1.0, 1.0], "missing_fraction": [0.0, 0.0]}
        tables.write(pd.DataFrame(stats), tmp_path / "statistics.parquet", tables.STATISTICS)
        names = ("model.safetensors", "gaussian.safetensors", "windows.parquet", "starts.parquet", "statistics.parquet")
        settings = {"seed": 1, "device": "cpu", "sampling": SAMPLING}
        choose_start(*(tmp_path / name for name in (*names, "choice.parquet")), settings, "mine", 1)
        return tables.read(tmp_path / "choice.parquet", tables.START_CHOICE)

    return run


def law():
    lags = np.exp(-np.abs(np.subtract.outer(np.arange(6), np.arange(6))) / 6)
    return gaussian.Gaussian(np.zeros(12), np.kron([[1.0, 0.8], [0.8, 1.0]], lags))


def test_a_start_by_the_law_of_the_windows_beats_noise_before_a_network_that_knows_nothing(choice):
    """A network that predicts no noise at all, as one that was not trained, leaves the draws as they are."""
    table = choice(gaussian.Estimate(law(), 0.4, 0.01))
    tried = table["step"].unique().tolist()
    assert tried == [18, 22, 14, 10]
    assert table.groupby("step", dropna=False)["held_out"].agg(list).tolist() == [["a", "b"]] * len(tried)
    means = table.groupby("step", dropna=False)["crps"].mean()
    chosen = table.loc[table["chosen"], "step"].unique()
    assert len(chosen) == 1 and means.loc[chosen[0]] <= 1.01 * means.min()
    assert means.loc[18] < choice(None)["crps"].mean()


@pytest.mark.parametrize(
    ("crps", "tried"),
    [
        ({10: 5, 14: 4, 18: 3, 22: 4, None: 5}, [18, 22, 14]),
        ({10: 5, 14: 4, 18: 3, 22: 2, None: 1}, [18, 22, None, 14]),
        ({10: 1, 14: 2, 18: 3, 22: 3, None: 1}, [18, 22, 14, 10]),
    ],
)
def test_on_either_side_starts_are_tried_as_long_as_the_crps_falls(crps, tried):
    called = []
    _descend(lambda step: called.append(step) or crps[step], list(STEPS), 18)
    assert called == tried


def test_a_pattern_of_few_targets_counts_less_than_one_of_many():
    usual = [("few", 0.4, 10), ("many", 0.1, 1000)]
    assert _ratio(usual, usual) == 1 == _ratio([], [])
    assert _ratio([("few", 0.2, 10), ("many", 0.12, 1000)], usual) > 1 > _ratio([("few", 0.2, 10)], usual[:1])
    assert _ratio([("few", 0.8, 50), ("many", 0.1, 50)], usual) == pytest.approx(2**0.5)


def test_without_a_gaussian_it_is_noise(choice):
    table = choice(None)
    assert table["step"].isna().all() and table["chosen"].all()


def test_each_window_is_taken_under_one_pattern_in_turn():
    codes = np.repeat([0, 1, 2], 5)
    turn = _in_turn(codes, 3).reshape(3, 5)
    assert (turn.sum(axis=0) == 1).all() and turn[:, :3].tolist() == np.eye(3).astype(bool).tolist()


def test_the_choice_becomes_the_start_of_sampling(tmp_path):
    paths = tmp_path / "gaussian.safetensors", tmp_path / "choice.parquet"
    gaussian.save(gaussian.Estimate(law(), 0.4, 0.01), paths[0], {})
    rows = [(None, "a", 0.2, 9, False), (14, "a", 0.1, 9, True)]
    tables.write_rows(rows, paths[1], tables.START_CHOICE)
    assert imputation.options({"start": "auto"}, *paths)["start"].step == 14
    tables.write_rows([(None, "a", 0.2, 9, True), (14, "a", 0.3, 9, False)], paths[1], tables.START_CHOICE)
    assert imputation.options({"start": "auto"}, *paths)["start"] is None
    assert imputation.options({"start": None}, paths[0], None)["start"] is None
    assert imputation.options({"start": 22}, paths[0], None)["start"].step == 22
    gaussian.save(None, paths[0], {})
    with pytest.raises(InputError, match=r"write sampling\.start: null"):
        imputation.options({"start": 22}, paths[0], None)
