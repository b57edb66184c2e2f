"""Arrays on disk."""

import errno
import io
import os

import numpy as np
import pytest

from scoredag.errors import InputError
from scoredag.store.arrays import Stored


def an_array(folder, dtype=np.float32):
    rows = np.random.default_rng(0).normal(size=(7, 3, 2)).astype(dtype)
    stored = Stored(rows.shape, dtype, folder)
    for part in (slice(0, 4), slice(4, 7)):
        stored[part] = rows[part]
    return stored, rows


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_rows_come_back_in_the_order_asked_for(tmp_path, dtype):
    stored, rows = an_array(tmp_path, dtype)
    numbers = np.array([6, 0, 3, 3])
    assert np.array_equal(stored[numbers], rows[numbers])
    assert stored[numbers].dtype == rows.dtype
    assert len(stored) == 7


def test_rows_of_another_order_in_memory_are_written_as_they_are_meant(tmp_path):
    rows = np.arange(12.0).reshape(2, 3, 2).transpose(1, 0, 2)
    stored = Stored(rows.shape, np.float64, tmp_path)
    stored[0:3] = rows
    assert np.array_equal(stored[[1]], rows[[1]])


def test_any_is_told_of_what_was_written(tmp_path):
    stored = Stored((4, 2), np.bool_, tmp_path)
    stored[0:2] = np.zeros((2, 2), bool)
    assert not stored.any()
    stored[2:4] = np.eye(2, dtype=bool)
    assert stored.any()


def test_rows_of_another_shape_are_refused(tmp_path):
    stored, rows = an_array(tmp_path)
    with pytest.raises(ValueError, match="rows 0 to 1"):
        stored[0:2] = rows[:3]


def test_a_row_that_was_not_written_is_refused(tmp_path):
    stored = Stored((4, 2), np.float32, tmp_path)
    stored[0:2] = np.ones((2, 2), np.float32)
    with pytest.raises(IndexError, match="row 2 of"):
        stored[[0, 2]]


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def flush(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: Full())
    stored = Stored((4, 2), np.float32, tmp_path)
    with pytest.raises(InputError, match=r": cannot be written \(No space left on device\)$"):
        stored[0:4] = np.ones((4, 2), np.float32)


def test_no_file_is_left(tmp_path):
    an_array(tmp_path)
    assert not list(tmp_path.iterdir())
