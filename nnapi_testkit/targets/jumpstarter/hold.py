"""One exporter for as long as it is needed: leased, connected, its adb server tunnelled."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal

from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.adb.server import Server
from nnapi_testkit.targets.base import InfraError
from nnapi_testkit.targets.jumpstarter.client import Leased, connected, find_adb, translated
from nnapi_testkit.targets.jumpstarter.keeper import Keeper
from nnapi_testkit.targets.jumpstarter.settings import JumpstarterSettings

__all__ = ["Hold", "Tunnel"]

CONNECT_SECONDS = 60.0  # between having a lease and having a tunnel
LOOK_SECONDS = 10.0  # between two looks at the lease: a tunnel does not tell when its far end goes
RELEASE_SECONDS = 45.0  # Jumpstarter itself allows 30 for giving a lease back


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The adb server of a leased exporter, as this machine reaches it."""

    server: Server
    lease: str
    exporter: str
    labels: dict[str, str] = field(default_factory=dict)


class _Loop:
    """The event loop in which Jumpstarter works for all leases of this process.

    A daemon's thread: a process that forgets to close its runners can still end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._portal: BlockingPortal | None = None

    def portal(self) -> BlockingPortal:
        """Return the way into the loop, started if need be."""
        with self._lock:
            if self._portal is None:
                threading.Thread(target=anyio.run, args=(self._serve,), daemon=True).start()
                self._begun.wait()
            assert self._portal is not None
            return self._portal

    async def _serve(self) -> None:
        async with BlockingPortal() as self._portal:
            self._begun.set()
            await self._portal.sleep_until_stopped()


_LOOP = _Loop()


class Hold:
    """Leases an exporter and tunnels to its adb server until `close`.

    Args:
        settings: what to lease.

    Raises TargetError or InfraError, and holds nothing then.
    """

    def __init__(self, settings: JumpstarterSettings) -> None:
        self._settings = settings
        self._ready: Future[Tunnel] = Future()
        self._over = threading.Event()  # not to be used any more
        self._gone = threading.Event()  # given back
        self._why = ""
        self._leased: Leased | None = None
        self.holders = 0
        self._portal = _LOOP.portal()
        self._end: anyio.Event = self._portal.call(anyio.Event)
        self._task = self._portal.start_task_soon(self._work)
        try:
            # Once for the lease, once for what the exporter prepares.
            self.tunnel = self._ready.result(2 * settings.wait + CONNECT_SECONDS)
        except KitError:
            self._gone.wait(RELEASE_SECONDS)
            raise
        except TimeoutError:
            self._cancel()
            raise InfraError(
                f"no connection to {settings.wanted}: Jumpstarter has not answered in time"
            ) from None
        except BaseException:  # Ctrl-C while waiting for a device
            self._cancel()
            raise

    # ---- of the caller ----

    @property
    def alive(self) -> bool:
        """Whether lease and tunnel are still there."""
        return not self._over.is_set()

    def explained(self, error: KitError) -> str:
        """Return the words of an error, with what became of the lease."""
        tunnel = self.tunnel
        what = f"exporter {tunnel.exporter or 'of this shell'}"
        what += f", lease {tunnel.lease}" if tunnel.lease else ""
        return f"{error} ({what}{': ' + self._why if self._why else ''})"

    def look(self) -> None:
        """Ask the controller about the lease, after its device was lost."""
        if self.alive:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._portal.call(self._look)

    def close(self) -> None:
        """End the tunnel and give the lease back; a second call does nothing."""
        self._over.set()
        self._portal.start_task_soon(self._end.set)
        self._gone.wait(RELEASE_SECONDS)

    def _cancel(self) -> None:
        self._task.cancel()
        self._gone.wait(RELEASE_SECONDS)

    # ---- in the loop ----

    async def _work(self) -> None:
        error: KitError = InfraError("Jumpstarter has ended")
        keeper: Keeper | None = None
        try:
            async with connected(self._settings, self._portal, self._ended) as leased:
                keeper = Keeper(self._settings, leased.lease) if leased.ours else None
                self._leased = leased
                await self._serve(leased)
        except Exception as caught:  # a thread's end: whoever waits must be told why
            error = translated(caught, self._settings)
            self._why = self._why or str(error)
        finally:
            self._over.set()
            if keeper is not None:
                keeper.done()
            if not self._ready.done():
                self._ready.set_exception(error)
            self._gone.set()

    async def _look(self) -> None:
        if self._leased is not None and self._leased.ended is not None:
            why = await self._leased.ended()
            if why:
                self._ended(why)

    def _ended(self, why: str) -> None:
        self._why = why
        self._over.set()
        self._end.set()

    async def _serve(self, leased: Leased) -> None:
        """Keep the tunnel open until the end is wanted."""
        adb = find_adb(leased, self._settings.driver)
        done = threading.Event()

        def keep() -> None:
            # Jumpstarter's tunnel is for threads, not for the event loop. The thread is here before
            # it is needed: at the end of a process none can be started.
            with adb.forward_adb() as (host, port):
                server = Server(host, port, False)
                self._ready.set_result(Tunnel(server, leased.lease, leased.exporter, leased.labels))
                done.wait()

        own = partial(to_thread.run_sync, limiter=anyio.CapacityLimiter(1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(own, keep)
            try:
                while not self._end.is_set():
                    with anyio.move_on_after(LOOK_SECONDS):
                        await self._end.wait()
                        break
                    await self._look()
            finally:
                done.set()
