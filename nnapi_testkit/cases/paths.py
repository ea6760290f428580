"""Path configurations: one small case of each cell run again by every execution path.

Each cell gets five cases. Together they take every path (compute, start and wait, burst, fenced,
reusable twice), every kind of memory (pointers, shared, device), compilation with a cold and with
a warm cache, padding, dimensions given only at execution, timing, and repetition. How these
meet differs from cell to cell, so that over the suite every two of them meet. A sixth case has
its inputs, outputs and constants in AHardwareBuffer blobs, where the target has such buffers. A
seventh has them at odd addresses, or at odd offsets of shared memory: "a driver may choose to
allocate a separate buffer and do memory copying" for those, but has to compute the same. The answer
is the base case's, and outputs are also compared with each other (`judge.agreement`).

A fenced execution whose output dimensions nobody told is an error by the documentation: a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from nnapi_testkit.cases.draw import bits, key_of
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.cases.refusals.constraints import MOST_EACH
from nnapi_testkit.model.case import Case, Execution, ExecutionPath, MemoryKind, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Lifetime, Model
from nnapi_testkit.op.declare import Cell, Op
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_tensor

PATHS = tuple(ExecutionPath)
ROWS = len(PATHS)  # cases of a cell: each takes another path
MEMORIES = (MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DEVICE)
PATH_WORD = {
    ExecutionPath.COMPUTE: "compute",
    ExecutionPath.START_WAIT: "start-wait",
    ExecutionPath.BURST: "burst",
    ExecutionPath.FENCED: "fenced",
    ExecutionPath.REUSABLE: "reusable",
}
MEMORY_WORD = {
    MemoryKind.POINTER: "pointers",
    MemoryKind.SHARED: "shared",
    MemoryKind.DEVICE: "device",
    MemoryKind.AHARDWARE_BUFFER: "hardware-buffers",
    MemoryKind.DYNAMIC: "dynamic-device",
}
# What a target has to tell of itself.
MEMORY_NEEDS = {MemoryKind.AHARDWARE_BUFFER: "hardware_buffers"}
# The feature levels that brought the functions each configuration needs.
PATH_LEVEL = {
    ExecutionPath.COMPUTE: 3,
    ExecutionPath.BURST: 3,
    ExecutionPath.FENCED: 4,
    ExecutionPath.REUSABLE: 5,
}
MEMORY_LEVEL = {
    MemoryKind.DEVICE: 4,
    MemoryKind.DYNAMIC: 4,
    MemoryKind.AHARDWARE_BUFFER: 3,
}
CACHE_LEVEL, PADDING_LEVEL, TIMING_LEVEL, UNKNOWN_LEVEL = 3, 5, 3, 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PathConfiguration:
    """How one case enters the driver.

    Args:
        cache: `cold` for the first compilation with a token, `warm` for a later one.
        unknown: the model leaves the dimensions of inputs and outputs open.
        told: the execution is told the output dimensions that the model leaves open.
        rows: what is told of outputs whose dimension 0 follows from the data.
        unaligned: arguments and constants begin at odd addresses or offsets.
    """

    path: ExecutionPath
    memory: MemoryKind
    cache: str = ""
    padding: bool = False
    unknown: bool = False
    told: bool = False
    timing: bool = False
    twice: bool = False
    rows: int | None = None
    unaligned: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What the case id calls it."""
        flags = (
            (self.cache, self.cache),
            (self.padding, "padding"),
            (self.unknown and not self.told, "unknown-dims"),
            (self.told, "told-dims"),
            (self.timing, "timing"),
            (self.twice, "twice"),
            (self.unaligned, "unaligned"),
        )
        return (
            PATH_WORD[self.path],
            MEMORY_WORD[self.memory],
            *(str(word) for flag, word in flags if flag),
        )

    @property
    def level(self) -> int:
        """The feature level it needs."""
        return max(
            PATH_LEVEL.get(self.path, 1),
            MEMORY_LEVEL.get(self.memory, 1),
            CACHE_LEVEL if self.cache else 1,
            PADDING_LEVEL if self.padding else 1,
            TIMING_LEVEL if self.timing else 1,
            UNKNOWN_LEVEL if self.unknown else 1,
        )


def path_configurations(cell: str) -> list[PathConfiguration]:
    """The seven configurations of a cell, `OPERATION cell`.

    The last two: by hardware buffers, and unaligned.
    """
    paths = _shuffled(cell, "path", PATHS)
    memories = _shuffled(cell, "memory", MEMORIES)
    cached = _shuffled(cell, "cache", (True, False))
    padding = _shuffled(cell, "padding", (True, False))
    unknown = _shuffled(cell, "unknown", (True, False))
    told = _shuffled(cell, "told", (True, False))
    timing = _shuffled(cell, "timing", (True, False))
    twice = _shuffled(cell, "twice", (True, False))
    found = []
    seen = False
    for row in range(ROWS):
        # A fence can only be waited for when all output dimensions are known beforehand.
        known = told[row] or paths[row] == ExecutionPath.FENCED
        cache = "" if not cached[row] else "warm" if seen else "cold"
        seen = seen or cached[row]
        found.append(
            PathConfiguration(
                paths[row],
                memories[row],
                cache,
                padding[row],
                unknown[row],
                unknown[row] and known,
                timing[row],
                twice[row] or paths[row] == ExecutionPath.REUSABLE,
            )
        )
    found.append(_by_hardware_buffers(cell))
    found.append(_unaligned(cell))
    return found


def _by_hardware_buffers(cell: str) -> PathConfiguration:
    words = bits(key_of("path", cell, "hardware"), 7).tolist()
    path = PATHS[words[0] % len(PATHS)]
    cached, padding, unknown, told, timing, twice = (bool(word >> 7 & 1) for word in words[1:])
    return PathConfiguration(
        path,
        MemoryKind.AHARDWARE_BUFFER,
        "warm" if cached else "",  # other configurations of the cell have compiled it before
        padding,
        unknown,
        unknown and (told or path == ExecutionPath.FENCED),
        timing,
        twice or path == ExecutionPath.REUSABLE,
    )


def _unaligned(cell: str) -> PathConfiguration:
    path, memory = bits(key_of("path", cell, "unaligned"), 2).tolist()
    return PathConfiguration(
        PATHS[path % len(PATHS)],
        MemoryKind.SHARED if memory >> 7 & 1 else MemoryKind.POINTER,
        twice=PATHS[path % len(PATHS)] == ExecutionPath.REUSABLE,
        unaligned=True,
    )


def _shuffled(cell: str, factor: str, levels: Sequence[T]) -> list[T]:
    """Each level at least once in five, twice if there are two, in an order of this cell's."""
    words = bits(key_of("path", cell, factor), ROWS).tolist()
    spread = [levels[row % len(levels)] for row in range(ROWS)]
    return [level for _, level in sorted(zip(words, spread, strict=True), key=lambda p: p[0])]


def path_refs(op: Op, cell: Cell, base: CaseRef) -> Iterator[CaseRef]:
    """The base case, a whole one of its cell, by every configuration."""
    counted = any(output.counted for output in op.outputs)
    sample = next((s for s in op.samples_for(cell) if s.name == base.sample), None)
    rows = sample.rows if sample is not None else None
    for configuration in path_configurations(f"{base.operation} {base.cell}"):
        if counted:
            configuration = _counted(configuration, rows)
        case_id = _named(base, f"path-{'-'.join(configuration.words)}")
        yield CaseRef(
            case_id,
            base.operation,
            base.cell,
            max(base.level, configuration.level),
            Kind.PATH,
            partial(_make, base, configuration, case_id),
            base.id,
            needs=MEMORY_NEEDS.get(configuration.memory, ""),
            contest=base.contest,
        )
    if not any(is_tensor(cell.type_of(out.name, out.type)) for out in op.outputs):
        return
    if op.cells.index(cell) >= MOST_EACH:
        return
    case_id = _named(base, "refused-fenced-dims")
    yield CaseRef(
        case_id,
        base.operation,
        base.cell,
        max(base.level, PATH_LEVEL[ExecutionPath.FENCED]),
        Kind.REFUSAL,
        partial(_untold, base, case_id),
        broken=Broken(Constraint("fenced-dims"), base.id),
    )


def _named(base: CaseRef, words: str) -> str:
    return f"{base.operation}[{base.cell}-{words}-{base.sample}]"


def _counted(configuration: PathConfiguration, rows: int | None) -> PathConfiguration:
    """The configuration of an operation whose rows are counted by the data.

    A fence needs all dimensions beforehand, which the sample may tell. Memory of a device is made
    without them: which devices need not be able to.
    """
    if configuration.path == ExecutionPath.FENCED and rows is not None:
        return replace(configuration, told=True, rows=rows)
    path = (
        ExecutionPath.START_WAIT
        if configuration.path == ExecutionPath.FENCED
        else configuration.path
    )
    memory = (
        MemoryKind.DYNAMIC if configuration.memory == MemoryKind.DEVICE else configuration.memory
    )
    return replace(configuration, path=path, memory=memory, told=False)


_built: list[tuple[CaseRef, Case]] = []


def _case_of(base: CaseRef) -> Case:
    """The case that paths start from, built once for those that follow one another."""
    if not _built or _built[0][0] is not base:
        _built[:] = [(base, base.make())]
    return _built[0][1]


def _make(base: CaseRef, configuration: PathConfiguration, case_id: str) -> Case:
    case = _case_of(base)
    # Control flow keeps its dimensions: its cases with unknown ones are samples of their own.
    unknown = configuration.unknown and not case.model.subgraphs
    told = configuration.told and (unknown or configuration.rows is not None)
    return replace(
        case,
        id=case_id,
        model=opened(case.model) if unknown else case.model,
        sets=tuple(_told(case.model, s, configuration.rows) if told else s for s in case.sets),
        path=configuration.path,
        memory=configuration.memory,
        repetitions=2 if configuration.twice else 1,
        cache_token=blake2b(base.id.encode(), digest_size=32).digest()
        if configuration.cache
        else b"",
        padding=configuration.padding,
        measure=configuration.timing,
        extra=replace(case.extra, unaligned=configuration.unaligned),
    )


def _told(model: Model, execution: Execution, rows: int | None) -> Execution:
    """The execution with the dimensions of all outputs; `rows` in the place of unknown ones."""
    dims = execution.output_dims
    if rows is not None:
        operands = [model.main.operands[index] for index in model.main.outputs]
        dims = tuple(
            (rows, *shape[1:]) if operand.dims and operand.dims[0] == 0 else shape
            for operand, shape in zip(operands, dims, strict=True)
        )
    return replace(execution, output_dims=dims, set_output_dims=True)


def _untold(base: CaseRef, case_id: str) -> Case:
    """A fenced execution without the dimensions of the outputs."""
    case = base.make()
    return replace(
        case,
        id=case_id,
        model=opened(case.model, inputs=False),
        sets=tuple(replace(s, set_output_dims=False) for s in case.sets[:1]),
        path=ExecutionPath.FENCED,
        expect=Stage.EXECUTION,
    )


def opened(model: Model, *, inputs: bool = True) -> Model:
    """The model without the dimensions of its inputs and outputs; ranks stay."""
    operands = list(model.main.operands)
    for index in (*(model.main.inputs if inputs else ()), *model.main.outputs):
        operand = operands[index]
        code = OperandCode(operand.type)
        if is_tensor(code) and code != OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL:
            operands[index] = replace(operand, dims=(0,) * len(operand.dims))
    assert all(operands[i].lifetime == Lifetime.INPUT for i in model.main.inputs)
    return replace(model, main=replace(model.main, operands=tuple(operands)))
