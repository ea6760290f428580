"""Compilation caching: a cold and a warm compilation, and files that are not what they seem."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode
from tests.driver.capi import Compilation, Execution, Library, Model, ok
from tests.driver.loading import Loader

F32 = OperandCode.TENSOR_FLOAT32
TOKEN = bytes(range(32))
CHECKSUM_AT, TOKEN_AT, ENTRIES_AT = 8, 16, 72
MASK = (1 << 64) - 1


def chain(lib: Library, *names: str, factor: float = 3.0) -> Model:
    """x * factor, then the operations, the last one added first."""
    model = Model(lib)
    x, product = model.operand(F32, [2]), model.operand(F32, [2])
    weight = model.value(model.operand(F32, [2]), np.full(2, factor, np.float32))
    values = [product, *(model.operand(F32, [2]) for _ in names)]
    for i in reversed(range(len(names))):
        ok(model.operation(OperationCode[names[i]], [values[i]], [values[i + 1]]))
    ok(model.operation(OperationCode.MUL, [x, weight, model.int32(0)], [product]))
    return model.finished([x], [values[-1]])


def compiled(
    model: Model, folder: Path, token: bytes = TOKEN, devices: list[int] | int = 1
) -> Compilation:
    """A finished compilation with a cache."""
    compilation = Compilation(model, devices)
    ok(model.lib.Compilation_setCaching(compilation.handle, os.fsencode(folder), token))
    ok(model.lib.Compilation_finish(compilation.handle))
    return compilation


def result(compilation: Compilation) -> list[float]:
    """What it computes for [0.5, -0.25]."""
    execution = Execution(compilation)
    out = np.zeros(2, np.float32)
    ok(execution.input(0, np.array([0.5, -0.25], np.float32)))
    ok(execution.output(0, out))
    ok(execution.compute())
    execution.free()
    compilation.free()
    return out.tolist()


EXPECTED = [-1.5, 0.75]


def notes(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What the driver noted about its cache since the last call."""
    lines = capfd.readouterr().err.splitlines()
    return [line.rsplit(": ", 1)[1] for line in lines if " cache: " in line]


def checksum(data: bytes) -> int:
    """The checksum of a file's bytes from the token on, as cache.cpp computes it."""

    def word(state: int, value: int) -> int:
        z = ((state ^ value) + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    state = 3
    for part in (b"nnapi-testkit 0.1.0", data):
        state = word(state, len(part))
        for at in range(0, len(part), 8):
            state = word(state, int.from_bytes(part[at : at + 8], "little"))
    return state


def forged(file: bytes, entries: list[tuple[int, int]]) -> bytes:
    """A file with other entries and a checksum that fits them."""
    body = file[TOKEN_AT:ENTRIES_AT] + b"".join(struct.pack("<II", *entry) for entry in entries)
    return file[:CHECKSUM_AT] + struct.pack("<Q", checksum(body)) + body


def test_cold_and_warm(load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    model = chain(load(), "NEG")
    assert result(compiled(model, folder)) == EXPECTED
    assert notes(capfd) == ["not there", "written"]
    (file,) = folder.iterdir()
    assert TOKEN.hex() in file.name and file.stat().st_mode & 0o077 == 0
    before = file.read_bytes()
    assert result(compiled(model, folder)) == EXPECTED
    assert notes(capfd) == ["used"]
    assert [path.read_bytes() for path in folder.iterdir()] == [before]
    # Another process reads the same file: here another copy of the driver.
    assert result(compiled(chain(load(), "NEG"), folder)) == EXPECTED
    assert notes(capfd) == ["used"]


def test_a_warm_compilation_is_as_fast_as_the_device_promises(load: Loader, tmp_path: Path) -> None:
    lib = load("[slow]\ncompilation_ms = 1000")
    model, slow = chain(lib, "NEG"), [lib.devices()["slow"]]
    times = []
    for _ in range(2):
        began = time.monotonic()
        assert result(compiled(model, tmp_path, devices=slow)) == EXPECTED
        times.append(time.monotonic() - began)
    assert times[0] >= 1 > times[1]


def test_another_model_with_the_same_token(
    load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lib = load()
    first, longer = chain(lib, "NEG"), chain(lib, "NEG", "ABS")
    other, weights = chain(lib, "ABS"), chain(lib, "NEG", factor=-3.0)
    assert result(compiled(first, tmp_path)) == EXPECTED
    assert notes(capfd) == ["not there", "written"]
    assert result(compiled(longer, tmp_path)) == [1.5, 0.75]
    assert notes(capfd) == ["of another length", "written"]
    assert result(compiled(first, tmp_path)) == EXPECTED
    assert notes(capfd) == ["of another length", "written"]
    assert result(compiled(other, tmp_path)) == [1.5, 0.75]
    assert notes(capfd) == ["of another model", "written"]
    assert result(compiled(first, tmp_path)) == EXPECTED
    assert result(compiled(weights, tmp_path)) == [1.5, -0.75]  # the plan is the same


def test_other_tokens_and_devices_have_files_of_their_own(load: Loader, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    lib = load("[a]\n[b]\nlevel = 6")
    model, known = chain(lib, "NEG"), lib.devices()
    for devices in ([known["a"]], [known["b"]], [known["a"], known["b"]], 1):
        assert result(compiled(model, folder, devices=devices)) == EXPECTED
    assert result(compiled(model, folder, token=bytes(32))) == EXPECTED
    assert len(list(folder.iterdir())) == 5


def test_damaged_files(load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    model = chain(load(), "NEG")
    compiled(model, folder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    assert len(good) == ENTRIES_AT + 2 * 8
    damaged = [good[:length] for length in range(len(good))]
    damaged += [good[:i] + bytes([good[i] ^ 1 << i % 8]) + good[i + 1 :] for i in range(len(good))]
    damaged += [good + b"x", b"\0" * len(good), b"\xff" * len(good)]
    notes(capfd)
    for data in damaged:
        path.write_bytes(data)
        assert result(compiled(model, folder)) == EXPECTED
        (why, then) = notes(capfd)
        assert why in ("of another length", "damaged") and then == "written"
        assert path.read_bytes() == good


def test_foreign_files(load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file of another token or list of devices under this name."""
    folder = tmp_path / "cache"
    folder.mkdir()
    lib = load("[a]")
    model, a = chain(lib, "NEG"), [lib.devices()["a"]]
    compiled(model, folder)
    (mine,) = folder.iterdir()
    compiled(model, folder, devices=a)
    compiled(model, folder, token=bytes(32))
    notes(capfd)
    for other in [path for path in folder.iterdir() if path != mine]:
        mine.write_bytes(other.read_bytes())
        assert result(compiled(model, folder)) == EXPECTED
        assert notes(capfd) == ["foreign", "written"]


def test_forged_files(load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Entries that cannot be, with a checksum that fits."""
    folder = tmp_path / "cache"
    folder.mkdir()
    lib = load("[few]\noperations = NEG\nperformance = 0.5")
    model, known = chain(lib, "NEG"), lib.devices()
    devices = [known["few"], known["nnapi-reference"]]
    compiled(model, folder, devices=devices)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    right = [(1, 1), (0, 0)]  # MUL on nnapi-reference, then NEG on few
    assert forged(good, right) == good
    notes(capfd)
    big = 2**32 - 1
    for wrong in (
        [(0, 0), (1, 1)],  # read before it is written
        [(1, 1), (1, 1)],
        [(1, 0), (0, 0)],  # few does not claim MUL
        [(1, 1), (2, 0)],
        [(big, 1), (0, 0)],
        [(1, big), (0, 0)],
        [(1, 2), (0, 0)],
    ):
        path.write_bytes(forged(good, wrong))
        assert result(compiled(model, folder, devices=devices)) == EXPECTED
        assert notes(capfd) == ["not valid for this model", "written"]
    path.write_bytes(forged(good, [(1, 1), (0, 1)]))  # another way to divide it, also right
    assert result(compiled(model, folder, devices=devices)) == EXPECTED
    assert notes(capfd) == ["used"]


def test_no_file_at_all(load: Loader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder, a pipe, a link under the name; a folder that is not there: compiling goes on."""
    folder = tmp_path / "cache"
    folder.mkdir()
    model = chain(load(), "NEG")
    compiled(model, folder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / "content").write_text("")
    notes(capfd)
    assert result(compiled(model, folder)) == EXPECTED
    assert notes(capfd) == ["of another length", "cannot be written"]
    (path / "content").unlink()
    path.rmdir()
    os.mkfifo(path)
    assert result(compiled(model, folder)) == EXPECTED  # and does not wait for a writer
    assert notes(capfd) == ["of another length", "written"]
    path.unlink()
    target = tmp_path / "target"
    target.write_bytes(good)
    path.symlink_to(target)
    assert result(compiled(model, folder)) == EXPECTED
    assert not path.is_symlink() and target.read_bytes() == good
    notes(capfd)
    assert result(compiled(model, tmp_path / "nowhere")) == EXPECTED
    assert notes(capfd) == ["not there", "cannot be written"]
    assert [p.name for p in folder.iterdir()] == [path.name]  # no temporary file is left


def test_threads_that_write_at_once(load: Loader, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    lib = load()
    models = [chain(lib, "NEG"), chain(lib, "ABS", "NEG"), chain(lib, "NEG", "NEG", "NEG")]
    answers = [EXPECTED, [-1.5, -0.75], EXPECTED]

    def work(i: int) -> bool:
        return result(compiled(models[i % 3], folder)) == answers[i % 3]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(600)))
    assert len(list(folder.iterdir())) == 1


def test_the_token_is_copied(load: Loader, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    model = chain(load(), "NEG")
    token = ctypes.create_string_buffer(TOKEN, 32)
    compilation = Compilation(model)
    ok(model.lib.Compilation_setCaching(compilation.handle, os.fsencode(folder), token))
    token.raw = bytes(32)
    ok(model.lib.Compilation_finish(compilation.handle))
    (file,) = folder.iterdir()
    assert TOKEN.hex() in file.name
