"""Vectors of eight numbers, and functions of them that compiled code can call.

A function under `emitted` is plain Python on `Value`s. It runs when numba compiles a call of it, and writes
its instructions into the caller: loops are unrolled, calls inlined. Numba has nothing to infer and no
function of its own to compile, so this takes a fraction of the time of nested `njit` functions.

Vectors may fuse a * b + c into one rounding, numbers never do.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

LANES = 8  # AVX-512 holds eight float64 in a register, AVX2 eight float32; narrower registers take several

_SIZES = {types.boolean: 1, types.int32: 4, types.float32: 4, types.int64: 8, types.float64: 8}
_ELEMENTS = {
    types.boolean: ir.IntType(1),
    types.int32: ir.IntType(32),
    types.int64: ir.IntType(64),
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
}
_AS_INTEGER = {types.float32: types.int32, types.float64: types.int64}
_AS_FLOAT = {integer: floating for floating, integer in _AS_INTEGER.items()}


class Lanes(types.Type):
    """The type of eight numbers of one element type."""

    def __init__(self, element: types.Type):
        super().__init__(name=f"eight {element}")
        self.element = element


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _llvm(kind))


def _llvm(kind):
    if isinstance(kind, Lanes):
        return ir.VectorType(_ELEMENTS[kind.element], LANES)
    return _ELEMENTS[kind.dtype].as_pointer() if isinstance(kind, types.CPointer) else _ELEMENTS[kind]


def _instruction(name):
    """The methods for `a op b` and `b op a`: LLVM's instruction `name` of integers, or "f" + `name` of floats."""

    def apply(a, b):
        b = a.like(b)
        if a.element in _AS_FLOAT:
            return a.new(getattr(a.builder, name)(a.ir, b.ir))
        flags = ("contract",) if isinstance(a.kind, Lanes) else ()
        return a.new(getattr(a.builder, "f" + name)(a.ir, b.ir, flags=flags))

    return apply, lambda a, b: apply(a.like(b), a)


class Value:
    """A number, eight numbers, or a pointer to numbers (`kind` is its numba type) while a function is emitted."""

    def __init__(self, builder: ir.IRBuilder, kind: types.Type, value: ir.Value):
        self.builder, self.kind, self.ir = builder, kind, value

    __add__, __radd__ = _instruction("add")
    __sub__, __rsub__ = _instruction("sub")
    __mul__, __rmul__ = _instruction("mul")
    __truediv__, __rtruediv__ = _instruction("div")
    __and__, _ = _instruction("and_")
    __or__, _ = _instruction("or_")
    __xor__, _ = _instruction("xor")
    __lshift__, _ = _instruction("shl")
    __rshift__, _ = _instruction("lshr")  # zeros come in
    signed_rshift, _ = _instruction("ashr")

    @property
    def element(self) -> types.Type:
        """The type of one number."""
        return getattr(self.kind, "element", self.kind)

    def new(self, value: ir.Value, kind: types.Type | None = None) -> "Value":
        """An LLVM value of the same kind, or of another."""
        return Value(self.builder, kind or self.kind, value)

    def like(self, other: "Value | float | Sequence[float]") -> "Value":
        """`other` itself, or a constant of this kind: a number, for all lanes, or one number a lane."""
        if isinstance(other, Value):
            return other
        if isinstance(self.kind, Lanes):
            other = list(other) if isinstance(other, Iterable) else [other] * LANES
        return self.new(ir.Constant(_llvm(self.kind), other))

    def __gt__(self, other: "Value | float") -> "Value":
        """In which lanes floats are greater."""
        return self._compared(self.builder.fcmp_ordered(">", self.ir, self.like(other).ir))

    def __ge__(self, other: "Value | float") -> "Value":
        """In which lanes floats are at least as great."""
        return self._compared(self.builder.fcmp_ordered(">=", self.ir, self.like(other).ir))

    def is_odd(self) -> "Value":
        """Whether integers are odd."""
        return self._compared(self.builder.icmp_signed("==", (self & 1).ir, self.like(1).ir))

    def _compared(self, value):
        return self.new(value, Lanes(types.boolean) if isinstance(self.kind, Lanes) else types.boolean)

    def plus_rounded(self, other: float) -> "Value":
        """The sum with a constant, rounded by itself: not fused with a product."""
        return self.new(self.builder.fadd(self.ir, self.like(other).ir))

    def bits(self) -> "Value":
        """The bits of floats, as integers."""
        return self.converted("bitcast", _AS_INTEGER[self.element])

    def as_floats(self) -> "Value":
        """The floats that have these bits."""
        return self.converted("bitcast", _AS_FLOAT[self.element])

    def converted(self, instruction: str, element: types.Type) -> "Value":
        """Numbers of another element type, by one of LLVM's conversions."""
        kind = Lanes(element) if isinstance(self.kind, Lanes) else element
        return self.new(getattr(self.builder, instruction)(self.ir, _llvm(kind)), kind)

    def shuffled(self, other: "Value | float", lanes: Sequence[int]) -> "Value":
        """Lanes of this vector (0 to 7) and of another (8 to 15), in the order of `lanes`."""
        return self.new(self.builder.shuffle_vector(self.ir, self.like(other).ir, _indices(lanes)))

    def call(self, function: str) -> "Value":
        """An LLVM function of vectors, as `sqrt`."""
        name = f"llvm.{function}.v{LANES}f{8 * _SIZES[self.element]}"
        kind = ir.FunctionType(_llvm(self.kind), [_llvm(self.kind)])
        return self.new(self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [self.ir]))


def _indices(lanes):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))


# --- between compiled code and values --------------------------------------------------------


def emitted(function: Callable) -> Callable:
    """Let compiled code call `function`, whose arguments and result are `Value`s; tuples are lists of them.

    An array comes as the pointer to its numbers, and has to be flat and contiguous.
    """
    _infer(function, functools.cache(functools.partial(_result_kind, function)))

    @lower_builtin(function, types.VarArg(types.Any))
    def lower(context, builder, signature, args):
        values = [_value(context, builder, *pair) for pair in zip(signature.args, args, strict=True)]
        result = function(*values)
        if result is None:
            return context.get_dummy_value()
        if isinstance(result, Value):
            return result.ir
        return context.make_tuple(builder, signature.return_type, [part.ir for part in result])

    return function


def _infer(function, kind_of):
    """Tell numba the result's type of `function`, from those of the arguments; None where it takes no such ones."""

    class Template(AbstractTemplate):
        key = function

        def generic(self, kinds, keywords):
            result = kind_of(*kinds)
            return result and signature(result, *kinds)

    infer_global(function, types.Function(Template))


def _value(context, builder, kind, value):
    if isinstance(kind, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, value)
        return [_value(context, builder, *pair) for pair in zip(kind.types, parts, strict=True)]
    if isinstance(kind, types.Array):  # the caller owns it for as long as the call takes
        return Value(builder, types.CPointer(kind.dtype), context.make_array(kind)(context, builder, value).data)
    return Value(builder, kind, value)


def _result_kind(function, *kinds):
    """The numba type of the result, from a trial run."""
    builder = ir.IRBuilder(ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "trial").append_basic_block())
    result = function(*(_undefined(builder, types.unliteral(kind)) for kind in kinds))
    if result is None:
        return types.void
    return result.kind if isinstance(result, Value) else types.BaseTuple.from_types([part.kind for part in result])


def _undefined(builder, kind):
    if isinstance(kind, types.BaseTuple):
        return [_undefined(builder, part) for part in kind.types]
    kind = types.CPointer(kind.dtype) if isinstance(kind, types.Array) else kind
    return Value(builder, kind, ir.Constant(_llvm(kind), ir.Undefined))


def _operate(operation):
    _infer(operation, lambda a, *b: a if isinstance(a, Lanes) and b == (a,) else None)

    @lower_builtin(operation, Lanes, Lanes)
    def lower(context, builder, signature, args):
        return operation(*(Value(builder, signature.return_type, arg) for arg in args)).ir


for _operation in (operator.add, operator.sub, operator.mul, operator.truediv):
    _operate(_operation)


# --- memory ----------------------------------------------------------------------------------


def _place(array, index):
    index = index.ir if isinstance(index, Value) else ir.Constant(ir.IntType(64), index)
    return array.builder.gep(array.ir, [index])


@emitted
def number(array: Value, index: Value | int) -> Value:
    """One number of an array."""
    return array.new(array.builder.load(_place(array, index)), array.kind.dtype)


@emitted
def whole(x: Value) -> Value:
    """A float64 number without its fraction, as an int64."""
    return x.converted("fptosi", types.int64)


@emitted
def load(array: Value, index: Value | int) -> Value:
    """The eight numbers of an array from `index` on."""
    kind = Lanes(array.kind.dtype)
    place = array.builder.bitcast(_place(array, index), _llvm(kind).as_pointer())
    return array.new(array.builder.load(place, align=_SIZES[kind.element]), kind)


@emitted
def store(array: Value, index: Value | int, value: Value) -> None:
    """Write eight numbers into an array from `index` on."""
    place = array.builder.bitcast(_place(array, index), _llvm(value.kind).as_pointer())
    array.builder.store(value.ir, place, align=_SIZES[value.element])


# --- lanes -----------------------------------------------------------------------------------


@emitted
def spread(value: Value) -> Value:
    """One number in all lanes."""
    kind = Lanes(value.kind)
    empty = ir.Constant(_llvm(kind), ir.Undefined)
    first = value.builder.insert_element(empty, value.ir, ir.Constant(ir.IntType(32), 0))
    return value.new(value.builder.shuffle_vector(first, empty, _indices([0] * LANES)), kind)


@emitted
def select(condition: Value, a: Value | float, b: Value | float) -> Value:
    """`a` in the lanes where the condition holds, else `b`; one of them is a `Value`."""
    kind = a if isinstance(a, Value) else b
    assert isinstance(kind, Value)
    return kind.new(kind.builder.select(condition.ir, kind.like(a).ir, kind.like(b).ir))


@emitted
def maximum(a: Value, b: Value) -> Value:
    """The larger of a and b in each lane; b where either is NaN."""
    return select(a > b, a, b)


def _folded(x, pairwise):
    """All lanes in one number, halves first."""
    width = LANES
    while width > 1:
        width //= 2
        halves = (x.builder.shuffle_vector(x.ir, x.ir, _indices(range(at, at + width))) for at in (0, width))
        x = x.new(pairwise(*halves))
    return x.new(x.builder.extract_element(x.ir, ir.Constant(ir.IntType(32), 0)), x.element)


@emitted
def total(x: Value) -> Value:
    """The sum of the lanes."""
    return _folded(x, x.builder.fadd)


@emitted
def highest(x: Value) -> Value:
    """The largest of the lanes."""
    return _folded(x, lambda a, b: x.builder.select(x.builder.fcmp_ordered(">", a, b), a, b))
