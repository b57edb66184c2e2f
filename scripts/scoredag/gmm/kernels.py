"""Compiled Langevin kernels: score, noise and update in one pass over a block of particles.

The score comes from a `Field`, which `fields.build` prepares: a grid of cells over the mixture, each
with the components that count there and, where it can be certified, the polynomial that their sum is.
Outside the grid all components are summed.

Inner functions take addresses in place of arrays: numba counts references to arrays at every call,
which would take longer than the score. All compiled functions stand in this file, since numba's cache on disk
does not notice an edit in another one.
"""

import math
import operator
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 8  # float64 numbers in a SIMD register of AVX-512; narrower ones take two or four
ENTRIES = 6  # of a component: mean_x, mean_y, the whitening factor (a, b, c), log2-scale
GROUP = ENTRIES * LANES  # numbers of eight components, which stand side by side
DEGREE = 15  # total degree of a cell's polynomial
HALF = (DEGREE + 1) // 2  # = LANES: powers of y that come with the 8th and higher powers of x
TAYLOR = 24  # total degree of the Taylor series that it is economised from
RECORD = 3 * HALF * LANES  # coefficients of a cell
NEGLIGIBLE = 2.0**-54  # share of the density that all dropped components together stay below
TOLERANCE = 2.0**-46  # error of a certified polynomial, relative to the least density in its cell
WIDEST = 500  # bits by which the density may vary in a cell with a reference of its own
NATS = 2 * math.log(2)  # of the squared length of a vector whitened by (a, b, c)

_FLOATS = ir.VectorType(ir.DoubleType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(64), LANES)
_SHIFT = 1.5 * 2.0**52  # float64 numbers about this are whole
# 2^x on [-1/2, 1/2], the Chebyshev interpolant, to 2e-16
_EXP2_TERMS = (
    7.072585949269223e-09, 1.0208690299958306e-07, 1.321544258792169e-06, 1.5252657260200837e-05,
    0.0001540353044173605, 0.0013333558230164974, 0.009618129107606888, 0.05550410866444772,
    0.24022650695910097, 0.69314718055995, 1.0,
)  # fmt: skip


class Field(NamedTuple):
    """What the score of a mixture is computed from; flat arrays."""

    box: np.ndarray  # (5,) float64: left, bottom, cells a unit of x and of y, cells a side
    components: np.ndarray  # (G GROUP,) float64
    starts: np.ndarray  # (C + 2,) int64: where the groups of a cell begin; the last entry holds all groups
    groups: np.ndarray  # (sum,) int64
    references: (
        np.ndarray
    )  # (C,) float64: log2 of the unit of density in a cell; NaN where it varies too widely for one
    places: np.ndarray  # (C,) int64: where the cell's coefficients begin; -1 without any
    records: np.ndarray  # (R RECORD,) float64


# --- eight numbers at once -------------------------------------------------------------------


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(name="eight float64")


lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _FLOATS)


def _constant(kind, value):
    return ir.Constant(kind, [value] * LANES)


def _indices(values):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), list(values))


def _pointer(builder, address, index, element, kind):
    base = builder.inttoptr(address, element.as_pointer())
    return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())


def _reading(element, kind, result):
    def typed(typingctx, address, index):
        def codegen(context, builder, signature, args):
            loaded = builder.load(_pointer(builder, *args, element, kind))
            loaded.align = 8
            return loaded

        return result(types.intp, types.intp), codegen

    return typed


_DOUBLE, _LONG = ir.DoubleType(), ir.IntType(64)
load = intrinsic(_reading(_DOUBLE, _FLOATS, lanes))  # the eight float64 from `index` on
number = intrinsic(_reading(_DOUBLE, _DOUBLE, types.float64))  # one of them
integer = intrinsic(_reading(_LONG, _LONG, types.int64))  # one int64


@intrinsic
def store(typingctx, address, index, value):
    """Write eight numbers from `index` on."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _pointer(builder, *args[:2], _DOUBLE, _FLOATS)).align = 8
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, lanes), codegen


def _spread(builder, value):
    empty = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, _indices([0] * LANES))


@intrinsic
def spread(typingctx, value):
    """One number in all lanes."""

    def codegen(context, builder, signature, args):
        return _spread(builder, args[0])

    return lanes(types.float64), codegen


def _arithmetic(operation, instruction):
    @intrinsic
    def apply(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=("contract",))  # may fuse a * b + c

        return lanes(lanes, lanes), codegen

    @overload(operation)
    def of_lanes(a, b):
        return (lambda a, b: apply(a, b)) if a is b is lanes else None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


def _polynomial(coefficients):
    """An intrinsic for the polynomial with these coefficients, that of the highest power first."""

    @intrinsic
    def apply(typingctx, x):
        def codegen(context, builder, signature, args):
            value = _constant(_FLOATS, coefficients[0])
            for coefficient in coefficients[1:]:
                product = builder.fmul(value, args[0], flags=("contract",))
                value = builder.fadd(product, _constant(_FLOATS, coefficient), flags=("contract",))
            return value

        return lanes(lanes), codegen

    return apply


_exp2_part = _polynomial(_EXP2_TERMS)
_artanh_part = _polynomial([1 / n for n in range(21, 2, -2)])  # artanh s = s + s q (1/3 + q/5 + ..), q = s^2
_sine_part = _polynomial([(-1) ** n / math.factorial(2 * n + 1) for n in range(7, 0, -1)])  # (sin x - x) / (x q)
_cosine_part = _polynomial([(-1) ** n / math.factorial(2 * n) for n in range(8, 0, -1)])  # (cos x - 1) / q


@intrinsic
def maximum(typingctx, a, b):
    """The larger of a and b in each lane; b where either is NaN."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return lanes(lanes, lanes), codegen


@intrinsic
def rounded(typingctx, x):
    """x + 1.5 2^52, whose lowest bits hold the whole number nearest to x."""

    def codegen(context, builder, signature, args):
        return builder.fadd(args[0], _constant(_FLOATS, _SHIFT))  # exactly this: not contracted

    return lanes(lanes), codegen


@intrinsic
def unshifted(typingctx, x):
    """The whole number in what `rounded` gave."""

    def codegen(context, builder, signature, args):
        return builder.fsub(args[0], _constant(_FLOATS, _SHIFT))

    return lanes(lanes), codegen


@intrinsic
def scaled(typingctx, x, shifted):
    """x 2^n, n the whole number in what `rounded` gave."""

    def codegen(context, builder, signature, args):
        x, shifted = (builder.bitcast(value, _INTEGERS) for value in args)
        return builder.bitcast(builder.add(x, builder.shl(shifted, _constant(_INTEGERS, 52))), _FLOATS)

    return lanes(lanes, lanes), codegen


def _folded(pairwise):
    """All lanes in one number, halves first."""

    def codegen(context, builder, signature, args):
        (value,), width = args, LANES
        while width > 1:
            width //= 2
            halves = (_indices(range(start, start + width)) for start in (0, width))
            value = pairwise(builder, *(builder.shuffle_vector(value, value, half) for half in halves))
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return codegen


@intrinsic
def total(typingctx, x):
    """The sum of the lanes."""
    return types.float64(lanes), _folded(lambda builder, a, b: builder.fadd(a, b))


@intrinsic
def highest(typingctx, x):
    """The largest of the lanes."""
    return types.float64(lanes), _folded(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@intrinsic
def powers(typingctx, x, x2, x4):
    """1, x, x^2, .., x^7."""

    def codegen(context, builder, signature, args):
        found = None
        for bit, factor in enumerate(args):
            chosen = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [bool(i >> bit & 1) for i in range(LANES)])
            part = builder.select(chosen, _spread(builder, factor), _constant(_FLOATS, 1.0))
            found = builder.fmul(found, part) if found else part
        return found

    return lanes(types.float64, types.float64, types.float64), codegen


@intrinsic
def slopes(typingctx, x):
    """0, x_0, 2 x_1, .., 7 x_6: of powers their derivatives."""

    def codegen(context, builder, signature, args):
        moved = builder.shuffle_vector(args[0], _constant(_FLOATS, 0.0), _indices([LANES, *range(LANES - 1)]))
        return builder.fmul(moved, ir.Constant(_FLOATS, [float(i) for i in range(LANES)]))

    return lanes(lanes), codegen


@intrinsic
def upper_slopes(typingctx, x):
    """8 x_0, 9 x_1, .., 15 x_7."""

    def codegen(context, builder, signature, args):
        return builder.fmul(args[0], ir.Constant(_FLOATS, [float(LANES + i) for i in range(LANES)]))

    return lanes(lanes), codegen


@njit
def exp2(x):
    """2^x to 4e-16, relative, for x up to 1000; 2^-1000 for x below -1000."""
    x = maximum(spread(-1000.0), x)  # in this order NaN stays NaN
    shifted = rounded(x)
    return scaled(_exp2_part(x - unshifted(shifted)), shifted)


# --- noise -----------------------------------------------------------------------------------


def _vector_integers(builder, *values):
    return [builder.bitcast(value, _INTEGERS) for value in values]


@intrinsic
def xor(typingctx, a, b):
    """Bits of either a or b."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.xor(*_vector_integers(builder, *args)), _FLOATS)

    return lanes(lanes, lanes), codegen


@intrinsic
def sum_of_bits(typingctx, a, b):
    """The sum of a and b as integers."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.add(*_vector_integers(builder, *args)), _FLOATS)

    return lanes(lanes, lanes), codegen


@intrinsic
def shifted_left(typingctx, x):
    """The bits of x moved up by 17."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.shl(*_vector_integers(builder, *args), _constant(_INTEGERS, 17)), _FLOATS)

    return lanes(lanes), codegen


@intrinsic
def rotated(typingctx, x):
    """The bits of x rotated up by 45."""

    def codegen(context, builder, signature, args):
        (bits,) = _vector_integers(builder, *args)
        low = builder.lshr(bits, _constant(_INTEGERS, 64 - 45))
        return builder.bitcast(builder.or_(builder.shl(bits, _constant(_INTEGERS, 45)), low), _FLOATS)

    return lanes(lanes), codegen


@intrinsic
def one_to_two(typingctx, x):
    """A number in [1, 2) of the upper 52 bits of x."""

    def codegen(context, builder, signature, args):
        (bits,) = _vector_integers(builder, *args)
        mantissa = builder.lshr(bits, _constant(_INTEGERS, 12))
        return builder.bitcast(builder.or_(mantissa, _constant(_INTEGERS, 0x3FF << 52)), _FLOATS)

    return lanes(lanes), codegen


@intrinsic
def exponent(typingctx, x):
    """The whole n with x / sqrt(1/2) = m 2^n, 1 <= m < 2, for positive normal numbers."""

    def codegen(context, builder, signature, args):
        (bits,) = _vector_integers(builder, *args)
        moved = builder.sub(bits, _constant(_INTEGERS, 0x3FE6A09E667F3BCD))  # sqrt(1/2)
        return builder.bitcast(builder.ashr(moved, _constant(_INTEGERS, 52)), _FLOATS)

    return lanes(lanes), codegen


@intrinsic
def as_float(typingctx, x):
    """The integers in the bits of x, between -2^51 and 2^51, as numbers."""

    def codegen(context, builder, signature, args):
        (bits,) = _vector_integers(builder, *args)
        magic = builder.bitcast(_constant(_FLOATS, _SHIFT), _INTEGERS)
        return builder.fsub(builder.bitcast(builder.add(bits, magic), _FLOATS), _constant(_FLOATS, _SHIFT))

    return lanes(lanes), codegen


@intrinsic
def without_exponent(typingctx, x, n):
    """x 2^-n, n an integer in bits."""

    def codegen(context, builder, signature, args):
        bits, n = _vector_integers(builder, *args)
        return builder.bitcast(builder.sub(bits, builder.shl(n, _constant(_INTEGERS, 52))), _FLOATS)

    return lanes(lanes, lanes), codegen


@intrinsic
def with_sign(typingctx, x, shifted):
    """x, its sign changed where the whole number in what `rounded` gave is 2 or 3 modulo 4."""

    def codegen(context, builder, signature, args):
        x, shifted = _vector_integers(builder, *args)
        sign = builder.and_(builder.shl(shifted, _constant(_INTEGERS, 62)), _constant(_INTEGERS, 1 << 63))
        return builder.bitcast(builder.xor(x, sign), _FLOATS)

    return lanes(lanes, lanes), codegen


@intrinsic
def odd(typingctx, shifted, a, b):
    """a where the whole number in what `rounded` gave is odd, else b."""

    def codegen(context, builder, signature, args):
        (bits,) = _vector_integers(builder, args[0])
        one = _constant(_INTEGERS, 1)
        return builder.select(builder.icmp_signed("==", builder.and_(bits, one), one), *args[1:])

    return lanes(lanes, lanes, lanes), codegen


@intrinsic
def square_root(typingctx, x):
    """The square root."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_FLOATS, [_FLOATS])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f64"), args)

    return lanes(lanes), codegen


@njit
def _draw(state):
    """Eight times 64 random bits: xoshiro256+ (Blackman & Vigna 2021), a stream a lane."""
    a, b, c, d = load(state, 0), load(state, LANES), load(state, 2 * LANES), load(state, 3 * LANES)
    found = sum_of_bits(a, d)
    t = shifted_left(b)
    c, d = xor(c, a), xor(d, b)
    store(state, LANES, xor(b, c))
    store(state, 0, xor(a, d))
    store(state, 2 * LANES, xor(c, t))
    store(state, 3 * LANES, rotated(d))
    return found


@njit
def log(x):
    """The natural logarithm of positive normal numbers, to 1e-15: n log 2 + 2 artanh((m - 1) / (m + 1))."""
    n = exponent(x)
    m = without_exponent(x, n)
    s = (m - spread(1.0)) / (m + spread(1.0))
    q = s * s
    return as_float(n) * spread(math.log(2)) + spread(2.0) * s * (spread(1.0) + q * _artanh_part(q))


@njit
def normals(state, found, n):
    """Write standard normal numbers to the address `found`, 16 at a time, `n` or up to 15 more.

    Box & Muller (1958): sqrt(-2 log u) (cos 2 pi v, sin 2 pi v) for uniform u in (0, 1] and v in [0, 1).
    """
    for i in range(0, n, 2 * LANES):
        radius = square_root(spread(-2.0) * log(spread(2.0) - one_to_two(_draw(state))))
        quarters = (one_to_two(_draw(state)) - spread(1.0)) * spread(4.0)
        turn = rounded(quarters)
        x = (quarters - unshifted(turn)) * spread(math.pi / 2)  # -pi/4 to pi/4
        q = x * x
        sine = x + x * (q * _sine_part(q))
        cosine = spread(1.0) + q * _cosine_part(q)
        # an odd quarter swaps the two, as a reflection does; half a turn changes both signs
        first, second = odd(turn, sine, cosine), odd(turn, cosine, sine)
        store(found, i, with_sign(radius, turn) * first)
        store(found, i + LANES, with_sign(radius, turn) * second)


@njit
def uniforms(state, found, n):
    """Write uniform numbers in (0, 1] to the address `found`, eight at a time, `n` or up to 7 more."""
    for i in range(0, n, LANES):
        store(found, i, spread(2.0) - one_to_two(_draw(state)))


# --- the score -------------------------------------------------------------------------------


@njit
def _whitened(x, y, components, at):
    """u, v and log2-scale - u^2 - v^2 of the eight components at `at`, and their factors a, b, c."""
    dx, dy = load(components, at) - x, load(components, at + LANES) - y
    a, b, c = (load(components, at + 2 * LANES), load(components, at + 3 * LANES), load(components, at + 4 * LANES))
    u, v = a * dx + b * dy, c * dy
    return u, v, load(components, at + 5 * LANES) - u * u - v * v, a, b, c


@njit
def _summed(x, y, components, groups, first, last, reference):
    """The density over 2^reference and its gradient, over the groups of components from first to last."""
    x, y, reference = spread(x), spread(y), spread(reference)
    density, slope_x, slope_y = spread(0.0), spread(0.0), spread(0.0)
    for i in range(first, last):
        at = integer(groups, i) * GROUP
        u, v, term, a, b, c = _whitened(x, y, components, at)
        share = exp2(term - reference)
        density = density + share
        u = share * u
        slope_x = slope_x + a * u
        slope_y = slope_y + b * u + c * (share * v)
    return total(density), NATS * total(slope_x), NATS * total(slope_y)


@njit
def _peak(x, y, components, groups, first, last):
    """The largest log2 of a component's share of the density, over the groups from first to last."""
    x, y = spread(x), spread(y)
    peak = spread(-np.inf)
    for i in range(first, last):
        peak = maximum(_whitened(x, y, components, integer(groups, i) * GROUP)[2], peak)
    return highest(peak)


@njit
def _expanded(t, s, records, at):
    """A cell's polynomial at (t, s) in [-1, 1]^2, and its derivatives by t and s.

    Eight powers of t side by side, Horner's scheme in s, in three chains that the processor
    follows at the same time: powers of s from 8 on, those below, and these again for powers of t from 8 on.
    """
    t2, s2 = t * t, s * s
    t4, s4 = t2 * t2, s2 * s2
    low = powers(t, t2, t4)
    high = low * spread(t4 * t4)
    s7, s8 = spread(s4 * s2 * s), spread(s4 * s4)
    s = spread(s)
    upper, lower, beside = spread(0.0), spread(0.0), spread(0.0)
    slope_upper, slope_lower, slope_beside = spread(0.0), spread(0.0), spread(0.0)
    for row in range(HALF):
        slope_upper, slope_lower = slope_upper * s + upper, slope_lower * s + lower
        slope_beside = slope_beside * s + beside
        upper = upper * s + load(records, at + 3 * row * LANES)
        lower = lower * s + load(records, at + (3 * row + 1) * LANES)
        beside = beside * s + load(records, at + (3 * row + 2) * LANES)
    slope_lower = slope_lower + s8 * slope_upper + s7 * (spread(1.0 * HALF) * upper)
    lower = lower + s8 * upper
    along_t = lower * slopes(low) + beside * upper_slopes(low * spread(t4 * t2 * t))
    along_s = slope_lower * low + slope_beside * high
    return total(lower * low + beside * high), total(along_t), total(along_s)


@njit
def _addresses(field):
    """Scalars and addresses of a field, for the inner functions."""
    return (
        (field.box[0], field.box[1], field.box[2], field.box[3], field.box[4]),
        (
            field.components.ctypes.data,
            field.starts.ctypes.data,
            field.groups.ctypes.data,
            field.references.ctypes.data,
            field.places.ctypes.data,
            field.records.ctypes.data,
            len(field.references),
        ),
    )


@njit
def _at(x, y, inner):
    """The density over 2^reference, the reference, and both components of the score."""
    (left, bottom, per_x, per_y, side), (components, starts, groups, references, places, records, n_cells) = inner
    across, up = (x - left) * per_x, (y - bottom) * per_y
    if 0 <= across < side and 0 <= up < side:  # false for NaN
        column, row = math.floor(across), math.floor(up)
        cell = int(row) * int(side) + int(column)
        reference = number(references, cell)
        place = integer(places, cell)
        if place >= 0:
            t, s = 2 * (across - column) - 1, 2 * (up - row) - 1
            density, along_t, along_s = _expanded(t, s, records, place)
            inverse = 2 / density
            return density, reference, along_t * inverse * per_x, along_s * inverse * per_y
    else:
        cell, reference = n_cells, math.nan
    first, last = integer(starts, cell), integer(starts, cell + 1)
    if reference != reference:
        reference = _peak(x, y, components, groups, first, last)
    density, slope_x, slope_y = _summed(x, y, components, groups, first, last, reference)
    inverse = 1 / density
    return density, reference, slope_x * inverse, slope_y * inverse


@njit(cache=True, nogil=True, error_model="numpy")
def scores(x, field):
    """The scores and log-densities (nats) at `x` (N, 2)."""
    inner = _addresses(field)
    found, logs = np.empty_like(x), np.empty(len(x))
    for i in range(len(x)):
        density, reference, found[i, 0], found[i, 1] = _at(x[i, 0], x[i, 1], inner)
        logs[i] = math.log(density) + reference * math.log(2)
    return found, logs


# --- preparing a field -----------------------------------------------------------------------


@njit
def _power_of_two(x):
    return math.exp(x * math.log(2))


@njit(cache=True, nogil=True, error_model="numpy")
def select(edges, side, parents, starts, groups, components, unit):
    """For each of `side` x `side` cells of the box the groups of components that count there.

    In a cell a component's whitened distance from a point differs from that at the centre by at
    most the whitened half-diagonal. That gives an upper bound of each share and a lower one of the density. Groups
    are dropped whose bounded share, weighed by 1 + |Sigma^-1 (mu - x)| / unit, is below NEGLIGIBLE / G of the density:
    all dropped ones together change the score by less than NEGLIGIBLE (|score| + unit). Where the density may vary by
    more than 2^WIDEST in a cell, nothing is dropped.

    Args:
        edges: (4,): left, bottom, right, top.
        side: cells a side.
        parents: cells a side of the coarser grid whose `starts` and `groups` are given.
        starts: (parents^2 + 1,).
        groups: the groups of each coarser cell.
        components: (G GROUP,).
        unit: the score that is not told from 0.

    Returns:
        starts (side^2 + 1,), groups, references (side^2,).
    """
    half_x, half_y = (edges[2] - edges[0]) / side / 2, (edges[3] - edges[1]) / side / 2
    n_groups = components.size // GROUP
    found, n_found = np.empty(16 * side * side, np.int64), 0
    new_starts, references = np.zeros(side * side + 1, np.int64), np.empty(side * side)
    bounds = np.empty(n_groups)
    for cell in range(side * side):
        row, column = cell // side, cell % side
        x, y = edges[0] + (2 * column + 1) * half_x, edges[1] + (2 * row + 1) * half_y
        parent = (row * parents // side) * parents + column * parents // side
        reference, upper, lower, lowest = -np.inf, -np.inf, -np.inf, 0.0
        for again in range(2):  # first the reference, then the bounds relative to it
            for j in range(starts[parent], starts[parent + 1]):
                at = groups[j] * GROUP
                bound = 0.0
                for k in range(at, at + LANES):
                    a, b, c = components[k + 2 * LANES], components[k + 3 * LANES], components[k + 4 * LANES]
                    dx, dy = components[k] - x, components[k + LANES] - y
                    distance = math.sqrt((a * dx + b * dy) ** 2 + (c * dy) ** 2)
                    scale = components[k + 5 * LANES]
                    reach = 1.000001 * math.sqrt((abs(a) * half_x + abs(b) * half_y) ** 2 + (c * half_y) ** 2)
                    nearest, farthest = max(0.0, distance - reach), distance + reach
                    if again:
                        lowest += _power_of_two(scale - farthest * farthest - reference)
                        pull = NATS * math.sqrt(a * a + b * b + c * c) * farthest
                        bound += _power_of_two(scale - nearest * nearest - reference) * (1 + pull / unit)
                    else:
                        reference = max(reference, scale - distance * distance)
                        upper, lower = max(upper, scale - nearest * nearest), max(lower, scale - farthest * farthest)
                bounds[j - starts[parent]] = bound
            if upper - lower > WIDEST:
                reference = np.nan
                break
        for j in range(starts[parent], starts[parent + 1]):
            if reference != reference or not bounds[j - starts[parent]] <= NEGLIGIBLE / n_groups * lowest:
                if n_found == len(found):
                    more = np.empty(2 * n_found, np.int64)
                    for i in range(n_found):
                        more[i] = found[i]
                    found = more
                found[n_found] = groups[j]
                n_found += 1
        new_starts[cell + 1] = n_found
        references[cell] = reference
    return new_starts, found[:n_found], references


@njit
def _taylor(x, y, half_x, half_y, components, groups, first, last, reference, scratch, sums):
    """Taylor coefficients of the density over 2^reference about (x, y), in units of the half-widths.

    Those of one Gaussian, exp(f d - d P d / 2) times a number, follow from its gradient (f - P d):
    (i + 1) c[i + 1, j] = f_x c[i, j] - P_xx c[i - 1, j] - P_xy c[i, j - 1], and likewise along y.
    `scratch` and `sums` are addresses of (TAYLOR + 1)^2 times eight numbers, the power of y first.
    """
    width = TAYLOR + 1
    for k in range(width * width):
        store(sums, k * LANES, spread(0.0))
    x, y = spread(x), spread(y)
    for i in range(first, last):
        u, v, term, a, b, c = _whitened(x, y, components, integer(groups, i) * GROUP)
        a, b, c = a * spread(half_x), b * spread(half_y), c * spread(half_y)
        force_x = spread(NATS) * (a * u)
        force_y = spread(NATS) * (b * u + c * v)
        p_xx = spread(NATS) * (a * a)
        p_xy = spread(NATS) * (a * b)
        p_yy = spread(NATS) * (b * b + c * c)
        store(scratch, 0, exp2(term - spread(reference)))
        for row in range(width):
            at = row * width * LANES
            if row:
                below = at - width * LANES
                value = force_y * load(scratch, below)
                if row > 1:
                    value = value - p_yy * load(scratch, below - width * LANES)
                store(scratch, at, value * spread(1 / row))
            for column in range(1, width - row):
                here = at + column * LANES
                value = force_x * load(scratch, here - LANES)
                if column > 1:
                    value = value - p_xx * load(scratch, here - 2 * LANES)
                if row:
                    value = value - p_xy * load(scratch, here - (width + 1) * LANES)
                store(scratch, here, value * spread(1 / column))
            for column in range(width - row):
                here = at + column * LANES
                store(sums, here, load(sums, here) + load(scratch, here))


@njit(cache=True, nogil=True, error_model="numpy")
def expand(cells, field, radii, series, largest, lowest):
    """Taylor series of the density over 2^reference about the centres of `cells`, and bounds of it in the cells.

    Args:
        cells: (N,).
        field: a `Field`.
        radii: (R,).
        series: (N, TAYLOR + 1, TAYLOR + 1), written to: coefficients by the powers of y and x, in units of
            the half-widths of a cell.
        largest: (N, R), written to: bounds of the density on the polydiscs of these radii in C^2.
        lowest: (N,), written to: a lower bound of the density in the cell.
    """
    width = TAYLOR + 1
    (left, bottom, per_x, per_y, side), (components, starts, groups, references, _, _, _) = _addresses(field)
    half_x, half_y = 0.5 / per_x, 0.5 / per_y
    memory = np.empty(2 * width * width * LANES)
    scratch, sums = memory.ctypes.data, memory.ctypes.data + 8 * width * width * LANES
    for k in range(len(cells)):
        cell = cells[k]
        x, y = left + (cell % int(side) + 0.5) / per_x, bottom + (cell // int(side) + 0.5) / per_y
        first, last = integer(starts, cell), integer(starts, cell + 1)
        reference = number(references, cell)
        _taylor(x, y, half_x, half_y, components, groups, first, last, reference, scratch, sums)
        for row in range(width):
            for column in range(width - row):
                series[k, row, column] = total(load(sums, (row * width + column) * LANES))
        lowest[k] = 0
        for r in range(len(radii)):
            largest[k, r] = 0
        for j in range(first * LANES, last * LANES):
            at = integer(groups, j // LANES) * GROUP + j % LANES
            a, b = number(components, at + 2 * LANES) * half_x, number(components, at + 3 * LANES) * half_y
            c = number(components, at + 4 * LANES) * half_y
            dx, dy = (number(components, at) - x) / half_x, (number(components, at + LANES) - y) / half_y
            u, v = a * dx + b * dy, c * dy
            log_share = number(components, at + 5 * LANES) - reference
            reach = math.sqrt((abs(a) + abs(b)) ** 2 + c * c)
            lowest[k] += _power_of_two(log_share - (math.sqrt(u * u + v * v) + reach) ** 2)
            slope = 2 * (abs(a * u) + abs(b * u + c * v))
            for r in range(len(radii)):
                largest[k, r] += _power_of_two(log_share - u * u - v * v + radii[r] * slope + (radii[r] * reach) ** 2)
    memory[0] = 0.0  # numba frees what it sees no use of, and addresses are none


# --- motion ----------------------------------------------------------------------------------


@njit
def _keep(x, positions, k):
    for i in range(len(x)):
        positions[k, i, 0], positions[k, i, 1] = x[i, 0], x[i, 1]


@njit
def _step(x, y, matrix):
    return matrix[0, 0] * x + matrix[0, 1] * y, matrix[1, 0] * x + matrix[1, 1] * y


@njit(cache=True, nogil=True, error_model="numpy")
def move_overdamped(x, field, drift, noise, noisy, state, kept, positions):
    """x <- x + drift score(x) + noise zeta (Euler & Maruyama; Roberts & Tweedie 1996, section 1.4.1).

    Args:
        x: (n, 2), moved in place.
        field: a `Field`.
        drift: (2, 2), step size included.
        noise: (2, 2), a root of the noise's covariance, step size included.
        noisy: whether there is noise.
        state: (4 LANES,) int64, of the random stream.
        kept: steps to keep, ascending.
        positions: (len(kept), n, 2), written to.
    """
    inner = _addresses(field)
    zeta = np.zeros(x.size + 2 * LANES)
    next_kept = 0
    if kept[0] == 0:
        _keep(x, positions, 0)
        next_kept = 1
    for step in range(1, kept[-1] + 1):
        if noisy:
            normals(state.ctypes.data, zeta.ctypes.data, x.size)
        for i in range(len(x)):
            score_x, score_y = _at(x[i, 0], x[i, 1], inner)[2:]
            move_x, move_y = _step(score_x, score_y, drift)
            x[i, 0] += move_x
            x[i, 1] += move_y
            if noisy:
                move_x, move_y = _step(zeta[2 * i], zeta[2 * i + 1], noise)
                x[i, 0] += move_x
                x[i, 1] += move_y
        if step == kept[next_kept]:
            _keep(x, positions, next_kept)
            next_kept += 1
    zeta[0] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def move_mala(x, field, drift, noise, state, kept, positions):
    """Metropolis-adjusted Langevin: steps as in `move_overdamped`, accepted so that the target is kept.

    Roberts & Tweedie 1996, section 1.4.2. `noise` noise^T has to be 2 `drift`. Returns how many steps were accepted.
    """
    inner = _addresses(field)
    n = len(x)
    zeta, chance = np.zeros(x.size + 2 * LANES), np.zeros(n + LANES)
    logs, at = np.empty(n), np.empty((n, 2))
    for i in range(n):
        density, reference, at[i, 0], at[i, 1] = _at(x[i, 0], x[i, 1], inner)
        logs[i] = math.log(density) + reference * math.log(2)
    accepted = 0
    next_kept = 0
    if kept[0] == 0:
        _keep(x, positions, 0)
        next_kept = 1
    for step in range(1, kept[-1] + 1):
        normals(state.ctypes.data, zeta.ctypes.data, x.size)
        uniforms(state.ctypes.data, chance.ctypes.data, n)
        for i in range(n):
            move_x, move_y = _step(at[i, 0], at[i, 1], drift)
            jump_x, jump_y = _step(zeta[2 * i], zeta[2 * i + 1], noise)
            new_x, new_y = x[i, 0] + move_x + jump_x, x[i, 1] + move_y + jump_y
            density, reference, score_x, score_y = _at(new_x, new_y, inner)
            log_density = math.log(density) + reference * math.log(2)
            # the noise that would lead back is -(zeta + noise^T (score + new score) / 2)
            sum_x, sum_y = 0.5 * (at[i, 0] + score_x), 0.5 * (at[i, 1] + score_y)
            back_x = zeta[2 * i] + noise[0, 0] * sum_x + noise[1, 0] * sum_y
            back_y = zeta[2 * i + 1] + noise[0, 1] * sum_x + noise[1, 1] * sum_y
            gain = log_density - logs[i]
            gain += 0.5 * (zeta[2 * i] ** 2 + zeta[2 * i + 1] ** 2 - back_x * back_x - back_y * back_y)
            if math.log(chance[i]) <= gain:
                accepted += 1
                x[i, 0], x[i, 1], logs[i], at[i, 0], at[i, 1] = new_x, new_y, log_density, score_x, score_y
        if step == kept[next_kept]:
            _keep(x, positions, next_kept)
            next_kept += 1
    zeta[0] = chance[0] = 0.0
    return accepted


@njit(cache=True, nogil=True, error_model="numpy")
def move_underdamped(x, field, step_size, friction, state, kept, positions):
    """Underdamped Langevin dynamics of unit mass by the splitting BAOAB.

    Leimkuhler & Matthews 2013, equation 10 and below: half a kick, half a drift, the exact
    Ornstein-Uhlenbeck step of the velocity, half a drift, half a kick. Velocities start as draws from N(0, I).
    """
    inner = _addresses(field)
    n = len(x)
    zeta = np.zeros(x.size + 2 * LANES)
    normals(state.ctypes.data, zeta.ctypes.data, x.size)
    velocity, at = np.empty((n, 2)), np.empty((n, 2))
    for i in range(n):
        velocity[i, 0], velocity[i, 1] = zeta[2 * i], zeta[2 * i + 1]
        at[i, 0], at[i, 1] = _at(x[i, 0], x[i, 1], inner)[2:]
    half = 0.5 * step_size
    decay = math.exp(-friction * step_size)
    spread_out = math.sqrt(1 - decay * decay)
    next_kept = 0
    if kept[0] == 0:
        _keep(x, positions, 0)
        next_kept = 1
    for step in range(1, kept[-1] + 1):
        normals(state.ctypes.data, zeta.ctypes.data, x.size)
        for i in range(n):
            for axis in range(2):
                speed = velocity[i, axis] + half * at[i, axis]
                x[i, axis] += half * speed
                speed = decay * speed + spread_out * zeta[2 * i + axis]
                x[i, axis] += half * speed
                velocity[i, axis] = speed
            at[i, 0], at[i, 1] = _at(x[i, 0], x[i, 1], inner)[2:]
            velocity[i, 0] += half * at[i, 0]
            velocity[i, 1] += half * at[i, 1]
        if step == kept[next_kept]:
            _keep(x, positions, next_kept)
            next_kept += 1
    zeta[0] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def move_tempered(x, field, step_size, temperatures, state, kept, positions, counts):
    """Parallel tempering: MALA on p^(1/T) for each temperature T, and swaps of neighbours after each step.

    Geyer 1991; Earl & Deem 2005, equation 2. Steps of the replica at T are of size T `step_size`. Even and odd pairs
    take turns. The first temperature is 1; its replica is what is kept.

    Args:
        x: (n, R, 2), moved in place.
        field, step_size, state, kept, positions: as above.
        temperatures: (R,).
        counts: (2,) int64, added to: accepted steps at T = 1, and accepted swaps.
    """
    inner = _addresses(field)
    n, n_replicas = len(x), len(temperatures)
    zeta, chance = np.zeros(x.size + 2 * LANES), np.zeros(2 * n * n_replicas + LANES)
    logs, at = np.empty((n, n_replicas)), np.empty((n, n_replicas, 2))
    for i in range(n):
        for r in range(n_replicas):
            density, reference, at[i, r, 0], at[i, r, 1] = _at(x[i, r, 0], x[i, r, 1], inner)
            logs[i, r] = math.log(density) + reference * math.log(2)
    next_kept = 0
    if kept[0] == 0:
        _keep(x[:, 0], positions, 0)
        next_kept = 1
    for step in range(1, kept[-1] + 1):
        normals(state.ctypes.data, zeta.ctypes.data, x.size)
        uniforms(state.ctypes.data, chance.ctypes.data, 2 * n * n_replicas)
        for i in range(n):
            for r in range(n_replicas):
                j = i * n_replicas + r
                # score / T times the step T tau is score times tau
                noise = math.sqrt(2 * step_size * temperatures[r])
                new_x = x[i, r, 0] + step_size * at[i, r, 0] + noise * zeta[2 * j]
                new_y = x[i, r, 1] + step_size * at[i, r, 1] + noise * zeta[2 * j + 1]
                density, reference, score_x, score_y = _at(new_x, new_y, inner)
                log_density = math.log(density) + reference * math.log(2)
                half = 0.5 * noise / temperatures[r]
                back_x = zeta[2 * j] + half * (at[i, r, 0] + score_x)
                back_y = zeta[2 * j + 1] + half * (at[i, r, 1] + score_y)
                gain = (log_density - logs[i, r]) / temperatures[r]
                gain += 0.5 * (zeta[2 * j] ** 2 + zeta[2 * j + 1] ** 2 - back_x * back_x - back_y * back_y)
                if math.log(chance[2 * j]) <= gain:
                    if r == 0:
                        counts[0] += 1
                    x[i, r, 0], x[i, r, 1], logs[i, r] = new_x, new_y, log_density
                    at[i, r, 0], at[i, r, 1] = score_x, score_y
            for r in range(step % 2, n_replicas - 1, 2):
                colder, hotter = 1 / temperatures[r], 1 / temperatures[r + 1]
                gain = (colder - hotter) * (logs[i, r + 1] - logs[i, r])
                if math.log(chance[2 * (i * n_replicas + r) + 1]) <= gain:
                    counts[1] += 1
                    logs[i, r], logs[i, r + 1] = logs[i, r + 1], logs[i, r]
                    for axis in range(2):
                        x[i, r, axis], x[i, r + 1, axis] = x[i, r + 1, axis], x[i, r, axis]
                        at[i, r, axis], at[i, r + 1, axis] = at[i, r + 1, axis], at[i, r, axis]
        if step == kept[next_kept]:
            _keep(x[:, 0], positions, next_kept)
            next_kept += 1
    zeta[0] = chance[0] = 0.0
