"""CPU layers of CSDI: matrix products by oneDNN; compiled, attention with heads of width 8, and what stands between two
products in one pass instead of several.

All work on float32 rows of channels. Attention wants its channels in the order (width, head)
instead of PyTorch's (head, width): the eight heads of one channel then fill one SIMD register, and
no product ever needs a sum across lanes. `network` permutes the weights, not the data.

The kernels hold no lock and use one thread, so that several windows can be worked on at once.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from scoredag.simd.compiling import compiled
from scoredag.simd.lanes import LANES, emitted, load, maximum, select, spread, store, total
from scoredag.simd.maths import exp2, log2, polynomial
from scoredag.simd.random import mask

ONE_DNN = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX")
HEADS = 8
WIDTH = 8  # channels a head
CHANNELS = HEADS * WIDTH

SCALE = np.float32(1 / math.sqrt(WIDTH))
LOG2_E = np.float32(math.log2(math.e))
QUERY_SCALE = SCALE * LOG2_E  # scores carry a factor log2(e) for exp2
KEY_SCALE = np.float32(1) / LOG2_E
ONE, ZERO = np.float32(1), np.float32(0)
EPSILON = np.float32(1e-5)  # of the layer norm
NORMAL = 1 / math.sqrt(2 * math.pi)
ERF_T = 0.3275911 / math.sqrt(2)
ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`x` times the transpose of `weight`, plus `bias`: x (..., n), weight (m, n), bias (m,), result (..., m).

    As `torch.nn.functional.linear`, but always by oneDNN: MKL, PyTorch's choice for float32, leaves the AVX-512 of AMD
    processors unused and takes more than twice as long there.
    """
    return _Linear.apply(x, weight, bias)


def attention(
    qkv: torch.Tensor, bias: torch.Tensor, sequence_axis: int, rate: float = 0.0, seed: int = 0
) -> torch.Tensor:
    """Softmax attention in eight heads, one pass over each sequence.

    Args:
        qkv: (N, T, 3 C), or (T, N, 3 C) with `sequence_axis=0`: queries, keys and values, the
            channels of each in the order (width, head).
        bias: (3 C,), added to `qkv`.
        rate: share of the attention weights that dropout sets to zero.
        seed: of dropout, 32 bits.

    Returns:
        (N, T, C) or (T, N, C), channels in the order (width, head).
    """
    return _Attention.apply(qkv, bias, sequence_axis, rate, seed)


def add_and_norm(
    x: torch.Tensor,
    y: torch.Tensor,
    bias: torch.Tensor,
    weight: torch.Tensor,
    shift: torch.Tensor,
    rate: float = 0.0,
    seed: int = 0,
) -> torch.Tensor:
    """Layer norm of `x` + dropout(`y` + `bias`), times `weight` plus `shift`; x, y (..., C)."""
    return _AddAndNorm.apply(x, y, bias, weight, shift, rate, seed)


def gelu(x: torch.Tensor, bias: torch.Tensor, rate: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Dropout of the exact GELU of `x` + `bias`; x (..., C), bias (C,)."""
    return _Gelu.apply(x, bias, rate, seed)


def gate(z: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """sigmoid(a) tanh(b), where `z` + `side` = (a, b); `z` (K, S, M, 2 C), `side` (K, 1, M, 2 C)."""
    return _Gate.apply(z, side)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, len(weight))
        of_bias = rows.sum(0) if ctx.has_bias else None
        return _product(gradient, weight.t(), None), rows.t() @ x.reshape(len(rows), -1), of_bias


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, bias, sequence_axis, rate, seed):
        n, length = qkv.shape[:2]
        ctx.layout = (n, length, length, 1) if sequence_axis == 1 else (length, n, 1, length)
        ctx.dropout = (np.float32(rate), seed)
        mixed = qkv.new_empty(n, length, CHANNELS)
        log_sums = qkv.new_empty(n, length, HEADS)
        _attend(*_flat(qkv, bias, mixed, log_sums), *ctx.layout, *ctx.dropout)
        ctx.save_for_backward(qkv, bias, mixed, log_sums)
        return mixed

    @staticmethod
    def backward(ctx, gradient):
        result = _new_like(ctx.saved_tensors[0])
        _attend_backward(*_flat(*ctx.saved_tensors, gradient, result), *ctx.layout, *ctx.dropout)
        return result, result.sum((0, 1)), None, None, None


class _AddAndNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, bias, weight, shift, rate, seed):
        ctx.dropout = (np.float32(rate), seed)
        result, normal = _new_like(x), _new_like(x)
        inverse = x.new_empty(x.numel() // CHANNELS)
        _add_and_norm(*_flat(x, y, bias, weight, shift, result, normal, inverse), *ctx.dropout)
        ctx.save_for_backward(weight, normal, inverse)
        return result

    @staticmethod
    def backward(ctx, gradient):
        weight, normal, inverse = ctx.saved_tensors
        of_x = _new_like(normal)
        of_y = _new_like(normal) if ctx.dropout[0] else of_x
        of_weight, of_shift = torch.zeros_like(weight), torch.zeros_like(weight)
        arrays = _flat(gradient, weight, normal, inverse, of_x, of_y, of_weight, of_shift)
        _add_and_norm_backward(*arrays, *ctx.dropout)
        return of_x, of_y, of_y.reshape(-1, CHANNELS).sum(0), of_weight, of_shift, None, None


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, bias, rate, seed):
        ctx.dropout = (np.float32(rate), seed)
        ctx.save_for_backward(x, bias)
        result = _new_like(x)
        _gelu(*_flat(x, bias, result), *ctx.dropout)
        return result

    @staticmethod
    def backward(ctx, gradient):
        result = _new_like(gradient)
        _gelu_backward(*_flat(*ctx.saved_tensors, gradient, result), *ctx.dropout)
        return result, result.reshape(-1, CHANNELS).sum(0), None, None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, side):
        ctx.save_for_backward(z, side)
        result = z.new_empty(*z.shape[:3], CHANNELS)
        _gate(*_flat(z, side, result), *z.shape[:3])
        return result

    @staticmethod
    def backward(ctx, gradient):
        z, side = ctx.saved_tensors
        result = _new_like(z)
        _gate_backward(*_flat(z, side, gradient, result), *z.shape[:3])
        return result, result.sum(1, keepdim=True) if z.shape[1] > 1 else result


def _product(x, weight, bias):
    if not ONE_DNN:
        return F.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight.contiguous(), bias, "none", [], "")


def _new_like(x):
    """An empty tensor of the shape of `x`, contiguous even if `x` is not."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _flat(*tensors):
    """NumPy views of one axis; what is written to has to be contiguous."""
    return [tensor.detach().contiguous().view(-1).numpy() for tensor in tensors]


# --- one token: its eight channels a head, heads in lanes ------------------------------------


@emitted
def _read(array, at):
    return [load(array, at + i * LANES) for i in range(WIDTH)]


@emitted
def _write(array, at, x):
    for i, part in enumerate(x):
        store(array, at + i * LANES, part)


@emitted
def _repeated(x):
    return [x] * WIDTH


@emitted
def _sum(x):
    """The sums over channels, one a head."""
    return (x[0] + x[1] + x[2] + x[3]) + (x[4] + x[5] + x[6] + x[7])


@emitted
def _dot(x, y):
    """Scalar products, one a head."""
    return _sum(_times(x, y))


@emitted
def _times(x, y):
    return [a * b for a, b in zip(x, y, strict=True)]


@emitted
def _scaled(x, factor):
    return [factor * a for a in x]


@emitted
def _plus(x, y):
    return [a + b for a, b in zip(x, y, strict=True)]


@emitted
def _plus_scaled(x, factor, y):
    """x + factor y."""
    return [a + factor * b for a, b in zip(x, y, strict=True)]


@emitted
def _masks(seed, at, rate):
    return [mask(seed, at + i * LANES, rate) for i in range(WIDTH)]


def _sigmoid(x):
    x = maximum(x.like(-120.0), x * float(LOG2_E))  # 2^120 is large enough, more would overflow
    return 1.0 / (1.0 + exp2(0.0 - x))


@emitted
def _normal(x):
    """Distribution function, to 1e-7, and density of the standard normal (Abramowitz and Stegun 7.1.26)."""
    bell = exp2(x * x * float(-LOG2_E / 2))
    t = 1.0 / (1.0 + ERF_T * maximum(x, 0.0 - x))
    tail = polynomial(t, ERF) * t * bell * 0.5
    return [select(x > 0.0, 1.0 - tail, tail), bell * NORMAL]


@emitted
def _halves(z, side, at, beside):
    """sigmoid(a) and tanh(b) of eight channels of the gate."""
    a = load(z, at) + load(side, beside)
    b = load(z, at + CHANNELS) + load(side, beside + CHANNELS)
    return [_sigmoid(a), 2.0 * _sigmoid(2.0 * b) - 1.0]  # tanh(b) = 2 sigmoid(2 b) - 1


# --- the kernels -----------------------------------------------------------------------------
# Token t of sequence n is row n * across + t * along.


@compiled
def _attend(qkv, bias, mixed, log_sums, n_sequences, length, across, along, rate, seed):
    keys = np.empty(length * CHANNELS, np.float32)
    values = np.empty(length * CHANNELS, np.float32)
    scores = np.empty(length * HEADS, np.float32)
    for n in range(n_sequences):
        for t in range(length):
            at = 3 * CHANNELS * (n * across + t * along)
            _write(keys, t * CHANNELS, _plus(_read(qkv, at + CHANNELS), _read(bias, CHANNELS)))
            _write(values, t * CHANNELS, _plus(_read(qkv, at + 2 * CHANNELS), _read(bias, 2 * CHANNELS)))
        for t in range(length):
            row = n * across + t * along
            query = _plus(_read(qkv, 3 * CHANNELS * row), _read(bias, 0))
            query = _scaled(query, spread(QUERY_SCALE))
            highest = spread(np.float32(-np.inf))
            for j in range(length):
                score = _dot(query, _read(keys, j * CHANNELS))
                highest = maximum(highest, score)
                store(scores, j * HEADS, score)
            norm, mean = spread(ZERO), _repeated(spread(ZERO))
            for j in range(length):
                share = exp2(load(scores, j * HEADS) - highest)
                norm = norm + share
                if rate > 0:
                    share = share * mask(seed, (row * length + j) * HEADS, rate)
                mean = _plus_scaled(mean, share, _read(values, j * CHANNELS))
            _write(mixed, CHANNELS * row, _scaled(mean, spread(ONE / (ONE - rate)) / norm))
            store(log_sums, HEADS * row, highest + log2(norm))


@compiled
def _attend_backward(qkv, bias, mixed, log_sums, gradient, result, n_sequences, length, across, along, rate, seed):
    queries, keys, values, gradients = (
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
    )
    shares = np.empty(length * length * HEADS, np.float32)  # [j, t]: what query t takes from key j
    slopes = np.empty(length * length * HEADS, np.float32)  # of the loss with respect to the scores
    for n in range(n_sequences):
        for t in range(length):
            row = n * across + t * along
            at = 3 * CHANNELS * row
            query = _plus(_read(qkv, at), _read(bias, 0))
            _write(queries, t * CHANNELS, _scaled(query, spread(QUERY_SCALE)))
            _write(keys, t * CHANNELS, _plus(_read(qkv, at + CHANNELS), _read(bias, CHANNELS)))
            _write(values, t * CHANNELS, _plus(_read(qkv, at + 2 * CHANNELS), _read(bias, 2 * CHANNELS)))
            _write(gradients, t * CHANNELS, _scaled(_read(gradient, CHANNELS * row), spread(ONE / (ONE - rate))))
        for t in range(length):
            row = n * across + t * along
            query, of_mean = _read(queries, t * CHANNELS), _read(gradients, t * CHANNELS)
            shift = _dot(_read(gradient, CHANNELS * row), _read(mixed, CHANNELS * row))
            log_sum = load(log_sums, HEADS * row)
            of_query = _repeated(spread(ZERO))
            for j in range(length):
                key = _read(keys, j * CHANNELS)
                share = exp2(_dot(query, key) - log_sum)
                of_share = _dot(of_mean, _read(values, j * CHANNELS))
                used = share
                if rate > 0:
                    keep = mask(seed, (row * length + j) * HEADS, rate)
                    of_share = of_share * keep
                    used = used * keep
                slope = share * (of_share - shift)
                of_query = _plus_scaled(of_query, slope, key)
                store(shares, (j * length + t) * HEADS, used)
                store(slopes, (j * length + t) * HEADS, slope)
            _write(result, 3 * CHANNELS * row, _scaled(of_query, spread(SCALE)))
        for j in range(length):
            of_key = of_value = _repeated(spread(ZERO))
            for t in range(length):
                of_key = _plus_scaled(of_key, load(slopes, (j * length + t) * HEADS), _read(queries, t * CHANNELS))
                of_value = _plus_scaled(
                    of_value, load(shares, (j * length + t) * HEADS), _read(gradients, t * CHANNELS)
                )
            at = 3 * CHANNELS * (n * across + j * along)
            _write(result, at + CHANNELS, _scaled(of_key, spread(KEY_SCALE)))  # queries carry log2(e)
            _write(result, at + 2 * CHANNELS, of_value)


@compiled
def _gate(z, side, gated, n_features, n_samples, n_tokens):
    for k in range(n_features):
        for s in range(n_samples):
            for m in range(n_tokens):
                at = 2 * CHANNELS * ((k * n_samples + s) * n_tokens + m)
                beside = 2 * CHANNELS * (k * n_tokens + m)
                for c in range(0, CHANNELS, LANES):
                    sigmoid, tanh = _halves(z, side, at + c, beside + c)
                    store(gated, at // 2 + c, sigmoid * tanh)


@compiled
def _gate_backward(z, side, gradient, result, n_features, n_samples, n_tokens):
    for k in range(n_features):
        for s in range(n_samples):
            for m in range(n_tokens):
                at = 2 * CHANNELS * ((k * n_samples + s) * n_tokens + m)
                beside = 2 * CHANNELS * (k * n_tokens + m)
                for c in range(0, CHANNELS, LANES):
                    sigmoid, tanh = _halves(z, side, at + c, beside + c)
                    slope = load(gradient, at // 2 + c) * sigmoid
                    store(result, at + c, slope * (spread(ONE) - sigmoid) * tanh)
                    store(result, at + CHANNELS + c, slope * (spread(ONE) - tanh * tanh))


@compiled
def _add_and_norm(x, y, bias, weight, shift, result, normal, inverse, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for row in range(len(inverse)):
        at = row * CHANNELS
        added = _plus(_read(y, at), _read(bias, 0))
        if rate > 0:
            added = _scaled(_times(added, _masks(seed, at, rate)), scale)
        v = _plus(_read(x, at), added)
        mean = total(_sum(v)) / np.float32(CHANNELS)
        v = _plus(v, _repeated(spread(-mean)))
        variance = total(_dot(v, v)) / np.float32(CHANNELS)
        inverse[row] = ONE / np.sqrt(variance + EPSILON)
        v = _scaled(v, spread(inverse[row]))
        _write(normal, at, v)
        _write(result, at, _plus(_read(shift, 0), _times(v, _read(weight, 0))))


@compiled
def _add_and_norm_backward(gradient, weight, normal, inverse, of_x, of_y, of_weight, of_shift, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for row in range(len(inverse)):
        at = row * CHANNELS
        g, v = _read(gradient, at), _read(normal, at)
        _write(of_shift, 0, _plus(_read(of_shift, 0), g))
        _write(of_weight, 0, _plus(_read(of_weight, 0), _times(g, v)))
        g = _times(g, _read(weight, 0))
        mean = total(_sum(g)) / np.float32(CHANNELS)
        slope = total(_dot(g, v)) / np.float32(CHANNELS)
        g = _plus_scaled(_plus(g, _repeated(spread(-mean))), spread(-slope), v)
        g = _scaled(g, spread(inverse[row]))
        _write(of_x, at, g)
        if rate > 0:
            _write(of_y, at, _scaled(_times(g, _masks(seed, at, rate)), scale))


@compiled
def _gelu(x, bias, result, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for at in range(0, len(x), CHANNELS):
        for c in range(0, CHANNELS, LANES):
            z = load(x, at + c) + load(bias, c)
            y = z * _normal(z)[0]
            if rate > 0:
                y = y * mask(seed, at + c, rate) * scale
            store(result, at + c, y)


@compiled
def _gelu_backward(x, bias, gradient, result, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for at in range(0, len(x), CHANNELS):
        for c in range(0, CHANNELS, LANES):
            z = load(x, at + c) + load(bias, c)
            share, density = _normal(z)
            slope = load(gradient, at + c) * (share + z * density)
            if rate > 0:
                slope = slope * mask(seed, at + c, rate) * scale
            store(result, at + c, slope)
