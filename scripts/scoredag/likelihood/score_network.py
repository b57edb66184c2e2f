"""A small network for the score, evaluated in NumPy from its safetensors file.

With y = x / sqrt(alpha^2 + sigma^2) and its noise s = sigma / sqrt(alpha^2 + sigma^2), the score of y is -y, which is
right when all signal is gone, plus a multilayer perceptron over sqrt(s^2 + FINEST^2): it stays bounded as s goes to 0,
as the score of a mixture does.
"""

import functools
import os
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from scoredag.errors import InputError
from scoredag.likelihood.sde import Numbers
from scoredag.store import stamp, weights

FINEST = 0.05  # in units of the data's deviation
_FREQUENCIES = np.array([1.0, 2.0, 4.0])  # radians over the data's deviation
N_INPUTS = 3 + 4 * len(_FREQUENCIES)


class Weights(NamedTuple):
    """The layers of a network: matrices (n_in, n_out) and biases (n_out,), with two outputs of the last layer."""

    matrices: list[np.ndarray]
    biases: list[np.ndarray]


def features(y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The network's inputs (N, N_INPUTS): y, its sines and cosines, and the logarithm of the noise."""
    waves = (y[:, :, None] * _FREQUENCIES).reshape(len(y), -1)
    return np.column_stack([y, np.sin(waves), np.cos(waves), np.log(noise**2 + FINEST**2) / 2])


def relative_noise(log_noise_to_signal: Numbers) -> np.ndarray:
    """sigma / sqrt(alpha^2 + sigma^2)."""
    return np.exp(-np.logaddexp(0, -np.asarray(log_noise_to_signal, dtype=np.float64)) / 2)


def score(weights: Weights, y: np.ndarray, log_noise_to_signal: Numbers) -> np.ndarray:
    """The score of y (N, 2) at the logarithm of sigma^2 / alpha^2, a number or (N,)."""
    noise = np.broadcast_to(relative_noise(log_noise_to_signal), len(y))
    values = features(y, noise).astype(weights.matrices[0].dtype)
    for matrix, bias in zip(weights.matrices[:-1], weights.biases[:-1], strict=True):
        values = values @ matrix + bias
        values /= 1 + np.exp(-values)  # SiLU
    values = values @ weights.matrices[-1] + weights.biases[-1]
    return values / np.hypot(noise, FINEST)[:, None] - y


def divergence(weights: Weights, y: np.ndarray, log_noise_to_signal: Numbers) -> np.ndarray:
    """The divergence (N,) of `score`, by forward differentiation along both axes."""
    noise = np.broadcast_to(relative_noise(log_noise_to_signal), len(y))
    values = features(y, noise).astype(weights.matrices[0].dtype)
    slopes = _feature_slopes(y).astype(values.dtype)  # (2, N, N_INPUTS)
    for matrix, bias in zip(weights.matrices[:-1], weights.biases[:-1], strict=True):
        values = values @ matrix + bias
        gate = 1 / (1 + np.exp(-values))
        slopes = (slopes @ matrix) * (gate * (1 + values * (1 - gate)))
        values *= gate
    last = weights.matrices[-1]
    return (slopes[0] @ last[:, 0] + slopes[1] @ last[:, 1]) / np.hypot(noise, FINEST) - 2


def save(network: Weights, path: str | os.PathLike[str], metadata: dict[str, Any]) -> None:
    """Write a network's weights as safetensors, with `metadata` (what JSON can hold) and the record of the job."""
    tensors: dict[str, np.ndarray] = {}
    for i, (matrix, bias) in enumerate(zip(*network, strict=True)):
        tensors |= {f"layers.{i}.matrix": np.ascontiguousarray(matrix), f"layers.{i}.bias": np.ascontiguousarray(bias)}
    weights.write(path, metadata | stamp.record(), functools.partial(safetensors.numpy.save, tensors))


def load(path: str | os.PathLike[str]) -> Weights:
    """The `Weights` at `path`, in float64; InputError where it holds something else."""
    try:
        weights.check(path)
        with safe_open(path, framework="np") as stored:
            n_layers = len(list(stored.keys())) // 2
            tensors = [
                [stored.get_tensor(f"layers.{i}.{part}") for i in range(n_layers)] for part in ("matrix", "bias")
            ]
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: is no score network ({error}); delete it and rerun") from error
    matrices, biases = ([tensor.astype(np.float64) for tensor in part] for part in tensors)
    if not matrices or matrices[0].shape[0] != N_INPUTS or matrices[-1].shape[1] != 2:
        raise InputError(f"{path}: is no score network of {N_INPUTS} inputs and 2 outputs; delete it and rerun")
    return Weights(matrices, biases)


def _feature_slopes(y):
    """Derivatives (2, N, N_INPUTS) of the features with respect to either coordinate."""
    slopes = np.zeros((2, len(y), N_INPUTS))
    n = len(_FREQUENCIES)
    for axis in range(2):
        waves = y[:, axis, None] * _FREQUENCIES
        sines = slice(2 + axis * n, 2 + (axis + 1) * n)
        cosines = slice(2 + (2 + axis) * n, 2 + (3 + axis) * n)
        slopes[axis, :, axis] = 1
        slopes[axis, :, sines] = _FREQUENCIES * np.cos(waves)
        slopes[axis, :, cosines] = -_FREQUENCIES * np.sin(waves)
    return slopes
