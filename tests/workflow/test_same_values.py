"""A data frame filled in one call, and by a run of the workflow: the same values."""

import numpy as np
import pandas as pd

import scoredag

CONFIG = """
datasets:
  mine: {reader: csv, file: mine.csv, time: when, plausible: {flow: [0, 2000]}, round: {flow: 1},
    transform: {flow: logit}}
csdi:
  runs:
    mine: {training: {n_steps: 0}, level: 0.8, sampling: {n_steps: 2, n_samples: 6}}
"""


def test_a_call_and_a_run_give_the_same(project):
    rng = np.random.default_rng(3)
    cycle = np.sin(2 * np.pi * np.arange(220) / 24)[:, None] + 0.3 * rng.standard_normal((220, 2))
    frame = pd.DataFrame(cycle * [1.0, 200.0] + [0.0, 1000.0], columns=["load", "flow"])
    frame.index = pd.date_range("2024-03-01", periods=220, freq="15min", name="when")
    frame = frame.mask(rng.random((220, 2)) < 0.1).drop(frame.index[[30, 31]])
    frame.to_csv(project.folder / "mine.csv")
    (project.folder / "mine.yaml").write_text(CONFIG, encoding="utf-8")
    run = project.snakemake("results/csdi/mine/imputed.parquet", configfiles=("mine.yaml",))
    assert run.returncode == 0, run.stdout
    imputed = pd.read_parquet(project.folder / "results/csdi/mine/imputed.parquet")

    result = scoredag.impute(
        frame,
        draws=6,
        level=0.8,
        plausible={"flow": (0, 2000)},
        round={"flow": 1},
        transform={"flow": "logit"},
        run={"sampling": {"n_steps": 2}},
    )
    assert any("filled by an average of quantiles" in line for line in result.report)
    for name, table in {"value": result.filled, "lower": result.lower, "upper": result.upper}.items():
        of_run = imputed.pivot(index="time", columns="feature", values=name)[["load", "flow"]]
        assert (of_run.index == table.index.tz_localize("UTC")).all()
        np.testing.assert_array_equal(of_run.to_numpy(), table.to_numpy())
