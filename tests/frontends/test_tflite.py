"""`.tflite` files: each builtin against LiteRT's own kernels, whole nets, refusals, bad files."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from ai_edge_litert.interpreter import Interpreter

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends import load
from nnapi_testkit.frontends.tflite import REASONS, RULES, source
from nnapi_testkit.frontends.tflite.file import Node, names_of
from nnapi_testkit.frontends.tflite.lower import Lowering
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.program import operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.models.coverage import cover
from nnapi_testkit.models.report import ModelReport
from nnapi_testkit.models.work import needed_level
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE
from nnapi_testkit.targets.base import Runner
from tests.frontends import tflite_cases_kept, tflite_cases_moved  # noqa: F401 (register)
from tests.frontends.flat import Flat
from tests.frontends.tflite_cases import CASES
from tests.frontends.tflite_nets import build
from tests.models.faulty import Faulty, other_code

# What LiteRT's own NNAPI delegate takes.
NAMES = """
ABS ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
BIDIRECTIONAL_SEQUENCE_LSTM CAST CONCATENATION CONV_2D DENSIFY DEPTHWISE_CONV_2D
DEPTH_TO_SPACE DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR
FULLY_CONNECTED GATHER GREATER GREATER_EQUAL HARD_SWISH HASHTABLE_LOOKUP L2_NORMALIZATION
L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND
LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX LSH_PROJECTION LSTM MAXIMUM MAX_POOL_2D MEAN
MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_ALL
REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RNN RSQRT SELECT SIN SLICE SOFTMAX
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARED_DIFFERENCE SQUEEZE
STRIDED_SLICE SUB SUM SVDF TANH TILE TOPK_V2 TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN UNPACK
"""
DELEGATED = frozenset(NAMES.split())


# LiteRT computes another thing than the NNAPI reference says (docs/third-opinion.md).
UNLIKE = {"LOCAL_RESPONSE_NORMALIZATION", "BIDIRECTIONAL_SEQUENCE_LSTM/merged-batches"}


def judged(path: Path, runner: Runner) -> ModelReport:
    program = load(path)
    assert program.expected, program.notes
    assert not program.left
    return check(program, runner)


@pytest.mark.parametrize("name", CASES)
def test_each_builtin_is_what_litert_computes(name: str, runner: Runner, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    if name in UNLIKE:
        program = load(path)
        assert not program.expected and "not compared with the source" in program.notes[0]
        assert check(program, runner).passed
        return
    report = judged(path, runner)
    assert not report.conversion
    assert report.passed, report.text()


def written(tmp_path: Path, name: str) -> Path:
    flat = Flat()
    outputs = CASES[name](flat, np.random.default_rng(3))
    return flat.write(tmp_path / "model.tflite", outputs)


def test_what_litert_delegates_is_taken_or_has_a_reason() -> None:
    assert len(DELEGATED) == 94
    assert set(RULES) >= DELEGATED
    assert not set(RULES) & set(REASONS)


def test_every_builtin_of_the_schema_is_taken_or_has_a_reason() -> None:
    own = {"CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"}
    kinds = set(names_of("BuiltinOperator").values()) - own
    plain = {kind for kind in kinds if not kind.startswith("STABLEHLO_")}
    assert not plain - set(RULES) - set(REASONS)


def test_the_documentation_lists_what_is_taken_and_every_reason() -> None:
    page = Path(__file__).parents[2] / "docs" / "models.md"
    text = page.read_text(encoding="utf-8").partition("### What is taken of LiteRT")[2]
    text = text.partition("\n## ")[0]
    taken, _, rest = text.partition("### What is not taken of LiteRT")
    rows = [line.split("|")[1] for line in taken.splitlines() if line.startswith("| ")]
    names = set(re.findall(r"TFLite_\w+|[A-Z][A-Z0-9_]{2,}", " ".join(rows[1:])))
    assert names == set(RULES)
    rows = [line.split("|")[1:3] for line in rest.splitlines() if line.startswith("| ")]
    told = {name: reason.strip() for names, reason in rows for name in names.strip().split(", ")}
    assert {name: told.get(name) for name in REASONS} == REASONS


def test_every_rule_has_a_case() -> None:
    assert set(RULES) == {name.partition("/")[0] for name in CASES}


def test_a_wrong_conversion_is_no_fault_of_the_driver(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(lowering: Lowering, node: Node) -> None:
        inputs = [lowering.read(tensor) for tensor in node.inputs if tensor]
        lowering.plain(node, "MINIMUM", inputs)

    monkeypatch.setitem(RULES, "MAXIMUM", other)
    report = judged(written(tmp_path, "MAXIMUM"), runner)
    assert report.verdict is Verdict.ORACLE_DISPUTE and report.conversion
    assert all(step.record.verdict is Verdict.PASS for step in report.steps)


def test_a_wrong_driver_is_no_fault_of_the_conversion(runner: Runner, tmp_path: Path) -> None:
    program = load(written(tmp_path, "MAXIMUM"))
    faulty = Faulty(runner, other_code(0, OperationCode.MINIMUM))
    report = check(program, faulty)  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH and not report.conversion


def test_what_nnapi_lacks_stays_on_the_cpu(runner: Runner, tmp_path: Path) -> None:
    flat = Flat()
    x, y, z, w = flat.input((2, 5)), flat.tensor((2, 5)), flat.tensor((2, 5)), flat.tensor((2, 5))
    flat.op("ABS", [x], [y], "Abs")
    flat.op("COS", [y], [z], "Cos")
    flat.op("EXP", [z], [w], "Exp")
    path = flat.write(tmp_path / "parts.tflite", [w])
    program = load(path)
    assert [left.name for left in program.left] == ["COS (t2)"]
    assert "cosine" in program.left[0].reason and program.left[0].at == 1
    assert len(program.model.main.inputs) == 2 and len(program.model.main.outputs) == 2
    fed = program.inputs[0]
    np.testing.assert_allclose(fed[1], np.cos(np.abs(fed[0])), rtol=1e-6)
    report = check(program, runner)
    assert report.passed, report.text()
    assert "1 operator stays on the CPU: COS" in report.text()
    rows = cover(program, runner, "host").rows
    assert [row.index for row in rows] == [0, -1, 1]


def test_sizes_that_are_computed_from_shapes_are_constants(runner: Runner, tmp_path: Path) -> None:
    flat = Flat()
    x, shape, first = flat.input((2, 3, 4)), flat.tensor((3,), "int32"), flat.tensor((), "int32")
    flat.op("SHAPE", [x], [shape], "Shape", outType=2)
    one = [flat.constant(np.array([value])) for value in (0, 1, 1)]
    flat.op("STRIDED_SLICE", [shape, *one], [first], "StridedSlice", shrinkAxisMask=1)
    both, y = flat.tensor((2,), "int32"), flat.tensor((2, 12))
    flat.op("PACK", [first, flat.constant(np.int32(-1))], [both], "Pack", valuesCount=2)
    flat.op("RESHAPE", [x, both], [y], "Reshape")
    program = load(flat.write(tmp_path / "flat.tflite", [y]))
    assert not program.left and len(program.model.main.operations) == 1
    assert check(program, runner).passed


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8"])
def test_open_dimensions_stay_open(kind: str, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "open.tflite"
    path.write_bytes(build("mobilenet", kind, open=True))
    for inputs, batch in (((), 1), (("3,48,48,3",), 3)):
        program = load(path, inputs)
        graph = program.model.main
        assert not program.left
        assert graph.operands[graph.inputs[0]].dims == (0, 48, 48, 3)
        assert graph.operands[graph.outputs[0]].dims == (0, 10)
        (data,) = program.inputs[0]
        assert data is not None and data.shape[0] == batch
        report = check(program, runner)
        assert not report.conversion and report.passed, report.text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not bear the mark TFL3"),
        (b"\x10\0\0\0TFL2" + b"\0" * 64, "does not bear the mark TFL3"),
        (b"\xff\xff\xff\x7fTFL3" + b"\0" * 64, "is damaged"),
    ],
)
def test_bad_files(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(KitError, match=words) as found:
        load(path)
    assert "\n" not in str(found.value)


def test_flipped_bytes_are_an_error_in_one_line_or_a_model(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    path = tmp_path / "flipped.tflite"
    for name in ("FULLY_CONNECTED/channels", "DENSIFY", "SPLIT_V"):
        flat = Flat()
        content = flat.content(CASES[name](flat, np.random.default_rng(3)))
        for _ in range(25):
            damaged = bytearray(content)
            damaged[random.integers(8, len(damaged))] ^= 1 << random.integers(0, 8)
            path.write_bytes(damaged)
            try:
                load(path)
            except KitError as error:
                assert "\n" not in str(error)


def test_a_file_with_other_shapes_than_litert_computes_is_no_model(tmp_path: Path) -> None:
    flat = Flat()
    x, y, z = flat.input((2, 3, 4)), flat.tensor((2, 4)), flat.tensor((2, 4))
    flat.op("MEAN", [x, flat.constant(np.array([2]))], [y], "Reducer")
    flat.op("ABS", [y], [z], "Abs")
    path = flat.write(tmp_path / "other.tflite", [z])
    words = re.escape(f"tensor t{z} has shape [2, 4] by the file, and LiteRT gives [2, 3]")
    with pytest.raises(KitError, match=words):
        load(path)


def test_each_cut_of_a_file_is_an_error_in_one_line_or_a_model(tmp_path: Path) -> None:
    content = written(tmp_path, "CONV_2D").read_bytes()
    path = tmp_path / "cut.tflite"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        try:
            load(path)
        except KitError as error:
            assert "\n" not in str(error)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(written(tmp_path, "DEPTHWISE_CONV_2D/channels"))
    assert main(["model", "check", path]) == 0
    assert main(["model", "coverage", path]) == 0
    assert "DEPTHWISE_CONV_2D (t" in capsys.readouterr().out
    assert main(["model", "check", path, "--input", "1,6,7,4"]) == 2
    assert main(["model", "check", path, "--input", "1,6,7,3", "--flexible", "0"]) == 2
    assert "a .tflite file says" in capsys.readouterr().err
    assert main(["model", "check", path, "--input", "1,6,7,3:float32"]) == 2
    assert "QUANT8_ASYMM_SIGNED in the model, not float32" in capsys.readouterr().err
    assert main(["model", "check", path, "--input", "1,6,7,3:int8"]) == 0


WHOLE = [
    *((name, "float32") for name in ("perceptron", "mobilenet", "keyword", "detector")),
    *((name, kind) for name in ("perceptron", "mobilenet") for kind in ("int8", "uint8")),
]


@pytest.mark.parametrize(("name", "kind"), WHOLE)
def test_whole_nets(name: str, kind: str, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(build(name, kind))
    report = judged(path, runner)
    assert not report.conversion
    assert report.passed, report.text()


def test_equal_scores_are_observed_and_all_else_is_judged(runner: Runner, tmp_path: Path) -> None:
    """Quantized scores are often equal; which box is the last one kept is then nobody's fault."""
    path = tmp_path / "detector.tflite"
    path.write_bytes(build("detector", "uint8"))
    report = judged(path, runner)
    assert report.verdict is Verdict.OBSERVED and not report.conversion
    open_ = [step for step in report.steps if step.verdict is not Verdict.PASS]
    assert len(open_) == 1 and "DETECTION_POSTPROCESSING" in open_[0].label
    assert "a tie at the limit" in report.text()


def test_a_stream_is_what_litert_hears(runner: Runner, tmp_path: Path) -> None:
    """States that are fed back are those that LiteRT keeps."""
    path = tmp_path / "keyword.tflite"
    path.write_bytes(build("keyword"))
    program = load(path)
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    kept = program.inputs[0][1:]
    random = np.random.default_rng(5)
    for _ in range(8):
        frame = random.uniform(-1, 1, (1, 8)).astype(np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame)
        interpreter.invoke()
        want = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        shapes = tuple(program.model.main.operands[at].dims for at in program.model.main.outputs)
        case = Case("frame", program.model, (Execution((frame, *kept), shapes),))
        (result,) = runner.run([case])
        outputs = [
            np.frombuffer(output.data, "<f4").reshape(shape)
            for output, shape in zip(result.executions[0].outputs, shapes, strict=True)
        ]
        np.testing.assert_allclose(outputs[0], want, rtol=1e-5, atol=1e-6)
        kept = tuple(outputs[1:])


def test_a_worker_that_dies_or_hangs_is_told_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "ABS")
    assert load(path).expected
    process = source._WORKER._process
    assert process is not None
    process.kill()
    process.wait()
    assert "it crashed (-9)" in load(path).notes[0]
    assert load(path).expected
    process = source._WORKER._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(source, "TIMEOUT", 0.2)
    assert "it did not end within 0.2 s" in load(path).notes[0]
    monkeypatch.setattr(source, "TIMEOUT", 60)
    assert load(path).expected


def test_what_litert_cannot_run_is_read_and_not_compared(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    program = load(written(tmp_path, "ABS"))
    assert not program.expected and "is not installed" in program.notes[0]
    assert check(program, runner).passed


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("at", [1, 6, 13])
def test_the_first_operation_that_was_converted_wrongly_is_named(
    kind: str, at: int, runner: Runner, tmp_path: Path
) -> None:
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(build("mobilenet", kind))
    program = load(path)
    graph = program.model.main
    convolutions = [
        index
        for index, operation in enumerate(graph.operations)
        if operation_name(operation.code).endswith("CONV_2D")
    ]
    index = convolutions[at]
    filters = graph.operations[index].inputs[1]
    operands = list(graph.operands)
    type = np.dtype(DTYPE[OperandCode(operands[filters].type)])
    data = np.frombuffer(operands[filters].value, type).copy().reshape(operands[filters].dims)
    data[..., 0] = data[..., -1]  # weights of one channel in the place of another one's
    operands[filters] = replace(operands[filters], value=data.tobytes())
    wrong = replace(program.model, main=replace(graph, operands=tuple(operands)))
    report = check(replace(program, model=wrong), runner)
    assert report.verdict is Verdict.ORACLE_DISPUTE
    assert program.label(index) in report.conversion[0]
    assert all(step.verdict is Verdict.PASS for step in report.steps)


def test_the_level_of_each_case_is_that_of_nnapi(tmp_path: Path) -> None:
    """Every operation has a documented signature, and the level since when NNAPI has it so."""
    wanted = {
        "ADD": 1,
        "ADD/uint8": 1,
        "ADD/int8": 4,
        "CONV_2D/channels": 4,
        "SUB/uint8": 3,
        "MEAN": 2,
        "GATHER": 3,
        "PACK": 6,
        "REVERSE_V2": 7,
        "FULLY_CONNECTED/hybrid": 3,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": 4,
        "RESIZE_BILINEAR": 1,
        "RESIZE_BILINEAR/centers": 4,
    }
    for name in CASES:
        model = load(written(tmp_path, name)).model
        levels = [needed_level(model, index) for index in range(len(model.main.operations))]
        assert 0 not in levels, name
        assert max(levels) == wanted.get(name, max(levels)), name


def test_outputs_that_nnapi_does_not_compute_are_named(runner: Runner, tmp_path: Path) -> None:
    flat = Flat()
    x, y, place = flat.input((2, 5)), flat.tensor((2, 5)), flat.tensor((2,), "int64")
    flat.op("ABS", [x], [y], "Abs")
    flat.op("ARG_MAX", [y, flat.constant(np.int32(1))], [place], "ArgMax", outputType=4)
    program = load(flat.write(tmp_path / "places.tflite", [y, place, x]))
    assert [left.name for left in program.left] == [f"ARG_MAX (t{place})"]
    assert "output_type=int32" in program.left[0].reason
    told = [note.partition(":")[0] for note in program.notes]
    assert told[:2] == [f"t{place} is no output of the model", f"t{x} is no output of the model"]
    assert check(program, runner).passed
