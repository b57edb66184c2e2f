"""Arrays too large for memory, kept in a file without a name that goes with the process."""

import math
import os
import tempfile
from collections.abc import Sequence

import numpy as np

from scoredag.errors import InputError
from scoredag.store import files


class Stored:
    """An array of which rows are on disk: `stored[3:5] = rows` writes them, `stored[numbers]` reads these alone.

    Args:
        shape: (N, ..), of the whole.
        dtype: of its entries.
        folder: where the file is; the disk that has room for results.
    """

    def __init__(self, shape: Sequence[int], dtype: np.typing.DTypeLike, folder: files.PathLike) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, it lasts as long as the array
        self._folder, self._any = folder, False

    def __len__(self) -> int:
        """N."""
        return self.shape[0]

    def __setitem__(self, part: slice, rows: np.ndarray) -> None:
        """Write rows (n, ..) to a slice of n, of step 1.

        Raises:
            ValueError: rows of another shape.
            InputError: the disk is full.
        """
        first, last, step = part.indices(len(self))
        rows = np.ascontiguousarray(rows, self.dtype)
        if step != 1 or rows.shape != (last - first, *self.shape[1:]):
            raise ValueError(f"rows {first} to {last - 1} of {self.shape} cannot be {rows.shape}")
        try:
            self._file.seek(first * self._row)
            self._file.write(rows.data)
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written ({os.strerror(error.errno or 0)})") from error
        self._any |= bool(rows.any())

    def any(self) -> bool:
        """Whether an entry that was written is not 0."""
        return self._any

    def __getitem__(self, numbers: np.typing.ArrayLike) -> np.ndarray:
        """The rows with some numbers (n,), (n, ..), in memory.

        Raises:
            IndexError: a row that was never written.
        """
        numbers = np.asarray(numbers)
        rows = np.zeros((len(numbers), *self.shape[1:]), self.dtype)
        for row, number in zip(rows, numbers.tolist(), strict=True):
            self._file.seek(number * self._row)
            if self._file.readinto(row.data) != self._row:
                raise IndexError(f"row {number} of {self.shape} was not written")
        return rows
