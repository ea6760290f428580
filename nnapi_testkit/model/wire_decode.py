"""Messages from the runner; see `nnapi_testkit.model.wire`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import TypeAlias
from zlib import crc32

from nnapi_testkit.model import wire_codes as w
from nnapi_testkit.model.case import (
    Ending,
    Held,
    OutputResult,
    Resources,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.wire_codes import Field, FrameKind, Trouble
from nnapi_testkit.model.wire_format import NONE64, SUMMED, WORDS, WireError


@dataclass(frozen=True, slots=True)
class Hello:
    """The runner has started: the format it speaks, its word and page size, its process id."""

    version: int
    bits: int
    page_size: int
    pid: int


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """An NNAPI device as it describes itself; -1 and "" for what it does not tell."""

    name: str
    type: int
    version: str
    feature_level: int


@dataclass(frozen=True, slots=True)
class Library:
    """The loaded library.

    Args:
        path: the file it came from.
        runtime_level: `ANeuralNetworks_getRuntimeFeatureLevel`, -1 below level 5.
        missing: NNAPI functions that it does not export.
        devices: what it lists; empty below feature level 3.
        hardware_buffers: an AHardwareBuffer could be had when one was tried, and the library takes
            them.
        no_hardware_buffers: why not; "" if so.
    """

    path: str
    runtime_level: int
    missing: tuple[str, ...]
    devices: tuple[DeviceEntry, ...]
    hardware_buffers: bool = False
    no_hardware_buffers: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """A batch is done: cases, worker processes since the start, and how many of them died."""

    batch_id: int
    count: int
    workers: int
    deaths: int


@dataclass(frozen=True, slots=True)
class Bye:
    """How the last worker left: its ending, status or signal, and what it printed last."""

    ending: Ending
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Nothing more will come, for this reason."""

    trouble: Trouble
    text: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Results follow that a runner kept for this batch when the line to it broke."""

    batch_id: int
    pid: int


Message: TypeAlias = Hello | Library | Result | End | Bye | Failure | Kept


class Decoder:
    """Turns bytes from a runner into messages, however they are cut into pieces."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a message whose rest has not come yet."""
        return len(self._pending)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that `data` completes. Raises WireError on anything else."""
        buffer = self._pending
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= w.FRAME.size:
                magic, version, kind, length, total = w.FRAME.unpack_from(buffer, at)
                if magic != w.MAGIC:
                    raise WireError("what the runner writes is not in the wire format")
                if version != w.VERSION:
                    raise WireError(
                        f"the runner speaks wire format version {version}, this kit {w.VERSION}:"
                        " use both from one release"
                    )
                if length > w.MAX_FRAME:
                    raise WireError(f"the runner announces a frame of {length} bytes")
                end = at + w.FRAME.size + length
                if len(buffer) < end:
                    break
                payload = bytes(memoryview(buffer)[at + w.FRAME.size : end])
                summed = SUMMED.pack(version, kind, length)
                if crc32(payload, crc32(summed)) != total:
                    raise WireError("a frame from the runner is damaged (wrong checksum)")
                at = end
                yield _decode(kind, payload)
        finally:
            del buffer[:at]


def decode_results(chunks: Iterable[bytes]) -> Iterator[Message]:
    """Yield the messages of a stream that comes in pieces; a cut-off end is a WireError."""
    decoder = Decoder()
    for chunk in chunks:
        yield from decoder.feed(chunk)
    if decoder.pending:
        raise WireError("the runner's answer ends in the middle of a frame")


def _decode(kind: int, payload: bytes) -> Message:
    try:
        if kind == FrameKind.RESULT:
            return _result(payload)
        if kind == FrameKind.HELLO:
            return Hello(*w.HELLO_HEAD.unpack(_only(payload, {Field.HELLO_HEAD})[0]))
        if kind == FrameKind.LIBRARY:
            return _library(payload)
        if kind == FrameKind.END:
            return End(*w.END_HEAD.unpack(_only(payload, {Field.END_HEAD})[0]))
        if kind == FrameKind.BYE:
            head, text = _only(payload, {Field.BYE_HEAD, Field.TEXT})
            ending, code = w.BYE_HEAD.unpack(head)
            return Bye(Ending(ending), code, text.decode("utf-8", "replace"))
        if kind == FrameKind.KEPT:
            return Kept(*w.KEPT_HEAD.unpack(_only(payload, {Field.KEPT_HEAD})[0]))
        if kind == FrameKind.ERROR:
            head, text = _only(payload, {Field.ERROR_HEAD, Field.TEXT})
            trouble = Trouble(w.ERROR_HEAD.unpack(head)[0])
            return Failure(trouble, text.decode("utf-8", "replace"))
    except (StructError, ValueError, OverflowError) as error:
        raise WireError(f"a frame from the runner makes no sense: {error}") from error
    raise WireError(f"the runner sends a frame of unknown kind {kind}")


def _fields(payload: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(payload)
    while at < end:
        tag, zero, length = w.FIELD.unpack_from(payload, at)
        at += w.FIELD.size
        if zero or length > end - at:
            raise ValueError(f"field {tag} does not fit")
        yield tag, payload[at : at + length]
        at += length


def _only(payload: bytes, tags: set[Field]) -> list[bytes]:
    """Return the fields `tags` in the order of their numbers, heads (40 and more) first."""
    found: dict[int, bytes] = {}
    for tag, data in _fields(payload):
        if tag not in tags or tag in found:
            raise ValueError(f"unknown or repeated field {tag}")
        found[tag] = data
    if len(found) != len(tags):
        raise ValueError("a field is missing")
    return [found[tag] for tag in sorted(found, key=lambda tag: (tag == Field.TEXT, tag))]


def _result(payload: bytes) -> Result:
    head: tuple[int, ...] | None = None
    device = function = text = ""
    peak = 0
    support: tuple[bool, ...] | None = None
    executions: list[SetResult] = []
    resources: list[Resources] = []
    first: tuple[OutputResult, ...] = ()
    for tag, data in _fields(payload):
        if tag == Field.EXECUTION:
            execution, is_first = _execution(data, first)
            if is_first:
                first = execution.outputs
            executions.append(execution)
        elif tag == Field.RESULT_HEAD and head is None:
            head = w.RESULT_HEAD.unpack(data)
        elif tag == Field.DEVICE:
            device = data.decode("utf-8", "replace")
        elif tag == Field.FUNCTION:
            function = data.decode("utf-8", "replace")
        elif tag == Field.TEXT:
            text += data.decode("utf-8", "replace")
        elif tag == Field.SUPPORT and support is None:
            support = tuple(byte != 0 for byte in data)
        elif tag == Field.RESOURCES:
            resources.append(_resources(data))
        elif tag == Field.PEAK and not peak:
            (peak,) = w.PEAK.unpack(data)
        else:
            raise ValueError(f"unknown or repeated field {tag} in a result")
    if head is None:
        raise ValueError("a result without its head")
    index, ending, stage, _, code, _, nanoseconds = head
    return Result(
        index=index,
        ending=Ending(ending),
        stage=Stage(stage),
        code=code,
        device=device,
        function=function,
        executions=tuple(executions),
        nanoseconds=nanoseconds,
        text=text,
        support=support or (),
        peak_kib=peak,
        resources=tuple(resources),
    )


def _resources(data: bytes) -> Resources:
    lives, rounds, *held = w.RESOURCES.unpack(data)
    return Resources(bool(lives), rounds, Held(*held[:4]), Held(*held[4:]))


def _execution(data: bytes, first: tuple[OutputResult, ...]) -> tuple[SetResult, bool]:
    code, count, ns, hardware, driver, modified, flags = w.EXECUTION.unpack_from(data)
    at = w.EXECUTION.size
    if count * w.OUTPUT.size > len(data) - at:
        raise ValueError("more outputs than bytes")
    outputs = []
    for i in range(count):
        rank, dims_code, unwritten, overrun, size = w.OUTPUT.unpack_from(data, at)
        at += w.OUTPUT.size
        dims: tuple[int, ...] | None = None
        if rank >= 0:
            if rank > 64:
                raise ValueError(f"an output of rank {rank}")
            dims = (
                Struct(f"<{rank}I").unpack_from(data, at)
                if rank > 32
                else (WORDS[rank].unpack_from(data, at))
            )
            at += 4 * rank
        if size == NONE64:
            if i >= len(first):
                raise ValueError("a repetition before the first execution")
            value = first[i].data
        else:
            if size > len(data) - at:
                raise ValueError("an output that does not fit")
            value = data[at : at + size]
            at += size
        outputs.append(OutputResult(dims, value, unwritten, overrun, dims_code))
    if at != len(data):
        raise ValueError("bytes after the last output")
    return (
        SetResult(
            code=code,
            outputs=tuple(outputs),
            nanoseconds=ns,
            hardware_ns=-1 if hardware == NONE64 else hardware,
            driver_ns=-1 if driver == NONE64 else driver,
            untimed=bool(flags & w.EXECUTION_UNTIMED),
            modified_inputs=modified,
        ),
        bool(flags & w.EXECUTION_FIRST),
    )


def _library(payload: bytes) -> Library:
    path, level, lack = "", -1, "the runner does not say"
    missing: list[str] = []
    devices: list[DeviceEntry] = []
    for tag, data in _fields(payload):
        if tag == Field.LIBRARY_HEAD:
            (level,) = w.LIBRARY_HEAD.unpack(data)
        elif tag == Field.LIBRARY_PATH:
            path = data.decode("utf-8", "replace")
        elif tag == Field.MISSING:
            missing.append(data.decode("utf-8", "replace"))
        elif tag == Field.DEVICE_INFO:
            kind, feature_level, name_length, version_length = w.DEVICE_INFO.unpack_from(data)
            strings = data[w.DEVICE_INFO.size :]
            if len(strings) != name_length + version_length:
                raise ValueError("a device that does not fit")
            devices.append(
                DeviceEntry(
                    name=strings[:name_length].decode("utf-8", "replace"),
                    type=kind,
                    version=strings[name_length:].decode("utf-8", "replace"),
                    feature_level=feature_level,
                )
            )
        elif tag == Field.HARDWARE_BUFFERS:
            lack = data.decode("utf-8", "replace")
        else:
            raise ValueError(f"unknown field {tag} about the library")
    return Library(path, level, tuple(missing), tuple(devices), not lack, lack)
