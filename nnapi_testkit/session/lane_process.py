"""Entry point of a lane process: `python -m nnapi_testkit.session.lane_process FD`.

It receives settings, then lists of case ids, and an empty list when there are no more; it sends
`("records", lines)`, `("done", None)` after each block, `("left", faults)` when its runners have
ended, and `("error", message)` before it gives up.
"""

from __future__ import annotations

import signal
import sys
import time
from multiprocessing.connection import Connection

from nnapi_testkit.errors import KitError
from nnapi_testkit.process import collect_rarely
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.record import encode
from nnapi_testkit.session.services import load, refs_of
from nnapi_testkit.session.settings import Settings

__all__ = ["main"]

CHUNK = 64  # records in one message
CHUNK_SECONDS = 0.2


def main(descriptor: int) -> None:
    """Serve blocks until the parent closes the connection."""
    collect_rarely()
    # The parent is interrupted, or loses its terminal, and closes; it ends a lane that is busy.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    connection: Connection = Connection(descriptor)
    settings: Settings = connection.recv()
    try:
        _serve(connection, settings)
    except KitError as error:
        connection.send(("error", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _end(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the runner and its folder are closed in peace
    raise SystemExit(128 + number)


def _serve(connection: Connection, settings: Settings) -> None:
    services = load(settings.services)
    index = {ref.id: ref for ref in refs_of(services, settings)}
    with Lane(settings, services) as lane:
        while True:
            ids: list[str] = connection.recv()
            if not ids:
                break
            lines: list[str] = []
            sent = time.monotonic()
            for record in lane.run([index[case_id] for case_id in ids]):
                lines.append(encode(record))
                now = time.monotonic()
                if len(lines) >= CHUNK or now - sent > CHUNK_SECONDS:
                    connection.send(("records", lines))
                    lines, sent = [], now
            if lines:
                connection.send(("records", lines))
            connection.send(("done", None))
    connection.send(("left", lane.faults))


if __name__ == "__main__":
    main(int(sys.argv[1]))
