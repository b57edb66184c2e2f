"""Elementary functions of eight numbers."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import types

from scoredag.simd.lanes import Value, emitted, maximum


class _Format(NamedTuple):
    """What is known of a floating-point format, and of 2^x in it."""

    mantissa: int  # bits
    shift: float  # numbers about this are whole: 1.5 * 2^mantissa
    lowest: float  # exponent of the least power of two that `exp2` returns
    exp2: tuple  # coefficients of 2^x on [-1/2, 1/2], the highest power first


# the Chebyshev interpolant of 2^x, to 2e-16, and the Taylor series
_CHEBYSHEV = (
    7.072585949269223e-09, 1.0208690299958306e-07, 1.321544258792169e-06, 1.5252657260200837e-05,
    0.0001540353044173605, 0.0013333558230164974, 0.009618129107606888, 0.05550410866444772,
    0.24022650695910097, 0.69314718055995, 1.0,
)  # fmt: skip
_TAYLOR = tuple(float(np.float32(math.log(2) ** i / math.factorial(i))) for i in range(6, -1, -1))
_FORMATS = {
    types.float64: _Format(52, 1.5 * 2.0**52, -1000.0, _CHEBYSHEV),
    types.float32: _Format(23, 1.5 * 2.0**23, -126.0, _TAYLOR),
}
_ARTANH = [1 / n for n in range(21, 2, -2)]  # artanh s = s + s q (1/3 + q/5 + ..), q = s^2
_SINE = [(-1) ** n / math.factorial(2 * n + 1) for n in range(7, 0, -1)]  # (sin x - x) / (x q)
_COSINE = [(-1) ** n / math.factorial(2 * n) for n in range(8, 0, -1)]  # (cos x - 1) / q
_ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)


def polynomial(x: Value, coefficients: Iterable[float]) -> Value:
    """The polynomial with these coefficients, the highest power first, by Horner's scheme."""
    first, *rest = coefficients
    value = x.like(first)
    for coefficient in rest:
        value = value * x + coefficient
    return value


def shifted(x: Value) -> Value:
    """A number whose lowest bits hold the whole number nearest to x."""
    return x.plus_rounded(_FORMATS[x.element].shift)


def unshifted(x: Value) -> Value:
    """The whole number in what `shifted` returned."""
    return x.plus_rounded(-_FORMATS[x.element].shift)


@emitted
def exp2(x: Value) -> Value:
    """2^x: in float64 to 4e-16, relative, for -1000 <= x <= 1000; in float32 to 3e-7 for -126 <= x <= 127.

    Below, the power of the lower end.
    """
    form = _FORMATS[x.element]
    x = maximum(x.like(form.lowest), x)  # in this order NaN stays NaN
    whole = shifted(x)
    part = polynomial(x - unshifted(whole), form.exp2)
    return (part.bits() + (whole.bits() << form.mantissa)).as_floats()


@emitted
def log(x: Value) -> Value:
    """The natural logarithm of positive normal float64, to 1e-15: n log 2 + 2 artanh((m - 1) / (m + 1))."""
    # x = m 2^n with sqrt(1/2) <= m < sqrt(2)
    n = (x.bits() - _ROOT_HALF).signed_rshift(52)
    m = (x.bits() - (n << 52)).as_floats()
    shift = x.like(_FORMATS[x.element].shift)
    n = (n + shift.bits()).as_floats().plus_rounded(-_FORMATS[x.element].shift)
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    return n * math.log(2) + 2.0 * s * (1.0 + q * polynomial(q, _ARTANH))


@emitted
def log2(x: Value) -> Value:
    """The logarithm to base 2, as the C library computes it."""
    return x.call("log2")


@emitted
def absolute(x: Value) -> Value:
    """The number without its sign."""
    return x.call("fabs")


@emitted
def square_root(x: Value) -> Value:
    """The square root."""
    return x.call("sqrt")


def sine(x: Value) -> Value:
    """The sine of float64 between -pi/4 and pi/4."""
    q = x * x
    return x + x * (q * polynomial(q, _SINE))


def cosine(x: Value) -> Value:
    """The cosine of float64 between -pi/4 and pi/4."""
    q = x * x
    return 1.0 + q * polynomial(q, _COSINE)
