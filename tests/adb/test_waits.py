"""A run that a device keeps waiting says what it waits for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

from nnapi_testkit.waits import waited_for, waiting_for

RUN = (
    "import sys; from nnapi_testkit.commands import screen; screen.LIFE_SECONDS = 0.2\n"
    "from nnapi_testkit.cli import main; sys.exit(main())"
)


def test_a_device_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        serial = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", RUN, "run", "-o", "FLOOR", "--target", f"adb:{serial}"],
            env=os.environ | {"NNAPI_TESTKIT_ADB_PATIENCE": "reach=2"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    beats = [line for line in done.stdout.splitlines() if line.startswith("... ")]
    assert any(f"s: waiting for device {serial} to answer" in line for line in beats), beats


def test_the_oldest_wait_of_any_thread_is_told() -> None:
    begun, ended = threading.Event(), threading.Event()

    def other() -> None:
        with waiting_for("one"):
            begun.set()
            ended.wait(10)

    thread = threading.Thread(target=other)
    assert waited_for() == ""
    thread.start()
    assert begun.wait(10)
    with waiting_for("one"), waiting_for("two"):
        assert waited_for() == "one"
        ended.set()
        thread.join()
        assert waited_for() == "one", "that of this thread, of the same words"
    assert waited_for() == ""
