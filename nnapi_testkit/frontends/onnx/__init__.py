"""ONNX files as models of the kit's own.

The operators are those that ONNX Runtime's NNAPI execution provider maps, and some more; the others
stay on the CPU, with the reason, and the model is what is left around them. Quantized graphs (QDQ
and QLinear operators) become operations on codes. Symbolic dimensions stay open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.frontends.draft import random_set, refused, staying

try:
    import onnx
except ImportError as error:
    raise KitError("ONNX files need the onnx package: pip install 'nnapi-testkit[onnx]'") from error

from nnapi_testkit.frontends.onnx import (  # noqa: F401 - their rules register
    convolution,
    elementwise,
    image,
    quantized,
    reduce,
    shapes,
)
from nnapi_testkit.frontends.onnx.lower import RULES, TYPES, Lowering, fed_order
from nnapi_testkit.frontends.onnx.rewrite import rewritten
from nnapi_testkit.frontends.onnx.run import evaluate
from nnapi_testkit.frontends.onnx.source import Source, leading, symbols
from nnapi_testkit.frontends.opened import fixed, opened
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.model.program import Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, is_quantized

__all__ = ["RULES", "from_model", "load"]

Array = NDArray[Any]
Feeds = Mapping[str, Array]


def load(
    path: Path, inputs: Sequence[str] = (), *, last: bool = False, relaxed: bool = False
) -> Program:
    """Read an `.onnx` file.

    Args:
        inputs: `SHAPE` of random data for each input, in the file's own order of dimensions; by
            default the file's shapes, with 1 for an open batch and 32 for other open sizes.
        last: hold 4-dimensional data channels last.

    Raises KitError in one line: no such file, no ONNX, or nothing in it that NNAPI can express.
    """
    try:
        model = onnx.load(path)
        if not model.graph.output:
            raise ValueError("it has no graph with outputs")
    except Exception as error:  # whatever bytes it is: the reader's errors are not of one kind
        raise KitError(f"{path} is no ONNX file: {first_line(error)}") from error
    return from_model(model, inputs, last=last, relaxed=relaxed, name=path.stem)


def from_model(
    model: Any,
    inputs: Sequence[str] = (),
    *,
    feeds: Sequence[Feeds] = (),
    last: bool = False,
    relaxed: bool = False,
    name: str = "",
) -> Program:
    """Lower an `onnx.ModelProto`.

    Args:
        inputs: as for `load`. feeds: input sets by name, in place of random data.
        last: hold 4-dimensional data channels last; inputs and outputs too.
        relaxed: let a driver compute float32 in the precision of float16.

    Raises KitError naming every node, if NNAPI can express none of them.
    """
    name = name or model.graph.name or "model"
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    plain = rewritten(model)
    sizes = _sizes(model, inputs, feeds[0] if feeds else {})
    sets = [dict(row) for row in feeds] or [_random(plain, sizes)]
    first = _Lowered(plain, sizes, sets[0], last)
    if not first.lowering.sketch.operations:
        lines = [f"{left.name}: {left.reason}" for left in first.lowering.left]
        raise KitError(refused(name, "node", lines))
    graph, notes = _opened(first, plain, sizes, last)
    program = Program(
        Model(graph, (), relaxed),
        name,
        tuple(first.lowering.sketch.origins),
        first.names,
        notes=(*notes, *staying(first.lowering.left)),
        left=tuple(first.lowering.left),
    )
    return _fed(program, first, model, plain, sets)


def _sizes(model: Any, texts: Sequence[str], feed: Feeds) -> dict[str, int]:
    """Sizes of symbolic dimensions: as the inputs have them, else ones to try."""
    sizes = symbols(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    listed = [value for value in model.graph.input if value.name not in constants]
    if texts and len(texts) != len(listed):
        raise KitError(f"the model has {len(listed)} inputs, {len(texts)} were given")
    for position, value in enumerate(listed):
        dims = value.type.tensor_type.shape.dim
        if value.name in feed:
            given: Sequence[int] = feed[value.name].shape
        elif texts:
            given = _shape(texts[position])
        else:
            continue
        wanted = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims]
        if len(given) != len(wanted) or any(
            want not in (0, have) for want, have in zip(wanted, given, strict=True)
        ):
            raise KitError(f"input {value.name} has shape {list(given)}, the model {wanted}")
        for at, (dim, size) in enumerate(zip(dims, given, strict=True)):
            if not dim.HasField("dim_value"):
                sizes[dim.dim_param or f"{value.name}.{at}"] = int(size)
    return sizes


def _shape(text: str) -> tuple[int, ...]:
    sizes = text.partition(":")[0].split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise KitError(f"{text!r} is no input: write SHAPE, as in 1,3,224,224")
    return tuple(int(size) for size in sizes)


def _random(model: Any, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Random data for each input in the graph's own types, the same at every call."""
    names, operands, kinds = [], [], []
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        type = TYPES.get(tensor.elem_type)
        if type is None:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
            raise KitError(f"input {value.name} is of type {kind}: NNAPI has none such")
        dims = tuple(
            dim.dim_value
            if dim.HasField("dim_value")
            else sizes[dim.dim_param or f"{value.name}.{at}"]
            for at, dim in enumerate(tensor.shape.dim)
        )
        if 0 in dims:
            raise KitError(f"input {value.name} is empty: {list(dims)}")
        names.append((value.name, dims))
        operands.append(Operand(type, dims or (1,), lifetime=Lifetime.INPUT))
        kinds.append(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    rows = random_set(Graph(tuple(operands), (), tuple(range(len(operands))), ()))
    return {
        name: np.asarray(row).astype(kind).reshape(dims)
        for (name, dims), row, kind in zip(names, rows, kinds, strict=True)
    }


class _Lowered:
    """A graph lowered for one choice of sizes.

    Attributes:
        graph: what became of it. names: of its operands. ends: the source's name and the value
            behind each output of the graph; inside: behind each operand that it computes.
    """

    def __init__(self, model: Any, sizes: Mapping[str, int], feed: Feeds, last: bool) -> None:
        self._model, self._feed = model, feed
        self._asked: dict[str, Array] = {}
        source = Source(model, sizes, self._ask)
        self.lowering = Lowering(last=last, source=source)
        self.lowering.run()
        self.ends = list(self._ends())
        outputs = [self.lowering.fresh(value) for _, value in self.ends]
        sketch, lowering = self.lowering.sketch, self.lowering
        named = {**lowering.values, **dict(self.ends)}
        written = {at for operation in sketch.operations for at in operation.outputs}
        for name, value in lowering.values.items():
            if value.operand in written and name not in lowering.moved and not value.flat:
                sketch.names[value.operand] = name
        for at, (name, _) in zip(outputs, self.ends, strict=True):
            sketch.names[at] = name
        inside = {sketch.names[at] for at in written & sketch.names.keys()}
        self.graph = sketch.graph(outputs)
        self.names = dict(sketch.names)
        fed = set(self.graph.inputs)
        self.inside = {
            at: (name, named[name])
            for at, name in self.names.items()
            if name in inside and at not in fed and at not in self.graph.outputs
        }

    def _ask(self, name: str) -> Array:
        """A value of the source's own run: for shapes that nothing else tells."""
        if not self._asked:
            names = [item for node in self._model.graph.node for item in node.output if item]
            self._asked = evaluate(self._model, self._feed, names)
        if name not in self._asked:
            raise KitError(f"the source has no value {name}")
        return self._asked[name]

    def _plain(self, value: Value) -> Value:
        """A value of more dimensions than its operand has, in those of the operand."""
        if not value.flat:
            return value
        dims = self.lowering.sketch.operands[value.operand].dims
        return replace(value, shape=dims, flat=False)

    def _ends(self) -> Sequence[tuple[str, Value]]:
        """What the model gives: the source's outputs, and what its CPU nodes read."""
        lowering, source = self.lowering, self.lowering.source
        found: list[tuple[str, Value]] = []
        for name in source.outputs:
            value = lowering.values.get(name)
            fed = value is not None and value.operand in lowering.sketch.inputs
            if value is None or value.constant is not None or fed:
                continue  # the CPU gives it, or it is known
            coded = source.types[name] in (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)
            lowering.sketch.origin = f"output {name}"
            found.append((name, self._plain(value if coded else lowering.real(value))))
        done = {name for name, _ in found}
        for name in dict.fromkeys(lowering.read):
            if name not in done:
                found.append((name, self._plain(lowering.values[name])))
        return found


def _opened(
    first: _Lowered, model: Any, sizes: Mapping[str, int], last: bool
) -> tuple[Graph, list[str]]:
    """The graph with symbolic dimensions open: all, or batches alone, or none, with a note."""
    batches = {name for name in sizes if name in leading(model)}
    why = ""
    for chosen in (set(sizes), batches):
        if not chosen:
            continue
        # Twice as large: still a multiple of what strides divide.
        other = {name: size * (1 + (name in chosen)) for name, size in sizes.items()}
        try:
            second = _Lowered(model, other, _random(model, other), last)
            graph = opened(first.graph, second.graph)
        except KitError as error:
            why = why or str(error)
            continue
        rest = [f"{name} = {size}" for name, size in sizes.items() if name not in chosen]
        return graph, [fixed(rest, why)] if rest else []
    return first.graph, [fixed([f"{n} = {size}" for n, size in sizes.items()], why)] * bool(why)


def _fed(
    program: Program, lowered: _Lowered, model: Any, plain: Any, sets: Sequence[Feeds]
) -> Program:
    """The program with its input sets, and with what the source gives for them."""
    lowering = lowered.lowering
    taken = [name for name in lowering.source.inputs if name in lowering.values]
    notes = list(program.notes)
    accepted, expected = [], []
    inside: dict[int, list[NDArray[np.float64]]] = {at: [] for at in lowered.inside}
    for row in sets:
        found: dict[str, Array] = {}
        try:
            found = _asked(lowered, model, plain, row)
        except KitError as error:
            if lowering.cut:
                raise
            notes.append(str(error))
        given = [*(row[name] for name in taken), *(found[name] for name in lowering.cut)]
        values = [lowering.values[name] for name in (*taken, *lowering.cut)]
        arrays = [_held(array, value) for array, value in zip(given, values, strict=True)]
        accepted.append(program.accept(arrays))
        if found or not lowered.ends:
            expected.append(tuple(_told(lowered, found, end) for end in lowered.ends))
            for at, end in lowered.inside.items():
                if end[0] in found:
                    inside[at].append(_told(lowered, found, end))
    known = {at: tuple(rows) for at, rows in inside.items() if rows}
    if expected:  # an output is inside, too
        known |= dict(zip(lowered.graph.outputs, zip(*expected, strict=True), strict=True))
    return replace(
        program,
        inputs=tuple(accepted),
        expected=tuple(expected),
        inner=known,
        notes=tuple(notes),
        # ONNX Runtime computes float16 in float32 and leaves out casts between.
        stepwise=onnx.TensorProto.FLOAT16 not in lowering.source.types.values(),
    )


def _asked(lowered: _Lowered, model: Any, plain: Any, row: Feeds) -> dict[str, Array]:
    """What ONNX Runtime gives for one input set: what is fed instead, ends, and what is inside."""
    lowering = lowered.lowering
    wanted = [name for name, _ in lowered.ends]
    shown = [name for name, _ in lowered.inside.values()]
    inner = [
        name
        for name in dict.fromkeys((*lowering.cut, *wanted, *shown))
        if name not in lowering.source.outputs
    ]
    found = evaluate(plain, row, inner) if inner else {}
    ends = [name for name in wanted if name not in found]
    return found | (evaluate(model, row, ends) if ends else {})


def _told(
    lowered: _Lowered, found: dict[str, Array], end: tuple[str, Value]
) -> NDArray[np.float64]:
    name, value = end
    return _real(found[name], lowered.lowering.source.types[name], value)


def _held(array: Array, value: Value) -> Array:
    """An array as the operand of an input holds it."""
    turned = array.transpose(fed_order(value.last, array.shape))
    kind = np.dtype(DTYPE[OperandCode(value.type)])
    if turned.dtype == np.int64:
        info = np.iinfo(np.int32)
        turned = turned.clip(info.min, info.max)
    return np.ascontiguousarray(turned.astype(kind)).reshape(turned.shape or (1,))


def _real(array: Array, type: int, value: Value) -> NDArray[np.float64]:
    """What the source gives as real values, in the operand's order of dimensions."""
    plain = array.reshape(value.shape)
    turned = plain.transpose(fed_order(value.last, plain.shape)).astype(np.float64)
    coded = type in (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)
    if coded and value.quant is not None and is_quantized(value.quant.type):
        turned = (turned - value.quant.zero_point) * value.quant.scale
    return np.ascontiguousarray(turned).reshape(turned.shape or (1,))
