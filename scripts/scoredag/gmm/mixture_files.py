"""Mixtures from files."""

import codecs
import contextlib
import itertools
import json
import os
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy  # scipy.io is imported when it is first named: few mixtures are MATLAB's

from scoredag.errors import InputError
from scoredag.gmm import mixture
from scoredag.intake import archives, delimited

COLUMNS = ("weight", "mean_x", "mean_y", "cov_xx", "cov_xy", "cov_yy")
NAMES = {  # as `_key` writes them
    "weights": ("weights", "weight", "w", "pi", "componentproportion", "pcomponents", "mixingproportions"),
    "means": ("means", "mean", "mu", "loc"),
    "covariances": ("covariances", "covariance", "cov", "covs", "sigma", "sigmas", "covariancematrix"),
}
MORE_WEIGHTS = ("probs", "logits", "p")  # where there are no others
FORMS = {  # scikit-learn's covariance_type, and what a covariance array then holds
    "full": "the covariances of all components",
    "tied": "one covariance, shared by all components",
    "diag": "the two variances of each component",
    "spherical": "one variance of each component",
    "tied diag": "two variances, shared by all components",
}
CONVERT = (
    "it holds Python objects, which could run code; load it where you trust it and write "
    "np.savez('mixture.npz', weights=w, means=mu, covariances=sigma)"
)
PICKLES = {".pkl": "pickle.load(open({name!r}, 'rb'))", ".joblib": "joblib.load({name!r})"}
PICKLES[".pickle"] = PICKLES[".pkl"]
MATLAB_OBJECT = (
    "it holds a MATLAB object; write mu = gm.mu; Sigma = gm.Sigma; w = gm.ComponentProportion; "
    "save('mixture.mat', 'mu', 'Sigma', 'w', '-v7')"
)


def read(path: str | os.PathLike[str], normalise: bool = False) -> mixture.GaussianMixture:
    """The mixture in a file, by its suffix.

    - .csv (.tsv, .txt, .dat, all perhaps .gz), .parquet: the columns of `COLUMNS`, one row a component.
    - .json, .npz, .mat, .pt (.pth; tensors alone): arrays under a name of `NAMES`, in any case of letters, with
      underscores or without, perhaps in an object of their own, or a list of such objects, one a component:
      weights (K,), means (K, 2), covariances as `_full` reads them.
    - .npy: a structured array with such fields, or a matrix (K, 6) in the order of `COLUMNS`.

    Weights that do not sum to 1 are divided by their sum if `normalise`, and refused if not.

    Raises:
        InputError: no such file, not of its format, an array or a number missing, Python objects inside, no mixture.
    """
    weights, means, covariances = _reader(path)(path)
    try:
        if normalise:
            weights = mixture.normalised(weights)
        return mixture.GaussianMixture(weights, means, covariances)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _reader(path):
    """The function that reads files with the ending of `path`."""
    ending = Path(path).suffix.lower()
    if ending in READERS or not ending:
        return READERS.get(ending, _read_table)
    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    if ending in PICKLES:
        load = PICKLES[ending].format(name=Path(path).name)
        raise InputError(
            f"{path}: {ending} files hold Python objects, which could run code; convert it where you trust it: "
            f"import {load.partition('.')[0]}, numpy as np; g = {load}; "
            "np.savez('mixture.npz', weights=g.weights_, means=g.means_, covariances=g.covariances_)"
        )
    raise InputError(f"{path}: '{ending}' is no known ending; mixtures are {', '.join(READERS)} files")


def _read_table(path):
    if Path(path).suffix not in delimited.PARQUET:
        _require_names(path)
    text = delimited.read(path)
    found = {name: _chosen(text.columns, [_key(name)]) for name in COLUMNS}
    text = text.rename(columns={names[0]: name for name, names in found.items() if len(names) == 1})
    delimited.require(path, text, COLUMNS)
    written = " ".join(map(str, text[[*COLUMNS]].to_numpy().ravel()))
    decimal = "," if "," in written and "." not in written else "."
    table = pd.DataFrame({name: delimited.numbers(path, text[name], decimal) for name in COLUMNS})
    for name, values in table.items():
        if values.isna().any():
            n_values, line = values.notna().sum(), f"{values.index.name} {values.isna().idxmax()}"
            raise InputError(f"{path}: {n_values} values of '{name}' for {len(table)} components; {line} has none")
    return _from_rows(table.to_numpy())


def _require_names(path):
    """Refuse a text file whose first line holds numbers."""
    packed = Path(path).suffix == ".gz"
    with (
        contextlib.suppress(OSError, EOFError, zlib.error),
        archives.gunzip(path) if packed else open(path, "rb") as stream,
    ):
        first: bytes = stream.readline(1 << 12).removeprefix(codecs.BOM_UTF8)
        if re.search(rb"\d", first) and re.fullmatch(rb'[\d\s.,;+\-eE"]+', first):
            raise InputError(f"{path}: the first line holds numbers; write the names above it: {','.join(COLUMNS)}")


def _read_json(path):
    with _readable(path, "JSON"):
        content = json.loads(Path(path).read_bytes())  # which knows byte order marks
    return _from_arrays(path, content)


def _read_npz(path):
    with _readable(path, "NumPy"), np.load(path, allow_pickle=False) as stream:
        arrays = dict(stream)
    return _from_arrays(path, arrays)


def _read_npy(path):
    with _readable(path, "NumPy"):
        array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return _from_arrays(path, {name: array[name] for name in array.dtype.names} | {"SharedCov": False})
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise InputError(f"{path}: shape {array.shape} is not (K, 6), with the columns {', '.join(COLUMNS)}")
    return _from_rows(_array(path, {"matrix": array}, "matrix"))


def _read_mat(path):
    with _readable(path, "MATLAB"), open(path, "rb") as stream:
        content = scipy.io.loadmat(stream)
    if any(
        isinstance(value, scipy.io.matlab.MatlabOpaque | scipy.io.matlab.MatlabObject) for value in content.values()
    ):
        raise InputError(f"{path}: {MATLAB_OBJECT}")
    return _from_arrays(path, {name: _struct(value) for name, value in content.items() if not name.startswith("__")})


def _struct(value):
    """A MATLAB struct as an object, an array of structs as a list of objects; anything else as it is."""
    if not getattr(value, "dtype", np.dtype(float)).names:
        return value
    items = [{name: _struct(item[name]) for name in value.dtype.names} for item in value.ravel()]
    return items[0] if len(items) == 1 else items


def _read_pt(path):
    import torch  # slow to import, and needed for this format alone

    def plain(value):
        if isinstance(value, torch.Tensor):  # NumPy has no bfloat16
            return (value.double() if value.is_floating_point() else value).detach().numpy()
        if isinstance(value, dict):
            return {str(name): plain(item) for name, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    with _readable(path, "PyTorch"):
        content = plain(torch.load(path, map_location="cpu", weights_only=True))
    return _from_arrays(path, content)


READERS = {
    **dict.fromkeys([".csv", ".tsv", ".txt", ".dat", ".gz", *delimited.PARQUET], _read_table),
    ".json": _read_json,
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".mat": _read_mat,
    ".pt": _read_pt,
    ".pth": _read_pt,
}


def _from_rows(rows):
    """Weights, means and covariances from rows (K, 6), a component a row."""
    rows = np.asarray(rows, dtype=np.float64)
    return rows[:, 0], rows[:, 1:3], rows[:, [3, 4, 4, 5]].reshape(-1, 2, 2)


def _key(name):
    """A name as it is looked up: weights_, Covariance Matrix and covariance_type have no marks and capitals."""
    return name.rpartition(".")[2].replace("_", "").replace(" ", "").lower()


def _flat(content: Any) -> dict[str, Any]:
    """{name: value} of an object; of an object in it with dotted names, of a list of objects a list for each name."""
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        items = [_flat(item) for item in content]
        lists = {name: [item.get(name) for item in items] for name in dict.fromkeys(itertools.chain(*items))}
        return {"SharedCov": False} | lists  # each component has its own
    flat: dict[str, Any] = {}
    for name, value in content.items() if isinstance(content, dict) else ():
        inner = _flat(value)
        flat |= {f"{name}.{below}": item for below, item in inner.items()} if inner else {name: value}
    return flat


def _chosen(named, keys):
    """The names among `keys` that are nested least."""
    found = [name for name in named if _key(name) in keys]
    least = min((name.count(".") for name in found), default=0)
    return [name for name in found if name.count(".") == least]


def _from_arrays(path, content):
    """Weights, means and covariances from {name: array}, by the names of `NAMES`."""
    named = _flat(content)
    columns = [_chosen(named, [_key(name)]) for name in COLUMNS]
    if all(columns):
        return _from_rows(np.stack([_array(path, named, names[0]).ravel() for names in columns], axis=1))
    arrays = []
    for what, names in NAMES.items():
        chosen = _chosen(named, names) or (_chosen(named, MORE_WEIGHTS) if what == "weights" else [])
        if len(chosen) != 1:
            listed = ", ".join([*named][: delimited.MAX_LISTED]) or "nothing"
            got = f"both '{chosen[0]}' and '{chosen[1]}'" if chosen else f"none among {listed}"
            raise InputError(f"{path}: {what}: there is {got}; name one array {' or '.join(names[:3])}")
        array = _array(path, named, chosen[0])
        arrays.append(scipy.special.softmax(array) if _key(chosen[0]) == "logits" and array.size else array)
    weights, means, covariances = arrays
    if weights.size == max(weights.shape, default=1):
        weights = weights.ravel()
    if means.ndim == 2 and means.shape[1] != 2:
        raise InputError(f"{path}: the means have shape {means.shape}; a mixture in the plane has (K, 2)")
    if means.shape[-1:] == (2,) and means.size == 2 * weights.size:
        means = means.reshape(-1, 2)
    return weights, means, _full(path, covariances, weights.size, _forms_said(named))


def _array(path, named, name):
    """The array of numbers under a name."""
    try:
        array = np.asarray(named[name])
        if np.iscomplexobj(array):
            raise TypeError("they are complex")
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: '{name}' is no array of numbers ({error})") from error


def _said(named, *keys):
    """The text under one of `keys` in small letters, '' where there is none."""
    values = [value for name in _chosen(named, keys) for value in np.ravel(named[name])]
    return str(values[0]).lower() if values else ""


def _forms_said(named):
    """The forms of covariances that scikit-learn's covariance_type, or MATLAB's and SharedCov, leave of `FORMS`."""
    form = _said(named, "covariancetype").replace("diagonal", "diag")
    shared = _said(named, "sharedcov", "sharedcovariance")
    if shared in ("true", "1", "1.0"):
        return {"full": {"tied"}, "diag": {"tied diag"}}.get(form, {"tied", "tied diag"})
    return {form} if form in FORMS else {"full", "diag", "spherical"} if shared else {*FORMS}


def _full(path, covariances, n, said):
    """Covariances (n, 2, 2) from an array in any of `FORMS`; where its shape fits two, `said` decides."""
    readings = _readings(covariances, n)
    if Path(path).suffix.lower() == ".mat" and "diag" in readings and covariances.ndim == 3:
        readings.pop("tied", None)  # 1 x 2 x K of MATLAB
    if not readings:
        wanted = f"({n}, 2, 2), ({n}, 2), ({n},) or (2, 2)"
        raise InputError(f"{path}: {n} weights, but the covariances have shape {covariances.shape}; expected {wanted}")
    readings = {form: reading for form, reading in readings.items() if form in said} or readings
    first, *others = readings
    for other in others:
        if not np.array_equal(readings[first], readings[other]):
            raise InputError(
                f"{path}: covariances of shape {covariances.shape} may be {FORMS[first]}, or {FORMS[other]}; "
                f"write them as ({n}, 2, 2), or add covariance_type '{first}' or '{other}'"
            )
    return readings[first]


def _readings(array, n):
    """{form: covariances (n, 2, 2)} for each of `FORMS` that the shape of an array may be, MATLAB's layout included."""
    turned = np.moveaxis(array, -1, 0) if array.ndim == 3 else array
    readings = {}
    if array.shape == (n, 2, 2):
        readings["full"] = array
    if turned.shape == (n, 2, 2) and (
        "full" not in readings or mixture.asymmetric(turned).any() < mixture.asymmetric(array).any()
    ):
        readings["full"] = turned
    if array.shape in ((2, 2), (1, 2, 2)):
        readings["tied"] = np.broadcast_to(array, (n, 2, 2))
    if array.shape == (n, 2):
        readings["diag"] = array[:, :, None] * np.eye(2)
    if array.shape == (1, 2, n):
        readings["diag"] = array[0].T[:, :, None] * np.eye(2)
    if array.shape in ((n,), (n, 1), (1, n), ()):
        readings["spherical"] = np.broadcast_to(array.ravel(), n)[:, None, None] * np.eye(2)
    if array.shape == (1, 2):
        readings["tied diag"] = np.broadcast_to(array[0] * np.eye(2), (n, 2, 2))
    return readings


@contextlib.contextmanager
def _readable(path, kind):
    try:
        yield
    except InputError:  # which is a ValueError
        raise
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
        reason = (getattr(error, "strerror", None) or str(error)).partition("\n")[0].strip()
        if isinstance(error, pickle.UnpicklingError) or "allow_pickle" in str(error):
            reason = CONVERT
        raise InputError(f"{path}: cannot be read as {kind} ({reason})") from error
