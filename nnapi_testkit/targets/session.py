"""A conversation with a runner: batches in, results out, one thread."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from nnapi_testkit.closing import Closing
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.model.wire import (
    Bye,
    Decoder,
    DeviceEntry,
    End,
    Failure,
    Hello,
    Kept,
    Library,
    Message,
    Trouble,
    WireError,
    encode_case,
    encode_head,
)
from nnapi_testkit.spec.codes import DeviceTypeCode
from nnapi_testkit.targets.base import InfraError, RunnerKilled, TargetError
from nnapi_testkit.targets.channel import Channel, PipeChannel

__all__ = ["GRACE_SECONDS", "LOAD_SECONDS", "RunnerSession", "library_facts"]

LOAD_SECONDS = 60.0  # what the runner itself allows a driver to load
END_SECONDS = 5.0  # between the end of a runner's output and its own
MOST_LOSSES = 3  # of a runner in one batch, while there is progress
MOST_KILLS = 3  # of a runner over one case, after which it is the case that kills it
MOST_WORDS = 300  # of what a driver's process printed last
MOST_SINGLE = 100  # cases that are sent one by one after a kill
GRACE_SECONDS = 20.0  # how much later than the runner's own deadlines its silence is an error
DEVICE_TYPES = {int(code): code.name.removeprefix("DEVICE_").lower() for code in DeviceTypeCode}


class RunnerSession(Closing):
    """Keeps one runner and its worker alive across batches.

    Args:
        start: gives the command line for a folder that may hold compilation caches.
        name: the target's name, for messages.
        isolate, memory_limit_mb: see `Target.open`.
        grace: seconds of silence allowed beyond the deadlines that the runner keeps itself.
        load_seconds: the runner's deadline for loading the driver.
    """

    def __init__(
        self,
        start: Callable[[str], Sequence[str]],
        name: str,
        *,
        isolate: bool = False,
        memory_limit_mb: int = 0,
        grace: float = GRACE_SECONDS,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        self._start_command = start
        self._name = name
        self._isolate = isolate
        self._memory_limit_mb = memory_limit_mb
        # Silence allowed on top of a case's deadline: a worker that replaces another loads the
        # driver first, twice at most.
        self._grace = grace
        self._patience = 2 * load_seconds + grace
        self._channel: Channel | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._decoder = Decoder()
        self._messages: deque[Message] = deque()
        self._library: Library | None = None
        self._hello: Hello | None = None
        self._batch = 0
        # The last batch: where its frames stand among its cases, and which could not be sent.
        self._positions: tuple[int, ...] = ()
        self._refused: dict[int, str] = {}
        # The next runner tells first what the lost one has kept, from this frame on.
        self._resume: int | None = None
        self._kept: dict[int, Result] = {}  # by frame of the last batch
        self._closed = False
        # Called once for each batch, when it is sent and no result has been waited for.
        self.meanwhile: Callable[[], None] | None = None
        self.farewell: Bye | None = None
        self.last_end: End | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # ---- the process ----

    @property
    def pid(self) -> int | None:
        """Process id of the runner's parent process; None while none runs."""
        return self._channel.pid if self._channel else None

    def _connect(self) -> Channel:
        """Start a runner. Raises TargetError or InfraError."""
        if self._folder is None:
            try:
                self._folder = tempfile.TemporaryDirectory(prefix="nnapi-testkit-")
            except OSError as error:
                raise InfraError(
                    f"no temporary folder for the runner: {error.strerror or error}; free space"
                    f" in {tempfile.gettempdir()} or set TMPDIR"
                ) from error
        return PipeChannel(list(self._start_command(self._folder.name)))

    def _open(self) -> None:
        self._channel = self._connect()
        self._decoder = Decoder()
        self._messages.clear()
        self._hello = None
        if self._resume is None:
            self._kept = {}
        kept: Kept | None = None
        until = time.monotonic() + self._patience
        while True:
            message = self._receive(until)
            if isinstance(message, Hello) and self._hello is None:
                self._hello = message
            elif isinstance(message, Library):
                self._library = message
                return
            elif isinstance(message, Kept) and self._resume is not None:
                kept = message
            elif isinstance(message, Result) and kept is not None:
                # The runner may wait for the one before it: each further result is progress.
                if kept.batch_id == self._batch and message.index not in self._kept:
                    self._kept[message.index] = message
                    if message.index < len(self._positions):
                        until = time.monotonic() + self._patience
            elif not (isinstance(message, End) and kept is not None):
                raise InfraError(f"the runner of {self._name} begins with {type(message).__name__}")

    def _exchange(self, data: memoryview, until: float) -> int:
        """Write what fits of `data`, read what is there; wait for either until the deadline."""
        channel = self._channel
        assert channel is not None
        try:
            written, got, ended = channel.exchange(data, until)
        except TimeoutError:
            stopped = channel.killed
            self._discard()
            if stopped:
                raise RunnerKilled(
                    f"the runner of {self._name} was stopped by a signal", stopped
                ) from None
            raise self._late() from None
        self._messages.extend(self._decoder.feed(got))
        if ended and not self._messages:
            how = channel.ending(END_SECONDS)
            text = f"the runner of {self._name} {how} before its work was done"
            raise RunnerKilled(text, channel.killed) if channel.killed else InfraError(text)
        return written

    def _late(self) -> InfraError:
        return InfraError(f"the runner of {self._name} has been silent for too long and was killed")

    def _receive(self, until: float) -> Message:
        while not self._messages:
            try:
                self._exchange(memoryview(b""), until)
            except WireError as error:
                self._discard()
                raise InfraError(f"target {self._name}: {error}") from error
        message = self._messages.popleft()
        if not isinstance(message, Result) and time.monotonic() >= until:
            self._discard()  # it talks, and does not come on
            raise self._late()
        if isinstance(message, Failure):
            self._discard()
            if message.trouble not in (Trouble.INPUT, Trouble.SYSTEM):
                cure = ": name a driver's library" if message.trouble is Trouble.FOREIGN else ""
                raise TargetError(f"target {self._name}: {message.text}{cure}")
            raise InfraError(f"target {self._name}: {message.text}")
        return message

    def _discard(self) -> None:
        """Drop the runner, whatever it is doing."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    # ---- work ----

    def run(self, cases: Sequence[Case], *, isolate: bool | None = None) -> Iterator[Result]:
        """Execute the cases; yield one result for each, in order, as soon as it is known.

        A case that the wire format cannot carry is a BAD_CASE and is not sent. A case in which the
        runner itself is killed or stopped each time, on this machine, is CRASHED: the driver does
        that to processes that are not its own.

        Args:
            cases: what to run, as one batch.
            isolate: overrides the session's setting for this batch.

        Raises:
            InfraError: the runner was lost twice without a result between, or too often, or stayed
                silent past every deadline.
            TargetError: the driver cannot be loaded any more.
        """
        alone = self._isolate if isolate is None else isolate
        done = first = 0  # `first`: of the batch that was sent last
        lost = (-1, 0)  # how far the cases were when the runner was lost last
        losses = kills = 0
        again = False
        single = 0  # cases still to be sent one by one: one of them may have killed the runner
        while done < len(cases):
            try:
                if self._channel is None:
                    self._reopen(self._frames_done(done - first) if again else None)
                    for result in self._kept_results(first, done):
                        yield result
                        done += 1
                    if done == len(cases):
                        return
                first = done
                part = cases[done : done + 1] if single else cases[done:]
                for result in self._batch_of(part, alone):
                    yield result if done == result.index else replace(result, index=done)
                    done += 1
                    single = max(0, single - 1)
            except InfraError as error:
                self._discard()
                again = True
                same = lost == (done, len(self._kept))
                lost = (done, len(self._kept))
                if isinstance(error, RunnerKilled):
                    # Results of cases before it may have been under way.
                    single = MOST_SINGLE
                    kills = kills + 1 if same else 1
                    if kills == MOST_KILLS:
                        yield self._blamed(done, error)
                        done += 1
                        losses = kills = single = 0
                    continue
                kills = 0
                losses += 1
                if losses > MOST_LOSSES or same:
                    raise

    def _blamed(self, index: int, error: RunnerKilled) -> Result:
        devices = self._library.devices if self._library else ()
        first = devices[0].name if devices else ""
        return Result(
            index,
            Ending.CRASHED,
            Stage.EXECUTION,
            code=error.signal,
            device=self._device_name() or first,
            text=f"{error}, {MOST_KILLS} times at this case: the driver ends processes that are"
            " not its own",
        )

    def _reopen(self, resume: int | None) -> None:
        self._resume = resume
        try:
            self._open()
        finally:
            self._resume = None

    def _frames_done(self, position: int) -> int:
        """Return how many frames of the last batch have their results, with kept ones."""
        count = sum(at < position for at in self._positions)
        while count in self._kept:
            count += 1
        return count

    def _kept_results(self, first: int, done: int) -> Iterator[Result]:
        """Yield what the lost runner had ready, as results of the cases from `done` on.

        What it had told before is skipped.
        """
        kept, self._kept = self._kept, {}
        frames = {first + position: frame for frame, position in enumerate(self._positions)}
        refused = {first + position: text for position, text in self._refused.items()}
        while kept and (done in refused or frames.get(done) in kept):
            if done in refused:
                yield Result(done, Ending.BAD_CASE, Stage.LOAD, text=refused[done])
            else:
                yield replace(kept.pop(frames[done]), index=done)
            done += 1

    def _batch_of(self, cases: Sequence[Case], isolate: bool) -> Iterator[Result]:
        frames: list[bytes] = []
        sent: list[int] = []  # positions of the cases that could be encoded
        refused: dict[int, str] = {}
        for position, case in enumerate(cases):
            try:
                frames.append(encode_case(case, len(frames)))
                sent.append(position)
            except WireError as error:
                refused[position] = str(error)
        self._positions, self._refused = tuple(sent), refused
        results = self._exchange_batch(frames, [cases[i].deadline_ms for i in sent], isolate)
        with contextlib.closing(results):
            for position in range(len(cases)):
                if position in refused:
                    yield Result(position, Ending.BAD_CASE, Stage.LOAD, text=refused[position])
                    continue
                result = next(results)
                yield result if result.index == position else replace(result, index=position)
            for _ in results:  # the END frame
                raise InfraError(f"target {self._name}: a result too many")

    def _exchange_batch(
        self, frames: Sequence[bytes], deadlines_ms: Sequence[int], isolate: bool
    ) -> Generator[Result, None, None]:
        self._batch += 1
        head = encode_head(
            len(frames),
            batch_id=self._batch,
            isolate=isolate,
            memory_limit_mb=self._memory_limit_mb,
        )
        data = memoryview(b"".join([head, *frames]))
        done = 0
        complete = False
        # The last result waits for the END frame: who takes exactly as many results as there are
        # cases then leaves a session that is ready for the next batch.
        last: Result | None = None
        until = 0.0
        came = -1  # results at the time of `until`: nothing but a result renews a deadline
        meanwhile = self.meanwhile
        try:
            while not complete:
                if came < done:
                    came = done
                    now_ms = deadlines_ms[done] if done < len(frames) else 0
                    until = time.monotonic() + now_ms / 1000 + self._patience
                try:
                    while data and not self._messages:
                        written = self._exchange(data, until)
                        data = memoryview(b"") if written < 0 else data[written:]
                except WireError as error:
                    raise InfraError(f"target {self._name}: {error}") from error
                if meanwhile is not None and not data:
                    meanwhile()
                    meanwhile, came = None, -1  # that was our time and not the runner's
                    continue
                message = self._receive(until)
                if isinstance(message, Result):
                    if message.index != done or done == len(frames):
                        raise InfraError(
                            f"target {self._name}: result {message.index} instead of {done}"
                        )
                    done += 1
                    if done == len(frames):
                        last = message
                    else:
                        yield message
                elif isinstance(message, End):
                    if message.batch_id != self._batch or done != len(frames):
                        raise InfraError(f"target {self._name}: a batch ends too early")
                    self.last_end = message
                    complete = True
                    if last is not None:
                        yield last
                else:
                    raise InfraError(
                        f"target {self._name}: an unexpected {type(message).__name__} in a batch"
                    )
        finally:
            if not complete:
                self._discard()  # answers to a batch nobody waits for any more

    def devices(self) -> tuple[DeviceEntry, ...]:
        """Return what the driver lists; empty below feature level 3."""
        return self._library.devices if self._library else ()

    @property
    def library(self) -> Library:
        """The loaded library as the runner found it."""
        assert self._library is not None
        return self._library

    def describe(self) -> dict[str, object]:
        """Return facts about library, runtime and device, JSON values only."""
        page_size = self._hello.page_size if self._hello else 0
        return library_facts(self._name, self.library, self._device_name(), page_size)

    def _device_name(self) -> str:
        folder = self._folder.name if self._folder else ""
        command = list(self._start_command(folder))
        return command[command.index("--device") + 1] if "--device" in command else ""

    # ---- the end ----

    def close(self) -> None:
        """End the runner and its workers; `farewell` then tells how the last one left."""
        if self._closed:
            return
        self._closed = True
        if self._channel is not None:
            with contextlib.suppress(InfraError, TargetError, WireError, OSError):
                self._say_goodbye()
        self._discard()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def fault(self) -> str:
        """What the driver did wrong outside any case, as far as is known; "" for nothing.

        It is told when the session is closed: by a thread of the driver, an exit handler or a leak
        checker, the driver's process ended in another way than it was asked to.
        """
        bye = self.farewell
        if bye is None or bye.ending is Ending.COMPLETED:
            return ""
        how = {
            Ending.TIMED_OUT: "did not end when it was asked to, and was killed",
            Ending.OUT_OF_MEMORY: "grew past its memory limit",
            Ending.CRASHED: f"was killed by {_signal_name(bye.code)}",
        }.get(bye.ending, f"left by itself with status {bye.code}")
        last = " ".join(bye.text.split())[-MOST_WORDS:]
        return (
            f"the driver's process {how} outside any case: in a thread of the driver, or while it"
            " was unloaded" + (f"; it printed: {last}" if last else "")
        )

    def _say_goodbye(self) -> None:
        channel = self._channel
        assert channel is not None
        channel.close_input()
        until = time.monotonic() + self._grace
        while self.farewell is None:
            message = self._receive(until)
            if isinstance(message, Bye):
                self.farewell = message
        channel.ending(self._grace)


def library_facts(name: str, library: Library, wanted: str, page_size: int) -> dict[str, object]:
    """Return facts about a library and its device `wanted` ("": the first), JSON values only."""
    device = next((d for d in library.devices if not wanted or d.name == wanted), None)
    return {
        "target": name,
        "library": library.path,
        "device": device.name if device else "",
        "device_type": DEVICE_TYPES.get(device.type, str(device.type)) if device else "",
        "device_version": device.version if device else "",
        "feature_level": device.feature_level if device else -1,
        "runtime_feature_level": library.runtime_level,
        "attributed": device is not None,
        "devices": [d.name for d in library.devices],
        "missing_functions": list(library.missing),
        "hardware_buffers": library.hardware_buffers,
        "no_hardware_buffers": library.no_hardware_buffers,
        "machine": os.uname().machine,
        "page_size": page_size,
    }


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
