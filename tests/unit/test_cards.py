"""The model card says what the tables of a run say, and of what is not there that it is not scored."""

import re

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.series import cards, gaps, missingness
from scoredag.store import tables, weights
from write_card import write_card

PATTERNS = {
    "few": {"pattern": "random", "share": 0.1},
    "blocks-6": {"pattern": "blocks", "share": 0.2, "length": 6},
}
METADATA = {
    "dataset": "weather",
    "init": "base",
    "init_sha256": "ab" * 32,
    "config_sha256": "cd" * 32,
    "n_windows": 1234,
    "window_length": 12,
    "features": ["wind", "rain|snow", "sun"],
}
SETTINGS = {
    "held_out": [[name, entry] for name, entry in PATTERNS.items()],
    "level": 0.9,
    "method": "auto",
    "sampling": {"antithetic": True, "sampler": "dpm-solver++", "start": "auto"},
    "units": {"wind": "mph"},
}


def score(pattern, method, metric, value, n=600, feature="all", margin=0.01):
    return (pattern, method, feature, metric, value, value - margin, value + margin, n, 20)


def score_table(auto=0.20, with_auto=True):
    """Scores of two patterns, of which `few` has 400 values; `auto` covers too little at 90 % of `blocks-6`."""
    rows = []
    for pattern, n in (("few", 400), ("blocks-6", 600)):
        crps = {"linear": 0.15, "linear, dressed": 0.25, "ridge, dressed": 0.22, "CSDI": 0.24, "CSDI, conformal": 0.23}
        crps |= {"CSDI, as in the paper": 0.10}
        crps |= {"auto": auto} if with_auto else {}
        for method, value in crps.items():
            rows += [score(pattern, method, name, times * value, n) for name, times in (("mae", 2), ("rmse", 3))]
            rows.append(score(pattern, method, "crps", value, n))
            held = {50: 0.5, 80: 0.81, 90: 0.85 if (pattern, method) == ("blocks-6", "auto") else 0.9, 95: 0.99}
            if method not in ("linear", "CSDI", "CSDI, as in the paper"):
                rows += [score(pattern, method, f"coverage_{percent}", share, n) for percent, share in held.items()]
            for feature, share, mae in (("wind", 0.75, 0.4), ("rain|snow", 0.25, 0.8)):
                rows.append(score(pattern, method, "mae", mae, int(share * n), feature))
        if with_auto:
            n_valid = n // 4  # 100 and 150, fewer than 200
            for method, share in (("CSDI", 0.25), ("linear", 0.75)):
                rows.append(score(pattern, method, "weight", share, n_valid))
                rows.append(score(pattern, method, "weight", share, n_valid - 15, "wind"))
                rows.append(score(pattern, method, "weight", share, 15, "rain|snow"))
    return pd.DataFrame(rows, columns=tables.CSDI_METRICS.names)


def history(steps=(50, 100, 150)):
    rows = [(step, 1.0, "valid", 0.2 + abs(step - 100) / 1000, 0.1) for step in steps]
    return pd.DataFrame(rows, columns=tables.HISTORY.names)


def starts():
    held_out = pd.Categorical([None, None, "few", "blocks-6"], categories=list(PATTERNS))
    begin = pd.to_datetime(["2020-01-01T00:00Z", "2020-03-01T00:00Z", "2020-02-01T00:00Z", "2020-02-01T00:00Z"])
    return pd.DataFrame({"window": range(4), "start": begin, "held_out": held_out})


def statistics():
    names = METADATA["features"]
    return pd.DataFrame({"feature": names, "mean": [1.0, 2, 3], "std": [2.0, 3, 4], "missing_fraction": [0, 0.1, 0.2]})


def choice(step):
    rows = [(18.0, "few", 0.2, 40, step == 18), (None, "few", 0.3, 40, step is None)]
    return pd.DataFrame(rows, columns=tables.START_CHOICE.names)


def spans():
    """Two gaps, of 2 and of 13 steps."""
    missing = np.zeros((30, 3), bool)
    missing[3:5, 0] = missing[10:23, 1] = True
    return gaps.find(missing)


def card(*, metadata=METADATA, losses=None, use=None, table=None, patterns=PATTERNS, begins=None):
    losses, begins = (history() if losses is None else losses), (starts() if begins is None else begins)
    model = cards.Model("mine", metadata, losses, begins, statistics(), "1h", SETTINGS["units"])
    use = use or cards.Use(**SETTINGS["sampling"], choice=choice(18), method="auto", level=0.9)
    text = cards.write(model, use, score_table() if table is None else table, patterns, spans())
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)
    return text


def test_it_says_what_the_model_was_trained_on():
    text = card()
    assert text.startswith("# Model card: mine\n\n") and text.endswith(".\n")
    assert "| features | 3: wind, rain\\|snow, sun |\n| spacing of time | 1h |\n" in text
    assert "| training windows | 1,234 of 12 steps |\n" in text
    period = "2020-01-01 00:00 to 2020-03-01 11:00 (UTC); validation and test windows lie between"
    assert f"| period of training | {period} |\n" in text
    assert f"| initial weights | the checkpoint `base`, SHA-256 {'ab' * 32} |\n" in text
    assert "| training | 150 steps; the weights that are kept are those of step 100 |\n" in text
    assert "| lowest validation loss | 0.200 (" in text
    assert "| wind (mph) | 1 | 2 | 0 % |\n| rain\\|snow | 2 | 3 | 10 % |\n" in text


def test_a_checkpoint_that_is_taken_as_it_is_was_not_trained():
    text = card(losses=history([0]))
    assert "| training | not trained, as it is |\n" in text and "kept" not in text


def test_weights_that_training_makes_no_better_are_the_initial_ones():
    losses = history().assign(step=[0, 50, 100], loss=[0.1, 0.2, np.nan])
    assert "| training | 100 steps; the weights that are kept are the initial ones, as" in card(losses=losses)


def test_a_model_from_scratch_for_any_features_and_of_several_series_says_so():
    trained_for = {"trained_for": {"features": [4, 32], "steps": [12, 96]}}
    metadata = METADATA | trained_for | {"init": "scratch", "init_sha256": None}
    begins = starts().assign(series=pd.Categorical(["a", "b", "a", "b"]))
    text = card(metadata=metadata, begins=begins)
    assert "| dataset | weather, 2 series |\n" in text and "lie between" not in text
    assert "| trained for | any features, in windows of 4 to 32 features and 12 to 96 steps |\n" in text
    assert "| initial weights | random weights |\n" in text


@pytest.mark.parametrize(
    ("start", "table", "words"),
    [
        ("auto", choice(18), "at diffusion step 18 of 0 .. 49, chosen by the CRPS of validation windows; the sampler"),
        ("auto", choice(None), "starts with noise alone, chosen by the CRPS of validation windows; the sampler"),
        (22, None, "at diffusion step 22 of 0 .. 49; the sampler"),
        (None, None, "starts with noise alone; the sampler"),
    ],
)
def test_it_says_where_the_reverse_process_starts(start, table, words):
    use = cards.Use("ddpm", start, table, antithetic=False, method="CSDI", level=0.8)
    text = card(use=use)
    assert f"{words} is `ddpm`." in text
    assert "- Scores below are of 20 samples of each value.\n" in text
    assert "- Gaps are filled by `method: CSDI`: the draws of CSDI alone, corrected by" in text
    assert "with intervals of 80 %.\n" in text


def test_scores_stand_beside_the_best_simpler_method_that_has_a_distribution():
    text = card()
    assert "| few | single entries at random, 10 % of what is observed | 400 |\n" in text
    assert "| blocks-6 | runs of 6 steps of single features, 20 % of what is observed | 600 |\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| few |") and "(" in line]
    assert [row.split(" | ")[1] for row in rows] == ["auto", "CSDI", "ridge, dressed"]
    assert rows[0].endswith("| 0.400 (0.390 to 0.410) | 0.600 (0.590 to 0.610) | 0.200 (0.190 to 0.210) |")
    assert "| blocks-6 | 25 % | 75 % |\n" in text
    assert "| blocks-6 | auto | 50 % | 81 % | 85 % | 99 % |\n" in text
    assert "| few | CSDI, conformal | 50 % | 81 % | 90 % | 99 % |\n" in text


@pytest.mark.parametrize(
    ("auto", "words"),
    [
        (0.20, "CRPS of 0.200, 9.1 % better than the best single method, `ridge, dressed`, with 0.220; their"),
        (0.23, "CRPS of 0.230, 4.5 % worse than the best single method, `ridge, dressed`, with 0.220; their"),
        (0.22, "CRPS of 0.220, the same as the best single method, `ridge, dressed`, with 0.220; their"),
        (0.11, "CRPS of 0.110, 50.0 % better than the best single method, `ridge, dressed`, with 0.220."),
    ],
)
def test_a_sentence_says_whether_the_average_is_better_than_the_best_single_method(auto, words):
    text = card(table=score_table(auto))
    assert f"- blocks-6: `auto` has a {words}" in text
    assert re.search(r"- few: .* too few values to tell\.\n", text)


def test_limits_are_those_that_the_tables_show():
    limits = card().partition("## Limits")[2]
    assert "- few: fewer than 500 values are too few to tell methods apart.\n" in limits
    assert "- blocks-6: intervals of `auto` are too narrow: those of 90 % hold 85 %.\n" in limits
    assert "- few: intervals of `auto` are too wide: those of 95 % hold 99 %.\n" in limits
    assert "over all patterns: rain|snow, 0.800 (2.40 in its own unit); wind, 0.400 (0.800 mph).\n" in limits
    assert "- No value was held out of sun: not scored.\n" in limits
    assert "- few: 100 validation values are too few to choose weights by; those of all patterns" in limits
    assert "- blocks-6: 1 of 3 features have fewer than 20 validation values;" in limits
    assert "missing in a whole window; values that are missing because they are high; values that" in limits
    assert "They are 1 of the 2 gaps of the series; the longest has 13 steps.\n" in limits


def test_intervals_that_may_be_off_by_chance_are_told_apart():
    table = score_table()
    table.loc[table["metric"] == "coverage_90", "upper"] = 0.95
    assert "too narrow: those of 90 % hold 85 % (perhaps by chance).\n" in card(table=table)


def test_values_that_are_hidden_for_what_they_are_and_patterns_that_hid_nothing_are_named():
    patterns = {"few": {"pattern": "high", "share": 0.2}, "blocks-6": PATTERNS["blocks-6"]}
    patterns["out"] = {"pattern": "outages", "share": 0.5}
    limits = card(patterns=patterns).partition("## Limits")[2]
    assert "- few hide values for what they are." in limits
    assert "because they are low" in limits and "because they are high" not in limits
    assert "- out hid nothing in the test windows: not scored.\n" in limits


def test_where_nothing_is_calibrated_there_is_no_average():
    text = card(table=score_table(with_auto=False))
    assert "| few | auto | not scored | not scored | not scored |\n" in text
    assert "- few: `auto` is not scored.\n" in text and "There are no weights of `auto`." in text
    assert "Fewer than 100 values were held out of the validation windows: nothing is calibrated" in text


def test_of_very_many_features_the_first_are_named():
    names = [f"f{i}" for i in range(50)]
    table = pd.DataFrame({"feature": names, "mean": 0.0, "std": 1.0, "missing_fraction": 0.0})
    model = cards.Model("mine", METADATA, history(), starts(), table, "1h", {})
    use = cards.Use("ddpm", None, None, False, "raw", 0.9)
    text = cards.write(model, use, score_table(), PATTERNS, spans())
    assert "| f39 |" in text and "| f40 |" not in text and "\nand 10 more.\n" in text
    assert "f39 and 10 more |" in text


def test_every_pattern_is_described():
    for name in missingness.PATTERNS:
        told = missingness.describe(name, 0.25, 6)
        assert "{" not in told and ("25 %" in told) == ("share" in missingness.PATTERNS[name].takes)
    assert [name for name in missingness.PATTERNS if missingness.by_value(name)] == ["high", "low"]


@pytest.fixture
def paths(tmp_path):
    """Arguments of the script, and their files."""
    tables.write(history(), tmp_path / "history.parquet", tables.HISTORY)
    tables.write(choice(18), tmp_path / "choice.parquet", tables.START_CHOICE)
    tables.write(score_table(), tmp_path / "metrics.parquet", tables.CSDI_METRICS)
    tables.write(starts(), tmp_path / "starts.parquet", tables.WINDOW_STARTS)
    tables.write(statistics(), tmp_path / "statistics.parquet", tables.STATISTICS)
    times = pd.date_range("2020-01-01", periods=4, freq="1h", tz="UTC")
    series = {"time": times.repeat(3), "feature": pd.Categorical(METADATA["features"] * 4), "value": [0.0, np.nan] * 6}
    tables.write(pd.DataFrame(series), tmp_path / "series.parquet", tables.SERIES)
    weights.write(tmp_path / "model.safetensors", METADATA, lambda texts: b"")
    names = ("history", "choice", "metrics", "starts", "statistics", "series")
    found = {f"{name}_path": tmp_path / f"{name}.parquet" for name in names}
    return found | {"model_path": tmp_path / "model.safetensors", "card_path": tmp_path / "model-card.md"}


def test_weights_without_what_a_card_says_are_refused_in_one_line(paths):
    with pytest.raises(
        InputError, match=r"model.safetensors: its metadata lack dataset, init, .*; delete it and rerun"
    ):
        write_card(**paths, settings=SETTINGS, run="mine")
    assert not paths["card_path"].exists()
