"""The leaf types of a run: `Case` goes to a driver, `Result` comes back, `Answer` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.model.types import Model


class Path(IntEnum):
    """How an execution is started."""

    COMPUTE = 0
    START_WAIT = 1
    BURST = 2
    FENCED = 3
    REUSABLE = 4


class MemoryKind(IntEnum):
    """Where inputs and outputs of an execution live.

    DYNAMIC is DEVICE, with memory for the outputs that has the dimensions left open by the model.
    """

    POINTER = 0
    SHARED = 1
    DEVICE = 2
    AHARDWARE_BUFFER = 3
    DYNAMIC = 4


class Stage(IntEnum):
    """The step of a case: where it stopped, or where it is expected to stop."""

    LOAD = 0
    DEVICE = 1
    MODEL = 2
    SUPPORT = 3
    COMPILATION = 4
    EXECUTION = 5
    DONE = 6


class Ending(IntEnum):
    """How the runner saw a case end."""

    COMPLETED = 0  # reached Stage.DONE
    STOPPED = 1  # an NNAPI call returned an error at `Result.stage`
    UNSUPPORTED = 2  # the device does not claim an operation of the model
    CRASHED = 3  # the worker died by a signal (`Result.code`)
    TIMED_OUT = 4  # the worker was killed at the deadline
    OUT_OF_MEMORY = 5  # the worker grew past its memory limit
    EXITED = 6  # the worker left by itself with status `Result.code`
    BAD_CASE = 7  # the runner could not read the case


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
class Case:
    """A model with its input sets: one compilation serves them all.

    Args:
        id: `OPERATION[type-variation-...]`, unique in a run.
        path, memory: how each set is executed.
        repetitions: executions of each set; all results are returned and must agree.
        deadline_ms: what one case may take before the worker is killed.
        expect: `Stage.DONE`, or the last stage at which an invalid model may be refused.
        cache_token: 32 bytes turn compilation caching on.
    """

    id: str
    model: Model
    sets: tuple[Execution, ...]
    path: Path = Path.COMPUTE
    memory: MemoryKind = MemoryKind.POINTER
    repetitions: int = 1
    deadline_ms: int = 10_000
    expect: Stage = Stage.DONE
    cache_token: bytes = b""
    padding: bool = False
    loop_timeout_ns: int = 0
    measure: bool = False


@dataclass(frozen=True, slots=True)
class Output:
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


@dataclass(frozen=True, slots=True)
class SetResult:
    """One execution of one input set.

    Args:
        code: NNAPI result code, 0 for success.
        outputs: one for each model output; empty if the execution could not be started.
        nanoseconds: how long the execution took, as the runner saw it.
        hardware_ns, driver_ns: `DURATION_ON_HARDWARE` and `DURATION_IN_DRIVER` of
            `Case.measure`; -1 where there is none.
        modified_inputs: inputs whose bytes changed, which no driver may do.
    """

    code: int
    outputs: tuple[Output, ...]
    nanoseconds: int = 0
    hardware_ns: int = -1
    driver_ns: int = -1
    modified_inputs: int = 0


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


@dataclass(frozen=True, slots=True)
class Expected:
    """The oracle's word on one output.

    Args:
        value: float64 real values before any rounding (for exact outputs, the values).
        bound: float64, same shape: how far a legal result may be from `value` before it is
            rounded to the output's type. 0 means exactly this value.
        exempt: elements the documentation leaves open, or `None` for none of them.
        kind: "" for elements judged each by itself; "rows", "groups", "truth" and "draws" as
            `Output` in the operation's declaration says.
        law: for "draws", the probability of each class and how far a driver's may be from it,
            [2, ..., classes], where the output is [..., draws]; `value` and `bound` are 0.
    """

    value: NDArray[np.float64]
    bound: NDArray[np.float64]
    exempt: NDArray[np.bool_] | None = None
    kind: str = ""
    law: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The oracle's word on a case: one tuple of `Expected` for each input set."""

    sets: tuple[tuple[Expected, ...], ...]
    source: str = "live"
    notes: Sequence[str] = field(default=())
