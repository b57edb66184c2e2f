"""Sources of notebooks: executed on results, kept with their outputs, or refused with the cell at fault."""

import re

import nbformat
import pytest
import yaml

from execute_notebook import execute_notebook
from scoredag.errors import InputError

SOURCE = """# %% [markdown]
# # A title & more
#
# Text.

# %% tags=["parameters"]
RESULTS = "elsewhere"
NAMES = ["none"]

# %%
# %matplotlib inline
import matplotlib.pyplot as plt

print(RESULTS, NAMES)
plt.plot([0, 1], [2, 3])
plt.show()

# %%
{last}
"""


@pytest.fixture
def executed(tmp_path):
    """A function of the last cell that executes the source: paths of notebook and page."""

    def execute(last, turn=0):
        source = tmp_path / "source.py"
        source.write_text(SOURCE.replace("{last}", last), encoding="utf-8")
        paths = [tmp_path / f"results{turn}" / "notebooks" / f"name.{kind}" for kind in ("ipynb", "html")]
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        settings = {"parameters": {"NAMES": {"b": "x"}, "unused": 1}}
        execute_notebook(str(source), [], *map(str, paths), settings, "name")
        return paths

    return execute


def test_parameters_are_those_of_the_run_and_the_page_asks_nobody(executed, caplog):
    last = "import sys\n\nprint('to the log', file=sys.stderr)\n1 + 1"
    notebook, page = executed(last)
    sheet = nbformat.read(notebook, 4)
    nbformat.validate(sheet)
    streams = [output["text"] for cell in sheet.cells for output in cell.get("outputs", []) if "text" in output]
    assert len(streams) == 1 and streams[0].endswith("results0 {'b': 'x'}\n")
    assert any("image/png" in output.get("data", {}) for cell in sheet.cells for output in cell.get("outputs", []))
    text = page.read_text(encoding="utf-8")
    assert "<title>A title &amp; more</title>" in text and "data:image/png;base64," in text
    assert not re.search(r"""(?:src|href)=["']?https?:|<script|@import""", text)
    assert "to the log" in caplog.text and "to the log\n" not in "".join(streams)
    again = executed(last)
    assert [path.read_bytes() for path in again] == [notebook.read_bytes(), page.read_bytes()]


def test_a_failing_cell_is_named_and_leaves_no_file(executed, tmp_path):
    with pytest.raises(InputError, match=r"source.py: cell 4, which begins with `1 / 0`: ZeroDivisionError: division"):
        executed("1 / 0", turn=1)
    assert not list((tmp_path / "results1" / "notebooks").iterdir())


def test_sources_hold_no_results_and_name_their_kernel(root):
    """What is shown is made by the run; the sources open in any Jupyter with a kernel of Python."""
    paths = sorted((root / "notebooks").glob("*.py"))
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))["properties"]["notebooks"]
    assert {path.stem for path in paths} == set(schema["default"]) == set(schema["items"]["enum"])
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert "name: python3" in text and "<details><summary>" in text and 'tags=["parameters"]' in text, path
        assert "pip install --editable ." in text, path
