"""`.tflite` files: LiteRT's operators become NNAPI's, names kept.

    program = load(Path("mobilenet.tflite"))

What NNAPI cannot express stays on the CPU, with the reason, and the model is what is left around
it. The source's own answer comes from LiteRT's interpreter, so that a fault of the conversion is
told from one of the driver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.draft import Refusal, random_set, refused, staying

# The families register their rules.
from nnapi_testkit.frontends.tflite import (  # noqa: F401
    convolution,
    elementwise,
    lookup,
    recurrent,
    reduce,
    shapes,
)
from nnapi_testkit.frontends.tflite.file import TYPES, File, Tensor, parse
from nnapi_testkit.frontends.tflite.lower import RULES, Lowering, operand_of, outputs_of
from nnapi_testkit.frontends.tflite.reasons import REASONS
from nnapi_testkit.frontends.tflite.source import SourceError, computed, real, with_real_weights
from nnapi_testkit.model.program import Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["REASONS", "RULES", "load"]

Array = NDArray[Any]


def load(
    path: Path,
    inputs: Sequence[str] = (),
    *,
    sets: Sequence[Sequence[Array]] = (),
    relaxed: bool = False,
) -> Program:
    """Read a `.tflite` file.

    Args:
        inputs: `SHAPE[:TYPE]` of random data for each input of the file; by default random data
            in the shapes that it names, where open dimensions have the size it was made with.
        sets: input sets in place of random data, in the file's own types and order.
        relaxed: let a driver compute float32 in the precision of float16.

    Raises KitError: no such file, or nothing in it that NNAPI can express; the message names every
        operator.
    """
    file = parse(path)
    rows = [[np.asarray(array) for array in row] for row in sets] or [_random(file, inputs)]
    lowering = Lowering(file.graphs[0], _Values(file, rows[0]))
    lowering.run()
    outputs = outputs_of(lowering)
    if not outputs:
        lines = [f"{left.name}: {left.reason}" for left in lowering.left]
        raise KitError(refused(path.stem, "operator", lines or ["it has no operators"]))
    _drop_unread(lowering)
    taken = list(lowering.draft.inputs)
    graph = lowering.draft.graph(list(outputs))
    program = Program(
        Model(graph, (), relaxed),
        path.stem,
        tuple(lowering.draft.origins),
        dict(lowering.draft.names),
        left=tuple(lowering.left),
    )
    return _answered(program, file, lowering, taken, list(outputs.values()), rows)


class _Values:
    """What LiteRT computes for tensors that depend on constants alone; run when first asked."""

    def __init__(self, file: File, row: Sequence[Array]) -> None:
        self.file, self.row = file, row
        self.found: Mapping[int, Array] | None = None

    def __call__(self, tensor: Tensor) -> Array:
        """The tensor's data. Raises Refusal if LiteRT does not run the file."""
        if self.found is None:
            file = self.file
            made = {made.index for node in file.graphs[0].nodes for made in node.outputs}
            whole = {at for at in made if file.graphs[0].tensors[at].type in TYPES}
            try:
                self.found = computed(file, file.content, self.row, whole)
            except SourceError as error:
                raise Refusal(f"LiteRT does not run the file: {error}") from error
        return self.found[tensor.index]


def _random(file: File, inputs: Sequence[str]) -> list[Array]:
    """Random data for each input of the file."""
    tensors = [file.graphs[0].tensors[at] for at in file.graphs[0].inputs]
    operands = []
    for tensor in tensors:
        if tensor.type not in TYPES:
            kind = tensor.type.lower()
            raise KitError(f"input {tensor.name} is {kind}: the kit makes no data of that kind")
        try:
            operands.append(operand_of(tensor, Lifetime.INPUT))
        except Refusal:  # a type that stays on the CPU: small whole numbers
            operands.append(Operand(OperandCode.TENSOR_INT32, tensor.shape or (1,)))
    graph = Graph(tuple(operands), (), tuple(range(len(operands))), ())
    sizes = {position: tensor.example or (1,) for position, tensor in enumerate(tensors)}
    return [
        np.asarray(array).astype(TYPES[tensor.type]).reshape(array.shape if tensor.shape else ())
        for array, tensor in zip(random_set(graph, inputs, sizes), tensors, strict=True)
        if array is not None
    ]


def _drop_unread(lowering: Lowering) -> None:
    """Inputs of the file that only the CPU reads are none of the model's."""
    read = {at for operation in lowering.draft.operations for at in operation.inputs}
    lowering.draft.inputs = [at for at in lowering.draft.inputs if at in read]


def _answered(
    program: Program,
    file: File,
    lowering: Lowering,
    taken: Sequence[int],
    given: Sequence[Tensor],
    rows: Sequence[Sequence[Array]],
) -> Program:
    """The program with input sets, and with what the source gives for them."""
    content = with_real_weights(file, lowering.hybrid) if lowering.hybrid else file.content
    notes = _notes(lowering, given)
    direct = dict(zip(file.graphs[0].inputs, range(len(rows[0])), strict=True))
    behind = [lowering.fed.get(at) for at in taken]
    cut = {tensor.index for tensor in behind if tensor and tensor.index not in direct}
    wanted = cut | {tensor.index for tensor in given}
    inner = _computed(lowering, wanted)
    also = {tensor.index for tensor in inner.values()}
    found: list[Mapping[int, Array]] = []
    try:
        found = [computed(file, content, row, wanted, also) for row in rows]
    except SourceError as error:
        if cut:
            raise KitError(
                f"{program.name}: LiteRT does not run the parts that stay on the CPU: {error}"
            ) from error
        notes.append(f"not compared with the source, which LiteRT does not run: {error}")
    _agreed(program.name, lowering, (*given, *inner.values()), found)
    sets = []
    for number, row in enumerate(rows):
        known = {**(found[number] if found else {}), **dict(zip(direct, row, strict=True))}
        sets.append(program.accept(_held(lowering, taken, known)))
    program = replace(program, inputs=tuple(sets))
    if lowering.unlike:
        notes += [f"not compared with the source: {reason}" for reason in lowering.unlike]
    elif found and all(file.graphs[0].tensors[at].constant for at in lowering.hybrid):
        program = _compared(program, lowering, given, inner, found)
    return replace(program, notes=tuple(notes))


def _notes(lowering: Lowering, given: Sequence[Tensor]) -> list[str]:
    """What a user is to know of how the file was lowered."""
    notes = [
        f"{name} is no output of the model: it is no operation's own result"
        for name in _unshown(lowering, given)
    ]
    notes += staying(lowering.left, "operator")
    if lowering.hybrid:
        notes.append(
            "8-bit weights beside float data: NNAPI computes with their real values, LiteRT's own"
            " kernels quantize the data too; the source was asked with real values"
        )
    return notes


def _held(lowering: Lowering, taken: Sequence[int], known: Mapping[int, Array]) -> list[Array]:
    """What the model's inputs hold: tensors of the source, and states before the first run."""
    found = []
    for at in taken:
        tensor = lowering.fed.get(at)
        array = _fresh(lowering.operand(at)) if tensor is None else known[tensor.index]
        found.append(array.reshape(array.shape or (1,)))
    return found


def _fresh(operand: Operand) -> Array:
    """A state before the first run."""
    return np.full(operand.dims, operand.zero_point, DTYPE[OperandCode(operand.type)])


def _unshown(lowering: Lowering, given: Sequence[Tensor]) -> list[str]:
    """Outputs of the file that are constants, inputs, or what the CPU computes."""
    shown = {tensor.index for tensor in given}
    tensors = lowering.graph.tensors
    return [tensors[at].name for at in lowering.graph.outputs if at not in shown]


def _agreed(
    name: str,
    lowering: Lowering,
    tensors: Iterable[Tensor],
    found: Sequence[Mapping[int, Array]],
) -> None:
    """Raise KitError if LiteRT gives a tensor another shape than its operand has.

    A driver would refuse such an operand, and rightly: shapes are the file's.
    """
    for tensor in tensors:
        if tensor.index not in lowering.held:
            continue  # a state: an input too
        dims = lowering.operand(lowering.held[tensor.index]).dims
        for have in (values[tensor.index].shape for values in found if tensor.index in values):
            sizes = have or (1,)
            if len(sizes) != len(dims) or any(
                want not in (0, size) for want, size in zip(dims, sizes, strict=True)
            ):
                raise KitError(
                    f"{name}: tensor {tensor.name} has shape {list(dims)} by the file, and LiteRT"
                    f" gives {list(have)}: convert the model anew"
                )


def _computed(lowering: Lowering, shown: Collection[int]) -> dict[int, Tensor]:
    """Tensors of the file that operations of the model write, by the model's operand."""
    tensors = lowering.graph.tensors
    return {
        lowering.draft.new[at]: tensors[index]
        for index, at in lowering.held.items()
        if index not in shown
        and at in lowering.draft.new
        and lowering.operand(at).lifetime == Lifetime.TEMPORARY
    }


def _compared(
    program: Program,
    lowering: Lowering,
    given: Sequence[Tensor],
    inner: Mapping[int, Tensor],
    found: Sequence[Mapping[int, Array]],
) -> Program:
    """The program with what the source gives for its outputs, and on the way there."""

    def told(tensor: Tensor, values: Mapping[int, Array]) -> NDArray[np.float64]:
        plain = real(tensor, values[tensor.index])
        state = lowering.states.get(tensor.index)
        return plain if state is None else state.expected(plain)

    expected = tuple(tuple(told(tensor, values) for tensor in given) for values in found)
    return replace(
        program,
        expected=expected,
        inner={
            at: tuple(told(tensor, values) for values in found)
            for at, tensor in inner.items()
            if all(tensor.index in values for values in found)
        },
    )
