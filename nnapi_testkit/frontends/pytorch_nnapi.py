"""PyTorch's own converter: its serialized NNAPI model, decoded into the kit's.

`torch.backends._nnapi.serializer` writes 32-bit little-endian words, padded to four bytes
throughout: a header (version and five counts), operands (type, rank, scale, zero point), values
(operand, kind of source, length), operations (code and counts), dimensions, the values
themselves, the operands of all operations, inputs, outputs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["arrays_of", "decode", "outputs_of"]

_IMMEDIATE, _NUMBERED_BUFFER = 0, 2
_NHWC = 1


@dataclass
class _Words:
    """Reads the serialized model from front to back."""

    raw: bytes
    at: int = 0

    def take(self, form: str) -> tuple[Any, ...]:
        """The values of one record."""
        values = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def many(self, form: str, count: int) -> list[tuple[Any, ...]]:
        """`count` records."""
        return [self.take(form) for _ in range(count)]

    def ints(self, count: int) -> tuple[int, ...]:
        """`count` words."""
        return self.take(f"{count}i")

    def data(self, length: int) -> bytes:
        """`length` bytes and their padding."""
        start, self.at = self.at, self.at + (length + 3) // 4 * 4
        return self.raw[start : start + length]


def decode(
    module: torch.nn.Module,
    inputs: Sequence[Sequence[torch.Tensor]] = (),
    *,
    origins: Sequence[str] = (),
    name: str = "model",
) -> Program:
    """Return a converted module as a model of the kit's own.

    Args:
        module: what `convert` returns as `Converted.module`, or a converted file.
        inputs: input sets in PyTorch's shapes (NCHW). The first one completes dimensions that
            the conversion left open.
        origins: `Converted.origins`. name: what the model is called.

    Raises:
        KitError: the module holds no model of PyTorch's converter, or dimensions are open and
            there is no input to complete them.
    """
    inner: Any = getattr(module, "mod", None)
    words: Any = getattr(inner, "ser_model", None)
    if words is None:
        raise KitError("the module holds no model of PyTorch's NNAPI converter: convert it first")
    if inputs:
        words = words.clone()
        inner.shape_compute_module.prepare(words, list(inputs[0]))
    model = _model(words.numpy().tobytes(), list(inner.weights), bool(inner.relax_f32_to_f16))
    program = Program(model, name, tuple(origins))
    formats = list(inner.inp_mem_fmts)
    sets = tuple(program.accept(arrays_of(given, formats)) for given in inputs)
    return Program(model, name, tuple(origins), inputs=sets)


def arrays_of(tensors: Sequence[torch.Tensor], formats: Sequence[int]) -> InputSet:
    """Return PyTorch's tensors as arrays in the model's layout; quantized ones as codes."""
    found = []
    for tensor, form in zip(tensors, formats, strict=True):
        plain = tensor.int_repr() if tensor.is_quantized else tensor.detach()
        if form == _NHWC:
            plain = plain.permute(0, 2, 3, 1)
        found.append(plain.contiguous().numpy())
    return tuple(found)


def outputs_of(module: torch.nn.Module, arrays: Sequence[Any]) -> tuple[torch.Tensor, ...]:
    """Return a driver's arrays as tensors in PyTorch's layout; quantized ones stay codes."""
    inner: Any = module
    found = []
    for array, form in zip(arrays, inner.mod.out_mem_fmts, strict=True):
        tensor = torch.from_numpy(array.copy())
        found.append(tensor.permute(0, 3, 1, 2) if form == _NHWC else tensor)
    return tuple(found)


def _model(raw: bytes, weights: Sequence[torch.Tensor], relaxed: bool) -> Model:
    words = _Words(raw)
    version, operands, values, operations, inputs, outputs = words.take("6i")
    if version != 1:
        raise KitError(f"PyTorch's serialized model has version {version}, the kit reads 1")
    records = words.many("iifi", operands)
    sources = words.many("3i", values)
    codes = words.many("3i", operations)
    shapes = [words.ints(rank) for _, rank, _, _ in records]
    constants = {
        operand: _value(kind, words.data(length), weights) for operand, kind, length in sources
    }
    lists = [words.ints(taken + given) for _, taken, given in codes]
    taken, given = words.ints(inputs), words.ints(outputs)
    graph = Graph(
        tuple(
            _operand(record, shape, _lifetime(at, taken, given, constants), constants.get(at, b""))
            for at, (record, shape) in enumerate(zip(records, shapes, strict=True))
        ),
        tuple(
            Operation(code, tuple(row[:count]), tuple(row[count:]))
            for (code, count, _), row in zip(codes, lists, strict=True)
        ),
        tuple(taken),
        tuple(given),
    )
    open_ = [at for at in taken if 0 in graph.operands[at].dims]
    if open_:
        raise KitError("the model's inputs have open dimensions: give an input that completes them")
    return Model(_used(graph), relaxed=relaxed)


def _value(kind: int, data: bytes, weights: Sequence[torch.Tensor]) -> bytes:
    if kind == _IMMEDIATE:
        return data
    if kind != _NUMBERED_BUFFER:
        raise KitError(f"PyTorch's serialized model has a value of kind {kind}, the kit reads 0, 2")
    number, offset, size = struct.unpack("<3i", data)
    tensor = weights[number].contiguous()
    plain = tensor.int_repr() if tensor.is_quantized else tensor.detach()
    return bytes(plain.numpy().tobytes()[offset : offset + size])


def _lifetime(
    at: int, inputs: Sequence[int], outputs: Sequence[int], constants: dict[int, bytes]
) -> Lifetime:
    if at in constants:
        return Lifetime.CONSTANT if constants[at] else Lifetime.OMITTED
    if at in inputs:
        return Lifetime.INPUT
    return Lifetime.OUTPUT if at in outputs else Lifetime.TEMPORARY


def _operand(
    record: tuple[Any, ...], shape: tuple[int, ...], lifetime: Lifetime, value: bytes
) -> Operand:
    code, _, scale, zero_point = record
    return Operand(OperandCode(code), tuple(shape), scale, zero_point, lifetime, value)


def _used(graph: Graph) -> Graph:
    """Drop operands that nothing reads or writes: the converter adds constants in advance."""
    used = {at for o in graph.operations for at in (*o.inputs, *o.outputs)}
    used |= {*graph.inputs, *graph.outputs}
    kept = [at for at in range(len(graph.operands)) if at in used]
    new = dict(zip(kept, range(len(kept)), strict=True))
    return Graph(
        tuple(graph.operands[at] for at in kept),
        tuple(
            Operation(o.code, tuple(new[i] for i in o.inputs), tuple(new[i] for i in o.outputs))
            for o in graph.operations
        ),
        tuple(new[at] for at in graph.inputs),
        tuple(new[at] for at in graph.outputs),
    )
