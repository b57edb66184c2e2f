"""Checkpoints: they come back as written; nothing else comes in."""

import pickle

import pytest
import safetensors.torch
import torch

from scoredag.csdi import checkpoint
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store import weights


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CSDI(5)


def test_a_saved_model_comes_back_with_its_metadata(model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {"features": ["b", "a"], "init": "scratch"})
    loaded = checkpoint.load(path)
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert weights.metadata(path) == {"features": ["b", "a"], "init": "scratch"}


def test_the_same_model_is_the_same_bytes(model, tmp_path):
    for name in ("one", "two"):
        checkpoint.save(model, tmp_path / f"{name}.safetensors", {"b": 1, "a": [2]})
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_another_number_of_features_starts_a_new_embedding_alone(model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {})
    loaded = checkpoint.load(path, n_features=7)
    assert loaded.n_features == 7
    for name, tensor in model.state_dict().items():
        assert name == "embed_layer.weight" or torch.equal(loaded.state_dict()[name], tensor)


def test_a_pytorch_file_of_tensors_is_read(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "model.pth")
    loaded = checkpoint.load(tmp_path / "model.pth")
    assert torch.equal(loaded.embed_layer.weight, model.embed_layer.weight)


def test_the_official_checkpoint_is_read_strictly(mirror):
    loaded = checkpoint.load(mirror / "csdi-physionet.pth")
    assert (loaded.n_features, sum(p.numel() for p in loaded.parameters())) == (35, 414065)
    assert checkpoint.load(mirror / "csdi-physionet.pth", n_features=18).n_features == 18


class Trap:
    def __reduce__(self):
        return print, ("this must not run",)


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    assert all(word in message for word in words), message


def test_a_file_that_could_run_code_is_refused(tmp_path, capsys):
    torch.save({"embed_layer.weight": Trap()}, tmp_path / "trap.pth")
    refused(tmp_path / "trap.pth")
    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "trap.pt")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_truncated_file_is_refused(model, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        checkpoint.save(model, path, {})
    path.write_bytes(path.read_bytes()[:-1000])
    refused(path, "truncated")


@pytest.mark.parametrize("place", [9, 200, 100_000, -1])
def test_a_flipped_bit_is_told(model, tmp_path, place):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {})
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    refused(path, "damaged")


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"diffmodel.input_projection.weight": torch.zeros(64, 3, 1)}, ["(64, 3, 1)", "(64, 2, 1)"]),
        ({"diffmodel.input_projection.weight": None}, ["missing", "input_projection"]),
        ({"extra": torch.zeros(2)}, ["extra", "not part of CSDI"]),
        ({"embed_layer.weight": None}, ["not a CSDI checkpoint"]),
        ({"embed_layer.weight": torch.zeros(5, 8)}, ["(5, 8)"]),
    ],
)
def test_other_tensors_are_refused(model, tmp_path, change, words):
    tensors = model.state_dict() | change
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    refused(path, *words)


def test_an_unconditional_model_comes_back_as_one(tmp_path):
    torch.manual_seed(0)
    model = CSDI(5, conditional=False)
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {})
    loaded = checkpoint.load(path)
    assert not loaded.conditional
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert not checkpoint.load(path, n_features=7, conditional=False).conditional


@pytest.mark.parametrize("conditional", [True, False])
def test_the_other_kind_of_model_is_refused_in_one_line(tmp_path, conditional):
    path = tmp_path / "model.safetensors"
    checkpoint.save(CSDI(5, conditional=conditional), path, {})
    assert checkpoint.load(path, conditional=conditional).conditional == conditional
    with pytest.raises(InputError) as caught:
        checkpoint.load(path, conditional=not conditional)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"{path}: ")
    assert line.endswith(f"'conditional: {str(conditional).lower()}'")


def test_a_new_embedding_can_be_asked_for(model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {})
    loaded = checkpoint.load(path, embedding="new").state_dict()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(loaded[name], tensor)}
    assert changed == {"embed_layer.weight"}


def test_any_feature_has_the_mean_row(model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path, {})
    loaded = checkpoint.load(path, 40, embedding="mean")
    torch.testing.assert_close(loaded.embed_layer.weight, model.embed_layer.weight.mean(dim=0).expand(40, -1))


def test_rows_that_are_alike_are_those_of_any_feature(model, tmp_path):
    path = tmp_path / "model.safetensors"
    torch.nn.init.constant_(model.embed_layer.weight, 0.5)
    checkpoint.save(model, path, {})
    for embedding in checkpoint.EMBEDDINGS:
        assert (checkpoint.load(path, 3, embedding=embedding).embed_layer.weight == 0.5).all()
