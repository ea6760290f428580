#!/usr/bin/env python3
"""Make a root file system for `docker import`: Debian packages, the kit, and a stub emulator.

`python tests/docker/make_image.py OUTPUT.tar DRIVER` downloads the packages that this machine's
apt knows (its own release, so that the driver built here runs there) and writes a tar archive. The
stub emulator is a loopback device on the port that the real emulator is told to use.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("python3", "socat", "coreutils", "dash", "sed", "grep", "libstdc++6", "procps")
# Of the package: what the loopback device consists of.
PARTS = ("__init__.py", "closing.py", "errors.py", "paths.py", "loopback")
STUB = """\
#!/bin/sh
# The stub emulator: what it is told goes to its log, an adb port is all it has.
echo "stub emulator: $*" >&2
[ -n "${STUB_EXIT:-}" ] && { echo "stub emulator: PANIC: $STUB_EXIT" >&2; exit 1; }
port=$(echo "$*" | sed -n 's/.*-ports [0-9]*,\\([0-9]*\\).*/\\1/p')
sleep "${STUB_BOOT_SECONDS:-0}"
exec python3 /kit/stub_emulator.py "$port" ${STUB_FAULTS:-}
"""
SERVE = """\
import signal, sys
sys.path.insert(0, "/kit")
from nnapi_testkit.loopback import Faults, LoopbackDevice
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with LoopbackDevice(Faults.parse(sys.argv[2:]), port=int(sys.argv[1])):
    signal.pause()
"""


def closure(packages: tuple[str, ...]) -> list[str]:
    """The packages and all that they depend on."""
    text = subprocess.run(
        ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
         "--no-breaks", "--no-replaces", "--no-enhances", *packages],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = {line for line in text.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", line)}
    # They would run when a system is set up; here nothing is.
    return sorted(names - {"debconf", "debconf-2.0", "cdebconf", "dpkg", "perl-base", "tar"})


def main() -> int:
    """Write the archive named on the command line."""
    output, driver = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        root = work / "root"
        root.mkdir()
        subprocess.run(
            ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *closure(PACKAGES)],
            check=True, cwd=work, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "tmp", "proc", "dev"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (root / link).symlink_to(f"usr/{link}")
        for package in sorted(work.glob("*.deb")):
            # tar follows the links of the merged /usr; dpkg-deb -x would replace them.
            with subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
            ) as unpack:
                subprocess.run(
                    ["tar", "-x", "--keep-directory-symlink", "-C", str(root)],
                    check=True, stdin=unpack.stdout,
                )  # fmt: skip
        kit = root / "kit" / "nnapi_testkit"
        for part in PARTS:
            source = ROOT / "nnapi_testkit" / part
            if source.is_dir():
                shutil.copytree(source, kit / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                kit.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, kit / part)
        (root / "kit" / "stub_emulator.py").write_text(SERVE)
        (kit / "_native").mkdir()
        shutil.copy(driver, kit / "_native" / "libneuralnetworks.so")
        stub = root / "usr" / "bin" / "emulator"
        stub.write_text(STUB)
        stub.chmod(0o755)
        shutil.copy(ROOT / "emulator" / "images" / "entrypoint.sh", root / "entrypoint.sh")
        for sub in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / sub, ignore_errors=True)
        with tarfile.open(output, "w") as archive:
            for path in sorted(root.iterdir()):
                archive.add(path, path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
