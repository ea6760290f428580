"""What is asked of Jumpstarter: configuration, lease, the exporter's adb driver, and its errors."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal
from jumpstarter.client.base import StubDriverClient
from jumpstarter.client.exceptions import LeaseError
from jumpstarter.common import exceptions
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.env import JMP_CLIENT_CONFIG, JMP_ENDPOINT, JMP_LEASE, JUMPSTARTER_HOST
from jumpstarter.config.user import UserConfigV1Alpha1
from jumpstarter.utils.env import ExporterMetadata, env_async
from jumpstarter_driver_adb.client import AdbClient

from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.base import InfraError, TargetError
from nnapi_testkit.targets.jumpstarter.settings import JumpstarterSettings

__all__ = ["Leased", "connected", "find_adb", "load_config", "translated"]

# Jumpstarter imports no driver client that the configuration does not allow. This one is ours to
# allow: the extra has installed it.
ADB_CLIENT = f"{AdbClient.__module__}.{AdbClient.__qualname__}"
ASK_SECONDS = 5.0  # for asking the controller about a lease
# Answers of the controller that asking again does not change.
REFUSALS = {"UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "NOT_FOUND"}

# Without a handler Python prints a library's warnings, of which one for each closed connection.
logging.getLogger("jumpstarter").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Leased:
    """A connected exporter.

    Args:
        client: the root of its drivers' clients.
        lease: the lease's name; empty without a controller.
        exporter: its name.
        labels: its labels.
        ours: the lease is to be given back.
        ended: asks the controller whether the lease has ended; gives the reason, or nothing.
    """

    client: Any
    lease: str
    exporter: str
    labels: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    ended: Callable[[], Awaitable[str]] | None = None


def load_config(settings: JumpstarterSettings) -> ClientConfigV1Alpha1:
    """Return the client configuration that is meant. Raises TargetError if there is none."""
    try:
        if settings.config:
            config = ClientConfigV1Alpha1.from_file(os.path.expanduser(settings.config))
        elif settings.client:
            config = ClientConfigV1Alpha1.load(settings.client)
        elif path := os.environ.get(JMP_CLIENT_CONFIG):
            config = ClientConfigV1Alpha1.from_file(path)
        elif os.environ.get(JMP_ENDPOINT):
            config = ClientConfigV1Alpha1()
        else:
            user = UserConfigV1Alpha1.load() if UserConfigV1Alpha1.exists() else None
            config = user.config.current_client if user else None
    except Exception as error:  # files of the user's: YAML, schema, permissions
        words = " ".join(str(error).split())
        raise TargetError(f"Jumpstarter's client configuration: {words[:300]}") from error
    if config is None:
        raise TargetError(
            "there is no current Jumpstarter client: log in with `jmp login`, choose one with"
            " `jmp config client use`, or name one, as ?client=ALIAS or ?config=FILE"
        )
    drivers = config.drivers.model_copy(update={"allow": [*config.drivers.allow, ADB_CLIENT]})
    return config.model_copy(update={"drivers": drivers})


@asynccontextmanager
async def connected(
    settings: JumpstarterSettings, portal: BlockingPortal, over: Callable[[str], None]
) -> AsyncIterator[Leased]:
    """Lease an exporter, or take the one of the `jmp shell` around us, and connect to it.

    Args:
        settings: what to lease.
        portal: of the running event loop.
        over: called with the reason when the lease ends before its time.

    Raises what Jumpstarter raises, and TargetError.
    """
    ours = bool(settings.selector or settings.exporter)
    if ours and os.environ.get(JMP_LEASE):
        raise TargetError(
            "JMP_LEASE names a lease that is there already: write jumpstarter: alone to use it, or"
            " unset it to lease another device"
        )
    if not ours and os.environ.get(JUMPSTARTER_HOST):
        with ExitStack() as stack:
            async with env_async(portal, stack) as client:
                _quieten(client)
                known = ExporterMetadata.from_env()
                yield Leased(client, known.lease or "", known.name, known.labels)
        return
    if not ours and not os.environ.get(JMP_LEASE):
        raise TargetError(
            "jumpstarter: names no device: write jumpstarter:LABEL=VALUE or"
            " jumpstarter:?exporter=NAME, or run inside `jmp shell`"
        )
    config = load_config(settings)

    def ending(lease: Any, remaining: timedelta) -> None:
        if remaining <= timedelta(0):
            over("the lease has ended")

    async with config.lease_async(
        selector=settings.selector or None,
        exporter_name=settings.exporter or None,
        lease_name=None,
        duration=timedelta(seconds=settings.duration),
        portal=portal,
        acquisition_timeout=timedelta(seconds=max(1.0, settings.wait)),
    ) as lease:
        lease.lease_ending_callback = ending
        with ExitStack() as stack:
            async with lease.monitor_async(), lease.connect_async(stack) as client:
                _quieten(client)
                # The exporter may have something to prepare first, such as flashing the device.
                await client.wait_for_lease_ready(settings.wait)
                labels = dict(lease.exporter_labels)
                ended = partial(_end, lease)
                yield Leased(client, lease.name, lease.exporter_name, labels, ours, ended)


def _quieten(client: Any) -> None:
    """Keep the drivers' clients from writing to the terminal; their log goes on to the root's."""
    for _, one in _drivers(client, ""):
        one.logger.handlers[:] = [logging.NullHandler()]


async def _end(lease: Any) -> str:
    try:
        with anyio.fail_after(ASK_SECONDS):
            told = await lease.get()
    except Exception as error:
        # A controller that does not answer says nothing about the lease.
        return "the lease is gone" if _code(error) == "NOT_FOUND" else ""
    return "the lease has ended" if told.effective_end_time else ""


def _code(error: BaseException) -> str:
    """Return gRPC's word for what went wrong; empty if it is of another kind."""
    cause = error if hasattr(error, "code") else error.__cause__
    with contextlib.suppress(Exception):
        return str(cause.code().name)  # type: ignore[union-attr]
    return ""


def find_adb(leased: Leased, path: str) -> AdbClient:
    """Return the client of the exporter's adb driver.

    Args:
        leased: the exporter.
        path: names of drivers from the root on, with dots between; empty for the only adb driver.

    Raises TargetError if there is none, or if it is not clear which one is meant.
    """
    known = dict(_drivers(leased.client, ""))
    where = f"exporter {leased.exporter}"
    if path:
        if path not in known:
            raise TargetError(
                f"{where} has no driver {path}: name one of {', '.join(sorted(known)) or 'none'}"
            )
        known = {path: known[path]}
    found = {name: client for name, client in known.items() if isinstance(client, AdbClient)}
    if len(found) > 1:
        names = ", ".join(f"?driver={name}" for name in sorted(found))
        raise TargetError(f"{where} has {len(found)} adb drivers: name one of {names}")
    for client in found.values():
        return client
    for name, client in known.items():
        if isinstance(client, StubDriverClient) and _class_of(client) == ADB_CLIENT:
            raise TargetError(
                f"{where}: the driver {name} is not allowed here: add {ADB_CLIENT} to"
                " JMP_DRIVERS_ALLOW or to drivers.allow of the client configuration"
            )
    listed = ", ".join(f"{name or '(root)'}: {_class_of(one)}" for name, one in known.items())
    raise TargetError(
        f"{where} has no adb driver ({listed[:300]}): its configuration needs"
        " jumpstarter_driver_adb.driver.AdbServer"
    )


def _class_of(client: Any) -> str:
    return str(client.labels.get("jumpstarter.dev/client", "?"))


def _drivers(client: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, client
    for name, child in client.children.items():
        yield from _drivers(child, f"{path}.{name}" if path else name)


def translated(error: BaseException, settings: JumpstarterSettings) -> KitError:
    """Return an error of one line: TargetError for what the user can mend, else InfraError."""
    while grouped := getattr(error, "exceptions", None):  # of a task group
        error = grouped[0]
    if isinstance(error, KitError):
        return error
    words = " ".join(str(error).split())
    if isinstance(error, LeaseError):
        if "timed out" in words:
            return InfraError(
                f"no device for {settings.wanted} within {settings.wait:g} s: all that match are"
                " leased or offline; give it longer, as ?wait=1h"
            )
        if "satisfied" in words or "invalid" in words or "belongs to" in words:
            return TargetError(f"no device for {settings.wanted}: {words}")
        return InfraError(f"no device for {settings.wanted}: {words}")
    if code := _code(error):
        cause: Any = error if hasattr(error, "code") else error.__cause__
        words = f"{code}: {' '.join(str(cause.details()).split())}"
        if code in REFUSALS:
            return TargetError(f"Jumpstarter refuses {settings.wanted}: {words}")
    if "token is expired" in words:
        return TargetError(f"Jumpstarter: {words}: log in again with `jmp login`")
    if isinstance(error, exceptions.ConfigurationError | ImportError):
        return TargetError(f"Jumpstarter: {words}")
    if isinstance(error, TimeoutError):
        words = words or "no answer in time"
    return InfraError(f"Jumpstarter: {words or type(error).__name__}")
