"""A Chromium of our own, spoken to over its debugging pipe: real keys, sizes, paper and clocks."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATH = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars
--disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage
--remote-debugging-pipe about:blank"""


class Browser:
    """One tab. Commands are those of the DevTools protocol."""

    def __init__(self, profile: Path, width: int = 1300, height: int = 900) -> None:
        assert PATH is not None
        ours, theirs = os.pipe(), os.pipe()
        self._write, self._read = ours[1], theirs[0]
        profile.mkdir(parents=True, exist_ok=True)

        def wire() -> None:  # the browser reads its descriptor 3 and writes its 4
            incoming, outgoing = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(incoming, 3)
            os.dup2(outgoing, 4)

        self._log = (profile / "log").open("wb")
        self._process = subprocess.Popen(
            [PATH, *FLAGS.split(), f"--user-data-dir={profile}"],
            stdout=self._log, stderr=self._log, preexec_fn=wire, close_fds=False,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.size(width, height)

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return the answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result = answer["result"]
                assert isinstance(result, dict)
                return result
            self.events.append(answer)

    def _next(self, seconds: float = 60.0) -> dict[str, Any]:
        ends = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(ends - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has left"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        loaded = json.loads(line)
        assert isinstance(loaded, dict)
        return loaded

    def size(self, width: int, height: int) -> None:
        """Be a screen of this many pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def medium(self, medium: str = "", **features: str) -> None:
        """Be paper (`print`), or a screen of these media features."""
        named = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.send("Emulation.setEmulatedMedia", media=medium, features=named)

    def open(self, page: Path, address: str = "") -> float:
        """Load a page; returns the milliseconds until it has drawn itself."""
        self.send("Page.navigate", url="about:blank")
        self._loaded()
        self.send("Page.navigate", url=f"file://{page}{address}")
        self._loaded()
        return float(
            self.run(
                "performance.getEntriesByType('navigation')[0].loadEventEnd || performance.now()"
            )
        )

    def _loaded(self) -> None:
        while True:
            for at, event in enumerate(self.events):
                if event.get("method") == "Page.loadEventFired":
                    del self.events[: at + 1]
                    return
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript says; promises are waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def key(self, name: str, **more: object) -> None:
        """Press a key: a letter, `Tab`, `Enter`, `ArrowDown`, ..."""
        codes: Mapping[str, int] = {
            "Tab": 9, "Enter": 13, "Escape": 27, " ": 32,
            "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
        }  # fmt: skip
        text = {"Enter": "\r"}.get(name, name if len(name) == 1 else "")
        code = codes.get(name, ord(name.upper()[0]))
        # Without the code of the key a button is not pressed.
        both = {"key": name, "windowsVirtualKeyCode": code, **more}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **both)
        self.send("Input.dispatchKeyEvent", type="keyUp", **both)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is to be seen, or the whole page, as PNG."""
        made = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(made["data"]))

    def pdf(self, path: Path) -> None:
        """Print."""
        made = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(made["data"]))

    def complaints(self) -> list[str]:
        """Return the errors of scripts since the page was opened."""
        found = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                found.append(str(details.get("exception", details).get("description", details)))
            elif event.get("method") == "Log.entryAdded":
                found.append(str(event["params"]["entry"].get("text")))
        return found

    def close(self) -> None:
        """End the browser."""
        self._session = ""
        try:
            self.send("Browser.close")
        except (AssertionError, OSError):
            self._process.terminate()
        self._process.wait(20)
        os.close(self._read)
        os.close(self._write)
        self._log.close()
