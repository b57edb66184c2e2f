"""The mixture's CSV file: what is read, and the one line for each damaged file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.gmm import readers

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
        readers.read(path)
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


def test_shipped_file_is_read_number_by_number():
    rows = np.loadtxt(SHIPPED, delimiter=",", skiprows=1)
    gmm = readers.read(SHIPPED)
    assert len(rows) == 150
    np.testing.assert_allclose(gmm.weights, rows[:, 0] / rows[:, 0].sum(), rtol=1e-14)
    np.testing.assert_array_equal(gmm.means, rows[:, 1:3])
    np.testing.assert_array_equal(gmm.covariances.reshape(150, 4), rows[:, [3, 4, 4, 5]])


def test_order_of_columns_and_further_columns_do_not_matter(shipped, path):
    shipped[shipped.columns[::-1]].assign(name="a stroke").to_csv(path)
    expected = readers.read(SHIPPED)
    np.testing.assert_array_equal(readers.read(path).means, expected.means)
    np.testing.assert_array_equal(readers.read(path).covariances, expected.covariances)


def test_missing_file_is_named(path):
    refused(path, "no such file")


def test_folder_is_named(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("column", readers.COLUMNS)
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
