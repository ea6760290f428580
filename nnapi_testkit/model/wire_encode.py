"""Cases to the runner; see `nnapi_testkit.model.wire`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import TypeAlias
from zlib import crc32

import numpy as np

from nnapi_testkit.model import wire_codes as w
from nnapi_testkit.model.case import Case, Execution, Extra, Quality
from nnapi_testkit.model.types import Graph, Lifetime
from nnapi_testkit.model.wire_codes import Field, FrameKind
from nnapi_testkit.model.wire_format import PAIR, SUMMED, WORDS, WireError
from nnapi_testkit.spec.operands import DTYPE

Part: TypeAlias = bytes | memoryview
_PLAIN = Quality()
_NOTHING = Extra()
_ITEMSIZE = {int(code): dtype.itemsize for code, dtype in DTYPE.items()}


def encode_batch(
    cases: Sequence[Case],
    *,
    batch_id: int = 0,
    device: str = "",
    isolate: bool = False,
    memory_limit_mb: int = 0,
) -> bytes:
    """Return the frames of a batch; a case's position becomes its index.

    Args:
        cases: what to run.
        batch_id, device, isolate, memory_limit_mb: see `encode_head`.

    Raises:
        WireError: a case holds something the format cannot carry.
    """
    head = encode_head(
        len(cases),
        batch_id=batch_id,
        device=device,
        isolate=isolate,
        memory_limit_mb=memory_limit_mb,
    )
    return b"".join([head, *(encode_case(case, index) for index, case in enumerate(cases))])


def encode_head(
    count: int,
    *,
    batch_id: int = 0,
    device: str = "",
    isolate: bool = False,
    memory_limit_mb: int = 0,
) -> bytes:
    """Return the BATCH frame that comes before `count` CASE frames.

    Args:
        count: how many cases follow, with the indexes 0 to count - 1 in order.
        batch_id: comes back in the END frame.
        device: name of the NNAPI device; empty for the one the runner was started with.
        isolate: give each case a worker of its own.
        memory_limit_mb: what a worker may hold in memory; 0 for the runner's own limit.
    """
    head = w.BATCH_HEAD.pack(
        batch_id & 0xFFFFFFFF, count, w.BATCH_ISOLATE if isolate else 0, memory_limit_mb
    )
    parts: list[Part] = [w.FIELD.pack(Field.BATCH_HEAD, 0, len(head)), head]
    name = device.encode()
    if name:
        parts += (w.FIELD.pack(Field.BATCH_DEVICE, 0, len(name)), name)
    return _frame(FrameKind.BATCH, parts)


def encode_case(case: Case, index: int) -> bytes:
    """Return the CASE frame of one case."""
    parts: list[Part] = []
    model = case.model
    flags = (
        (w.CASE_RELAXED if model.relaxed else 0)
        | (w.CASE_PADDING if case.padding else 0)
        | (w.CASE_MEASURE if case.measure else 0)
    )
    try:
        if not 1 <= case.repetitions <= w.MAX_REPETITIONS:
            raise WireError(
                f"case {case.id}: {case.repetitions} repetitions, 1 to {w.MAX_REPETITIONS} are"
                " possible"
            )
        parts.append(w.FIELD.pack(Field.CASE_HEAD, 0, w.CASE_HEAD.size))
        parts.append(
            w.CASE_HEAD.pack(
                index,
                case.path,
                case.memory,
                case.expect,
                flags,
                case.repetitions,
                case.deadline_ms,
                case.loop_timeout_ns,
            )
        )
        if case.cache_token:
            if len(case.cache_token) != 32:
                raise WireError(f"case {case.id}: a cache token has 32 bytes")
            parts += (w.FIELD.pack(Field.TOKEN, 0, 32), case.cache_token)
        if case.quality != _PLAIN:
            asked = case.quality
            parts += (
                w.FIELD.pack(Field.QUALITY, 0, w.QUALITY.size),
                w.QUALITY.pack(
                    asked.preference,
                    asked.priority,
                    asked.compile_timeout_ns,
                    asked.execute_timeout_ns,
                ),
            )
        if case.extra != _NOTHING:
            parts += (w.FIELD.pack(Field.EXTRA, 0, w.EXTRA.size), _extra(case.extra))
        for graph in model.subgraphs:
            _put_graph(parts, graph)
        _put_graph(parts, model.main)
        main = model.main
        if case.sets:
            # A refusal case may name operands that are not there.
            operands = main.operands
            types = [operands[i].type if i < len(operands) else -1 for i in main.outputs]
            for execution in case.sets:
                _put_set(parts, execution, types)
        return _frame(FrameKind.CASE, parts)
    except (StructError, OverflowError, IndexError, TypeError, BufferError) as error:
        raise WireError(f"case {case.id} cannot be sent: {error}") from error


def _extra(extra: Extra) -> bytes:
    flags = (
        (w.EXTRA_ORPHAN if extra.orphan else 0)
        | (w.EXTRA_TOGETHER if extra.together else 0)
        | (w.EXTRA_DEVICES if extra.devices else 0)
        | (w.EXTRA_NO_TIMEOUT if extra.no_timeout else 0)
        | extra.folder
        | (w.EXTRA_CHAINED if extra.chained else 0)
        | (w.EXTRA_SHORT if extra.short else 0)
        | (w.EXTRA_ONE_BUFFER if extra.one_buffer else 0)
        | (w.EXTRA_COMPILED_TWICE if extra.compiled_twice else 0)
        | (w.EXTRA_READ_ONLY if extra.read_only else 0)
        | (w.EXTRA_CUT_CACHE if extra.cut_cache else 0)
        | (w.EXTRA_PACKED if extra.packed else 0)
        | (w.EXTRA_MORE_ROLES if extra.more_roles else 0)
        | (w.EXTRA_UNALIGNED if extra.unaligned else 0)
    )
    return w.EXTRA.pack(extra.executions, extra.lives, extra.padding, flags)


def _frame(kind: FrameKind, parts: list[Part]) -> bytes:
    payload = b"".join(parts)
    if len(payload) > w.MAX_FRAME:
        raise WireError(f"a frame of {len(payload)} bytes, at most {w.MAX_FRAME} are possible")
    summed = SUMMED.pack(w.VERSION, kind, len(payload))
    total = crc32(payload, crc32(summed))
    return b"".join((w.MAGIC, summed, total.to_bytes(4, "little"), payload))


def _words(values: Sequence[int]) -> bytes:
    count = len(values)
    if count < 33:
        return WORDS[count].pack(*values)
    return Struct(f"<{count}I").pack(*values)


def _field(parts: list[Part], tag: Field, own: list[Part], length: int) -> None:
    parts.append(w.FIELD.pack(tag, 0, length))
    parts.extend(own)


def _put_graph(parts: list[Part], graph: Graph) -> None:
    own: list[Part] = [
        w.GRAPH.pack(
            len(graph.operands), len(graph.operations), len(graph.inputs), len(graph.outputs)
        )
    ]
    pack = w.OPERAND.pack
    for operand in graph.operands:
        value = operand.value if operand.lifetime == Lifetime.CONSTANT else b""
        quant = operand.channel_quant
        dims = operand.dims
        own.append(
            pack(
                operand.type,
                operand.lifetime,
                quant is not None,
                len(dims),
                operand.scale,
                operand.zero_point,
                operand.subgraph,
                len(value),
            )
        )
        if dims:
            own.append(_words(dims))
        if quant is not None:
            own.append(PAIR.pack(quant.dim, len(quant.scales)))
            own.append(np.asarray(quant.scales, "<f4").tobytes())
        if value:
            own.append(value)
    for operation in graph.operations:
        ins, outs = operation.inputs, operation.outputs
        own.append(w.OPERATION.pack(operation.code, len(ins), len(outs)))
        own.append(_words(ins + outs))
    own.append(_words(graph.inputs))
    own.append(_words(graph.outputs))
    _field(parts, Field.GRAPH, own, sum(map(len, own)))


def _put_set(parts: list[Part], execution: Execution, types: Sequence[int]) -> None:
    inputs, output_dims = execution.inputs, execution.output_dims
    own: list[Part] = [w.SET.pack(execution.set_output_dims, len(inputs), len(output_dims))]
    length = w.SET.size
    pack = w.ARGUMENT.pack
    told = execution.input_bytes
    for i, array in enumerate(inputs):
        if array is None:
            own.append(pack(1, 0, 0, 0))
            length += 12
            continue
        if not array.flags.c_contiguous or array.dtype.byteorder == ">":
            raise TypeError("an input array is not C-contiguous and little-endian")
        shape, size = array.shape, array.nbytes
        other = told[i] if told is not None else None
        if other is not None:
            size = other
        own.append(pack(0, len(shape), 0, size))
        if shape:
            own.append(_words(shape))
        if other is not None:
            own.append(array.tobytes()[:size].ljust(size, b"\0"))
        elif size:
            own.append(array.data.cast("B") if size > 4096 else array.tobytes())
        length += 12 + 4 * len(shape) + size
    sizes = execution.output_bytes
    for i, dims in enumerate(output_dims):
        offered = sizes[i] if sizes is not None else None
        if offered is None:
            offered = _ITEMSIZE.get(int(types[i]) if i < len(types) else -1, 1) * math.prod(dims)
        own.append(pack(0, len(dims), 0, offered))
        if dims:
            own.append(_words(dims))
        length += 12 + 4 * len(dims)
    _field(parts, Field.SET, own, length)
