"""A runner on a device: one stream for the log, one for batches and results."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from nnapi_testkit.model.case import Case, Ending, Result
from nnapi_testkit.model.wire import Library
from nnapi_testkit.spec.codes import FeatureLevelCode, ResultCode
from nnapi_testkit.targets.adb import battery
from nnapi_testkit.targets.adb.launch import Driver
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.adb.logwindow import LogWindow
from nnapi_testkit.targets.base import InfraError, PowerReading
from nnapi_testkit.targets.channel import Channel
from nnapi_testkit.targets.session import RunnerSession

__all__ = ["AdbSession", "promised_level", "with_device"]

CRASH_SECONDS = 0.5  # how much later than the failed call a crash may appear in the log
LOOK_SECONDS = 0.1  # between two looks at the log while all goes well
FUTURE = 10000  # Android's number for a release that is still to come
VERBOSE = "debug.nn.vlog"
# What a runtime returns when the process behind a driver dies. OP_FAILED is its usual word for it.
DEATHS = frozenset({ResultCode.OP_FAILED, ResultCode.DEAD_OBJECT, ResultCode.UNAVAILABLE_DEVICE})
DEAD_ENDINGS = frozenset({Ending.CRASHED, Ending.EXITED, Ending.TIMED_OUT})


class AdbSession(RunnerSession):
    """Keeps a runner on a leased device alive across batches.

    Results come through the stream as they are known, each in a frame with a checksum, and are
    appended to a file on the device as well. When the connection breaks, the runner goes on with
    the batch it has; the next stream begins with what the file holds that has not come yet, and
    only the cases behind that are sent again.

    Args:
        lease: given back by `close`.
        name: the target's name.
        device: the NNAPI device; empty for the first that is listed.
        support_library, library: see `AdbTarget`.
        isolate, memory_limit_mb: see `Target.open`.
    """

    def __init__(
        self,
        lease: Lease,
        name: str,
        device: str = "",
        *,
        support_library: str = "",
        library: str = "",
        isolate: bool = False,
        memory_limit_mb: int = 0,
    ) -> None:
        self._lease = lease
        self._nnapi_device = device
        self._driver = Driver(support_library or library, bool(support_library))
        self._orphan = 0  # process id of a runner that was lost and may still be at work
        self._log: LogWindow | None = None
        self._looked = 0.0
        self._place = lease.folder()
        super().__init__(
            lambda _: [],
            name,
            isolate=isolate,
            memory_limit_mb=memory_limit_mb,
            grace=lease.patience.grace,
            load_seconds=lease.patience.load,
        )

    def _connect(self) -> Channel:
        lease = self._lease
        lease.ready()
        if self._log is None or not self._log.follows:
            self._log = LogWindow(lease.device)
        place = self._place
        words = ["--serve", "--cache-dir", place, "--journal", f"{place}/results"]
        if self._resume is not None:
            words += ["--resume", str(self._resume)]
        if self._nnapi_device:
            words += ["--device", self._nnapi_device]
        return lease.device.start(
            f"mkdir -p {place} && cd {place} && export TMPDIR={place} &&"
            f" {lease.command(self._driver)} {shlex.join(words)}"
        )

    def _open(self) -> None:
        super()._open()
        self._orphan = 0  # the new runner has waited for it, or ended it

    def _discard(self) -> None:
        # A runner that is dropped has not said goodbye: look at the device before the next one.
        if self._channel is not None and not self._closed:
            self._lease.lost()
            self._orphan = self._hello.pid if self._hello else 0
        super()._discard()

    def run(self, cases: Sequence[Case], *, isolate: bool | None = None) -> Iterator[Result]:
        """See `RunnerSession.run`. A crash of the vendor's service is told in `Result.service`."""
        for result in super().run(cases, isolate=isolate):
            yield self._with_log(result)

    def power(self) -> PowerReading | None:
        """Return what the device's battery says now; None if it does not. Raises InfraError."""
        return battery.ask(self._lease.device)

    def _with_log(self, result: Result) -> Result:
        log = self._log
        if log is None:
            return result
        now = time.monotonic()
        if not looks_dead(result):
            if now - self._looked > LOOK_SECONDS:
                self._looked = now
                log.drain()  # before the device's log has to wait for us
            return result
        log.drain(CRASH_SECONDS, until_crash=True)
        crash = log.take_crash()
        text = "\n".join(filter(None, (result.text, log.text())))
        log.clear()
        if crash is None:
            return replace(result, text=text)
        how = f" ({crash.signal})" if crash.signal else ""
        return replace(result, service=f"{crash.process}{how}", text=text)

    def explain(self, case: Case) -> str:
        """Run a case alone with the runtime's verbose log; return what the log says.

        Raises InfraError if the device is lost; the property is set back in any case.
        """
        device = self._lease.device
        before = device.property(VERBOSE)
        device.set_property(VERBOSE, "1")
        try:
            log = LogWindow(device)
            try:
                for _ in super().run([case], isolate=True):
                    pass
                log.drain(CRASH_SECONDS)
                return log.text(400)
            finally:
                log.close()
        finally:
            with contextlib.suppress(InfraError):
                device.set_property(VERBOSE, before)

    def describe(self) -> dict[str, object]:
        """Return facts about library, runtime and device, JSON values only."""
        return with_device(super().describe(), self._lease, self.library)

    def _device_name(self) -> str:
        return self._nnapi_device

    def close(self) -> None:
        """End the runner and give the lease back; a second call does nothing.

        The last runner to do so removes everything from the device.
        """
        if self._closed:
            return
        try:
            super().close()
        finally:
            if self._log is not None:
                self._log.close()
            if self._orphan:
                self._lease.stop(self._orphan, self._place)
            self._lease.release()


def with_device(known: Mapping[str, object], lease: Lease, library: Library) -> dict[str, object]:
    """Return facts about a library with those of the device that it lies on."""
    return {
        **known,
        **lease.facts.as_json(),
        "machine": lease.abi,
        "serial": lease.serial,
        "abi": lease.abi,
        "page_size": lease.facts.page_size or known["page_size"],
        "feature_level": promised_level(known["feature_level"], lease.facts.api_level),
        "nnapi_devices": [
            {
                "name": device.name,
                "type": device.type,
                "version": device.version,
                "feature_level": device.feature_level,
            }
            for device in library.devices
        ],
    }


def promised_level(level: object, api_level: int) -> object:
    """Return a device's feature level; one "of the future" is that of the Android it runs on.

    A driver built before its release says 10000, which no release ever was.
    """
    if level != FUTURE or api_level < int(FeatureLevelCode.FEATURE_LEVEL_1):
        return level
    newest = max(FeatureLevelCode)
    # API level 31 is feature level 5; from then on each release has one, as 1000006 and so on.
    after = api_level - int(FeatureLevelCode.FEATURE_LEVEL_5)
    levels = sorted(FeatureLevelCode)
    fifth = levels.index(FeatureLevelCode.FEATURE_LEVEL_5)
    return api_level if after <= 0 else int(levels[min(fifth + after, levels.index(newest))])


def looks_dead(result: Result) -> bool:
    """Whether a result may be the echo of a process that died behind the driver."""
    if result.ending in DEAD_ENDINGS:
        return True
    if result.ending is Ending.STOPPED and result.code in DEATHS:
        return True
    return any(execution.code in DEATHS for execution in result.executions)
