"""The numbers of README.md and docs/: what docs/numbers.yaml quotes is there, and is what the default run computes."""

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENTRIES = yaml.safe_load((ROOT / "docs/numbers.yaml").read_text(encoding="utf-8"))
CHECKED = [entry for entry in ENTRIES if "from" in entry]
RESULTS = Path(os.environ.get("SCOREDAG_RESULTS", ROOT / "results"))  # of a finished default run
NUMBER = re.compile(r"{(-?[\d.,]+)}")
NAMES = {
    "LANGEVIN": "langevin/metrics.parquet",
    "DISTANCES": ["sliced_wasserstein2", "energy_distance", "mean_log_density", "occupancy_total_variation"],
    "SUMMARY": "likelihood/summary.parquet",
    "ERRORS": "likelihood/score_errors.parquet",
    "ESTIMATORS": "likelihood/estimators.parquet",
    "DYNAMICS": "likelihood/dynamics_distances.parquet",
    "AT_THE_END": ["sliced_wasserstein2", "mean_log_density", "neighbour_distance"],
    "NETWORKS": ["network-likelihood", "network-variance"],
    "SCORES": "csdi/nyc-weather/metrics.parquet",
    "WINDOWS": "csdi/nyc-weather/window_scores.parquet",
    "PATTERNS": ["random-10", "random-50", "random-90", "blocks-6"],
}


class Tables:
    """What `from` of an entry may call, on the tables of a folder of results."""

    def __init__(self, folder):
        self.folder = folder

    def table(self, path):
        return pd.read_parquet(self.folder / path)

    def values(self, path, columns="value", **where):
        """The entries of a column, or of several, in the rows with these values; of lists in their order."""
        table = self.table(path)
        found = []
        names = list(where)
        for choice in itertools.product(*(value if isinstance(value, list) else [value] for value in where.values())):
            rows = table[
                np.logical_and.reduce([table[name] == value for name, value in zip(names, choice, strict=True)])
            ]
            assert len(rows) == 1, f"{path}: {len(rows)} rows have {dict(zip(names, choice, strict=True))}"
            found += rows.iloc[0][[columns] if isinstance(columns, str) else columns].tolist()
        return found

    def scores(self, method, of_crps=None):
        """MAE and CRPS under each pattern, CRPS of another row where one is named."""
        path, patterns = NAMES["SCORES"], NAMES["PATTERNS"]
        both = (("mae", method), ("crps", of_crps or method))
        return [
            self.values(path, held_out=pattern, feature="all", metric=metric, method=name)[0]
            for pattern in patterns
            for metric, name in both
        ]

    def flow(self, name):
        """Mean negative log-likelihood by the flow as statements.png has it, and its standard error."""
        points = self.table(f"likelihood/{name}/likelihoods.parquet")
        apart = points["flow_nll"] - points["nll"]
        whole = self.values(NAMES["SUMMARY"], "left", statement="3", score_model=name)[0]
        return whole + apart.mean(), apart.sem()

    def of_divergence(self, name):
        """The bound on the divergence of a score model, the divergence, and the error of the grid."""
        sides = self.values(NAMES["SUMMARY"], ["right", "left"], statement="1", score_model=name)
        return [*sides, *self.values(f"likelihood/{name}/quantities.parquet", "error", quantity="divergence")]

    def order_left(self, pattern):
        """Correlation of the bounds of windows with these bounds less the usual bound of each target's feature."""
        table = self.table(NAMES["WINDOWS"]).query("held_out == @pattern")
        features = table[table["feature"] != "all"]
        excess = features["nll_bound"] - features.groupby("feature", observed=True)["nll_bound"].transform("mean")
        sums = (excess * features["n_targets"]).groupby(features["window"]).sum()
        whole = table[table["feature"] == "all"].set_index("window")
        return (sums / whole["n_targets"]).corr(whole["nll_bound"])

    def computed(self, entry):
        """The numbers of an entry as a flat array."""
        calls = {
            name: getattr(self, name) for name in ("table", "values", "scores", "flow", "of_divergence", "order_left")
        }
        names = NAMES | calls | {"np": np, "pd": pd, "span": lambda values: [min(values), max(values)]}
        names["START"] = self.table(NAMES["DYNAMICS"])["time"].min() if "START" in entry["from"] else None
        found = eval(entry["from"], names)  # a file of the project
        return np.atleast_1d(np.concatenate([np.ravel(part) for part in np.atleast_1d(np.array(found, dtype=object))]))


def quoted(entry):
    """The numbers of an entry as they stand in the text, and how far off each may be."""
    texts = NUMBER.findall(entry["text"])
    halves = [0.5 * 10.0 ** -len(text.partition(".")[2]) for text in texts]
    numbers = np.array([float(text.replace(",", "")) for text in texts])
    return numbers, np.array([entry.get("tolerance", half * (1 + 1e-6)) for half in halves])


def words(text):
    """A text with single blanks for line breaks."""
    return re.sub(r"\s+", " ", text)


def check(entry, tables):
    """One line on each number that is not what the tables say."""
    numbers, tolerances = quoted(entry)
    computed = tables.computed(entry).astype(float)
    assert len(numbers) == len(computed), f"{entry['text']}: {len(numbers)} numbers, {len(computed)} computed"
    wrong = np.abs(numbers - computed) > tolerances
    return [f"{number:g} is {value:.6g}" for number, value in zip(numbers[wrong], computed[wrong], strict=True)]


def test_every_quoted_passage_is_in_its_file_and_has_a_command():
    pages = {entry["file"]: words((ROOT / entry["file"]).read_text(encoding="utf-8")) for entry in ENTRIES}
    for entry in ENTRIES:
        assert words(NUMBER.sub(r"\1", entry["text"])) in pages[entry["file"]], f"{entry['file']}: {entry['text']}"
        assert "command" in entry or NUMBER.search(entry["text"]), f"{entry['text']} has no number in braces"
        assert ("from" in entry) != ("command" in entry), f"{entry['text']} wants a command, or where it comes from"
    assert len(CHECKED) > 60


def test_a_wrong_number_is_found(tmp_path):
    pd.DataFrame({"name": ["a", "b"], "value": [0.125, 2.0]}).to_parquet(tmp_path / "t.parquet")
    entry = {"text": "a is {0.13} and b {2}", "from": "values('t.parquet', name=['a', 'b'])"}
    assert check(entry, Tables(tmp_path)) == []
    assert check(entry | {"text": "a is {0.12} and b {3}"}, Tables(tmp_path)) == ["3 is 2"]
    assert check(entry | {"text": "a is {0.2} and b {3}", "tolerance": 0.1}, Tables(tmp_path)) == ["3 is 2"]


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted({entry["file"] for entry in CHECKED}))
def test_numbers_are_those_of_the_default_run(file):
    if not (RESULTS / NAMES["SCORES"]).exists():
        pytest.skip(f"{RESULTS} is no finished default run; `make` makes one, SCOREDAG_RESULTS names another folder")
    tables = Tables(RESULTS)
    wrong = {entry["text"]: check(entry, tables) for entry in CHECKED if entry["file"] == file}
    assert not any(wrong.values()), {text: lines for text, lines in wrong.items() if lines}
