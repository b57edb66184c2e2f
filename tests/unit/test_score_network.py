"""The score network: NumPy against PyTorch, its file, and what training reaches."""

import inspect
import itertools

import numpy as np
import pytest
import torch
import yaml

from scoredag.errors import InputError
from scoredag.gmm.mixture import GaussianMixture
from scoredag.likelihood import bounds, score_matching, score_network, scores, sde

OPTIONS = {
    "smallest_time": 1e-4, "n_steps": 500, "batch_size": 256, "width": 24, "n_layers": 2,
    "learning_rate": 0.005, "average_decay": 0.98, "seed": 1, "threads": 1,
}  # fmt: skip


def gmm():
    return GaussianMixture(
        [0.5, 0.5], [[-0.9, 0.0], [0.9, 0.3]], [[[0.1, 0.0], [0.0, 0.6]], [[0.1, 0.05], [0.05, 0.5]]]
    )


def weights(n_layers=2, width=16, seed=0):
    rng = np.random.default_rng(seed)
    widths = [score_network.N_INPUTS, *[width] * n_layers, 2]
    shapes = list(itertools.pairwise(widths))
    return score_network.Weights(
        [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes],
        [0.1 * rng.standard_normal(shape[1]) for shape in shapes],
    )


def test_the_score_is_pytorchs():
    layers = weights()
    modules = []
    for matrix, bias in zip(*layers, strict=True):
        layer = torch.nn.Linear(*matrix.shape, dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.from_numpy(matrix.T.copy()), torch.from_numpy(bias)
        modules += [layer, torch.nn.SiLU()]
    model = torch.nn.Sequential(*modules[:-1])
    y, level = np.random.default_rng(1).standard_normal((30, 2)), np.linspace(-8, 8, 30)
    noise = score_network.relative_noise(level)
    with torch.no_grad():
        values = model(torch.from_numpy(score_network.features(y, noise))).numpy()
    expected = values / np.sqrt(noise**2 + score_network.FINEST**2)[:, None] - y
    np.testing.assert_allclose(score_network.score(layers, y, level), expected, rtol=1e-10)


def test_the_divergence_is_that_of_the_score():
    layers, h = weights(), 1e-5
    y, level = np.random.default_rng(1).standard_normal((30, 2)), np.linspace(-8, 8, 30)
    slopes = [
        (score_network.score(layers, y + h * axis, level) - score_network.score(layers, y - h * axis, level)) / (2 * h)
        for axis in np.eye(2)
    ]
    found = score_network.divergence(layers, y, level)
    np.testing.assert_allclose(found, slopes[0][:, 0] + slopes[1][:, 1], rtol=1e-5, atol=1e-5)


def test_a_file_holds_the_weights(tmp_path):
    layers = weights(n_layers=12)
    score_network.save(layers, tmp_path / "model.safetensors", {"score_model": "mine"})
    for before, after in zip(layers, score_network.load(tmp_path / "model.safetensors"), strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="is no score network"):
        score_network.load(path)
    score_network.save(score_network.Weights([np.zeros((4, 2))], [np.zeros(2)]), path, {})
    with pytest.raises(InputError, match="is no score network of 15 inputs"):
        score_network.load(path)


def test_a_flipped_bit_is_told(tmp_path):
    path = tmp_path / "model.safetensors"
    score_network.save(weights(), path, {})
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged"):
        score_network.load(path)


def test_of_a_network_without_weights_the_score_is_the_standard_normals():
    zeros = score_network.Weights([np.zeros((score_network.N_INPUTS, 2))], [np.zeros(2)])
    for process in (sde.variance_preserving(), sde.variance_exploding()):
        model = scores.from_network(zeros, process)
        x = np.array([[1.0, 2.0]])
        np.testing.assert_allclose(model.score(x, 0.5), -x / process.spread(0.5) ** 2)
        np.testing.assert_allclose(model.divergence(x, 0.5), [-2 / process.spread(0.5) ** 2])


@pytest.mark.parametrize("weighting", score_matching.WEIGHTINGS)
def test_training_comes_near_the_score(weighting):
    process = sde.variance_preserving()
    found = scores.from_network(score_matching.train(gmm(), process, weighting=weighting, **OPTIONS), process)
    nothing = scores.exact(GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)]), process)
    loss, before = (
        bounds.averaged(model, gmm(), process, smallest_time=1e-4, n_draws=20000, seed=1)["score_matching"].value
        for model in (found, nothing)
    )
    assert loss < 0.5 * before


def test_training_is_the_same_twice_and_another_by_weighting():
    process = sde.variance_preserving()
    options = OPTIONS | {"n_steps": 20}
    one, again, other = (
        score_matching.train(gmm(), process, weighting=weighting, **options)
        for weighting in ("likelihood", "likelihood", "noise-variance")
    )
    np.testing.assert_array_equal(one.matrices[0], again.matrices[0])
    assert not np.array_equal(one.matrices[0], other.matrices[0])


def test_the_objective_is_the_squared_sum_of_score_and_noise():
    """What a step minimises is |sigma s + z|^2 of the score that `score_network.score` gives."""
    process = sde.variance_preserving()
    layers = weights()
    inputs, factor, rest = score_matching._samples(gmm(), process, "likelihood", 1e-4, 64, seed=3)
    values = inputs.numpy().astype(np.float64)
    for matrix, bias in zip(layers.matrices[:-1], layers.biases[:-1], strict=True):
        values = values @ matrix + bias
        values = values / (1 + np.exp(-values))
    found = (values @ layers.matrices[-1] + layers.biases[-1]) * factor.numpy() + rest.numpy()
    noise = np.sqrt(np.exp(2 * inputs.numpy()[:, -1].astype(np.float64)) - score_network.FINEST**2)
    y = inputs.numpy()[:, :2].astype(np.float64)
    level = np.log(noise**2 / (1 - noise**2))
    z = rest.numpy() + noise[:, None] * y
    chosen = noise > 0.1  # float32 features tell no less
    expected = noise[:, None] * score_network.score(layers, y, level) + z
    np.testing.assert_allclose(found[chosen], expected[chosen], rtol=1e-3, atol=1e-3)


def test_the_schema_has_the_librarys_choices_and_defaults(root):
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    keys, model = schema["properties"]["likelihood"]["properties"], schema["$defs"]["score_model"]["properties"]
    enums = {name: key["enum"] for name, key in (keys | model).items() if "enum" in key}
    assert enums == {"sde": [*sde.SDES], "weighting": [*score_matching.WEIGHTINGS, None]}
    assert set(score_matching.WEIGHTINGS.values()) <= set(bounds.TIMES)
    for name, build in sde.SDES.items():
        span = [parameter.default for parameter in inspect.signature(build).parameters.values()]
        assert span == keys["sigma" if name == "ve" else "beta"]["default"]
    errors = inspect.signature(scores.exact).parameters
    for name in ("scale", "bias", "variance"):
        assert model[name]["default"] == (list(errors[name].default) if name == "bias" else errors[name].default)
