"""The loopback device: listens as adbd does and runs the Linux runner in a scratch folder."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.closing import Closing
from nnapi_testkit.loopback.commands import Shell
from nnapi_testkit.loopback.faults import Faults
from nnapi_testkit.loopback.files import serve_files
from nnapi_testkit.loopback.packets import Stream, Transport

__all__ = ["LoopbackDevice"]

WORLD_WRITABLE = "/data/local/tmp"
# Paths in commands that mean the device's folders: this one always, others for the kit's own.
PLACES = re.compile(
    r"/data/local/tmp|/sys/class/power_supply|(?<![\w./-])/(?:tmp|data)(?=/nnapi-testkit(?![\w-]))"
)
PROGRAMS = {
    "getprop": """\
cd "$LOOPBACK_PROPERTIES" || exit 1
if [ $# -gt 0 ]; then cat "$1" 2>/dev/null; echo; exit 0; fi
for name in *; do printf '[%s]: [%s]\\n' "$name" "$(cat "$name")"; done
""",
    "setprop": """\
case "$1" in
  debug.*|persist.*|sys.*) ;;
  *) echo "setprop: failed to set property '$1'" >&2; exit 1;;
esac
if [ -n "$2" ]; then printf %s "$2" >"$LOOPBACK_PROPERTIES/$1"
else rm -f "$LOOPBACK_PROPERTIES/$1"; fi
""",
    "log": """\
tag=-; while getopts t:p: o; do case $o in t) tag=$OPTARG;; *) ;; esac; done
shift $((OPTIND - 1))
printf '%s  %5d %5d I %s: %s\\n' "$(date '+%m-%d %H:%M:%S.000')" $$ $$ "$tag" "$*" \\
  >>"$LOOPBACK_LOG"
""",
    "logcat": """\
from=+1 follow=-f
while getopts b:v:T:t:dc o; do case $o in
  T|t) case $OPTARG in *[!0-9]*) ;; *) from=$OPTARG;; esac; [ $o = t ] && follow=;;
  d) follow=;;
  c) : >"$LOOPBACK_LOG"; exit 0;;
  *) ;;
esac; done
exec tail -n "$from" $follow "$LOOPBACK_LOG"
""",
}
# What a shell says of a program that is not there, and what programs do without their daemon.
LACKING = 'echo "/system/bin/sh: $(basename "$0"): inaccessible or not found" >&2; exit 127\n'
HANGING = "exec sleep 1000000\n"
# On a file system mounted noexec the bit may be set, and is of no use.
CHMOD = """\
for name do
  case "$name" in {folders}) exit 0;; esac
done
exec {chmod} "$@"
"""
SERVICE_CRASH = """\
{time} 4242  4242 F libc    : Fatal signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x10 in \
tid 4242 (loopback), pid 4242 ({name})
{time} 4250  4250 F DEBUG   : *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** ***
{time} 4250  4250 F DEBUG   : pid: 4242, tid: 4242, name: loopback  >>> {name} <<<
{time} 4250  4250 F DEBUG   : signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x10
{time} 4250  4250 F DEBUG   :       #00 pc 0000000000001234  {name} (execute+52)
"""
SERVICE = "/vendor/bin/hw/android.hardware.neuralnetworks-service-loopback"

Strike = Callable[[Shell], bool]  # whether the command goes on


class LoopbackDevice(Closing):
    """A device that adb can connect to, on a loopback port.

    It reports an ABI of its own, `linux-MACHINE`: the runner that goes with it is this machine's.

    Args:
        faults: what goes wrong; may be replaced at any time.
        library: its `libneuralnetworks.so`; the bundled reference driver by default.
        environment: added to that of its commands.
        vanished: added when the NNAPI device has vanished; by default the library goes.
        properties: added to its properties.
        port: where it listens, 0 for any.
        shell: that runs its commands; Android's is mksh.
        programs: folder of the programs that it has; by default those of this machine's path.

    Raises KitError if there is no driver.
    """

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        library: Path | None = None,
        environment: Mapping[str, str] | None = None,
        vanished: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        port: int = 0,
        shell: str = "/bin/sh",
        programs: Path | None = None,
    ) -> None:
        self._shell_program = shell
        self._programs = str(programs) if programs else os.environ.get("PATH", os.defpath)
        self.faults = faults or Faults()
        self.opened: list[str] = []  # every service that a host has asked for
        self.results = 0  # that its runners have reported
        self._vanished = vanished
        self._struck: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._counting = threading.Lock()
        self._shells: set[Shell] = set()
        self._transports: set[Transport] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="nnapi-testkit-loopback-")
        self.root = Path(self._folder.name)
        self._environment = self._furnish(library or paths.driver_library())
        self._environment.update(environment or {})
        self._closed = False
        self._started = time.monotonic()
        self._down_until = 0.0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        for name, value in {**self._facts(), **(properties or {})}.items():
            self.set_property(name, value)
        threading.Thread(target=self._listen, daemon=True).start()

    # ---- what it is ----

    @property
    def serial(self) -> str:
        """What `adb connect` is given."""
        return f"127.0.0.1:{self.port}"

    @property
    def scratch(self) -> Path:
        """Where the device's /data/local/tmp lies."""
        return self.place(WORLD_WRITABLE)

    def place(self, path: str) -> Path:
        """Return where a path of the device lies on this machine."""
        return self.root / os.path.normpath("/" + path).lstrip("/")

    def set_property(self, name: str, value: str) -> None:
        """Set a property, read-only ones included."""
        (self.root / "properties" / name).write_text(value)

    def set_battery(self, status: str, amperes: float, volts: float) -> None:
        """Let a battery tell this; a device has none until then."""
        folder = self.place("/sys/class/power_supply/battery")
        folder.mkdir(parents=True, exist_ok=True)
        said = {
            "status": status,
            "current_now": f"{amperes * 1e6:.0f}",
            "voltage_now": f"{volts * 1e6:.0f}",
        }
        for name, value in said.items():
            new = folder / f".{name}"
            new.write_text(value + "\n")
            new.replace(folder / name)  # whoever reads it meets the old or the new one

    def log(self, text: str) -> None:
        """Append lines to the device's log."""
        with (self.root / "log").open("a") as file:
            file.write(text)

    def _facts(self) -> dict[str, str]:
        return {
            "ro.product.cpu.abilist": f"linux-{platform.machine()}",
            "ro.product.model": "loopback",
            "ro.product.manufacturer": "nnapi-testkit",
            "ro.product.name": "loopback",
            "ro.product.device": "loopback",
            "ro.build.version.sdk": "35",
            "ro.build.version.release": "15",
            "ro.build.type": "userdebug",
            "ro.build.fingerprint": "nnapi-testkit/loopback/loopback:15/1/1:userdebug/test-keys",
            "sys.boot_completed": "1",
            "dev.bootcomplete": "1",
        }

    def _furnish(self, library: Path) -> dict[str, str]:
        for name in ("properties", "system/bin", "system/lib64", WORLD_WRITABLE.lstrip("/")):
            (self.root / name).mkdir(parents=True)
        (self.root / "log").write_text("--------- beginning of main\n")
        self.log(f"{_now()}     1     1 I loopback: started\n")
        (self.root / "system/lib64/libneuralnetworks.so").symlink_to(library.resolve())
        programs = dict(PROGRAMS)
        programs.update(dict.fromkeys(_words(self.faults.hangs), HANGING))
        programs.update(dict.fromkeys(_words(self.faults.lacks), LACKING))
        folders = [f"{self.place(folder)}/*" for folder in _words(self.faults.noexec)]
        if folders:
            chmod = shutil.which("chmod") or "chmod"
            programs["chmod"] = CHMOD.format(folders="|".join(folders), chmod=chmod)
        for name, script in programs.items():
            program = self.root / "system/bin" / name
            program.write_text("#!/bin/sh\n" + script)
            program.chmod(0o755)
        for folder in _words(self.faults.absent):
            place = self.place(folder)
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()  # nothing can be made in a file
        environment = dict(os.environ)
        environment["PATH"] = f"{self.root}/system/bin:{self._programs}"
        environment["TMPDIR"] = str(self.scratch)
        environment["LD_LIBRARY_PATH"] = f"{self.root}/system/lib64"
        environment["LOOPBACK_PROPERTIES"] = f"{self.root}/properties"
        environment["LOOPBACK_LOG"] = f"{self.root}/log"
        return environment

    # ---- connections ----

    def _listen(self) -> None:
        while not self._closed:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._down_until or self._closed:
                link.close()
                continue
            threading.Thread(target=self._connection, args=(link,), daemon=True).start()

    def _connection(self, link: socket.socket) -> None:
        faults = self.faults
        if time.monotonic() - self._started < faults.silent_seconds:
            # The forwarder has taken the connection, the guest behind it never hears of it.
            with contextlib.suppress(OSError), link:
                while link.recv(1 << 16):
                    pass
            return
        if faults.late_seconds:
            time.sleep(faults.late_seconds)
        banner = (
            "device::ro.product.name=loopback;ro.product.model=loopback;"
            f"ro.product.device=loopback;features={faults.features}"
        )
        transport = Transport(link, banner, self._serve, self._count_sent, not faults.unauthorized)
        transport.piece_bytes = faults.piece_bytes or transport.max_data
        self._transports.add(transport)
        transport.run()
        self._transports.discard(transport)

    def _count_sent(self, count: int) -> bool:
        return not self._is_due("drop_after_bytes", count)

    def _is_due(self, name: str, count: int = 1) -> bool:
        """Count towards a failure; true when it strikes now."""
        limit = getattr(self.faults, name)
        if limit < 0:
            return False
        with self._counting:
            if self._struck.get(name, 0) >= self.faults.times:
                return False
            self._since[name] = self._since.get(name, 0) + count
            if self._since[name] < limit:
                return False
            self._since[name] = 0
            self._struck[name] = self._struck.get(name, 0) + 1
            return True

    # ---- services ----

    def _serve(self, stream: Stream) -> bool:
        self.opened.append(stream.service)
        kind, _, rest = stream.service.partition(":")
        words = kind.split(",")
        work: Callable[[], object]
        if words[0] == "shell" and words[1:2] == ["v2"]:
            if "shell_v2" not in self.faults.features:
                return False
            work = partial(self._shell, stream, rest, version_2=True)
        elif words[0] in ("shell", "exec"):
            work = partial(self._shell, stream, rest, version_2=False)
        elif kind == "sync":
            work = partial(self._files, stream)
        elif kind == "reboot":
            work = self.reboot
        else:
            return False
        threading.Thread(target=work, daemon=True).start()
        return True

    def _files(self, stream: Stream) -> None:
        noexec = [self.place(folder) for folder in _words(self.faults.noexec)]
        serve_files(stream, self.place, self.faults.push_error, noexec)
        stream.close()

    def _shell(self, stream: Stream, command: str, *, version_2: bool) -> None:
        if self.faults.command_seconds:
            time.sleep(self.faults.command_seconds)
        if self.faults.endless and self.faults.endless in command:
            stream.wait_closed()
            return
        command = PLACES.sub(lambda found: f"{self.root}{found[0]}", command)
        shell = Shell(
            stream,
            command,
            self._environment,
            version_2=version_2,
            result=self._after_result if "--serve" in command else None,
            slow_bytes=self.faults.slow_bytes,
            folder=self.root,
            shell=self._shell_program,
        )
        self._shells.add(shell)
        shell.run()
        shell.process.wait()  # it may go on without the host
        self._shells.discard(shell)

    def _after_result(self) -> Strike | None:
        self.results += 1
        if self._is_due("service_crash_after_results"):
            self.log(SERVICE_CRASH.format(time=_now(), name=SERVICE))
        if self._is_due("kill_after_results"):
            return self._kill
        if self._is_due("drop_after_results"):
            return lambda shell: self.drop()
        if self._is_due("reboot_after_results"):
            return lambda shell: self.reboot()
        if self._is_due("vanish_after_results"):
            return self._vanish
        if self.faults.case_seconds:
            return self._linger
        return None

    # ---- failures ----

    def drop(self) -> bool:
        """Break all connections; return False, as nothing is heard any more."""
        for transport in list(self._transports):
            transport.break_off()
        return False

    def reboot(self) -> bool:
        """Break all connections, end all commands, come back later; return False."""
        self._down_until = time.monotonic() + self.faults.reboot_seconds
        self.set_property("sys.boot_completed", "0")
        self.drop()
        for shell in list(self._shells):
            shell.kill(signal.SIGKILL)
        timer = threading.Timer(
            self.faults.reboot_seconds + self.faults.boot_seconds, self._boot_completed
        )
        timer.daemon = True
        timer.start()
        return False

    def _boot_completed(self) -> None:
        if not self._closed:
            self.set_property("sys.boot_completed", "1")

    def _linger(self, shell: Shell) -> bool:
        time.sleep(self.faults.case_seconds)
        return True

    def _kill(self, shell: Shell) -> bool:
        shell.kill(signal.SIGKILL)
        return False

    def _vanish(self, shell: Shell) -> bool:
        if self._vanished is None:
            (self.root / "system/lib64/libneuralnetworks.so").unlink(missing_ok=True)
        else:
            self._environment.update(self._vanished)
        return self._kill(shell)

    def mend(self, **switches: object) -> None:
        """Replace some switches, leaving the others."""
        self.faults = replace(self.faults, **switches)  # type: ignore[arg-type]

    # ---- the end ----

    def close(self) -> None:
        """Break all connections, end all commands, remove the scratch folder."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for shell in list(self._shells):
            shell.kill(signal.SIGKILL)
            shell.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)
        self._folder.cleanup()


def _words(text: str) -> list[str]:
    return list(filter(None, text.split(",")))


def _now() -> str:
    return time.strftime("%m-%d %H:%M:%S.000")
