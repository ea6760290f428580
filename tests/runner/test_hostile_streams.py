"""A runner that says anything else than it should: an error of the way, never the driver's failure.

Each kind is a whole run of the command line, whose runner is a shell that plays bytes.
"""

from __future__ import annotations

import shlex
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hostile_world

from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.model.wire_codes import FRAME
from nnapi_testkit.report.accounts import read_accounts
from nnapi_testkit.session.services import Services
from nnapi_testkit.targets import RunnerSession

COMMAND: list[str] = []  # what stands for the runner in the kind at work
HELLO, LIBRARY, RESULT, END, BYE = 0, 1, 2, 4, 5  # positions in an honest answer to two cases


def services() -> Services:
    """The hostile world with the shell in place of the runner."""

    def open_runner(target: str, *, isolate: bool, memory_limit_mb: int | None) -> RunnerSession:
        return RunnerSession(lambda _: COMMAND, target, grace=0.5, load_seconds=0.1)

    facts = {"device": "toy-0", "feature_level": 1000008, "attributed": True}
    return replace(
        hostile_world.services(), open_runner=open_runner, describe=lambda target: facts,
        index=lambda operations, seed: hostile_world.index(operations, seed)[:2],
    )  # fmt: skip


Frames = list[bytes]


def _frame(kind: int, payload: bytes, **change: int) -> bytes:
    head = FRAME.pack(b"NNTK", change.get("version", 1), kind, len(payload), 0)
    total = change.get("sum", crc32(payload, crc32(head[4:12])))
    return head[:12] + struct.pack("<I", total) + payload


def _field(tag: int, content: bytes) -> bytes:
    return struct.pack("<HHI", tag, 0, len(content)) + content


def _result(index: int, ending: int = 0, stage: int = 6, extra: bytes = b"") -> bytes:
    head = struct.pack("<IBBHiIQ", index, ending, stage, 0, 0, 0, 1)
    return _frame(18, _field(30, head) + extra)


def _execution(*outputs: bytes, count: int = 0) -> bytes:
    head = struct.pack("<iIQQQII", 0, count or len(outputs), 1, 2**64 - 1, 2**64 - 1, 0, 1)
    return _field(33, head + b"".join(outputs))


def _output(rank: int, length: int, *rest: bytes) -> bytes:
    return struct.pack("<iiqQQ", rank, 0, 0, 0, length) + b"".join(rest)


def _play(*pieces: bytes, end: str = "sleep 5") -> str:
    data = b"".join(pieces)
    octal = "".join(f"\\{byte:03o}" for byte in data)
    return f"printf {shlex.quote(octal)}; {end}"


def _forever(piece: bytes, first: Frames) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in piece)
    return f"{_play(*first, end='')} while :; do printf {shlex.quote(octal)}; sleep 0.02; done"


KINDS: dict[str, Callable[[Frames], str]] = {
    "nothing": lambda f: "sleep 5",
    "it ends at once": lambda f: "exit 0",
    "it fails at once": lambda f: "exit 7",
    "text": lambda f: "echo hello; sleep 5",
    "zeros": lambda f: "head -c 100000 /dev/zero; sleep 5",
    "half a HELLO": lambda f: _play(f[HELLO][:20]),
    "HELLO and no more": lambda f: _play(f[HELLO]),
    "HELLO, then the end": lambda f: _play(f[HELLO], end="exit 0"),
    "HELLO without end": lambda f: _forever(f[HELLO], []),
    "no HELLO": lambda f: _play(*f[RESULT:]),
    "another version": lambda f: _play(_frame(16, f[HELLO][16:], version=2)),
    "a wrong checksum": lambda f: _play(_frame(16, f[HELLO][16:], sum=1)),
    "a frame of 4 GB": lambda f: _play(f[HELLO], FRAME.pack(b"NNTK", 1, 17, 2**32 - 1, 0)),
    "a frame that never ends": lambda f: _forever(
        b"x", [*f[:RESULT], FRAME.pack(b"NNTK", 1, 18, 2**29, 0)]
    ),
    "an unknown frame": lambda f: _play(*f[:RESULT], _frame(99, b"")),
    "a frame of the kit's": lambda f: _play(*f[:RESULT], encode_batch([])),
    "an unknown field": lambda f: _play(*f[:RESULT], _result(0, extra=_field(77, b""))),
    "a field past the end": lambda f: _play(*f[:RESULT], _frame(18, b"\x1e\0\0\0\xff\0\0\0")),
    "LIBRARY without end": lambda f: _forever(f[LIBRARY], f[:RESULT]),
    "LIBRARY again": lambda f: _play(*f[:RESULT], f[LIBRARY], *f[RESULT:]),
    "HELLO again": lambda f: _play(*f[:RESULT], f[HELLO], *f[RESULT:]),
    "no result": lambda f: _play(*f[:RESULT]),
    "the end before a result": lambda f: _play(*f[:RESULT], f[END]),
    "the end of another batch": lambda f: _play(*f[:END], f[END].replace(b"\x07", b"\x09")),
    "BYE before a result": lambda f: _play(*f[:RESULT], f[BYE]),
    "KEPT unasked": lambda f: _play(
        *f[:RESULT], _frame(22, _field(90, struct.pack("<II", 1, 1)))
    ),
    "results in another order": lambda f: _play(*f[:RESULT], f[RESULT + 1], f[RESULT]),
    "a result twice": lambda f: _play(*f[:RESULT], f[RESULT], f[RESULT]),
    "results without end": lambda f: _forever(f[RESULT], f[:RESULT]),
    "a result beyond the batch": lambda f: _play(*f[:RESULT], _result(2)),
    "an unknown ending": lambda f: _play(*f[:RESULT], _result(0, ending=42)),
    "an unknown stage": lambda f: _play(*f[:RESULT], _result(0, stage=42)),
    "no head": lambda f: _play(*f[:RESULT], _frame(18, b"")),
    "outputs past the end": lambda f: _play(
        *f[:RESULT], _result(0, extra=_execution(_output(1, 1 << 40), count=1))
    ),
    "a rank of 2^31": lambda f: _play(
        *f[:RESULT], _result(0, extra=_execution(_output(2**31 - 1, 0)))
    ),
    "a billion outputs": lambda f: _play(
        *f[:RESULT], _result(0, extra=_execution(count=10**9))
    ),
    "an ERROR of no kind": lambda f: _play(
        f[HELLO], _frame(21, _field(80, struct.pack("<I", 42)) + _field(34, b"no"))
    ),
    "a dead stream after one result": lambda f: _play(*f[: RESULT + 1], end="exit 0"),
}  # fmt: skip


@pytest.fixture(scope="module")
def answer(runner: Path, native: Path, make_case: Callable[..., object]) -> Frames:
    """The frames of an honest answer to two cases."""
    done = subprocess.run(
        [runner, "--library", native / "libtoy.so"],
        input=encode_batch([make_case(), make_case()], batch_id=7),  # type: ignore[list-item]
        capture_output=True, timeout=60,
    )  # fmt: skip
    frames, at = [], 0
    while at < len(done.stdout):
        length = FRAME.size + FRAME.unpack_from(done.stdout, at)[3]
        frames.append(done.stdout[at : at + length])
        at += length
    assert len(frames) == 6
    return frames


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_stream_is_no_failure(
    answer: Frames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    COMMAND[:] = ["bash", "-c", KINDS[kind](answer)]
    # The module by the name under which this copy of it is known.
    monkeypatch.setitem(sys.modules, "hostile_streams", sys.modules[__name__])
    monkeypatch.setattr(hostile_world, "PLAIN_MS", 300)
    out = tmp_path / "out"
    began = time.monotonic()
    code = main(
        [
            "run", "-t", "host", "--services", "hostile_streams:services", "--oracle", "golden",
            "--report", str(out),
        ]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 2, printed.out
    assert "Traceback" not in printed.err + printed.out
    assert "PASS: " not in printed.out
    for line in printed.err.splitlines():
        assert line.startswith("nnapi-testkit: ")
    if (out / "results.jsonl").exists():
        for record in read_accounts(out).records:
            assert not record.verdict.is_failure, record
            assert (
                record.verdict is not Verdict.PASS
                or "one result" in kind
                or "twice" in kind
                or ("results without end" in kind)
            ), record
    assert time.monotonic() - began < 120
