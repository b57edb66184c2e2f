"""Compiled CPU kernels for all of CSDI but its matrix products: attention with heads of width 8,
and what stands between two products in one pass instead of several.

All work on float32 rows of channels. Attention wants its channels in the order (width, head)
instead of PyTorch's (head, width): the eight heads of one channel then fill one SIMD register, and
no product ever needs a sum across lanes. `network` permutes the weights, not the data.

The kernels hold no lock and use one thread, so that several windows can be worked on at once.
They stay in one file because numba's cache does not notice edits elsewhere.
"""

import math
import operator

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

HEADS = 8
WIDTH = 8  # channels a head
CHANNELS = HEADS * WIDTH
LANES = 8  # float32 numbers in a SIMD register of AVX2

SCALE = np.float32(1 / math.sqrt(WIDTH))
LOG2_E = np.float32(math.log2(math.e))
HALF, ONE, TWO = np.float32(0.5), np.float32(1), np.float32(2)
EPSILON = np.float32(1e-5)  # of the layer norm
NORMAL = np.float32(1 / math.sqrt(2 * math.pi))
ERF_T = np.float32(0.3275911 / math.sqrt(2))
ERF = tuple(np.float32(a) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))
TAYLOR = tuple(np.float32(math.log(2) ** i / math.factorial(i)) for i in range(7))

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)


def attention(qkv, bias, sequence_axis, rate=0.0, seed=0):
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


def add_and_norm(x, y, bias, weight, shift, rate=0.0, seed=0):
    """Layer norm of `x` + dropout(`y` + `bias`), times `weight` plus `shift`; x, y (..., C)."""
    return _AddAndNorm.apply(x, y, bias, weight, shift, rate, seed)


def gelu(x, bias, rate=0.0, seed=0):
    """Dropout of the exact GELU of `x` + `bias`; x (..., C), bias (C,)."""
    return _Gelu.apply(x, bias, rate, seed)


def gate(z, side):
    """sigmoid(a) tanh(b), where `z` + `side` = (a, b); `z` (K, S, M, 2 C), `side` (K, 1, M, 2 C)."""
    return _Gate.apply(z, side)


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


def _new_like(x):
    """What a kernel may write to: of the shape of `x`, contiguous whatever `x` is."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _flat(*tensors):
    """NumPy views of one axis; what is written to has to be contiguous."""
    return [tensor.detach().contiguous().view(-1).numpy() for tensor in tensors]


# --- eight numbers at once -------------------------------------------------------------------


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(name="eight float32")


lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _FLOATS)


def _constant(kind, value):
    return ir.Constant(kind, [value] * LANES)


def _spread(builder, kind, number):
    """`number` in all lanes of a vector of `kind`."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, _constant(_INTEGERS, 0))


def _address(context, builder, signature, args):
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.bitcast(builder.gep(data, [args[1]]), _FLOATS.as_pointer())


@intrinsic
def load(typingctx, array, index):
    """The eight numbers of a flat float32 array from `index` on."""

    def codegen(context, builder, signature, args):
        loaded = builder.load(_address(context, builder, signature, args))
        loaded.align = 4
        return loaded

    return lanes(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write eight numbers into a flat float32 array from `index` on."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _address(context, builder, signature, args)).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def spread(typingctx, number):
    """One float32 number in all lanes."""

    def codegen(context, builder, signature, args):
        return _spread(builder, _FLOATS, args[0])

    return lanes(types.float32), codegen


def _arithmetic(operation, instruction):
    @intrinsic
    def apply(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=("contract",))  # may fuse a * b + c

        return lanes(lanes, lanes), codegen

    @overload(operation, inline="always")
    def of_lanes(a, b):
        return (lambda a, b: apply(a, b)) if a is b is lanes else None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


@intrinsic
def maximum(typingctx, a, b):
    """The larger of a and b in each lane; b where either is NaN."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return lanes(lanes, lanes), codegen


@intrinsic
def positive(typingctx, x, a, b):
    """a where x > 0, else b."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", args[0], _constant(_FLOATS, 0.0)), *args[1:])

    return lanes(lanes, lanes, lanes), codegen


def _function(name):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_FLOATS, [_FLOATS])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return codegen


@intrinsic
def nearest(typingctx, a):
    """The nearest whole number."""
    return lanes(lanes), _function(f"llvm.rint.v{LANES}f32")


@intrinsic
def log2(typingctx, a):
    """The logarithm to base 2."""
    return lanes(lanes), _function(f"llvm.log2.v{LANES}f32")


@intrinsic
def power_of_two(typingctx, a):
    """2^a for whole numbers a from -126 to 127."""

    def codegen(context, builder, signature, args):
        exponent = builder.add(builder.fptosi(args[0], _INTEGERS), _constant(_INTEGERS, 127))
        return builder.bitcast(builder.shl(exponent, _constant(_INTEGERS, 23)), _FLOATS)

    return lanes(lanes), codegen


@intrinsic
def total(typingctx, a):
    """The sum of the eight lanes, a float32."""

    def codegen(context, builder, signature, args):
        terms = [builder.extract_element(args[0], ir.Constant(ir.IntType(32), i)) for i in range(LANES)]
        while len(terms) > 1:
            half = len(terms) // 2
            terms = [builder.fadd(*pair) for pair in zip(terms[:half], terms[half:], strict=True)]
        return terms[0]

    return types.float32(lanes), codegen


@intrinsic
def kept(typingctx, seed, counter, rate):
    """1 where dropout keeps a number, else 0: a hash of `seed` and counter, counter + 1, ..

    The hash is the finaliser of MurmurHash3, so that the backward pass finds the same lanes again.
    """

    def codegen(context, builder, signature, args):
        seed, counter = (_spread(builder, _INTEGERS, builder.trunc(value, ir.IntType(32))) for value in args[:2])
        x = builder.xor(seed, builder.add(counter, ir.Constant(_INTEGERS, list(range(LANES)))))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            x = builder.xor(x, builder.lshr(x, _constant(_INTEGERS, shift)))
            x = builder.mul(x, _constant(_INTEGERS, factor))
        uniform = builder.fmul(builder.uitofp(x, _FLOATS), _constant(_FLOATS, 2.0**-32))
        keeps = builder.fcmp_ordered(">=", uniform, _spread(builder, _FLOATS, args[2]))
        return builder.select(keeps, _constant(_FLOATS, 1.0), _constant(_FLOATS, 0.0))

    return lanes(types.int64, types.int64, types.float32), codegen


@njit
def _exp2(x):
    """2^x to 1e-7, relative, for x up to 127; 2^-126 for x below -126."""
    x = maximum(spread(np.float32(-126)), x)  # in this order NaN stays NaN
    whole = nearest(x)
    part = x - whole  # -0.5 to 0.5: a Taylor polynomial in part * log 2
    y = spread(TAYLOR[6])
    y = y * part + spread(TAYLOR[5])
    y = y * part + spread(TAYLOR[4])
    y = y * part + spread(TAYLOR[3])
    y = y * part + spread(TAYLOR[2])
    y = y * part + spread(TAYLOR[1])
    y = y * part + spread(TAYLOR[0])
    return y * power_of_two(whole)


@njit
def _sigmoid(x):
    x = maximum(spread(np.float32(-120)), x * spread(LOG2_E))  # 2^120 is large enough, more would overflow
    return spread(ONE) / (spread(ONE) + _exp2(spread(np.float32(0)) - x))


@njit
def _normal(x):
    """Distribution function, to 1e-7, and density of the standard normal (Abramowitz and Stegun 7.1.26)."""
    size = maximum(x, spread(np.float32(0)) - x)
    bell = _exp2(x * x * spread(-LOG2_E / TWO))
    t = spread(ONE) / (spread(ONE) + spread(ERF_T) * size)
    y = spread(ERF[4])
    y = y * t + spread(ERF[3])
    y = y * t + spread(ERF[2])
    y = y * t + spread(ERF[1])
    y = y * t + spread(ERF[0])
    tail = y * t * bell * spread(HALF)
    return positive(x, spread(ONE) - tail, tail), bell * spread(NORMAL)


# --- one token: its eight channels a head, heads in lanes ------------------------------------


@njit
def _zeros():
    zero = spread(np.float32(0))
    return zero, zero, zero, zero, zero, zero, zero, zero


@njit
def _ones():
    one = spread(ONE)
    return one, one, one, one, one, one, one, one


@njit
def _kept(seed, at, rate):
    return (
        kept(seed, at, rate),
        kept(seed, at + 8, rate),
        kept(seed, at + 16, rate),
        kept(seed, at + 24, rate),
        kept(seed, at + 32, rate),
        kept(seed, at + 40, rate),
        kept(seed, at + 48, rate),
        kept(seed, at + 56, rate),
    )


@njit
def _read(array, at):
    return (
        load(array, at),
        load(array, at + 8),
        load(array, at + 16),
        load(array, at + 24),
        load(array, at + 32),
        load(array, at + 40),
        load(array, at + 48),
        load(array, at + 56),
    )


@njit
def _write(array, at, x):
    store(array, at, x[0])
    store(array, at + 8, x[1])
    store(array, at + 16, x[2])
    store(array, at + 24, x[3])
    store(array, at + 32, x[4])
    store(array, at + 40, x[5])
    store(array, at + 48, x[6])
    store(array, at + 56, x[7])


@njit
def _dot(x, y):
    """Scalar products, one a head."""
    return (x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3]) + (
        x[4] * y[4] + x[5] * y[5] + x[6] * y[6] + x[7] * y[7]
    )


@njit
def _times(x, y):
    return (
        x[0] * y[0],
        x[1] * y[1],
        x[2] * y[2],
        x[3] * y[3],
        x[4] * y[4],
        x[5] * y[5],
        x[6] * y[6],
        x[7] * y[7],
    )


@njit
def _scaled(x, a):
    return a * x[0], a * x[1], a * x[2], a * x[3], a * x[4], a * x[5], a * x[6], a * x[7]


@njit
def _plus(x, a, y):
    """x + a y."""
    return (
        x[0] + a * y[0],
        x[1] + a * y[1],
        x[2] + a * y[2],
        x[3] + a * y[3],
        x[4] + a * y[4],
        x[5] + a * y[5],
        x[6] + a * y[6],
        x[7] + a * y[7],
    )


# --- the kernels -----------------------------------------------------------------------------
# Token t of sequence n is row n * across + t * along. Scores carry a factor log2(e) for _exp2.


@njit(cache=True, nogil=True)
def _attend(qkv, bias, mixed, log_sums, n_sequences, length, across, along, rate, seed):
    keys = np.empty(length * CHANNELS, np.float32)
    values = np.empty(length * CHANNELS, np.float32)
    scores = np.empty(length * HEADS, np.float32)
    one = spread(ONE)
    for n in range(n_sequences):
        for t in range(length):
            at = 3 * CHANNELS * (n * across + t * along)
            _write(keys, t * CHANNELS, _plus(_read(qkv, at + CHANNELS), one, _read(bias, CHANNELS)))
            _write(values, t * CHANNELS, _plus(_read(qkv, at + 2 * CHANNELS), one, _read(bias, 2 * CHANNELS)))
        for t in range(length):
            row = n * across + t * along
            query = _plus(_read(qkv, 3 * CHANNELS * row), one, _read(bias, 0))
            query = _scaled(query, spread(SCALE * LOG2_E))
            highest = spread(np.float32(-np.inf))
            for j in range(length):
                score = _dot(query, _read(keys, j * CHANNELS))
                highest = maximum(highest, score)
                store(scores, j * HEADS, score)
            norm, mean = spread(np.float32(0)), _zeros()
            for j in range(length):
                share = _exp2(load(scores, j * HEADS) - highest)
                norm = norm + share
                if rate > 0:
                    share = share * kept(seed, (row * length + j) * HEADS, rate)
                mean = _plus(mean, share, _read(values, j * CHANNELS))
            _write(mixed, CHANNELS * row, _scaled(mean, spread(ONE / (ONE - rate)) / norm))
            store(log_sums, HEADS * row, highest + log2(norm))


@njit(cache=True, nogil=True)
def _attend_backward(qkv, bias, mixed, log_sums, gradient, result, n_sequences, length, across, along, rate, seed):
    queries, keys, values, gradients = (
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
        np.empty(length * CHANNELS, np.float32),
    )
    shares = np.empty(length * length * HEADS, np.float32)  # [j, t]: what query t takes from key j
    slopes = np.empty(length * length * HEADS, np.float32)  # of the loss with respect to the scores
    one = spread(ONE)
    for n in range(n_sequences):
        for t in range(length):
            row = n * across + t * along
            at = 3 * CHANNELS * row
            query = _plus(_read(qkv, at), one, _read(bias, 0))
            _write(queries, t * CHANNELS, _scaled(query, spread(SCALE * LOG2_E)))
            _write(keys, t * CHANNELS, _plus(_read(qkv, at + CHANNELS), one, _read(bias, CHANNELS)))
            _write(values, t * CHANNELS, _plus(_read(qkv, at + 2 * CHANNELS), one, _read(bias, 2 * CHANNELS)))
            _write(gradients, t * CHANNELS, _scaled(_read(gradient, CHANNELS * row), spread(ONE / (ONE - rate))))
        for t in range(length):
            row = n * across + t * along
            query, of_mean = _read(queries, t * CHANNELS), _read(gradients, t * CHANNELS)
            shift = _dot(_read(gradient, CHANNELS * row), _read(mixed, CHANNELS * row))
            log_sum = load(log_sums, HEADS * row)
            of_query = _zeros()
            for j in range(length):
                key = _read(keys, j * CHANNELS)
                share = _exp2(_dot(query, key) - log_sum)
                of_share = _dot(of_mean, _read(values, j * CHANNELS))
                used = share
                if rate > 0:
                    keep = kept(seed, (row * length + j) * HEADS, rate)
                    of_share = of_share * keep
                    used = used * keep
                slope = share * (of_share - shift)
                of_query = _plus(of_query, slope, key)
                store(shares, (j * length + t) * HEADS, used)
                store(slopes, (j * length + t) * HEADS, slope)
            _write(result, 3 * CHANNELS * row, _scaled(of_query, spread(SCALE)))
        for j in range(length):
            of_key, of_value = _zeros(), _zeros()
            for t in range(length):
                of_key = _plus(of_key, load(slopes, (j * length + t) * HEADS), _read(queries, t * CHANNELS))
                of_value = _plus(of_value, load(shares, (j * length + t) * HEADS), _read(gradients, t * CHANNELS))
            at = 3 * CHANNELS * (n * across + j * along)
            _write(result, at + CHANNELS, _scaled(of_key, spread(ONE / LOG2_E)))  # queries carry log2(e)
            _write(result, at + 2 * CHANNELS, of_value)


@njit
def _halves(z, side, at, beside):
    """sigmoid(a) and tanh(b) of eight channels of the gate."""
    a = load(z, at) + load(side, beside)
    b = load(z, at + CHANNELS) + load(side, beside + CHANNELS)
    # tanh(b) = 2 sigmoid(2 b) - 1
    return _sigmoid(a), spread(TWO) * _sigmoid(spread(TWO) * b) - spread(ONE)


@njit(cache=True, nogil=True)
def _gate(z, side, gated, n_features, n_samples, n_tokens):
    for k in range(n_features):
        for s in range(n_samples):
            for m in range(n_tokens):
                at = 2 * CHANNELS * ((k * n_samples + s) * n_tokens + m)
                beside = 2 * CHANNELS * (k * n_tokens + m)
                for c in range(0, CHANNELS, LANES):
                    sigmoid, tanh = _halves(z, side, at + c, beside + c)
                    store(gated, at // 2 + c, sigmoid * tanh)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _add_and_norm(x, y, bias, weight, shift, result, normal, inverse, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for row in range(len(inverse)):
        at = row * CHANNELS
        added = _plus(_read(y, at), spread(ONE), _read(bias, 0))
        if rate > 0:
            added = _scaled(_times(added, _kept(seed, at, rate)), scale)
        v = _plus(_read(x, at), spread(ONE), added)
        mean = total(_dot(v, _ones())) / np.float32(CHANNELS)
        v = _plus(v, spread(-mean), _ones())
        variance = total(_dot(v, v)) / np.float32(CHANNELS)
        inverse[row] = ONE / np.sqrt(variance + EPSILON)
        v = _scaled(v, spread(inverse[row]))
        _write(normal, at, v)
        _write(result, at, _plus(_read(shift, 0), spread(ONE), _times(v, _read(weight, 0))))


@njit(cache=True, nogil=True)
def _add_and_norm_backward(gradient, weight, normal, inverse, of_x, of_y, of_weight, of_shift, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for row in range(len(inverse)):
        at = row * CHANNELS
        g, v = _read(gradient, at), _read(normal, at)
        _write(of_shift, 0, _plus(_read(of_shift, 0), spread(ONE), g))
        _write(of_weight, 0, _plus(_read(of_weight, 0), spread(ONE), _times(g, v)))
        g = _times(g, _read(weight, 0))
        mean = total(_dot(g, _ones())) / np.float32(CHANNELS)
        slope = total(_dot(g, v)) / np.float32(CHANNELS)
        g = _plus(_plus(g, spread(-mean), _ones()), spread(-slope), v)
        g = _scaled(g, spread(inverse[row]))
        _write(of_x, at, g)
        if rate > 0:
            _write(of_y, at, _scaled(_times(g, _kept(seed, at, rate)), scale))


@njit(cache=True, nogil=True)
def _gelu(x, bias, result, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for at in range(0, len(x), CHANNELS):
        for c in range(0, CHANNELS, LANES):
            z = load(x, at + c) + load(bias, c)
            y = z * _normal(z)[0]
            if rate > 0:
                y = y * kept(seed, at + c, rate) * scale
            store(result, at + c, y)


@njit(cache=True, nogil=True)
def _gelu_backward(x, bias, gradient, result, rate, seed):
    scale = spread(ONE / (ONE - rate))
    for at in range(0, len(x), CHANNELS):
        for c in range(0, CHANNELS, LANES):
            z = load(x, at + c) + load(bias, c)
            share, density = _normal(z)
            slope = load(gradient, at + c) * (share + z * density)
            if rate > 0:
                slope = slope * kept(seed, at + c, rate) * scale
            store(result, at + c, slope)
