"""Mixtures from files."""

import contextlib
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy  # scipy.io is imported when it is first named: few mixtures are MATLAB's

from scoredag.errors import InputError
from scoredag.gmm import mixture
from scoredag.intake import delimited

COLUMNS = ("weight", "mean_x", "mean_y", "cov_xx", "cov_xy", "cov_yy")
NAMES = {
    "weights": ("weights", "weight", "w", "pi", "componentproportion"),
    "means": ("means", "mean", "mu", "loc"),
    "covariances": ("covariances", "covariance", "cov", "covs", "sigma", "sigmas"),
}
CONVERT = (
    "it holds Python objects, which could run code; load it where you trust it and write "
    "np.savez('mixture.npz', weights=w, means=mu, covariances=sigma)"
)


def read(path: str | os.PathLike[str], normalise: bool = False) -> mixture.GaussianMixture:
    """The mixture in a file, by its suffix.

    - .csv, .csv.gz, .parquet: the columns of `COLUMNS`, one row a component.
    - .json, .npz, .mat, .pt (tensors alone): arrays under a name of `NAMES`, in any case of letters: weights (K,),
      means (K, 2), covariances (K, 2, 2), or (K, 2) for diagonal and (K,) or () for spherical ones, as variances.
      MATLAB's (2, 2, K) is turned round.
    - .npy: a structured array with such fields, or a matrix (K, 6) in the order of `COLUMNS`.

    Weights that do not sum to 1 are divided by their sum if `normalise`, and refused if not.

    Raises:
        InputError: no such file, not of its format, an array or a number missing, Python objects inside, no mixture.
    """
    reader = READERS.get(Path(path).suffix.lower(), _read_table)
    weights, means, covariances = reader(path)
    try:
        if normalise:
            weights = mixture.normalised(weights)
        return mixture.GaussianMixture(weights, means, covariances)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_table(path):
    text = delimited.read(path)
    delimited.require(path, text, COLUMNS)
    table = pd.DataFrame({name: delimited.numbers(path, text[name]) for name in COLUMNS})
    for name, values in table.items():
        if values.isna().any():
            n_values, line = values.notna().sum(), f"{values.index.name} {values.isna().idxmax()}"
            raise InputError(f"{path}: {n_values} values of '{name}' for {len(table)} components; {line} has none")
    return _from_rows(table.to_numpy())


def _read_json(path):
    with _readable(path, "JSON"), open(path, encoding="utf-8") as stream:
        content = json.load(stream)
    return _from_arrays(path, content if isinstance(content, dict) else {})


def _read_npz(path):
    with _readable(path, "NumPy"), np.load(path, allow_pickle=False) as stream:
        return _from_arrays(path, dict(stream))


def _read_npy(path):
    with _readable(path, "NumPy"):
        array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return _from_arrays(path, {name: array[name] for name in array.dtype.names})
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise InputError(f"{path}: shape {array.shape} is not (K, 6), with the columns {', '.join(COLUMNS)}")
    return _from_rows(array)


def _read_mat(path):
    with _readable(path, "MATLAB"), open(path, "rb") as stream:
        arrays = {name: value for name, value in scipy.io.loadmat(stream).items() if not name.startswith("__")}
    if len(arrays) == 1:
        (value,) = arrays.values()
        if value.dtype.names and value.size == 1:  # a struct
            arrays = {name: value[name].item() for name in value.dtype.names}
    weights, means, covariances = _from_arrays(path, arrays)
    if covariances.ndim == 3 and covariances.shape[:2] == (2, 2):
        covariances = np.moveaxis(covariances, -1, 0)
    elif covariances.shape == (1, weights.size) != (1, 2) or covariances.shape == (weights.size, 1):
        covariances = covariances.ravel()
    return weights.ravel(), means, _full(path, covariances, weights.size)


def _read_pt(path):
    import torch  # slow to import, and needed for this format alone

    with _readable(path, "PyTorch"):
        content = torch.load(path, map_location="cpu", weights_only=True)
    content = content if isinstance(content, dict) else {}
    tensors = {str(name): value.numpy() for name, value in content.items() if isinstance(value, torch.Tensor)}
    return _from_arrays(path, tensors)


READERS = {".json": _read_json, ".npz": _read_npz, ".npy": _read_npy, ".mat": _read_mat, ".pt": _read_pt}


def _from_rows(rows):
    """Weights, means and covariances from rows (K, 6), a component a row."""
    rows = np.asarray(rows, dtype=np.float64)
    return rows[:, 0], rows[:, 1:3], rows[:, [3, 4, 4, 5]].reshape(-1, 2, 2)


def _from_arrays(path, named):
    """Weights, means and covariances from {name: array}, by the names of `NAMES`."""
    lower = {name.lower(): value for name, value in named.items()}
    arrays = []
    for what, names in NAMES.items():
        chosen = [name for name in names if name in lower]
        if len(chosen) != 1:
            got = f"both '{chosen[0]}' and '{chosen[1]}'" if chosen else f"none among {', '.join(named) or 'nothing'}"
            raise InputError(f"{path}: {what}: there is {got}; name one array {' or '.join(names[:3])}")
        try:
            arrays.append(np.asarray(lower[chosen[0]], dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: '{chosen[0]}' is no array of numbers ({error})") from error
    weights, means, covariances = arrays
    if means.ndim == 2 and means.shape[1] != 2:
        raise InputError(f"{path}: the means have shape {means.shape}; a mixture in the plane has (K, 2)")
    is_matlab = Path(path).suffix.lower() == ".mat"
    return weights, means, covariances if is_matlab else _full(path, covariances, weights.size)


def _full(path, covariances, n):
    """Covariances (n, 2, 2) from full, diagonal or spherical ones."""
    if covariances.shape == (n, 2):
        return covariances[:, :, None] * np.eye(2)
    if covariances.shape in ((n,), ()):
        return np.broadcast_to(covariances, n)[:, None, None] * np.eye(2)
    if covariances.shape != (n, 2, 2):
        wanted = f"({n}, 2, 2), ({n}, 2) or ({n},)"
        raise InputError(f"{path}: {n} weights, but the covariances have shape {covariances.shape}; expected {wanted}")
    return covariances


@contextlib.contextmanager
def _readable(path, kind):
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except NotImplementedError as error:
        raise InputError(f"{path}: a {kind} file of version 7.3; write it with save(.., '-v7')") from error
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        zipfile.BadZipFile,
        scipy.io.matlab.MatReadError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).partition("\n")[0].strip()
        if isinstance(error, pickle.UnpicklingError) or "allow_pickle" in str(error):
            reason = CONVERT
        raise InputError(f"{path}: cannot be read as {kind} ({reason})") from error
