"""What tests of readers share: a frame with what the log said, and refusals in one line."""

import logging

import pytest

from scoredag.errors import InputError
from scoredag.series import readers


def read_wide(caplog, paths, **options):
    """The wide series of files; what the log says is its attribute `said`."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        wide = readers.read_wide(paths, **options)
    wide.attrs["said"] = caplog.text
    return wide


def refused(call, *words):
    """The one line with which `call` is refused, which holds all `words`."""
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line and all(word in line for word in words), line
    return line
