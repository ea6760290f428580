"""Containers of ours: started, found again, reaped, removed; never restarted."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import docker.models.containers
import requests

from nnapi_testkit import paths
from nnapi_testkit.targets.base import InfraError, TargetError
from nnapi_testkit.targets.docker.profiles import ImageProfile

__all__ = ["LABEL", "Container", "Engine"]

LABEL = "nnapi-testkit"
ROLE, SESSION, OWNER, HOST, DEADLINE, PROFILE = (
    f"{LABEL}.{word}" for word in ("role", "session", "owner", "host", "deadline", "profile")
)
ROLE_EMULATOR = "emulator"
KEPT = "kept"  # the owner of a container that outlives the process which started it
# Ports that every adb server tries by itself: a device there would be listed twice.
EMULATOR_PORTS = range(5554, 5586)
PULL_SECONDS = 1800
STOP_SECONDS = 10
CURE = "run nnapi-testkit emulator doctor"


@dataclass(frozen=True)
class Container:
    """A container of ours.

    Args:
        id: docker's, short.
        profile: its profile's name.
        owner: process id and start time of who uses it; "kept" if it stays for others.
        deadline: when it ends by itself, seconds since the epoch.
        state: as docker has it ("running", "exited", ...).
        port: where its adbd is published on this machine; 0 if it is not.
        image: its image, with the digest where docker knows one.
    """

    id: str
    profile: str
    owner: str
    deadline: float
    state: str
    port: int
    image: str

    @property
    def serial(self) -> str:
        """What `adb connect` is given."""
        return f"127.0.0.1:{self.port}"


class Engine:
    """The docker daemon that the environment names. One for each process.

    Raises TargetError when there is none that answers.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env(timeout=PULL_SECONDS)
            self._client.ping()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise TargetError(f"docker does not answer ({reason(error)}): {CURE}") from error
        self.session = secrets.token_hex(4)

    # ---- containers ----

    def start(self, profile: ImageProfile, *, keep: bool = False) -> Container:
        """Start a new container. Raises TargetError or InfraError.

        Args:
            profile: what to start.
            keep: leave it running when this process ends, until its deadline.
        """
        self.reap()
        self._have_image(profile)
        inspected = self._client.api.inspect_image(profile.image)["Config"]
        command = [*(inspected.get("Entrypoint") or ()), *(profile.command or _cmd(inspected))]
        if profile.command and inspected.get("Entrypoint"):
            command = list(profile.command)
        if not command:
            raise TargetError(f"the image {profile.image} says nothing of what to start")
        labels = {
            ROLE: ROLE_EMULATOR,
            SESSION: self.session,
            OWNER: KEPT if keep else owner(),
            HOST: socket.gethostname(),
            DEADLINE: str(int(time.time()) + profile.life_seconds),
            PROFILE: profile.name,
        }
        limits: dict[str, Any] = {}
        if profile.memory_mb:
            limits["mem_limit"] = f"{profile.memory_mb}m"
        if profile.cpus:
            limits["nano_cpus"] = int(min(profile.cpus, os.cpu_count() or 1) * 10**9)
        if profile.shm_mb:
            limits["shm_size"] = f"{profile.shm_mb}m"
        try:
            started = self._client.containers.run(
                profile.image,
                # Its own end, should nobody be left to end it. `timeout` passes TERM on.
                entrypoint=["timeout", "-k", str(STOP_SECONDS), str(profile.life_seconds)],
                command=command,
                detach=True,
                labels=labels,
                environment=dict(profile.environment),
                devices=[f"{device}:{device}:rwm" for device in profile.devices],
                ports={f"{profile.adb_port}/tcp": ("127.0.0.1", None)},
                **limits,
            )
        except docker.errors.APIError as error:
            self._remove_failed()
            raise TargetError(
                f"docker does not start profile {profile.name}: {reason(error)}; {CURE}"
            ) from error
        except requests.exceptions.RequestException as error:
            raise InfraError(f"docker does not answer: {reason(error)}") from error
        return self._published(started, profile)

    def _published(
        self, started: docker.models.containers.Container, profile: ImageProfile
    ) -> Container:
        until = time.monotonic() + 10
        while True:
            container = self.look(started.id)
            if container is None or container.state not in ("created", "running"):
                log = self.log(started.id)
                self.remove(started.id)
                raise InfraError(f"the container of {profile.name} ended at once: {last(log)}")
            if container.port in EMULATOR_PORTS:
                self.remove(started.id)
                raise InfraError(
                    f"docker published adb at {container.port}, a port adb itself uses"
                )
            if container.port:
                return container
            if time.monotonic() > until:
                self.remove(started.id)
                raise InfraError(
                    f"docker does not publish port {profile.adb_port} of profile {profile.name}"
                )
            time.sleep(0.05)

    def _remove_failed(self) -> None:
        for container in self._ours(f"{SESSION}={self.session}"):
            if container.state == "created":
                self.remove(container.id)

    def emulators(self) -> list[Container]:
        """Return all containers of ours on this machine. Raises InfraError."""
        return self._ours(f"{ROLE}={ROLE_EMULATOR}")

    def _ours(self, label: str) -> list[Container]:
        try:
            found = self._client.containers.list(
                all=True, filters={"label": label}, ignore_removed=True
            )
        except (docker.errors.APIError, requests.exceptions.RequestException) as error:
            raise InfraError(f"docker does not list containers: {reason(error)}") from error
        known = [_container(one) for one in found]
        return [container for container in known if container.profile]

    def look(self, name: str) -> Container | None:
        """Return a container as it is now, None if it is gone. Raises InfraError."""
        try:
            return _container(self._client.containers.get(name))
        except docker.errors.NotFound:
            return None
        except (docker.errors.APIError, requests.exceptions.RequestException) as error:
            raise InfraError(f"docker does not answer: {reason(error)}") from error

    def log(self, name: str, lines: int = 20) -> str:
        """Return the last lines that a container printed, empty if it is gone."""
        try:
            text: bytes = self._client.containers.get(name).logs(tail=lines)
        except (docker.errors.APIError, requests.exceptions.RequestException):
            return ""
        return text.decode("utf-8", "replace").strip()

    def remove(self, name: str) -> None:
        """End and remove a container; nothing if it is gone. Raises InfraError."""
        try:
            container = self._client.containers.get(name)
            container.stop(timeout=STOP_SECONDS)
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if "in progress" not in reason(error):  # someone else removes it
                raise InfraError(f"docker does not remove {name}: {reason(error)}") from error
        except requests.exceptions.RequestException as error:
            raise InfraError(f"docker does not remove {name}: {reason(error)}") from error

    def reap(self) -> list[Container]:
        """Remove containers of this machine that ended, outlived their deadline or their owner.

        Returns them. Those of other machines that share the daemon are left alone.
        """
        removed = []
        for container in self.emulators():
            if self._is_orphan(container):
                self.remove(container.id)
                removed.append(container)
        return removed

    def _is_orphan(self, container: Container) -> bool:
        here = self._label(container.id, HOST) == socket.gethostname()
        if not here:
            return False
        if container.state in ("exited", "dead") or time.time() > container.deadline:
            return True
        return container.owner != KEPT and not is_alive(container.owner)

    def _label(self, name: str, label: str) -> str:
        try:
            return str(self._client.containers.get(name).labels.get(label, ""))
        except docker.errors.NotFound:
            return ""

    # ---- images ----

    def has_image(self, profile: ImageProfile) -> bool:
        """Whether the image is on this machine."""
        try:
            self._client.images.get(profile.image)
        except docker.errors.ImageNotFound:
            return False
        return True

    def _have_image(self, profile: ImageProfile) -> None:
        if self.has_image(profile):
            return
        if profile.kind == "ours":
            raise TargetError(
                f"the image {profile.image} is not built yet: run nnapi-testkit emulator build"
                f" {profile.name}"
            )
        try:
            self._client.images.pull(profile.image)
        except (docker.errors.APIError, requests.exceptions.RequestException) as error:
            raise TargetError(
                f"the image {profile.image} cannot be pulled: {reason(error)}"
            ) from error

    def build(self, profile: ImageProfile) -> str:
        """Build the image of a profile of ours; return its id. Raises TargetError."""
        if profile.kind != "ours":
            raise TargetError(f"{profile.name} is not built but pulled: {profile.image}")
        try:
            image, _ = self._client.images.build(
                path=str(paths.images_dir()),
                tag=profile.image,
                buildargs=dict(profile.build),
                rm=True,
                forcerm=True,
            )
        except docker.errors.BuildError as error:
            raise TargetError(f"{profile.image} cannot be built: {reason(error)}") from error
        except (docker.errors.APIError, requests.exceptions.RequestException) as error:
            raise TargetError(f"{profile.image} cannot be built: {reason(error)}") from error
        return str(image.short_id)


def _cmd(config: Mapping[str, Any]) -> list[str]:
    return list(config.get("Cmd") or ())


def _container(found: docker.models.containers.Container) -> Container:
    labels = found.labels
    published = [
        int(binding["HostPort"])
        for bindings in found.ports.values()
        for binding in bindings or ()
        if binding.get("HostIp") == "127.0.0.1"
    ]
    state = found.attrs.get("State", {})
    return Container(
        id=found.short_id,
        profile=labels.get(PROFILE, ""),
        owner=labels.get(OWNER, ""),
        deadline=float(labels.get(DEADLINE, 0)),
        state=state.get("Status", "") if isinstance(state, dict) else str(state),
        port=published[0] if published else 0,
        image=str(found.attrs.get("Image", "")),
    )


def owner() -> str:
    """Name this process so that another one with its number is not taken for it."""
    return f"{os.getpid()}.{_started(os.getpid())}"


def is_alive(name: str) -> bool:
    """Whether the process that `owner` named still runs."""
    number, _, started = name.partition(".")
    return number.isdecimal() and bool(started) and _started(int(number)) == started


def _started(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def reason(error: Exception) -> str:
    """Return what an error of the docker SDK says, in one line."""
    text = getattr(error, "explanation", "") or str(error) or type(error).__name__
    return " ".join(str(text).split())[:300]


def last(log: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"
