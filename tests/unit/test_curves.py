"""Tables and figures of many trainings: the numbers are the means and deviations of the runs' own tables."""

import numpy as np
import pandas as pd
import pytest

PATTERNS = ("random-10", "blocks-6")


@pytest.fixture
def write(tmp_path):
    """A function that writes the validation metrics of a run: CRPS of each method, the same under each pattern."""

    def write(run, **crps):
        rows = [
            {
                "held_out": pattern,
                "method": method,
                "feature": feature,
                "metric": metric,
                "value": value + (metric != "crps"),
            }
            for pattern in PATTERNS
            for method, value in crps.items()
            for feature in ("all", "temp")
            for metric in ("crps", "coverage_90")
        ]
        folder = tmp_path / "csdi" / run
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(folder / "validation_metrics.parquet")

    return write


@pytest.fixture
def benchmark(root, monkeypatch):
    """A function that imports a script of benchmarks/."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return __import__


def test_strategies_are_averaged_over_trainings_and_the_best_of_a_column_is_bold(benchmark, write, tmp_path):
    strategies = benchmark("strategies")
    for number, strategy in enumerate(strategies.STRATEGIES):
        for training in strategies.TRAININGS:
            write(f"{strategy}-{training}", CSDI=0.1 * (5 - number) + 0.01 * training, auto=0.0)
    scores = strategies.read(tmp_path)
    mean, deviation = strategies.summary(scores, "crps")
    np.testing.assert_allclose(mean.loc["random"], 0.52)
    np.testing.assert_allclose(deviation.loc["blocks"], 0.01)
    assert list(mean.columns) == list(PATTERNS) and list(mean.index) == list(strategies.STRATEGIES)
    rows = strategies.lines(mean, deviation, "CRPS").splitlines()
    assert [row.count("**") for row in rows] == [0, 0, 0, 0, 0, 0, 4]
    (heat, *_) = strategies.draw(mean, deviation).axes
    assert [text.get_text() for text in heat.texts][:2] == ["0.520\n± 0.010"] * 2


def test_curves_take_what_is_there_and_name_the_best_simpler_method(benchmark, write, tmp_path):
    curves = benchmark("curves")
    for training in (1, 2):
        write(f"weather-base-0-{training}", CSDI=0.2 * training, linear=0.4, ridge=0.5)
    write("weather-scratch-100-1", CSDI=0.6, linear=0.4, ridge=0.5)
    scores = curves.read(tmp_path)
    found = curves.summary(scores)
    assert found.loc[("weather", "CSDI", "base", 0), "mean"] == pytest.approx(0.3)
    assert found.loc[("weather", "CSDI", "scratch", 100), "count"] == 1
    assert curves.best_baseline(scores, "weather") == ("linear", pytest.approx(0.4))
    header, _, base, official, scratch = curves.lines(found, "weather", "CSDI").splitlines()
    assert "2,000 steps" in header and "0.3000 ± 0.1414" in base and "0.6000" in scratch
    assert official.replace("|", "").split() == ["official", "weights"]
    (panel,) = curves.draw(scores).axes
    assert {line.get_label() for line in panel.lines} == {"the base", "scratch", "linear"}
