"""CSDI weights in and out: safetensors, and the official PyTorch file."""

import functools
import os
import pickle
from typing import Any

import safetensors
import safetensors.torch
import torch

from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store import files, stamp, weights

EMBEDDING = "embed_layer.weight"
INPUT = "diffmodel.input_projection.weight"
EMBEDDINGS = ("stored", "new", "mean")


def load(
    path: files.PathLike,
    n_features: int | None = None,
    dropout: float = 0.1,
    *,
    conditional: bool | None = None,
    embedding: str = "stored",
) -> CSDI:
    """The CSDI network stored at `path`, in evaluation mode.

    Args:
        path: a .safetensors file, or a PyTorch state dict (.pth, .pt) of tensors alone.
        n_features: K. None takes the file's.
        dropout: probability while training.
        conditional: what the network has to be; None takes the file's.
        embedding: one of `EMBEDDINGS`: the file's, as long as it is of as many features; `new` rows, drawn from torch's
            global generator; or the file's `mean` row for every feature, which stands for any. Rows that are all alike
            are taken for every feature in any case.

    Raises:
        InputError: no such file, truncated or not a checkpoint, tensors of other shapes, or
            conditional where it should not be.
    """
    tensors = _read(path)
    if EMBEDDING not in tensors or tensors[EMBEDDING].ndim != 2:
        raise InputError(f"{path}: not a CSDI checkpoint: it has no matrix '{EMBEDDING}'")
    stored_features = tensors[EMBEDDING].shape[0]
    is_conditional = tensors.get(INPUT, torch.empty(0, 2, 1)).shape[1:] != (1, 1)
    if conditional is not None and conditional != is_conditional:
        kind = "a conditional" if is_conditional else "an unconditional"
        raise InputError(f"{path}: this is {kind} model; write 'conditional: {str(is_conditional).lower()}'")
    model = CSDI(stored_features if n_features is None else n_features, dropout, is_conditional)
    rows = tensors[EMBEDDING]
    if embedding == "mean" or (rows == rows[:1]).all():
        tensors[EMBEDDING] = rows.mean(dim=0).expand(model.n_features, -1)
    elif embedding == "new" or model.n_features != stored_features:
        tensors[EMBEDDING] = model.embed_layer.weight.data
    _check_shapes(path, tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


def save(model: CSDI, path: files.PathLike, metadata: dict[str, Any]) -> None:
    """Write the weights, `metadata` (a dict of what JSON can hold) and the record of the job to a .safetensors file."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    weights.write(path, metadata | stamp.record(), functools.partial(safetensors.torch.save, tensors))


def check_features(path: files.PathLike, features: list[str]) -> None:
    """Raise InputError if the model was trained on other features; a file that does not say on which passes."""
    trained_on = weights.metadata(path).get("features", features)
    if trained_on != features:
        raise InputError(f"{path}: trained on the features {trained_on}, but the dataset has {features}")


def _is_torch(path):
    return os.path.splitext(path)[1] in {".pth", ".pt"}


def _read(path):
    try:
        if _is_torch(path):
            # weights_only: tensors alone, nothing in the file can run code
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        weights.check(path)
        return safetensors.torch.load_file(path)
    except (OSError, RuntimeError, ValueError, TypeError, EOFError) as error:
        raise _unreadable(path, error) from error
    except (safetensors.SafetensorError, pickle.UnpicklingError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path, error):
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"{path}: cannot be read as a checkpoint, it may be truncated ({reason}); fetch it again")


def _check_shapes(path, tensors, expected):
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise InputError(f"{path}: the tensor '{name}' is missing; is this a CSDI checkpoint?")
        if name not in expected:
            raise InputError(f"{path}: the tensor '{name}' is not part of CSDI")
        if tensors[name].shape != expected[name].shape:
            raise InputError(
                f"{path}: the tensor '{name}' has shape {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
            )
