"""The leaf types of a run: `Case` goes to a driver, `Result` comes back, `Answer` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.model.kinds import Source
from nnapi_testkit.model.quick import quick
from nnapi_testkit.model.types import Model
from nnapi_testkit.model.wire_codes import EXTRA_FOLDER_MISSING, EXTRA_FOLDER_SEALED
from nnapi_testkit.model.wire_codes import Ending as Ending
from nnapi_testkit.model.wire_codes import ExecutionPath as ExecutionPath
from nnapi_testkit.model.wire_codes import MemoryKind as MemoryKind
from nnapi_testkit.model.wire_codes import Stage as Stage
from nnapi_testkit.spec.kinds import OutputKind


@quick
@dataclass(frozen=True, slots=True)
class Execution:
    """One input set of a case.

    Args:
        inputs: one array for each model input, in order, C-contiguous, in the operand's
            element type; its shape completes unknown dimensions. `None` omits the input.
        output_dims: dimensions each output is expected to have (sizes its buffer).
        output_bytes: buffer length offered for each output; `None` means what
            `output_dims` needs.
        input_bytes: buffer length told for each input, for refusals: bytes are left out, or
            zeros added; `None` means the array's own.
        set_output_dims: tell the execution those dimensions, for models whose outputs
            leave them unknown; by default the driver has to find them.
    """

    inputs: tuple[NDArray[np.generic] | None, ...]
    output_dims: tuple[tuple[int, ...], ...]
    output_bytes: tuple[int | None, ...] | None = None
    set_output_dims: bool = False
    input_bytes: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What is asked of a driver's service, before a compilation is finished or an execution starts.

    Args:
        preference: one of `PreferenceCode`; -1 asks for none.
        priority: one of `PriorityCode`; -1 asks for none.
        compile_timeout_ns, execute_timeout_ns: 0 asks for none.
    """

    preference: int = -1
    priority: int = -1
    compile_timeout_ns: int = 0
    execute_timeout_ns: int = 0


class Folder(IntEnum):
    """Where compilation caches are put: in the runner's folder, or where there can be none."""

    OWN = 0
    MISSING = EXTRA_FOLDER_MISSING
    SEALED = EXTRA_FOLDER_SEALED  # nobody may write to it


@dataclass(frozen=True, slots=True)
class Extra:
    """What few cases ask for.

    Args:
        executions: how often all sets are executed once more, while what the process holds is
            counted (`Result.resources`). lives: the same of model, compilation and executions.
        padding: so many paddings more than the preferred one, of `Case.padding`.
        orphan: the model is freed as soon as it is compiled.
        together: the executions of all sets are alive at once. By COMPUTE and BURST they compute
            in threads; by START_WAIT all are started, then awaited from the last; by FENCED each
            waits for the one before, which has not ended.
        devices: compiled for all devices of the runtime, the chosen one first.
        folder: of caches, where `Case.cache_token` asks for them.
        no_timeout: timeouts of 0 are set, which are none, where `Quality` asks for no other.
        chained: of executions that are alive at once by FENCED, in shared memory, the first input
            of each is the first output of the one before. What outputs hold when the fence has
            signalled is what is judged.
        short: before each set an execution whose first output gets half of its bytes; it has to
            fail with OUTPUT_INSUFFICIENT_SIZE, tell the dimensions and touch nothing behind.
        one_buffer: inputs of equal bytes are one buffer.
        compiled_twice: the model is compiled twice; the second compilation is executed.
        read_only: constants in shared memory are in a file that is open for reading alone.
        cut_cache: compiled with `Case.cache_token`, then again after the files of the cache, in a
            folder of the case's own, have been cut to half.
        packed: buffers and constants in shared memory are aligned to 4 bytes alone.
        more_roles: device memory is made for all arguments of one type and shape.
        unaligned: arguments and constants begin one byte after an aligned address or offset; not
            in memory of the device, which has no addresses.
    """

    executions: int = 0
    lives: int = 0
    padding: int = 0
    orphan: bool = False
    together: bool = False
    devices: bool = False
    folder: Folder = Folder.OWN
    no_timeout: bool = False
    chained: bool = False
    short: bool = False
    one_buffer: bool = False
    compiled_twice: bool = False
    read_only: bool = False
    cut_cache: bool = False
    packed: bool = False
    more_roles: bool = False
    unaligned: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Case:
    """A model with its input sets: one compilation serves them all.

    Args:
        id: `OPERATION[type-variation-...]`, unique in a run.
        path, memory: how each set is executed.
        repetitions: executions of each set; all results are returned and must agree.
        deadline_ms: what one case may take before the worker is killed.
        expect: `Stage.DONE`, or the last stage at which an invalid model may be refused.
        cache_token: 32 bytes turn compilation caching on.
        quality: what is asked of the driver's service.
        extra: what few cases ask for.
    """

    id: str
    model: Model
    sets: tuple[Execution, ...]
    path: ExecutionPath = ExecutionPath.COMPUTE
    memory: MemoryKind = MemoryKind.POINTER
    repetitions: int = 1
    deadline_ms: int = 10_000
    expect: Stage = Stage.DONE
    cache_token: bytes = b""
    padding: bool = False
    loop_timeout_ns: int = 0
    measure: bool = False
    quality: Quality = Quality()
    extra: Extra = Extra()


@quick
@dataclass(frozen=True, slots=True)
class OutputResult:
    """What a driver left in one output.

    Args:
        dims: dimensions the driver reports; `None` if it reports none.
        data: the buffer's bytes as the driver left them (full offered length); empty where the
            execution failed.
        unwritten: bytes, among those that the reported dimensions need, that both fills of the
            sentinel show untouched; -1 if not known.
        overrun: guard bytes around the buffer that the driver overwrote.
        dims_code: result code of asking for rank and dimensions.
    """

    dims: tuple[int, ...] | None
    data: bytes
    unwritten: int = -1
    overrun: int = 0
    dims_code: int = 0


@quick
@dataclass(frozen=True, slots=True)
class SetResult:
    """One execution of one input set.

    Args:
        code: NNAPI result code, 0 for success.
        outputs: one for each model output; empty if the execution could not be started.
        nanoseconds: how long the execution took, as the runner saw it.
        hardware_ns, driver_ns: `DURATION_ON_HARDWARE` and `DURATION_IN_DRIVER` of
            `Case.measure`; -1 where there is none.
        untimed: asking for one of these failed.
        modified_inputs: inputs whose bytes changed, which no driver may do.
    """

    code: int
    outputs: tuple[OutputResult, ...]
    nanoseconds: int = 0
    hardware_ns: int = -1
    driver_ns: int = -1
    modified_inputs: int = 0
    untimed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at one time; 0 where the system does not tell."""

    descriptors: int
    threads: int
    mappings: int
    resident_kib: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What the worker held before and after `rounds` executions, or lives, of `Case.extra`."""

    lives: bool
    rounds: int
    before: Held
    after: Held


@quick
@dataclass(frozen=True, slots=True)
class Result:
    """What the runner reports for one case.

    Args:
        index: position of the case in its batch.
        ending, stage, code: how it ended, where, with which NNAPI result code, signal or
            exit status.
        device: name of the device that ran it; empty if it cannot be attributed.
        executions: sets × repetitions, in that order; fewer where a set could not go on.
        function: the NNAPI function that returned the error, for STOPPED; that was in flight,
            for a worker that died; that the library lacks, for UNSUPPORTED (then `code` is 0,
            otherwise it is the operation that is not claimed).
        nanoseconds: the whole case, building and freeing included.
        text: what the driver printed last, for a worker that died; the reason of BAD_CASE.
        service: the process behind the driver that crashed meanwhile, with its signal; empty if
            none is known to.
        support: for UNSUPPORTED, whether the device claims each operation of the main graph;
            empty if it was not asked or claims them all.
        peak_kib: the most resident memory that the worker ever had, of `Case.measure`; 0 if the
            system does not tell.
        resources: what was held while `Case.extra` repeated executions or lives.
    """

    index: int
    ending: Ending
    stage: Stage
    code: int = 0
    device: str = ""
    function: str = ""
    executions: tuple[SetResult, ...] = ()
    nanoseconds: int = 0
    text: str = ""
    service: str = ""
    support: tuple[bool, ...] = ()
    peak_kib: int = 0
    resources: tuple[Resources, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Expected:
    """The expected result of one output.

    Args:
        value: float64 real values before any rounding (for exact outputs, the values).
        bound: float64, same shape: how far a legal result may be from `value` before it is
            rounded to the output's type. 0 means exactly this value.
        exempt: elements the documentation leaves open, or `None` for none of them.
        kind: how its elements are judged.
        distribution: for draws, the probability of each class and how far a driver's may be from
            it, [2, ..., classes], where the output is [..., draws]; `value` and `bound` are 0.
    """

    value: NDArray[np.float64]
    bound: NDArray[np.float64]
    exempt: NDArray[np.bool_] | None = None
    kind: OutputKind = OutputKind.EACH
    distribution: NDArray[np.float64] | None = None


@quick
@dataclass(frozen=True, slots=True)
class Answer:
    """The expected result of a case: one tuple of `Expected` for each input set.

    Args:
        readings: of a contested case, the word of each reading by its name, None where who
            reads so refuses the model; `sets` is then the word of the last one that computes.
    """

    sets: tuple[tuple[Expected, ...], ...]
    source: Source = Source.LIVE
    notes: Sequence[str] = field(default=())
    readings: tuple[tuple[str, tuple[tuple[Expected, ...], ...] | None], ...] = ()
