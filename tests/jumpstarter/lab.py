"""A Jumpstarter lab on loopback: a stub of its controller and router, real exporters behind it.

The stub speaks the controller's protocol over TLS: CreateLease, GetLease, DeleteLease, GetExporter,
Dial, and the router's Stream, which joins a client to the exporter that it has leased. An exporter
is Jumpstarter's own session with its own adb driver. What the controller does otherwise than it
should is said by switches.
"""

from __future__ import annotations

import base64
import datetime
import itertools
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import adbutils
import anyio
import grpc
import yaml
from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jumpstarter.common import ExporterStatus
from jumpstarter.driver import Driver
from jumpstarter.exporter import Session
from jumpstarter.streams.common import forward_stream
from jumpstarter.streams.router import RouterStream
from jumpstarter_driver_adb.driver import AdbServer
from jumpstarter_protocol import (
    client_pb2,
    client_pb2_grpc,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
    kubernetes_pb2,
    router_pb2_grpc,
)

TOKEN = "let-me-in"
SPACE = "namespaces/lab"
NEVER = 1 << 30


class Phone(Driver):
    """A rack's place: the phone's adb server beside drivers that a client need not have."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_of_nobody.client.PhoneClient"


def phone(port: int) -> Phone:
    return Phone(children={"power": Phone(), "adb": adb_server(port)})


def adb_server(port: int) -> AdbServer:
    return AdbServer(port=port, adb_path=str(adbutils.adb_path()))


@dataclass
class Exporter:
    name: str
    labels: dict[str, str]
    socket: str
    leased: str = ""


@dataclass
class Lease:
    name: str
    selector: str
    wanted: str  # name of an exporter
    seconds: float
    asked: int = 0
    exporter: Exporter | None = None
    begun: float = 0.0
    ended: float = 0.0
    deleted: bool = False
    unsatisfiable: str = ""
    streams: list[anyio.CancelScope] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return self.exporter is not None and not self.ended


class Controller:
    """The stub. Its switches may change at any time.

    Args:
        pending: how often a new lease is asked for before it becomes ready.
        broken: leases are not granted, for this reason.
        refuses: what CreateLease answers instead of a lease.
        unready: how often Dial says that the exporter is not ready yet.
    """

    def __init__(self) -> None:
        self.exporters: list[Exporter] = []
        self.leases: list[Lease] = []
        self.pending = 0
        self.broken = ""
        self.refuses: tuple[grpc.StatusCode, str] | None = None
        self.unready = 0
        self._numbers = itertools.count(1)

    def add_to(self, server: grpc.aio.Server) -> None:
        client_pb2_grpc.add_ClientServiceServicer_to_server(self, server)
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(Dialing(self), server)
        router_pb2_grpc.add_RouterServiceServicer_to_server(Router(self), server)

    def __getattr__(self, name: str) -> Any:
        if name[:1].isupper():  # what nobody should need
            return getattr(client_pb2_grpc.ClientServiceServicer(), name)
        raise AttributeError(name)

    async def CreateLease(self, request: Any, context: Any) -> Any:
        await self.check(context)
        if self.refuses:
            await context.abort(*self.refuses)
        name = request.lease_id or f"lease-{next(self._numbers)}"
        asked = request.lease
        self.leases.append(
            Lease(name, asked.selector, asked.exporter_name, asked.duration.ToTimedelta().seconds)
        )
        return self.told(self.leases[-1])

    async def GetLease(self, request: Any, context: Any) -> Any:
        await self.check(context)
        lease = await self.find(request.name, context)
        lease.asked += 1
        self.advance(lease)
        return self.told(lease)

    async def DeleteLease(self, request: Any, context: Any) -> Any:
        from google.protobuf import empty_pb2

        await self.check(context)
        lease = await self.find(request.name, context)
        lease.deleted = True
        self.end(lease)
        return empty_pb2.Empty()

    async def GetExporter(self, request: Any, context: Any) -> Any:
        name = request.name.rpartition("/")[2]
        for exporter in self.exporters:
            if exporter.name == name:
                return client_pb2.Exporter(name=request.name, labels=exporter.labels, online=True)
        return await context.abort(grpc.StatusCode.NOT_FOUND, name)

    async def check(self, context: Any) -> None:
        known = dict(context.invocation_metadata())
        right = (f"Bearer {TOKEN}", "Client", "lab", "tester")
        names = ("authorization", "jumpstarter-kind", "jumpstarter-namespace", "jumpstarter-name")
        if tuple(known.get(name) for name in names) != right:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    async def find(self, name: str, context: Any) -> Lease:
        for lease in self.leases:
            if lease.name == name.rpartition("/")[2]:
                return lease
        return await context.abort(grpc.StatusCode.NOT_FOUND, f"no lease {name}")  # type: ignore

    def advance(self, lease: Lease) -> None:
        """Grant a lease, or let one expire."""
        if lease.active and time.time() >= lease.begun + lease.seconds:
            self.end(lease)
        if lease.exporter or lease.ended or lease.asked <= self.pending:
            return
        labels = dict(part.split("=") for part in lease.selector.split(",") if part)
        fit = [
            one
            for one in self.exporters
            if labels.items() <= one.labels.items() and lease.wanted in ("", one.name)
        ]
        lease.unsatisfiable = self.broken or ("" if fit else "no exporter matches")
        if lease.unsatisfiable:
            return
        for exporter in fit:
            if not exporter.leased:
                exporter.leased = lease.name
                lease.exporter, lease.begun = exporter, time.time()
                return

    def end(self, lease: Lease) -> None:
        """End a lease: its exporter is free, its connections break."""
        lease.ended = lease.ended or time.time()
        if lease.exporter is not None and lease.exporter.leased == lease.name:
            lease.exporter.leased = ""
        for scope in lease.streams:
            scope.cancel()

    def told(self, lease: Lease) -> Any:
        message = client_pb2.Lease(
            name=f"{SPACE}/leases/{lease.name}",
            selector=lease.selector,
            client=f"{SPACE}/clients/tester",
        )
        message.duration.FromSeconds(int(lease.seconds))
        if lease.exporter:
            message.exporter = f"{SPACE}/exporters/{lease.exporter.name}"
            message.effective_begin_time.FromMilliseconds(int(lease.begun * 1000))
        if lease.ended:
            message.effective_end_time.FromMilliseconds(int(lease.ended * 1000))
        if lease.unsatisfiable:
            message.conditions.append(condition("Unsatisfiable", "NoAccess", lease.unsatisfiable))
        elif lease.active:
            message.conditions.append(condition("Ready", "Ready", ""))
        else:
            message.conditions.append(condition("Pending", "NotAvailable", "all are leased"))
        return message


def condition(kind: str, reason: str, message: str) -> Any:
    return kubernetes_pb2.Condition(type=kind, status="True", reason=reason, message=message)


class Dialing(jumpstarter_pb2_grpc.ControllerServiceServicer):
    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.endpoint = ""

    async def Dial(self, request: Any, context: Any) -> Any:
        await self.controller.check(context)
        lease = await self.controller.find(request.lease_name, context)
        self.controller.advance(lease)
        if not lease.active:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the lease is not active")
        if self.controller.unready > 0:
            self.controller.unready -= 1
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "exporter is not ready")
        return jumpstarter_pb2.DialResponse(
            router_endpoint=self.controller.endpoint, router_token=lease.name
        )


class Router(router_pb2_grpc.RouterServiceServicer):
    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    async def Stream(self, _: AsyncIterator[Any], context: Any) -> None:
        name = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        lease = await self.controller.find(name, context)
        if not lease.active:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no lease")
        assert lease.exporter is not None
        with anyio.CancelScope() as scope:
            lease.streams.append(scope)
            exporter = await anyio.connect_unix(lease.exporter.socket)
            async with RouterStream(context=context) as client, forward_stream(client, exporter):
                pass


class Lab:
    """Controller, router and exporters, in an event loop of their own.

    Args:
        folder: where the client's configuration goes.
    """

    def __init__(self, folder: Path) -> None:
        self.controller = Controller()
        self.config = folder / "client.yaml"
        self.roots: dict[str, Driver] = {}
        self._loop = start_blocking_portal()
        self._portal: BlockingPortal = self._loop.__enter__()
        self._portal.call(self._start)

    async def _start(self) -> None:
        key, certificate = certify()
        server = grpc.aio.server()
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        self.controller.endpoint = f"localhost:{port}"
        self.controller.add_to(server)
        await server.start()
        self._server = server
        self._sessions: list[tuple[anyio.Event, anyio.Event]] = []
        self.write(TOKEN, certificate)
        self._certificate = certificate

    def write(self, token: str, certificate: bytes = b"") -> None:
        """Write the client's configuration."""
        settings = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ClientConfig",
            "metadata": {"namespace": "lab", "name": "tester"},
            "endpoint": self.controller.endpoint,
            "tls": {"ca": base64.b64encode(certificate or self._certificate).decode()},
            "token": token,
            "drivers": {"allow": [], "unsafe": False},
        }
        self.config.write_text(yaml.safe_dump(settings))

    def add(self, name: str, root: Driver, **labels: str) -> Exporter:
        """Start an exporter; its driver is closed with the lab."""
        exporter = Exporter(name, labels, "")
        self.roots[name] = root
        up, end, gone = self._portal.call(self._events)
        self._portal.start_task_soon(self._export, exporter, root, up, end, gone)
        self._portal.call(up.wait)
        self._sessions.append((end, gone))
        self.controller.exporters.append(exporter)
        return exporter

    async def _events(self) -> tuple[anyio.Event, anyio.Event, anyio.Event]:
        return anyio.Event(), anyio.Event(), anyio.Event()

    async def _export(
        self, exporter: Exporter, root: Driver, up: anyio.Event, end: anyio.Event, gone: anyio.Event
    ) -> None:
        try:
            with Session(root_device=root) as session:
                async with session.serve_unix_async() as path:
                    session.update_status(ExporterStatus.LEASE_READY)
                    exporter.socket = os.fspath(path)
                    up.set()
                    await end.wait()
        finally:
            gone.set()

    def expire(self, lease: Lease) -> None:
        """End a lease as an administrator does."""
        self._portal.call(self.controller.end, lease)

    def wait(self, what: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something has become true."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, "it does not become true"
            time.sleep(0.02)

    def close(self) -> None:
        for end, gone in self._sessions:
            self._portal.start_task_soon(end.set)
            self._portal.call(gone.wait)
        self._portal.call(self._server.stop, 0.2)
        self._loop.__exit__(None, None, None)


def certify() -> tuple[bytes, bytes]:
    """Return a private key and a certificate for localhost, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return (
        key.private_bytes(serialization.Encoding.PEM, *plain),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
