"""Older forms of arithmetic and activations: by ADD, MUL and RELU, which level 1 has."""

from __future__ import annotations

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.older.write import Writer, older_form
from nnapi_testkit.model.types import Operation


def _times(w: Writer, at: int, factor: float) -> int:
    return w.make("MUL", [at, w.number(factor), w.int32(0)], at)


def _difference(w: Writer, first: int, second: int, out: int) -> int:
    """first - second, in the shape of `out`."""
    if w.level >= 2:
        return w.make("SUB", [first, second, w.int32(0)], out)
    return w.make("ADD", [first, _times(w, second, -1.0), w.int32(0)], out)


@older_form("HARD_SWISH")
def _hard_swish(w: Writer, operation: Operation) -> None:
    """x relu6(x + 3) / 6."""
    w.real(operation)
    (x,), (out,) = operation.inputs, operation.outputs
    moved = w.make("ADD", [x, w.number(3.0), w.int32(3)], x)
    product = w.make("MUL", [x, moved, w.int32(0)], x)
    w.operation("MUL", [product, w.number(1 / 6), w.int32(0)], [out])


@older_form("SUB")
def _sub(w: Writer, operation: Operation) -> None:
    w.real(operation)
    first, second, activation = operation.inputs
    w.operation("ADD", [first, _times(w, second, -1.0), activation], operation.outputs)


@older_form("DIV")
def _div(w: Writer, operation: Operation) -> None:
    w.real(operation)
    first, second, activation = operation.inputs
    inverse = w.alike(second, 1 / w.known(second))
    w.operation("MUL", [first, inverse, activation], operation.outputs)


@older_form("NEG")
def _neg(w: Writer, operation: Operation) -> None:
    w.real(operation)
    w.operation("MUL", [operation.inputs[0], w.number(-1.0), w.int32(0)], operation.outputs)


@older_form("ABS")
def _abs(w: Writer, operation: Operation) -> None:
    """relu(x) + relu(-x)."""
    w.real(operation)
    (x,) = operation.inputs
    below = w.make("RELU", [_times(w, x, -1.0)], x)
    w.operation("ADD", [w.make("RELU", [x], x), below, w.int32(0)], operation.outputs)


@older_form("MAXIMUM")
def _maximum(w: Writer, operation: Operation) -> None:
    """second + relu(first - second)."""
    w.real(operation)
    (first, second), (out,) = operation.inputs, operation.outputs
    above = w.make("RELU", [_difference(w, first, second, out)], out)
    w.operation("ADD", [above, second, w.int32(0)], [out])


@older_form("MINIMUM")
def _minimum(w: Writer, operation: Operation) -> None:
    """first - relu(first - second)."""
    w.real(operation)
    (first, second), (out,) = operation.inputs, operation.outputs
    above = w.make("RELU", [_difference(w, first, second, out)], out)
    w.operation("ADD", [first, _times(w, above, -1.0), w.int32(0)], [out])


@older_form("PRELU")
def _prelu(w: Writer, operation: Operation) -> None:
    """relu(x) - slope relu(-x)."""
    w.real(operation)
    (x, slope), (out,) = operation.inputs, operation.outputs
    below = w.make("RELU", [_times(w, x, -1.0)], x)
    scaled = w.make("MUL", [below, _times(w, slope, -1.0), w.int32(0)], out)
    w.operation("ADD", [w.make("RELU", [x], x), scaled, w.int32(0)], [out])


@older_form("SOFTMAX")
def _softmax(w: Writer, operation: Operation) -> None:
    """Over the last dimension of a matrix; another one is turned to the end (level 2)."""
    x, beta, *rest = operation.inputs
    (out,) = operation.outputs
    dims = w.dims(x)
    axis = int(w.known(rest[0])) % len(dims) if rest else len(dims) - 1
    order = [at for at in range(len(dims)) if at != axis] + [axis]
    if axis != len(dims) - 1 and w.level < 2:
        raise Refusal("its axis is not the last one, and level 1 has no TRANSPOSE")
    turned = [dims[at] for at in order]
    if axis != len(dims) - 1:
        x = w.make("TRANSPOSE", [x, w.ints(order)], x, turned)
    count = dims[axis]
    rows = w.reshape(x, (int(_product(dims)) // count, count))
    soft = w.make("SOFTMAX", [rows, beta], out, w.operands[rows].dims)
    if axis == len(dims) - 1:
        w.into(soft, out)
        return
    back = [order.index(at) for at in range(len(dims))]
    w.operation("TRANSPOSE", [w.reshape(soft, turned), w.ints(back)], [out])


def _product(dims: tuple[int, ...]) -> int:
    found = 1
    for size in dims:
        found *= size
    return found
