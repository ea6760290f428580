"""A docker daemon of the tests' own: its own root, socket and bridge, gone without a trace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import docker.errors
import requests


class DaemonFailed(Exception):
    """dockerd did not come up; the message is its log."""


class Daemon:
    """Started by construction. Raises DaemonFailed with the daemon's log."""

    def __init__(self, seconds: float = 60) -> None:
        # Sockets have short names, and overlayfs does not lie on overlayfs: /var/tmp as a rule.
        self.folder = Path(tempfile.mkdtemp(prefix="nntk-docker-", dir="/var/tmp"))
        self.socket = f"unix://{self.folder}/docker.sock"
        self.log = self.folder / "dockerd.log"
        self.bridge = f"nntk{os.getpid() % 100000}"
        words = [
            "dockerd",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host={self.socket}",
            # Published ports go through docker's proxy on loopback: nothing of the machine's
            # firewall or routing is touched.
            f"--bridge={self.bridge}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--userland-proxy=true",
        ]
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                ["ip", "link", "add", self.bridge, "type", "bridge"],
                check=True,
                capture_output=True,
            )
            subprocess.run(
                ["ip", "addr", "add", f"10.213.{os.getpid() % 250}.1/24", "dev", self.bridge],
                check=True, capture_output=True,
            )  # fmt: skip
            subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            self._sweep()
            raise DaemonFailed(f"dockerd cannot be started: {error}") from error
        until = time.monotonic() + seconds
        while True:
            try:
                self.client = docker.DockerClient(base_url=self.socket, timeout=60)
                self.client.ping()
                return
            except (docker.errors.DockerException, requests.exceptions.RequestException):
                if self.process.poll() is not None or time.monotonic() > until:
                    text = self.log.read_text(errors="replace")
                    self.stop()
                    raise DaemonFailed(text[-3000:]) from None
                time.sleep(0.1)

    def stop(self) -> None:
        """Remove all containers, end the daemon, remove what it left."""
        if self.process.poll() is None:
            with contextlib.suppress(
                AttributeError, docker.errors.DockerException, requests.exceptions.RequestException
            ):
                for container in self.client.containers.list(all=True):
                    container.remove(force=True)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._sweep()

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
