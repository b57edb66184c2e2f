"""CSDI weights in and out: safetensors, and the official PyTorch file."""

import functools
import os
import pickle

import safetensors
import safetensors.torch
import torch

from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store import stamp, weights

EMBEDDING = "embed_layer.weight"
INPUT = "diffmodel.input_projection.weight"


def load(path, n_features=None, dropout=0.1, *, conditional=None, new_embedding=False):
    """The CSDI network stored at `path`, in evaluation mode.

    Args:
        path: a .safetensors file, or a PyTorch state dict (.pth, .pt) of tensors alone.
        n_features: K; another number than the file's starts a new feature embedding (drawn
            from torch's global generator). None takes the file's.
        dropout: probability while training.
        conditional: what the network has to be; None takes the file's.
        new_embedding: start a new feature embedding in any case.

    Raises:
        InputError: no such file, truncated or not a checkpoint, tensors of other shapes, or
            conditional where it should not be.
    """
    weights = _read(path)
    if EMBEDDING not in weights or weights[EMBEDDING].ndim != 2:
        raise InputError(f"{path}: not a CSDI checkpoint: it has no matrix '{EMBEDDING}'")
    stored = weights[EMBEDDING].shape[0]
    found = weights.get(INPUT, torch.empty(0, 2, 1)).shape[1:] != (1, 1)
    if conditional is not None and conditional != found:
        kind = "a conditional" if found else "an unconditional"
        raise InputError(f"{path}: this is {kind} model; write 'conditional: {str(found).lower()}'")
    model = CSDI(stored if n_features is None else n_features, dropout, found)
    if model.n_features != stored or new_embedding:
        weights[EMBEDDING] = model.embed_layer.weight.data
    _check_shapes(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return model.eval()


def save(model, path, metadata):
    """Write the weights, `metadata` (a dict of what JSON can hold) and the record of the job to a .safetensors file."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    weights.write(path, metadata | stamp.record(), functools.partial(safetensors.torch.save, tensors))


def check_features(path, features):
    """Refuse, by InputError, a model that says it was trained on others than the list `features`."""
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


def _check_shapes(path, found, expected):
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise InputError(f"{path}: the tensor '{name}' is missing; is this a CSDI checkpoint?")
        if name not in expected:
            raise InputError(f"{path}: the tensor '{name}' is not part of CSDI")
        if found[name].shape != expected[name].shape:
            raise InputError(
                f"{path}: the tensor '{name}' has shape {tuple(found[name].shape)}, not {tuple(expected[name].shape)}"
            )
