"""Writes the fuzzer's seeds: small batches that together use every part of the wire format.

python emulator/runner/fuzz/make_corpus.py FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnapi_testkit.model.case import Case, Execution, MemoryKind
from nnapi_testkit.model.case import ExecutionPath as ExecutionPath
from nnapi_testkit.model.types import ChannelQuant, Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.spec.codes import OperandCode, OperationCode

FLOAT = OperandCode.TENSOR_FLOAT32
NO_ACTIVATION = Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4))


def add(dims: tuple[int, ...] = (2, 3)) -> Graph:
    """Return an ADD of two inputs."""
    return Graph(
        (
            Operand(FLOAT, dims, lifetime=Lifetime.INPUT),
            Operand(FLOAT, dims, lifetime=Lifetime.INPUT),
            NO_ACTIVATION,
            Operand(FLOAT, dims, lifetime=Lifetime.OUTPUT),
        ),
        (Operation(OperationCode.ADD, (0, 1, 2), (3,)),),
        (0, 1),
        (3,),
    )


def cases() -> dict[str, list[Case]]:
    """Return the batches by name."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    once = Execution((x, x), ((2, 3),))
    base = Case("base", Model(add()), (once,))
    found = {"empty": [], "three": [base, replace(base, sets=(once, once)), replace(base, sets=())]}
    for path in ExecutionPath:
        found[f"path_{path.name.lower()}"] = [replace(base, path=path, repetitions=2)]
    for memory in MemoryKind:
        found[f"memory_{memory.name.lower()}"] = [replace(base, memory=memory)]
    found["token"] = [replace(base, cache_token=bytes(range(32)))]
    found["padding"] = [replace(base, padding=True)]
    found["padding_shared"] = [replace(base, padding=True, memory=MemoryKind.SHARED)]
    found["measure"] = [replace(base, measure=True, loop_timeout_ns=10**9)]
    found["relaxed"] = [replace(base, model=replace(base.model, relaxed=True))]
    unknown = replace(base, model=Model(add((0, 3))))
    found["unknown_dims"] = [unknown]
    found["unknown_rank"] = [replace(base, model=Model(add(())))]
    found["told_dims"] = [replace(unknown, sets=(replace(once, set_output_dims=True),))]
    found["small_output"] = [replace(unknown, sets=(replace(once, output_bytes=(8,)),))]
    found["no_output"] = [replace(unknown, sets=(replace(once, output_bytes=(0,)),))]
    found["omitted_input"] = [replace(base, sets=(Execution((None, x), ((2, 3),)),))]
    empty = np.zeros((0, 3), np.float32)
    found["zero_size"] = [replace(unknown, sets=(Execution((empty, empty), ((0, 3),)),))]
    found["constants"] = [constants(MemoryKind.POINTER), constants(MemoryKind.SHARED)]
    found["subgraphs"] = [branches()]
    return found


def constants(memory: MemoryKind) -> Case:
    """Return a case with small, large, omitted and per-channel constants."""
    graph = Graph(
        (
            Operand(OperandCode.TENSOR_QUANT8_ASYMM, (2, 3), 0.5, 128, Lifetime.INPUT),
            Operand(
                OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL,
                (2, 70),
                lifetime=Lifetime.CONSTANT,
                value=bytes(140),
                channel_quant=ChannelQuant(0, (0.5, 0.25)),
            ),
            Operand(OperandCode.TENSOR_INT32, (2,), lifetime=Lifetime.CONSTANT, value=bytes(8)),
            Operand(FLOAT, (), lifetime=Lifetime.OMITTED),
            Operand(OperandCode.TENSOR_QUANT8_ASYMM, (2, 2), 1.0, 0, Lifetime.TEMPORARY),
            Operand(OperandCode.TENSOR_QUANT8_ASYMM, (2, 2), 1.0, 0, Lifetime.OUTPUT),
        ),
        (Operation(9, (0, 1, 2, 3), (4,)), Operation(19, (4,), (5,))),
        (0,),
        (5,),
    )
    data = np.arange(6, dtype=np.uint8).reshape(2, 3)
    return Case("constants", Model(graph), (Execution((data,), ((2, 2),)),), memory=memory)


def branches() -> Case:
    """Return an IF with two referenced models."""
    main = Graph(
        (
            Operand(OperandCode.TENSOR_BOOL8, (1,), lifetime=Lifetime.INPUT),
            Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=0),
            Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=1),
            Operand(FLOAT, (2, 3), lifetime=Lifetime.INPUT),
            Operand(FLOAT, (2, 3), lifetime=Lifetime.OUTPUT),
        ),
        (Operation(OperationCode.IF, (0, 1, 2, 3), (4,)),),
        (0, 3),
        (4,),
    )
    x = np.ones((2, 3), np.float32)
    inputs = (np.ones(1, np.uint8), x)
    return Case("if", Model(main, (add(), add())), (Execution(inputs, ((2, 3),)),))


def main() -> None:
    """Write one file for each batch."""
    folder = Path(sys.argv[1])
    for name, batch in cases().items():
        (folder / f"{name}.bin").write_bytes(encode_batch(batch, device="d" if batch else ""))


if __name__ == "__main__":
    main()
