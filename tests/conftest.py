"""What tests share: the folders, and reference data where they are given."""

import gc
import os
import re
from pathlib import Path

import pytest

from scoredag.job import sources

ROOT = Path(__file__).parents[1]

# PyTorch's threads wait for each other at every small product; on a busy machine that costs more than it brings
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--light", action="store_true", help="leave out tests that need PyTorch or compiled kernels")


def pytest_ignore_collect(collection_path, config):
    if config.getoption("--light") and collection_path.match("test_*.py"):
        imports = (path.read_text(encoding="utf-8") for path in sources.modules(collection_path, ROOT / "scripts"))
        return any(re.search(r"^(import|from) (torch|numba)\b", text, re.MULTILINE) for text in imports) or None
    return None


def pytest_collection_modifyitems(items):
    """Tests of the workflow first: while one process makes the run that they share, others have the rest to do."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


def pytest_collection_finish():
    gc.freeze()  # what is imported by now stays, and is not searched for garbage again and again


def _given(variable, what):
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set: {what}")
    return Path(folder)


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def parity():
    """Folder of the reference network's inputs and outputs."""
    return _given("SCOREDAG_PARITY", "a folder with csdi-K35-L48.npz, outputs of the reference network")


@pytest.fixture(scope="session")
def mirror():
    """Folder of files that users download."""
    return _given("SCOREDAG_MIRROR", "a folder with csdi-physionet.pth, the official checkpoint")
