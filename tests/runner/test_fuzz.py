"""The fuzzer's corpus, replayed and mutated a little under sanitizers; the million is in docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from nnapi_testkit.model.wire_codes import FRAME

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "emulator" / "runner" / "fuzz"
CORPUS = sorted((FUZZ / "corpus").glob("*.bin"))


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    # The files that the harness itself is built from.
    listed = re.findall(r"\$\{runner\}/(\w+\.c)", (FUZZ / "CMakeLists.txt").read_text())
    sources = [ROOT / "emulator" / "runner" / name for name in listed]
    sources += [FUZZ / f"{name}.c" for name in ("fuzz_stream", "null_driver", "mutate")]
    program = folder / "runner-fuzz"
    done = subprocess.run(
        ["cc", "-std=c11", "-O1", "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", "-DMAX_OUTPUT_BYTES=65536u",
         f"-I{ROOT / 'emulator' / 'include'}", *sources, "-o", program, "-ldl", "-pthread"],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0 and "libasan" in done.stderr + done.stdout:
        pytest.skip("the compiler has no sanitizer libraries")
    assert done.returncode == 0, done.stderr
    return program


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 25
    assert sum(path.stat().st_size for path in CORPUS) < 200_000
    for path in CORPUS:
        assert FRAME.unpack_from(path.read_bytes())[0] == b"NNTK"


def test_replay_and_mutate(fuzzer: Path) -> None:
    done = subprocess.run(
        [fuzzer, "20000", "7", *CORPUS],
        cwd=fuzzer.parent, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "20000 mutations, no fault" in done.stdout
