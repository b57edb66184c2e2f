"""Execute the source of a notebook, and keep it with its outputs as a notebook and as a page."""

import logging
import os
from pathlib import Path

import jupytext
import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from scoredag import job
from scoredag.errors import InputError
from scoredag.figures import notebook_page
from scoredag.store import files

PARAMETERS = "parameters"  # tag of the cell whose values the settings replace


def execute_notebook(
    source_path: str, tables_paths: list[str], notebook_path: str, page_path: str, settings: dict, notebook: str
) -> None:
    """Write the executed notebook and its page; `settings["parameters"]` replace values of the cell that is tagged so.

    The source is of jupytext's form `py:percent`. It reads `tables_paths` by itself, in the working directory, by its
    parameter `RESULTS`, if it has one.
    """
    with open(source_path, encoding="utf-8") as stream:
        sheet = jupytext.reads(stream.read(), fmt="py:percent")
    _set_parameters(sheet, {"RESULTS": str(Path(notebook_path).parents[1])} | settings["parameters"])
    for number, cell in enumerate(sheet.cells, 1):
        cell["id"] = f"cell-{number}"
    place = {"metadata": {"path": os.getcwd()}}
    client = nbclient.NotebookClient(sheet, timeout=None, kernel_name="python3", record_timing=False, resources=place)
    try:
        client.execute()
    except CellExecutionError as error:
        logging.error("%s", error)
        number, cell = next(
            (number, cell) for number, cell in enumerate(sheet.cells, 1) if any(map(_is_error, cell.get("outputs", [])))
        )
        first = next(iter(cell.source.strip().splitlines()), "")
        raise InputError(
            f"{source_path}: cell {number}, which begins with `{first}`: {error.ename}: {error.evalue}"
        ) from error
    _log_errors(sheet)
    sheet.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    sheet.metadata["language_info"] = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"}
    text = nbformat.writes(sheet) + "\n"
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(sheet)
    title = next(iter(sheet.cells[0].source.splitlines()), notebook).lstrip("# ")
    for path, content in ((notebook_path, text), (page_path, notebook_page.page(body, title))):
        with files.replacing(path) as partial:
            partial.write_text(content, encoding="utf-8")


def _log_errors(sheet):
    """Move what went to standard error to the log: warnings, and tracebacks of the kernel itself, which come and go."""
    for cell in sheet.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                logging.warning("%s", output["text"].rstrip())
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]


def _is_error(output):
    return output.get("output_type") == "error"


def _set_parameters(sheet, parameters):
    """Let the cell that is tagged assign these values to those of its names that they have."""
    for cell in sheet.cells:
        if PARAMETERS in cell.metadata.get("tags", []):
            names = [line.partition(" = ")[0] for line in cell.source.splitlines()]
            cell.source = "\n".join(f"{name} = {parameters[name]!r}" for name in names if name in parameters)


if __name__ == "__main__":
    job.run(execute_notebook)
