"""Files of mixtures: what is read, and the one line for each damaged file."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import io

from scoredag.errors import InputError
from scoredag.gmm import mixture_files

SHIPPED = Path(__file__).parents[2] / "data/gmm.csv"
HEADER = "weight,mean_x,mean_y,cov_xx,cov_xy,cov_yy\n"


@pytest.fixture
def shipped():
    return pd.read_csv(SHIPPED)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.csv"


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        mixture_files.read(path)
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


def test_shipped_file_is_read_number_by_number():
    rows = np.loadtxt(SHIPPED, delimiter=",", skiprows=1)
    gmm = mixture_files.read(SHIPPED)
    assert len(rows) == 150
    np.testing.assert_allclose(gmm.weights, rows[:, 0] / rows[:, 0].sum(), rtol=1e-14)
    np.testing.assert_array_equal(gmm.means, rows[:, 1:3])
    np.testing.assert_array_equal(gmm.covariances.reshape(150, 4), rows[:, [3, 4, 4, 5]])


def test_order_of_columns_and_further_columns_do_not_matter(shipped, path):
    shipped[shipped.columns[::-1]].assign(name="a stroke").to_csv(path)
    expected = mixture_files.read(SHIPPED)
    np.testing.assert_array_equal(mixture_files.read(path).means, expected.means)
    np.testing.assert_array_equal(mixture_files.read(path).covariances, expected.covariances)


def test_missing_file_is_named(path):
    refused(path, "no such file")


def test_folder_is_named(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("column", mixture_files.COLUMNS)
def test_missing_column_is_named(shipped, path, column):
    shipped.drop(columns=column).to_csv(path, index=False)
    refused(path, f"'{column}'")


@pytest.mark.parametrize("column", ["weight", "mean_y", "cov_xy"])
def test_text_where_a_number_should_be_is_named(shipped, path, column):
    shipped = shipped.astype(object)
    shipped.loc[7, column] = "abc"
    shipped.to_csv(path, index=False)
    refused(path, column, "line 9", "abc")


def test_fewer_means_than_weights_are_counted(shipped, path):
    shipped.loc[149, ["mean_x", "mean_y"]] = np.nan
    shipped.to_csv(path, index=False)
    refused(path, "149", "150", "mean_x", "line 151")


def test_a_number_missing_in_the_middle_is_named(shipped, path):
    shipped.loc[41, "cov_yy"] = np.nan
    shipped.to_csv(path, index=False)
    refused(path, "cov_yy", "line 43")


def test_fewer_weights_than_means_are_refused(shipped, path):
    shipped.loc[149, "weight"] = np.nan
    shipped.to_csv(path, index=False)
    refused(path, "weight", "149", "150", "line 151")


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (3, "cov_xx", -1.0, ["covariance of component 3", "positive definite"]),
        (9, "cov_xy", 50.0, ["covariance of component 9", "positive definite"]),
        (5, "weight", -0.1, ["weight of component 5"]),
        (5, "mean_x", np.inf, ["mean_x", "line 7", "inf"]),
        (0, "weight", 0.9, ["sum"]),
    ],
)
def test_what_is_not_a_mixture_is_refused(shipped, path, row, column, value, words):
    shipped.loc[row, column] = value
    shipped.to_csv(path, index=False)
    refused(path, *words)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HEADER.encode(),
        HEADER.encode() + b"1,0,0,1,0,1\n1,0,0,1,0,1,8,9\n",  # a line with two numbers too many
        HEADER.encode() + b"1,0,0,1,0,\xff\n",
        b"\x89PNG\r\n\x1a\n\x00\x00",
    ],
    ids=["empty", "header alone", "ragged", "not UTF-8", "an image"],
)
def test_what_is_not_such_a_table_is_refused(path, content):
    path.write_bytes(content)
    refused(path)


WEIGHTS, MEANS = np.array([0.2, 0.5, 0.3]), np.array([[0.0, 1.0], [2.0, 3.0], [-4.0, 5.0]])
FULL = np.array([[[1.0, 0.2], [0.2, 2.0]], [[3.0, 0.0], [0.0, 0.5]], [[1.0, -0.4], [-0.4, 1.0]]])


def save(path, arrays):
    """Write {name: array} in the format of the suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps({name: np.asarray(value).tolist() for name, value in arrays.items()}))
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".mat":
        io.savemat(path, arrays)
    elif path.suffix == ".pt":
        torch.save({name: torch.tensor(value) for name, value in arrays.items()}, path)
    elif path.suffix == ".npy":
        kinds = [(name, float, np.shape(value)[1:]) for name, value in arrays.items()]
        table = np.empty(len(WEIGHTS), kinds)
        for name, value in arrays.items():
            table[name] = value
        np.save(path, table)
    return path


FORMATS = [".json", ".npz", ".npy", ".mat", ".pt"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("names", [("weights", "means", "covariances"), ("pi", "mu", "Sigma"), ("w", "loc", "cov")])
def test_arrays_are_read_under_their_usual_names(tmp_path, suffix, names):
    path = save(tmp_path / f"mine{suffix}", dict(zip(names, (WEIGHTS, MEANS, FULL), strict=True)))
    gmm = mixture_files.read(path)
    np.testing.assert_allclose(gmm.weights, WEIGHTS, rtol=1e-15)
    np.testing.assert_array_equal(gmm.means, MEANS)
    np.testing.assert_array_equal(gmm.covariances, FULL)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "variances", [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [1.0, 2.0, 3.0]], ids=["diagonal", "spherical"]
)
def test_diagonal_and_spherical_covariances_are_expanded(tmp_path, suffix, variances):
    path = save(tmp_path / f"mine{suffix}", {"weights": WEIGHTS, "means": MEANS, "covariances": np.array(variances)})
    expected = [np.eye(2) * variance for variance in np.array(variances)]
    np.testing.assert_array_equal(mixture_files.read(path).covariances, expected)


def test_the_layout_of_matlab_is_turned_round(tmp_path):
    arrays = {"mu": MEANS, "Sigma": np.moveaxis(FULL, 0, -1), "ComponentProportion": WEIGHTS[None]}
    for found in (arrays, {"gm": arrays}):
        gmm = mixture_files.read(save(tmp_path / "mine.mat", found))
        np.testing.assert_array_equal(gmm.covariances, FULL)
    two = {"mu": MEANS[:2], "Sigma": np.moveaxis(FULL[:2], 0, -1), "w": [0.5, 0.5]}
    np.testing.assert_array_equal(mixture_files.read(save(tmp_path / "two.mat", two)).covariances, FULL[:2])


def test_a_matrix_of_six_columns_is_read(tmp_path):
    np.save(tmp_path / "mine.npy", np.loadtxt(SHIPPED, delimiter=",", skiprows=1))
    np.testing.assert_array_equal(mixture_files.read(tmp_path / "mine.npy").means, mixture_files.read(SHIPPED).means)
    np.save(tmp_path / "five.npy", np.ones((3, 5)))
    refused(tmp_path / "five.npy", "(3, 5)", "(K, 6)")


def test_weights_are_normalised_on_request_alone(tmp_path):
    path = save(tmp_path / "mine.npz", {"weights": 4 * WEIGHTS, "means": MEANS, "covariances": FULL})
    refused(path, "sum to 4", "normalise: true")
    np.testing.assert_allclose(mixture_files.read(path, normalise=True).weights, WEIGHTS, rtol=1e-15)
    path = save(tmp_path / "negative.npz", {"weights": [1.0, -3.0, 1.0], "means": MEANS, "covariances": FULL})
    with pytest.raises(InputError, match="weight of component 1"):
        mixture_files.read(path, normalise=True)


class Trap:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


def test_python_objects_are_never_loaded_and_the_line_says_how_to_convert(tmp_path):
    mixture = {"weights": WEIGHTS, "means": MEANS, "covariances": FULL}
    np.save(tmp_path / "dict.npy", mixture)
    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object))
    np.savez(tmp_path / "trap.npz", weights=np.array([Trap()], dtype=object), means=MEANS, covariances=FULL)
    torch.save({"weights": Trap()}, tmp_path / "trap.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Trap()))
    for name in ("dict.npy", "trap.npy", "trap.npz", "trap.pt", "pickle.pt"):
        refused(tmp_path / name, "Python objects", "np.savez")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"no such format", b"\x93NUMPY"])
def test_other_content_than_the_suffix_says_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    refused(path)
    refused(tmp_path / f"absent{suffix}", "no such file")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": None}, ["means", "mu"]),
        ({"mu": MEANS}, ["'means' and 'mu'"]),
        ({"means": np.ones((3, 3))}, ["(3, 3)", "plane"]),
        ({"covariances": np.ones((3, 3))}, ["(3, 3)"]),
        ({"covariances": np.ones((3, 3, 3))}, ["(3, 3, 3)"]),
    ],
)
def test_arrays_that_make_no_mixture_are_named(tmp_path, suffix, change, words):
    arrays = {"weights": WEIGHTS, "means": MEANS, "covariances": FULL} | change
    path = save(tmp_path / f"mine{suffix}", {name: value for name, value in arrays.items() if value is not None})
    refused(path, *words)


def test_a_list_in_json_is_no_mixture(tmp_path):
    (tmp_path / "mine.json").write_text("[1, 2]")
    refused(tmp_path / "mine.json", "weights")
    (tmp_path / "text.json").write_text('{"weights": ["a"], "means": [[0, 0]], "covariances": [1]}')
    refused(tmp_path / "text.json", "'weights' is no array of numbers")
