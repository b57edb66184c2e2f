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


TWO = {"weights": [0.4, 0.6], "means": [[0.0, 1.0], [2.0, 3.0]]}
TIED = np.array([[1.0, 0.2], [0.2, 2.0]])
BOTH = {"weights": WEIGHTS, "means": MEANS, "covariances": FULL}


def is_read(path, covariances=FULL, weights=WEIGHTS):
    gmm = mixture_files.read(path)
    np.testing.assert_allclose(gmm.weights, weights, rtol=1e-14)
    np.testing.assert_array_equal(gmm.means, MEANS[: len(weights)] if len(weights) == 3 else TWO["means"])
    np.testing.assert_array_equal(gmm.covariances, covariances)


@pytest.mark.parametrize("suffix", [".json", ".npz", ".mat", ".pt"])
def test_a_shape_that_allows_two_readings_is_refused_and_both_are_named(tmp_path, suffix):
    path = save(tmp_path / f"mine{suffix}", TWO | {"covariances": TIED})
    refused(path, "(2, 2)", "shared by all", "of each component", "(2, 2, 2)", "covariance_type 'tied' or 'diag'")
    refused(save(tmp_path / f"row{suffix}", TWO | {"covariances": [[1.0, 2.0]]}), "(1, 2)", "(2, 2, 2)")


DIAGONAL = TIED[:, :, None] * np.eye(2)


@pytest.mark.parametrize("suffix", [".json", ".npz", ".mat"])
@pytest.mark.parametrize(
    ("said", "covariances"),
    [
        ({"covariance_type": "tied"}, [TIED, TIED]),
        ({"covariance_type": "diag"}, DIAGONAL),
        ({"CovarianceType": "diagonal", "SharedCov": False}, DIAGONAL),
        ({"CovarianceType": "full", "SharedCovariance": True}, [TIED, TIED]),
        ({"SharedCov": True}, [TIED, TIED]),
    ],
)
def test_the_type_of_covariances_decides_between_two_readings(tmp_path, suffix, said, covariances):
    path = save(tmp_path / f"mine{suffix}", TWO | {"covariances": TIED} | said)
    is_read(path, covariances, TWO["weights"])


def test_a_type_that_fits_no_reading_decides_nothing(tmp_path):
    path = save(tmp_path / "mine.npz", TWO | {"covariances": TIED, "covariance_type": "full"})
    refused(path, "(2, 2, 2)")


@pytest.mark.parametrize("suffix", [".json", ".npz", ".mat", ".pt"])
@pytest.mark.parametrize(
    ("array", "covariances"),
    [
        (TIED, [TIED] * 3),
        (np.moveaxis(FULL, 0, -1), FULL),
        (np.array([[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]]), [np.diag([1.0, 2]), np.diag([3.0, 4]), np.diag([5.0, 6])]),
        (np.array([[1.0, 2.0]]), [np.diag([1.0, 2.0])] * 3),
        (np.array([[1.0, 2.0, 3.0]]), [np.eye(2), 2 * np.eye(2), 3 * np.eye(2)]),
        (np.array([[1.0], [2.0], [3.0]]), [np.eye(2), 2 * np.eye(2), 3 * np.eye(2)]),
    ],
    ids=["tied", "2 x 2 x K", "1 x 2 x K", "1 x 2", "row", "column"],
)
def test_shared_covariances_and_the_layouts_of_matlab_are_read_in_every_format(tmp_path, suffix, array, covariances):
    is_read(save(tmp_path / f"mine{suffix}", BOTH | {"covariances": array}), covariances)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_of_two_full_layouts_the_symmetric_one_is_read(tmp_path, suffix):
    for array in (FULL[:2], np.moveaxis(FULL[:2], 0, -1)):
        is_read(save(tmp_path / f"mine{suffix}", TWO | {"covariances": array}), FULL[:2], TWO["weights"])


def test_an_asymmetric_covariance_in_the_layout_of_matlab_is_named(tmp_path):
    array = np.moveaxis(FULL + 0.1 * np.eye(2, k=1), 0, -1)
    refused(save(tmp_path / "mine.mat", BOTH | {"covariances": array}), "component 0", "symmetric")


def test_diagonal_covariances_of_two_are_read_from_matlab_alone(tmp_path):
    array = np.array([[[1.0, 3.0], [2.0, 4.0]]])
    is_read(save(tmp_path / "mine.mat", TWO | {"covariances": array}), [np.diag([1, 2]), np.diag([3, 4])], [0.4, 0.6])
    refused(save(tmp_path / "mine.npz", TWO | {"covariances": array}), "(1, 2, 2)", "(2, 2, 2)")


@pytest.mark.parametrize("suffix", [".json", ".npz", ".mat", ".pt"])
@pytest.mark.parametrize("covariance", [[TIED], TIED, TIED[:, :, None]])
def test_one_component_may_lack_the_axis_of_components(tmp_path, suffix, covariance):
    path = save(tmp_path / f"mine{suffix}", {"p": 1.0, "mu": [3.0, 4.0], "Sigma": np.array(covariance)})
    gmm = mixture_files.read(path)
    assert (gmm.means.tolist(), gmm.covariances.tolist()) == ([[3.0, 4.0]], [TIED.tolist()])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "names",
    [
        ("weights_", "means_", "covariances_"),
        ("PComponents", "MU", "sigma"),
        ("probs", "loc", "covariance_matrix"),
        ("Mixing_Proportions", "Mean", "COV"),
        ("p", "mu", "Sigma"),
    ],
)
def test_names_of_other_tools_are_read(tmp_path, suffix, names):
    is_read(save(tmp_path / f"mine{suffix}", dict(zip(names, (WEIGHTS, MEANS, FULL), strict=True))))


def test_precisions_and_the_number_of_dimensions_are_left_aside(tmp_path):
    more = {"precisions_": np.linalg.inv(FULL), "p": 2, "covariance_type": "full"}
    is_read(save(tmp_path / "mine.npz", {"weights_": WEIGHTS, "means_": MEANS, "covariances_": FULL} | more))
    path = save(tmp_path / "none.npz", {"weights_": WEIGHTS, "means_": MEANS, "precisions_": FULL})
    refused(path, "covariances: there is none among weights_, means_, precisions_")


def test_logits_become_weights(tmp_path):
    is_read(save(tmp_path / "mine.npz", {"logits": np.log(WEIGHTS) + 7, "loc": MEANS, "covariance_matrix": FULL}))


@pytest.mark.parametrize("suffix", [".json", ".npz", ".mat", ".pt"])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_may_be_a_row_or_a_column(tmp_path, suffix, axis):
    is_read(save(tmp_path / f"mine{suffix}", BOTH | {"weights": np.expand_dims(WEIGHTS, axis)}))


COMPONENTS = [
    {"weight": weight, "mean": mean, "covariance": covariance}
    for weight, mean, covariance in zip(WEIGHTS.tolist(), MEANS.tolist(), FULL.tolist(), strict=True)
]
LISTS = {name: array.tolist() for name, array in BOTH.items()}
ROWS = [
    dict(zip(mixture_files.COLUMNS, [w, *m, c[0][0], c[0][1], c[1][1]], strict=True))
    for w, m, c in ([*component.values()] for component in COMPONENTS)
]


@pytest.mark.parametrize(
    "content",
    [
        {"gmm": LISTS},
        {"version": 2, "model": {"gmm": LISTS}},
        LISTS | {"meta": {"weights": 3}},
        COMPONENTS,
        {"components": COMPONENTS},
        ROWS,
        {
            "mixture_distribution": {"probs": LISTS["weights"]},
            "components": {"loc": LISTS["means"], "cov": FULL.tolist()},
        },
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_objects_within_objects_and_lists_of_components_are_read_from_json(tmp_path, content, encoding):
    (tmp_path / "mine.json").write_text(json.dumps(content), encoding=encoding)
    is_read(tmp_path / "mine.json")


def test_components_in_a_list_have_covariances_of_their_own(tmp_path):
    two = [component | {"covariance": row} for component, row in zip(COMPONENTS[1:], TIED.tolist(), strict=True)]
    two = [component | {"weight": 0.5} for component in two]
    (tmp_path / "mine.json").write_text(json.dumps(two))
    np.testing.assert_array_equal(mixture_files.read(tmp_path / "mine.json").covariances, DIAGONAL)


def test_two_mixtures_in_one_file_are_named(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({"prior": LISTS, "posterior": LISTS}))
    refused(tmp_path / "mine.json", "both 'prior.weights' and 'posterior.weights'")


def test_an_array_of_structs_is_read_from_matlab(tmp_path):
    structs = np.array([tuple(item.values()) for item in COMPONENTS], [(name, object) for name in COMPONENTS[0]])
    io.savemat(tmp_path / "mine.mat", {"components": structs})
    is_read(tmp_path / "mine.mat")


def test_an_object_of_matlab_is_told_with_the_lines_that_save_its_arrays(tmp_path, monkeypatch):
    (tmp_path / "mine.mat").touch()
    opaque = io.matlab.MatlabOpaque(np.zeros(1, [("s0", object), ("s1", object)]))
    monkeypatch.setattr(io, "loadmat", lambda stream: {"__header__": b"", "gm": opaque})
    refused(tmp_path / "mine.mat", "gm.mu", "gm.Sigma", "save(")


def test_parameters_and_half_precision_are_read_from_torch(tmp_path):
    weights = torch.nn.Parameter(torch.tensor([0.25, 0.5, 0.25], dtype=torch.bfloat16))
    tensors = {"w": weights, "mu": torch.nn.Parameter(torch.tensor(MEANS)), "cov": torch.eye(2, dtype=torch.half)}
    for suffix in (".pt", ".pth"):
        torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / f"mine{suffix}")
        is_read(tmp_path / f"mine{suffix}", [np.eye(2)] * 3, [0.25, 0.5, 0.25])
    module = torch.nn.Module()
    module.gmm = torch.nn.ParameterDict(tensors)
    torch.save(module.state_dict(), tmp_path / "module.pt")
    is_read(tmp_path / "module.pt", [np.eye(2)] * 3, [0.25, 0.5, 0.25])


def test_complex_numbers_are_refused(tmp_path):
    refused(save(tmp_path / "mine.npz", BOTH | {"means": MEANS + 1j}), "'means'", "complex")


def text_of(shipped, **options):
    return shipped.to_csv(index=False, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_of_other_habits_is_read(shipped, path, encoding):
    expected = mixture_files.read(SHIPPED)
    upper = shipped.rename(columns=str.upper)
    camel = shipped.rename(columns=lambda name: name.title().replace("_", " "))
    for text in (text_of(upper), text_of(camel, sep="\t"), text_of(upper, sep=";", decimal=",")):
        path.write_text(text, encoding=encoding)
        np.testing.assert_array_equal(mixture_files.read(path).covariances, expected.covariances)
        np.testing.assert_array_equal(mixture_files.read(path).means, expected.means)


def test_a_decimal_comma_beside_a_point_is_refused(path):
    path.write_text(HEADER.replace(",", ";") + "0,5;0;0;1;0;1\n0.5;0;0;1;0;1\n")
    refused(path, "weight", "line 2", "'0,5'")


@pytest.mark.parametrize("options", [{}, {"sep": ";", "decimal": ","}, {"sep": " "}, {"sep": "\t"}])
def test_numbers_without_names_are_refused_with_the_names_to_write(shipped, path, options):
    path.write_text(text_of(shipped, header=False, **options), encoding="utf-8-sig")
    refused(path, "the first line holds numbers", HEADER.strip())
    packed = path.with_name("mine.csv.gz")
    shipped.to_csv(packed, header=False, index=False)
    refused(packed, HEADER.strip())


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib"])
def test_pickles_are_told_by_their_ending_with_what_converts_them(tmp_path, ending):
    path = tmp_path / f"gmm{ending}"
    refused(path, "no such file")
    path.write_bytes(pickle.dumps(Trap()))
    line = "np.savez('mixture.npz', weights=g.weights_, means=g.means_, covariances=g.covariances_)"
    refused(path, f"'gmm{ending}'", "import", "load(", line)


@pytest.mark.parametrize("ending", [".xyz", ".h5", ".yaml"])
def test_an_unknown_ending_is_told_with_those_that_are_read(tmp_path, ending):
    (tmp_path / f"mine{ending}").touch()
    refused(tmp_path / f"mine{ending}", f"'{ending}'", *mixture_files.READERS)


@pytest.mark.parametrize("suffix", FORMATS)
def test_messages_name_the_file_once(tmp_path, suffix):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    for path in (folder, save(tmp_path / f"mine{suffix}", {"weights": WEIGHTS})):
        with pytest.raises(InputError) as caught:
            mixture_files.read(path)
        assert str(caught.value).count(path.name) == 1
