"""The wire format from Python's side: what is not in it is an error, whatever it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnapi_testkit.model.case import Case, Ending, Execution, MemoryKind, Result
from nnapi_testkit.model.types import ChannelQuant, Lifetime, Operand
from nnapi_testkit.model.wire import (
    Bye,
    Decoder,
    End,
    Failure,
    Hello,
    Kept,
    Library,
    Message,
    Trouble,
    WireError,
    decode_results,
    encode_batch,
)
from nnapi_testkit.model.wire_codes import FIELD, FRAME


def talk(runner: Path, native: Path, data: bytes) -> tuple[int, list[object]]:
    """Hand bytes to a runner; return its status and messages."""
    done = subprocess.run(
        [runner, "--serve", "--library", native / "libtoy.so"],
        input=data,
        capture_output=True,
        timeout=60,
    )
    assert done.stderr == b""
    return done.returncode, list(decode_results([done.stdout]))


def results_of(messages: list[object]) -> list[Result]:
    return [message for message in messages if isinstance(message, Result)]


@pytest.fixture(scope="module")
def answer(runner: Path, native: Path, make_case) -> bytes:
    """What a runner says to two cases."""
    done = subprocess.run(
        [runner, "--library", native / "libtoy.so"],
        input=encode_batch([make_case(), make_case(9004)], batch_id=7),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    return done.stdout


def test_a_whole_conversation(answer: bytes) -> None:
    kinds = [type(message) for message in decode_results([answer])]
    assert kinds == [Hello, Library, Result, Result, End, Bye]


@given(st.lists(st.integers(1, 5000), max_size=20))
@settings(max_examples=50, deadline=None)
def test_messages_do_not_depend_on_how_they_are_cut(answer: bytes, cuts: list[int]) -> None:
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(answer[at : at + cut])
        at += cut
    pieces.append(answer[at:])
    assert list(decode_results(pieces)) == list(decode_results([answer]))


def test_a_cut_answer_is_an_error(answer: bytes) -> None:
    ends = set()
    at = 0
    while at < len(answer):
        at += FRAME.size + FRAME.unpack_from(answer, at)[3]
        ends.add(at)
    for cut in range(1, len(answer)):
        if cut in ends:
            list(decode_results([answer[:cut]]))
        else:
            with pytest.raises(WireError):
                list(decode_results([answer[:cut]]))


def test_every_flipped_bit_is_noticed(answer: bytes) -> None:
    for at in range(len(answer)):
        damaged = bytearray(answer)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(WireError):
            list(decode_results([bytes(damaged)]))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_garbage_with_a_good_checksum_is_an_error_or_a_message(payload: bytes) -> None:
    for kind in (16, 17, 18, 19, 20, 21, 22):
        head = FRAME.pack(b"NNTK", 1, kind, len(payload), 0)[4:12]
        frame = b"NNTK" + head + crc32(payload, crc32(head)).to_bytes(4, "little") + payload
        with contextlib.suppress(WireError):
            list(Decoder().feed(frame))


# ---- what cannot be sent ----


def test_what_cannot_be_sent_is_named(make_case) -> None:
    case: Case = make_case()
    first, second = case.sets[0].inputs
    assert first is not None
    for bad in (
        replace(case, repetitions=0),
        replace(case, repetitions=10_001),
        replace(case, cache_token=b"short"),
        replace(case, deadline_ms=-1),
        replace(case, sets=(Execution((np.zeros((4, 4))[:, :2], second), ((6,),)),)),
        replace(case, sets=(Execution((first.astype(">f4"), second), ((6,),)),)),
        replace(case, sets=(Execution((first, second), ((-6,),)),)),
    ):
        with pytest.raises(WireError, match="ADD"):
            encode_batch([bad])


# ---- what a runner must refuse ----


def test_unsound_cases_are_bad_cases_and_nothing_else(
    runner: Path, native: Path, make_case
) -> None:
    case: Case = make_case()
    graph = case.model.main
    subgraph = Operand(15, lifetime=Lifetime.SUBGRAPH, subgraph=0)
    bad = [
        replace(case, sets=(Execution(case.sets[0].inputs[:1], ((6,),)),)),
        replace(case, sets=(Execution(case.sets[0].inputs, ((6,), (6,))),)),
        replace(case, sets=(replace(case.sets[0], output_bytes=(1 << 40,)),)),
        replace(
            case,
            model=replace(case.model, main=replace(graph, operands=(*graph.operands, subgraph))),
        ),
    ]
    status, messages = talk(runner, native, encode_batch([case, *bad, case]))
    assert status == 0
    results = results_of(messages)
    assert [r.ending for r in results] == (
        [Ending.COMPLETED] + [Ending.BAD_CASE] * len(bad) + [Ending.COMPLETED]
    )
    assert all(r.text for r in results if r.ending is Ending.BAD_CASE)


def test_an_operand_index_out_of_range_is_the_drivers_to_refuse(
    runner: Path, native: Path, make_case
) -> None:
    case: Case = make_case()
    graph = case.model.main
    wrong = replace(graph.operations[0], inputs=(0, 99, 2))
    bad = replace(
        case, model=replace(case.model, main=replace(graph, operations=(wrong,))), sets=()
    )
    _, messages = talk(runner, native, encode_batch([bad]))
    (result,) = results_of(messages)
    assert (result.ending, result.function) == (
        Ending.STOPPED,
        "ANeuralNetworksModel_addOperation",
    )


def test_a_missing_function_is_named(runner: Path, native: Path, make_case) -> None:
    case: Case = make_case()
    graph = case.model.main
    quantized = replace(graph.operands[2], channel_quant=ChannelQuant(0, (1.0, 2.0)))
    operands = (*graph.operands[:2], quantized, graph.operands[3])
    bad = replace(case, model=replace(case.model, main=replace(graph, operands=operands)))
    _, messages = talk(runner, native, encode_batch([bad]))
    (result,) = results_of(messages)
    assert result.ending is Ending.UNSUPPORTED
    assert result.function == "ANeuralNetworksModel_setOperandSymmPerChannelQuantParams"


def failure_of(messages: list[object]) -> Failure:
    failures = [message for message in messages if isinstance(message, Failure)]
    assert len(failures) == 1
    assert failures[0].text
    return failures[0]


def test_a_cut_batch_runs_what_came_and_says_so(runner: Path, native: Path, make_case) -> None:
    cases = [make_case(), make_case(), make_case()]
    data = encode_batch(cases)
    length = len(encode_batch(cases[:1])) - len(encode_batch([]))
    head = len(encode_batch([]))
    for cut in [1, FRAME.size, head - 1, head, head + 1, head + length - 1, head + length,
                head + 2 * length + 5, len(data) - 1]:  # fmt: skip
        status, messages = talk(runner, native, data[:cut])
        failure = failure_of(messages)
        assert status == 3
        assert failure.trouble is Trouble.INPUT
        assert "in the middle" in failure.text
        assert len(results_of(messages)) == max(0, (cut - head) // length)


def test_flipped_bits_are_noticed(runner: Path, native: Path, make_case) -> None:
    cases = [make_case(), make_case()]
    data = encode_batch(cases)
    head = len(encode_batch([]))
    first_case = head + len(encode_batch(cases[:1])) - head
    for at in range(0, len(data), 37):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        status, messages = talk(runner, native, bytes(damaged))
        assert status == 3
        assert failure_of(messages).trouble is Trouble.INPUT
        assert len(results_of(messages)) == (1 if at >= first_case else 0)


def reframe(frame: bytes, payload: bytes, kind: int | None = None) -> bytes:
    """Return `frame` with another payload and a right checksum."""
    _, version, old, _, _ = FRAME.unpack_from(frame)
    head = FRAME.pack(b"NNTK", version, kind or old, len(payload), 0)[4:12]
    return b"NNTK" + head + crc32(payload, crc32(head)).to_bytes(4, "little") + payload


def test_unknown_fields_frames_and_versions_are_errors(
    runner: Path, native: Path, make_case
) -> None:
    batch = encode_batch([make_case()])
    head = FRAME.size + FRAME.unpack_from(batch)[3]
    start, case = batch[:head], batch[head:]
    payload = start[FRAME.size :]
    newer = bytearray(start)
    newer[4] = 2
    for data, said in (
        (reframe(start, payload + FIELD.pack(99, 0, 0)) + case, "unknown or repeated field 99"),
        (reframe(start, payload + payload) + case, "unknown or repeated field 1"),
        (reframe(start, payload, kind=9) + case, "kind 9"),
        (start + reframe(case, case[FRAME.size :], kind=1), "kind 1"),
        (bytes(newer) + case, "version 2"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not a frame"),
        (
            reframe(start, FIELD.pack(1, 0, 16) + bytes.fromhex("00000000ffffffff") + bytes(8)),
            "at most",
        ),
    ):
        status, messages = talk(runner, native, data)
        assert status == 3, said
        assert said in failure_of(messages).text


def test_unknown_fields_in_a_case_cost_that_case(runner: Path, native: Path, make_case) -> None:
    batch = encode_batch([make_case()])
    head = FRAME.size + FRAME.unpack_from(batch)[3]
    case = batch[head:]
    data = batch[:head] + reframe(case, case[FRAME.size :] + FIELD.pack(99, 0, 0))
    status, messages = talk(runner, native, data)
    (result,) = results_of(messages)
    assert status == 0
    assert result.ending is Ending.BAD_CASE
    assert "99" in result.text


def test_hostile_lengths_do_not_cost_memory(runner: Path, native: Path) -> None:
    for length in (0x3FFFFFFF, 0x40000001, 0xFFFFFFFF):
        frame = FRAME.pack(b"NNTK", 1, 1, length, 0) + bytes(100)
        code = (
            "import resource, subprocess, sys\n"
            "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n"
            "sys.exit(subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode)"
        )
        done = subprocess.run(
            ["python3", "-c", code, runner, "--library", native / "libtoy.so"],
            input=frame,
            timeout=60,
        )
        assert done.returncode == 3


def test_no_room_for_shared_memory_is_said(runner: Path, native: Path, make_case) -> None:
    """A full memory file system: an error before the driver runs, not a crash in it."""
    limited = (
        "import os, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    case = make_case(size=10_000, memory=MemoryKind.SHARED)
    done = subprocess.run(
        ["python3", "-c", limited, runner, "--library", native / "libtoy.so"],
        input=encode_batch([case, make_case()]),
        capture_output=True,
        timeout=60,
    )
    full, good = results_of(list(decode_results([done.stdout])))
    assert full.ending is Ending.BAD_CASE
    assert "no shared memory of" in full.text
    assert good.ending is Ending.COMPLETED


# ---- the program ----


@pytest.mark.parametrize(
    "words",
    [[], ["--library"], ["--library", "x", "--memory-limit", "much"], ["--what"], ["--serve"]],
)
def test_wrong_usage(runner: Path, words: list[str]) -> None:
    done = subprocess.run([runner, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage:")
    # The last line is what is passed on from a device.
    assert done.stderr.splitlines()[-1].startswith("nnapi-runner: ")


def _told(runner: Path, *words: str | Path, **environment: str) -> list[Message]:
    done = subprocess.run(
        [runner, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        env={**os.environ, **environment},
    )
    return list(decode_results([done.stdout]))


@pytest.mark.parametrize(
    ("what", "words"), [("abort", "died of signal 6"), ("hang", "did not load within 300 ms")]
)
def test_a_library_that_cannot_list_is_told_where_it_ended(
    runner: Path, native: Path, what: str, words: str
) -> None:
    library = native / "libtoy.so"
    listing = ["--list-devices", "--load-deadline", "300", "--library", library]
    told = _told(runner, *listing, TOY_ON_LIST=what)
    assert isinstance(told[-1], Failure) and told[-1].trouble is Trouble.LISTING
    assert words in told[-1].text and "ANeuralNetworks_getDeviceCount" in told[-1].text


def test_of_several_libraries_the_first_that_loads_is_taken(runner: Path, native: Path) -> None:
    choice = ["--library", "libabsent.so", "--library", native / "libtoy.so"]
    _, library, _ = _told(runner, "--list-devices", *choice)
    assert isinstance(library, Library) and library.path.endswith("libtoy.so")
    choice = ["--library", "libabsent.so", "--library", "/absent/lib.so"]
    told = _told(runner, "--list-devices", *choice)
    assert isinstance(told[-1], Failure) and told[-1].trouble is Trouble.UNLOADABLE
    assert "cannot load libabsent.so: " in told[-1].text
    assert "; nor /absent/lib.so: " in told[-1].text


def test_a_library_of_something_else_and_one_without_devices(runner: Path, native: Path) -> None:
    told = _told(runner, "--list-devices", "--library", "libc.so.6")
    assert isinstance(told[-1], Failure) and told[-1].trouble is Trouble.FOREIGN
    assert "libc.so.6 is not an NNAPI library" in told[-1].text
    told = _told(runner, "--list-devices", "--library", native / "libtoy.so", TOY_DEVICES="0")
    assert isinstance(told[-1], Failure) and told[-1].trouble is Trouble.LISTING
    assert "lists no NNAPI device" in told[-1].text


def test_a_file_for_results_that_cannot_be_made(runner: Path, native: Path) -> None:
    library = native / "libtoy.so"
    told = _told(runner, "--serve", "--library", library, "--journal", "/absent/results")
    assert isinstance(told[-1], Failure) and told[-1].trouble is Trouble.SYSTEM
    assert "cannot keep results in /absent/results" in told[-1].text


def test_a_file_that_holds_no_results_is_begun_anew(
    runner: Path, native: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "results"
    words = ["--serve", "--library", native / "libtoy.so", "--journal", journal]
    for content in (b"", b"N", b"no frame at all" * 9, bytes(1 << 20)):
        for more in ([], ["--resume", "0"]):
            journal.write_bytes(content)
            told = _told(runner, *words, *more)
            assert [type(message) for message in told] == [Hello, Library, Bye], (content[:9], more)
    # A sound file whose last frame was cut off: what came before is told.
    kept = journal.read_bytes()
    journal.write_bytes(kept + kept[:-3])
    told = _told(runner, *words, "--resume", "0")
    assert [type(message) for message in told] == [Hello, Kept, Library, Bye]


def test_list_devices(runner: Path, native: Path) -> None:
    done = subprocess.run(
        [runner, "--list-devices", "--library", native / "libtoy.so"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 0
    library = next(m for m in decode_results([done.stdout]) if isinstance(m, Library))
    assert [device.name for device in library.devices] == ["toy-0"]


def test_one_batch_without_serve(runner: Path, native: Path, make_case) -> None:
    """A runner whose input never ends (a shell on a device) leaves after one batch."""
    with subprocess.Popen(
        [runner, "--library", native / "libtoy.so"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(encode_batch([make_case()]))
        process.stdin.flush()
        messages = list(decode_results([process.stdout.read()]))
        assert process.wait(timeout=20) == 0
    assert len(results_of(messages)) == 1
