"""What tests share: the folders, and reference data where they are given."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# PyTorch's threads wait for each other at every small product; on a busy machine that costs more than it brings
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
