"""Random numbers, eight at a time."""

import math

import numpy as np
from numba import types

from scoredag.simd import maths
from scoredag.simd.compiling import inner
from scoredag.simd.lanes import LANES, Value, emitted, load, select, spread, store

STATE = 4 * LANES  # int64 numbers that a stream consists of


def _bits(state):
    """Eight times 64 random bits: xoshiro256+ (Blackman & Vigna 2021), a stream a lane."""
    a, b, c, d = (load(state, i * LANES) for i in range(4))
    result, t = a + d, b << 17
    c, d = c ^ a, d ^ b
    b, a = b ^ c, a ^ d
    c, d = c ^ t, (d << 45) | (d >> 19)
    for i, part in enumerate((a, b, c, d)):
        store(state, i * LANES, part)
    return result


def _one_to_two(bits):
    """Numbers in [1, 2) from the upper 52 bits."""
    return ((bits >> 12) | (0x3FF << 52)).as_floats()


@emitted
def _store_normals(state, out, i):
    """Sixteen standard normal numbers: sqrt(-2 log u) (cos 2 pi v, sin 2 pi v), u in (0, 1] and v in [0, 1)."""
    radius = maths.square_root(-2.0 * maths.log(2.0 - _one_to_two(_bits(state))))
    quarters = (_one_to_two(_bits(state)) - 1.0) * 4.0
    turn = maths.shifted(quarters)
    x = (quarters - maths.unshifted(turn)) * (math.pi / 2)  # -pi/4 to pi/4
    sine, cosine = maths.sine(x), maths.cosine(x)
    # an odd quarter swaps the two, as a reflection does; half a turn changes both signs
    odd = turn.bits().is_odd()
    radius = (radius.bits() ^ ((turn.bits() << 62) & (1 << 63))).as_floats()
    store(out, i, radius * select(odd, sine, cosine))
    store(out, i + LANES, radius * select(odd, cosine, sine))


@emitted
def _store_uniforms(state, out, i):
    store(out, i, 2.0 - _one_to_two(_bits(state)))


@inner
def normals(state: np.ndarray, out: np.ndarray, n: int) -> None:
    """Write standard normal numbers to `out`, 16 at a time: `n`, or up to 15 more (Box & Muller 1958).

    `state` (STATE,) int64 is the random stream.
    """
    for i in range(0, n, 2 * LANES):
        _store_normals(state, out, i)


@inner
def uniforms(state: np.ndarray, out: np.ndarray, n: int) -> None:
    """Write uniform numbers in (0, 1] to `out`, eight at a time: `n`, or up to 7 more."""
    for i in range(0, n, LANES):
        _store_uniforms(state, out, i)


@emitted
def mask(seed: Value, counter: Value, rate: Value) -> Value:
    """Eight float32 of a dropout mask: 0 with probability `rate`, else 1.

    A hash (the finaliser of MurmurHash3) of `seed` and counter, counter + 1, ..: the backward pass gets the same mask.
    """
    seed, counter = (spread(value.converted("trunc", types.int32)) for value in (seed, counter))
    x = seed ^ (counter + range(LANES))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ (x >> shift)) * factor
    uniform = x.converted("uitofp", types.float32) * 2.0**-32
    ones = uniform.like(1.0)
    return select(uniform >= spread(rate), ones, 0.0)
