"""The target `docker:PROFILE`: an emulator in a container, reached over adb."""

from __future__ import annotations

import atexit
import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.model.place import Place
from nnapi_testkit.targets.adb import AdbSession
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.base import DEFAULT_MEMORY_LIMIT_MB, InfraError, TargetError
from nnapi_testkit.targets.docker.engine import Container, Engine, last
from nnapi_testkit.targets.docker.profiles import ImageProfile, find_profile
from nnapi_testkit.targets.docker.ready import wait_ready

__all__ = ["DockerSession", "DockerTarget", "Pool", "docker_fleet", "docker_target"]

KIND = "docker:"
MANY = re.compile(r"(.+)\*(\d+)")
MOST = 64  # containers of one target


class DockerSession(AdbSession):
    """A runner on an emulator whose container is this process's own.

    Args:
        pool: where the container goes back to.
        container: the emulator's.
        others: as of `AdbSession`.
    """

    def __init__(
        self,
        pool: Pool,
        container: Container,
        lease: Lease,
        name: str,
        device: str,
        *,
        isolate: bool,
        memory_limit_mb: int,
    ) -> None:
        self._pool = pool
        self._container = container
        self._broken = False
        super().__init__(lease, name, device, isolate=isolate, memory_limit_mb=memory_limit_mb)

    def run(self, cases: Sequence[Case], *, isolate: bool | None = None) -> Iterator[Result]:
        """See `AdbSession.run`. An emulator that was lost is not used again."""
        try:
            yield from super().run(cases, isolate=isolate)
        except InfraError as error:
            self._broken = True
            raise InfraError(self._pool.explained(self._container, error)) from error

    def describe(self) -> dict[str, object]:
        """Return facts about library, device and container, JSON values only."""
        known = super().describe()
        known.update(
            profile=self._container.profile,
            container=self._container.id,
            image=self._container.image,
        )
        return known

    def close(self) -> None:
        """End the runner; the container waits for the next one, or goes if it was lost."""
        if self._closed:
            return
        try:
            super().close()
        finally:
            self._pool.give_back(self._container, broken=self._broken)


class Pool:
    """The containers that this process has started and not removed yet."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._idle: list[Container] = []
        self._used: list[Container] = []
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The docker daemon. Raises TargetError if there is none."""
        with self._lock:
            if self._engine is None:
                self._engine = Engine()
                atexit.register(self.close)
            return self._engine

    def take(self, profile: ImageProfile) -> Container:
        """Return a running container nobody uses, a new one if need be.

        Raises TargetError or InfraError.
        """
        engine = self.engine
        while True:
            with self._lock:
                idle = [one for one in self._idle if one.profile == profile.name]
                for one in idle[:1]:
                    self._idle.remove(one)
            if not idle:
                container = engine.start(profile)
                break
            container = idle[0]
            now = engine.look(container.id)
            if now is not None and now.state == "running":
                break
            engine.remove(container.id)  # ended by itself: replaced
        with self._lock:
            self._used.append(container)
        return container

    def give_back(self, container: Container, *, broken: bool) -> None:
        """Let others have a container, or remove it. A container is never started again."""
        with self._lock:
            if container in self._used:
                self._used.remove(container)
            if not broken:
                self._idle.append(container)
        if broken:
            with contextlib.suppress(InfraError):
                self.engine.remove(container.id)

    def explained(self, container: Container, error: KitError) -> str:
        """Return the words of an error, with what the container has to say."""
        with contextlib.suppress(InfraError):
            now = self.engine.look(container.id)
            state = now.state if now else "gone"
            if state != "running":
                log = self.engine.log(container.id)
                return f"the container of {container.profile} is {state} ({last(log)}): {error}"
        return str(error)

    def close(self) -> None:
        """Remove all containers of this process."""
        with self._lock:
            mine, self._idle, self._used = [*self._idle, *self._used], [], []
        for container in mine:
            with contextlib.suppress(InfraError, TargetError):
                if self._engine is not None:
                    self._engine.remove(container.id)


_POOL = Pool()


@dataclass(frozen=True)
class DockerTarget:
    """Emulators of one profile.

    Each runner that is open at the same time has a container of its own; it stays for the next
    runner and goes with the process.

    Args:
        name: the target as the user wrote it.
        profile: what to start.
        device: name of the NNAPI device; empty for the first that is listed.
    """

    name: str
    profile: ImageProfile
    device: str = ""

    @property
    def between(self) -> bool:
        """Android's runtime stands between."""
        return True

    def open(
        self, *, isolate: bool = False, memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB
    ) -> DockerSession:
        """Start the emulator, wait until it lists its NNAPI devices, start the runner.

        An emulator that does not come up is replaced once. Raises TargetError or InfraError.
        """
        for attempt in (1, 2):
            container = _POOL.take(self.profile)
            try:
                lease = wait_ready(_POOL.engine, container, self.profile)
            except KitError as error:
                words = _POOL.explained(container, error)
                _POOL.give_back(container, broken=True)
                if isinstance(error, InfraError) and attempt == 1:
                    continue
                kind = InfraError if isinstance(error, InfraError) else TargetError
                raise kind(words) from error
            except BaseException:
                _POOL.give_back(container, broken=True)
                raise
            break
        return DockerSession(
            _POOL,
            container,
            lease,
            self.name,
            self.device,
            isolate=isolate,
            memory_limit_mb=memory_limit_mb,
        )

    def describe(self) -> dict[str, object]:
        """Return facts about the emulator, JSON values only."""
        with self.open() as runner:
            return runner.describe()


def docker_target(text: str) -> DockerTarget:
    """Read `docker:PROFILE` and `docker:PROFILE#NNAPI-DEVICE`. Nothing is started yet.

    Raises TargetError if there is no such profile.
    """
    place = Place.of(text)
    if not place.rest:
        raise TargetError("docker: names no profile: nnapi-testkit emulator list shows them")
    return DockerTarget(text, find_profile(place.rest), place.device)


def docker_fleet(text: str) -> tuple[str, ...]:
    """Return the targets of `docker:PROFILE*N` and `docker:A,B`, one for each emulator.

    Raises TargetError for more than 64.
    """
    place = Place.of(text)
    names: list[str] = []
    for part in filter(None, (word.strip() for word in place.rest.split(","))):
        many = MANY.fullmatch(part)
        names += [many[1]] * int(many[2]) if many else [part]
    if len(names) > MOST:
        raise TargetError(f"{text} asks for {len(names)} emulators: at most {MOST}")
    return tuple(str(replace(place, base=f"{KIND}{name}")) for name in names) or (text,)
