"""The zoo's page says what its tables of scores say, whatever methods they have."""

import pandas as pd
import pytest
import yaml
from PIL import Image

from scoredag.store import tables

HALVES = {"choosing", "final"}


@pytest.fixture
def zoo(root, monkeypatch):
    """The script benchmarks/zoo.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import zoo

    return zoo


def write_scores(folder, crps, coverage, n_targets):
    """A table as a run makes it, of one pattern; methods without coverage are points."""
    rows = [("random-50", method, "all", "crps", value, 0.0, 1.0, n_targets, 20) for method, value in crps.items()]
    rows += [("random-50", method, "x", "crps", 9.0, 0.0, 9.0, 10, 20) for method in crps]
    rows += [
        ("random-50", name, "all", "coverage_90", value, 0.0, 1.0, n_targets, 20) for name, value in coverage.items()
    ]
    folder.mkdir(parents=True)
    columns = dict(zip(tables.CSDI_METRICS.names, zip(*rows, strict=True), strict=True))
    tables.write(columns, folder / "metrics.parquet", tables.CSDI_METRICS)


@pytest.fixture
def results(tmp_path):
    """Scores of two series, one of them with few targets."""
    crps = {"CSDI": 0.3, "CSDI, as in the paper": 0.1, "CSDI, conformal": 0.2}
    crps |= {"ridge": 0.1, "ridge, dressed": 0.16, "joint Gaussian": 0.4}
    coverage = {name: 0.9 for name in crps if name not in ("ridge", "CSDI, as in the paper")}
    write_scores(tmp_path / "csdi/sunspots", crps, coverage, 600)
    write_scores(tmp_path / "csdi/co2", crps, coverage, 400)
    return tmp_path


def test_points_uncorrected_draws_and_the_papers_scores_are_no_rivals(zoo, results):
    scores = zoo.collect(results, zoo.read_series())
    assert set(scores["half"]) == HALVES and len(scores) == 2 * 10
    table = zoo.cells(scores)
    assert list(table) == ["CSDI, conformal", "joint Gaussian", "ridge, dressed"]
    comparison = zoo.compare(table, scores)
    assert comparison["ratio"].tolist() == pytest.approx([1.25, 1.25])
    assert set(comparison["best"]) == {"ridge, dressed"} and (comparison["coverage"] == 0.9).all()


def test_a_method_named_auto_is_the_one_that_is_compared(zoo, results):
    crps = {"CSDI": 0.3, "CSDI, conformal": 0.2, "ridge, dressed": 0.16, "auto": 0.12, "structural": 0.15}
    write_scores(results / "csdi/parking", crps, dict.fromkeys(crps, 0.8), 600)
    scores = zoo.collect(results, zoo.read_series())
    scores = scores[scores["series"] == "parking"]
    table = zoo.cells(scores)
    assert table.columns[0] == "auto"
    comparison = zoo.compare(table, scores)
    assert comparison["best"].tolist() == ["structural"] and comparison["ratio"].iloc[0] == pytest.approx(0.8)
    text = zoo.compared(comparison, "auto", "fine-tuned")
    assert "others in 1, a lower one than all of them in 1, 90 % intervals that hold 86 to 94 % in 0 of 1 cells" in text


def test_the_page_marks_the_lowest_and_what_has_too_few_targets(zoo, results, tmp_path):
    series = zoo.read_series()
    (results / "logs/csdi/co2-zero-shot").mkdir(parents=True)
    (results / "logs/datasets/co2").mkdir(parents=True)
    for rule in ("train_csdi", "impute_csdi"):
        (results / f"logs/csdi/co2-zero-shot/{rule}.tsv").write_text("s\th:m:s\n21.5\t0:00:21\n", encoding="utf-8")
    write_scores(
        results / "csdi/sunspots-zero-shot",
        {"CSDI, conformal": 0.15, "ridge, dressed": 0.16},
        {"CSDI, conformal": 0.8, "ridge, dressed": 0.9},
        600,
    )
    scores = zoo.collect(results, series)
    text = zoo.page(results, results / "logs", series, scores)
    assert "| sunspots | random-50 | 600 | **0.150** | 0.200 | 0.160 |\n" in text
    assert "| co2 | random-50 | *400* | *0.200* | *0.400* | *0.160* |\n" in text
    assert (
        "| sunspots | random-50 | ridge | 0.938, 80 % | 1.250, 90 % |\n" in text
        and "| co2 | random-50 | ridge" not in text
    )
    assert " | week |  |  |  | 43 |\n" in text
    beside = "fine-tuned beside zero-shot: CRPS on (geometric) average of `CSDI, conformal` 1.333 (1.33 to 1.33) times"
    assert text.count("beside zero-shot") == 1 and beside in text
    zoo.style.save(zoo.draw(zoo.told(scores)["fine-tuned"], "CSDI, conformal", ["random-50"]), tmp_path / "zoo.png")
    with Image.open(tmp_path / "zoo.png") as image:
        assert image.size[0] > 1000


def test_every_series_of_the_preset_has_a_half_of_like_kinds(zoo, root):
    preset = yaml.safe_load((root / "config/presets/zoo.yaml").read_text(encoding="utf-8"))
    series = zoo.read_series()
    assert sorted(series.index) == sorted(preset["datasets"]) and len(series) >= 14
    runs = {"nyc-weather": None}
    for name in preset["datasets"]:
        short = {
            f"{name}{end}": {"dataset": name, "training": {"n_steps": n}}
            for end, n in (("-100", 100), ("-zero-shot", 0))
        }
        runs |= {name: {}} | short
    assert preset["csdi"]["runs"] == runs and sorted(zoo.TRAINED) == ["", "-100", "-zero-shot"]
    counts = pd.crosstab(series["kind"], series["half"])
    assert set(counts) == HALVES and (counts["choosing"] == counts["final"]).all()
    assert series.notna().all(axis=None)
    packages = {pin.split("==")[0] for pin in (root / "envs/requirements-zoo.txt").read_text().split()}
    files = [dataset["file"] for dataset in preset["datasets"].values()]
    assert {file.removeprefix("results/zoo/packages/").partition("/")[0] for file in files} == packages
