"""ONNX files: what stays on the CPU, open dimensions, layouts, files and their errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, numpy_helper

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends import load
from nnapi_testkit.frontends.onnx import from_model, run
from nnapi_testkit.frontends.onnx.lower import RULES, Rule
from nnapi_testkit.frontends.onnx.rewrite import rewritten
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.model.types import Operand
from nnapi_testkit.models.check import _end, check
from nnapi_testkit.models.coverage import cover
from nnapi_testkit.models.coverage_text import markdown
from nnapi_testkit.oracle.chain import Chain
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets.base import Runner
from tests.frontends.graphs import Net


def names(program: Program) -> list[str]:
    return [operation_name(o.code) for o in program.model.main.operations]


def input_dims(program: Program) -> list[tuple[int, ...]]:
    main_ = program.model.main
    return [main_.operands[at].dims for at in main_.inputs]


def erf_between() -> Any:
    net = Net()
    x = net.node("Gemm", net.input("x", (3, 6)), net.real(5, 6), net.real(5), transB=1)
    x = net.node("Erf", x)
    return net.model(net.node("Gemm", x, net.real(4, 5), transB=1))


def test_a_node_that_nnapi_lacks_stays_on_the_cpu(runner: Runner) -> None:
    program = from_model(erf_between())
    assert names(program) == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
    (left,) = program.left
    assert left.at == 1 and left.name.startswith("Erf (") and "no error function" in left.reason
    # What the node gives is an input, what it reads an output; both are the source's.
    assert len(program.model.main.inputs) == 2 and len(program.model.main.outputs) == 2
    found = run.evaluate(erf_between(), {"x": program.inputs[0][0]}, ["erf4_0", "gemm3_0"])
    assert np.array_equal(program.inputs[0][1], found["erf4_0"])
    assert np.allclose(program.expected[0][1], found["gemm3_0"])
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_coverage_has_a_row_for_it_and_parts_around_it(runner: Runner) -> None:
    found = cover(from_model(erf_between()), runner, "host")
    states = [(row.index, row.claimed, row.partition) for row in found.rows]
    assert states == [(0, True, 1), (-1, False, 2), (1, True, 3)]
    assert (found.partitions, found.transitions, found.whole) == (2, 2, False)
    assert "not in NNAPI: NNAPI has no error function" in markdown([found])


def test_work_on_the_cpu_counts_in_the_share(runner: Runner) -> None:
    net = Net()
    x = net.node("Conv", net.input("x", (1, 4, 6, 6)), net.real(8, 4, 3, 3))
    x = net.node("Conv", x, net.node("Mul", net.input("w", (8, 8, 1, 1)), net.real(1)))
    found = cover(from_model(net.model(net.node("Relu", x))), runner, "host")
    (cpu,) = [row for row in found.rows if row.index < 0]
    assert cpu.macs == 8 * 8 * 16 and "constant" in cpu.message
    first = 8 * 16 * 4 * 9
    assert found.share == pytest.approx(first / (first + cpu.macs))


def test_sizes_that_only_values_tell_stay_on_the_cpu_with_who_reads_them(runner: Runner) -> None:
    """What is left behind NonZero has the size of the source's run."""
    net = Net()
    x = net.node("Relu", net.input("x", (3, 5)))
    places = net.node("NonZero", x)
    program = from_model(net.model(net.node("Cast", places, to=1), net.node("Exp", x)))
    assert [left.name.split()[0] for left in program.left] == ["NonZero"]
    assert names(program) == ["RELU", "CAST", "EXP"]
    assert input_dims(program)[1] == (2, int((program.inputs[0][0] > 0).sum()))
    assert check(program, runner).passed


def test_a_model_without_anything_for_nnapi_is_one_line() -> None:
    net = Net()
    model = net.model(net.node("Erf", net.node("Cos", net.input("x", (3, 4)))))
    with pytest.raises(KitError) as error:
        from_model(model, name="waves")
    line = str(error.value)
    assert line.startswith("waves: NNAPI cannot express 2 nodes: Cos (Cos.1): ")
    assert "\n" not in line and "Erf (Erf.2)" in line


REASONS = {
    "Conv": (lambda n, x: n.node("Conv", x, n.real(4, 3, 3)), (1, 3, 8), "2"),
    "MaxPool": (
        lambda n, x: n.node("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 2]),
        (1, 3, 8, 8),
        "dilation",
    ),
    "Resize": (
        lambda n, x: n.node(
            "Resize", x, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="cubic"
        ),
        (1, 3, 8, 8),
        "cubic",
    ),
    "Pad": (
        lambda n, x: n.node("Pad", x, n.constant(np.array([0, 1, 0, 1])), mode="edge"),
        (3, 4),
        "edge",
    ),
    "TopK": (
        lambda n, x: n.node("TopK", x, n.constant(np.array([2])), outputs=2, largest=0)[0],
        (3, 4),
        "smallest",
    ),
    "Cast": (lambda n, x: n.node("Cast", x, to=TensorProto.DOUBLE), (3, 4), "double"),
    "Transpose": (  # five that change places
        lambda n, x: n.node(
            "Transpose",
            n.node("Reshape", x, n.constant(np.array([2, 3, 2, 3, 1, 2]))),
            perm=[5, 3, 2, 1, 0, 4],
        ),
        (2, 3, 2, 3),
        "does not fit in 4",
    ),
    "Gelu": (lambda n, x: n.node("Gelu", x), (3, 4), "tanh"),
    "Add": (
        lambda n, x: n.node(
            "Add", n.input("a", (3, 4), TensorProto.UINT8), n.input("b", (3, 4), TensorProto.UINT8)
        ),
        (3, 4),
        "8 bits",
    ),
    "LSTM": (
        lambda n, x: n.node("LSTM", x, n.real(1, 8, 4), n.real(1, 8, 2), hidden_size=2, outputs=2)[
            1
        ],
        (3, 1, 4),
        "ONNX Runtime",
    ),
}


@pytest.mark.parametrize("kind", REASONS)
def test_each_refusal_says_why(kind: str) -> None:
    build, shape, word = REASONS[kind]
    net = Net(20 if kind == "Gelu" else 17)
    x = net.node("Relu", net.input("x", shape))
    made = build(net, x)
    types = {"Cast": TensorProto.DOUBLE, "Add": TensorProto.UINT8}
    program = from_model(net.model(made, x, types=(types.get(kind, TensorProto.FLOAT),)))
    (left,) = program.left
    assert left.name.startswith(kind) and word in left.reason, left
    assert names(program)[0] == "RELU" and set(names(program)) <= {"RELU", "RESHAPE"}


def test_symbolic_dimensions_stay_open(runner: Runner) -> None:
    net = Net()
    x = net.input("x", ("batch", 3, "height", "width"))
    x = net.node("Relu", net.node("Conv", x, net.real(4, 3, 3, 3), pads=[1, 1, 1, 1]))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    model = net.model(net.node("Gemm", x, net.real(5, 4), transB=1))
    fixed = from_model(model, last=True)
    # The pool's window has the size of the image: that is a number.
    assert input_dims(fixed) == [(0, 32, 32, 3)]
    assert "AVERAGE_POOL_2D" in fixed.notes[0] and "height = 32" in fixed.notes[0]
    assert "batch" not in fixed.notes[0] and check(fixed, runner).passed
    net = Net()
    x = net.input("x", ("batch", 3, 8, "width"))
    x = net.node("Relu", net.node("Conv", x, net.real(4, 3, 3, 3), pads=[1, 1, 1, 1]))
    model = net.model(net.node("ReduceMean", x, axes=[2, 3], keepdims=0))
    program = from_model(model, ["2,3,8,10"], last=True)
    assert input_dims(program) == [(0, 8, 0, 3)] and not program.notes
    assert program.inputs[0][0].shape == (2, 8, 10, 3)
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_an_open_batch_leaves_one_size_of_a_reshape_to_the_driver(runner: Runner) -> None:
    net = Net()
    x = net.node("Flatten", net.input("x", ("batch", 3, 4)))
    program = from_model(net.model(net.node("Gemm", x, net.real(5, 12), transB=1)))
    assert input_dims(program) == [(0, 3, 4)]
    shape = program.model.main.operands[program.model.main.operations[0].inputs[1]]
    assert np.frombuffer(shape.value, np.int32).tolist() == [-1, 12]
    assert check(program, runner).passed


def test_channels_last_needs_no_transposes_and_a_transpose_between_is_none() -> None:
    net = Net()
    x = net.input("x", (1, 8, 8, 3))
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Conv", x, net.real(4, 3, 3, 3))
    x = net.node("Mul", x, net.node("Sigmoid", net.node("GlobalAveragePool", x)))
    x = net.node("Transpose", net.node("Concat", x, x, axis=1), perm=[0, 2, 3, 1])
    program = from_model(net.model(net.node("Softmax", x)), last=True)
    assert "TRANSPOSE" not in names(program)


def test_old_devices_get_the_old_forms() -> None:
    """Channels last, a float classifier needs feature level 1 alone."""
    from nnapi_testkit.models.work import needed_level

    net = Net()
    x = net.node("Conv", net.input("x", (1, 3, 8, 8)), net.real(4, 3, 3, 3), net.real(4))
    x = net.node("MaxPool", net.node("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    model = net.model(net.node("Softmax", net.node("Gemm", x, net.real(5, 4), transB=1)))
    for last, level in ((True, 1), (False, 3)):
        program = from_model(model, last=last)
        count = len(program.model.main.operations)
        assert max(needed_level(program.model, at) for at in range(count)) == level


def test_a_fault_of_the_conversion_is_no_fault_of_the_driver(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    model = net.model(net.node("Sub", net.input("x", (3, 4)), net.input("y", (3, 4))))
    wrong = Rule(RULES["Add"].lower, True)
    monkeypatch.setitem(RULES, "Sub", wrong)
    report = check(from_model(model), runner)
    assert report.verdict is Verdict.ORACLE_DISPUTE and report.conversion


def test_the_reference_of_the_onnx_package_takes_the_runtimes_place(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(model: Any) -> Any:
        raise ImportError("no onnxruntime")

    model = erf_between()
    by_runtime = from_model(model)
    monkeypatch.setattr(run, "_runtime", missing)
    by_reference = from_model(model)
    for one, two in zip(by_runtime.expected[0], by_reference.expected[0], strict=True):
        assert np.allclose(one, two, atol=1e-5)
    assert check(by_reference, runner).passed


def test_rewriting_keeps_the_values_of_a_graph() -> None:
    net = Net()
    x = net.node("Conv", net.input("x", (1, 3, 5, 5)), net.real(4, 3, 3, 3), net.real(4))
    spread = net.constant(np.array([0.5, 1, 2, 3], np.float32))
    x = net.node("BatchNormalization", x, net.real(4), net.real(4), net.real(4), spread)
    model = net.model(x)
    feeds = {"x": np.random.default_rng(1).normal(size=(1, 3, 5, 5)).astype(np.float32)}
    before, after = (run.evaluate(m, feeds, [x])[x] for m in (model, rewritten(model)))
    assert len(rewritten(model).graph.node) == 1 and np.allclose(before, after, atol=1e-5)


def test_labels_inputs_and_outputs_bear_the_files_names() -> None:
    program = from_model(erf_between())
    assert program.label(0) == "#0 FULLY_CONNECTED Gemm (Gemm.3)"
    graph = program.model.main
    assert [program.operand(at) for at in graph.inputs] == ["x", "erf4_0"]


def test_whole_numbers_and_truth_values_are_held_as_nnapis(runner: Runner) -> None:
    net = Net()
    index = net.input("index", (2, 3), TensorProto.INT64)
    mask = net.input("mask", (2, 3, 4), TensorProto.BOOL)
    rows = net.node("Gather", net.real(10, 4), index)
    program = from_model(net.model(net.node("Where", mask, rows, net.node("Neg", rows))))
    types = [program.model.main.operands[at].type for at in program.model.main.inputs]
    assert types == [OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8]
    assert check(program, runner).passed


def test_half_precision(runner: Runner) -> None:
    net = Net()
    x = net.input("x", (1, 3, 6, 6), TensorProto.FLOAT16)
    weight = net.random.normal(size=(4, 3, 1, 1)).astype(np.float16)
    x = net.node("Relu", net.node("Conv", x, net.constant(weight)))
    program = from_model(net.model(x, types=(TensorProto.FLOAT16,)), last=True)
    assert program.model.main.operands[program.model.main.inputs[0]].type == (
        OperandCode.TENSOR_FLOAT16
    )
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def save(model: Any, path: Path) -> Path:
    onnx.save(model, path)
    return path


def test_the_commands_take_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(erf_between(), tmp_path / "net.onnx")
    assert main(["model", "check", str(path)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("PASS")
    assert main(["model", "coverage", str(path), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [row["index"] for row in found["rows"]] == [0, -1, 1]
    assert main(["model", "bench", str(path), "--runs", "2"]) == 0


def _broken(path: Path) -> Path:
    path.write_bytes(b"no protobuf \xff\xff")
    return path


def _without_shape(path: Path) -> Path:
    net = Net()
    model = net.model(net.node("Relu", net.input("x", (3,))))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    return save(model, path)


def _of_doubles(path: Path) -> Path:
    net = Net()
    x = net.input("x", (3,), TensorProto.DOUBLE)
    return save(net.model(net.node("Relu", x), types=(TensorProto.DOUBLE,)), path)


@pytest.mark.parametrize(
    ("make", "inputs", "words"),
    [
        (_broken, [], "is no ONNX file"),
        (_without_shape, [], "input x has no shape"),
        (_of_doubles, [], "input x is of type double"),
        (lambda path: save(erf_between(), path), ["3,7"], "input x has shape [3, 7]"),
        (lambda path: save(erf_between(), path), ["3,6", "1"], "has 1 inputs, 2 were given"),
        (lambda path: save(erf_between(), path), ["three"], "write SHAPE"),
    ],
    ids=["bytes", "no shape", "doubles", "shape", "count", "text"],
)
def test_bad_files_and_inputs_are_one_line(
    make: Any, inputs: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(KitError) as error:
        load(make(tmp_path / "net.onnx"), inputs)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_flexible_is_no_option_of_onnx(tmp_path: Path) -> None:
    path = save(erf_between(), tmp_path / "net.onnx")
    with pytest.raises(KitError, match="--flexible is of TorchScript"):
        load(path, flexible=(0,))


def test_weights_beside_the_file_are_read(tmp_path: Path, runner: Runner) -> None:
    model = erf_between()
    onnx.save(
        model, tmp_path / "net.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    assert (tmp_path / "w").exists()
    assert check(load(tmp_path / "net.onnx"), runner).passed
    assert numpy_helper.to_array(erf_between().graph.initializer[0]).shape == (5, 6)


def test_what_a_branch_reads_from_outside_is_an_output_of_the_model(runner: Runner) -> None:
    net = Net()
    x = net.node("Relu", net.input("x", (3, 4)))
    y = net.node("Sigmoid", x)
    branches = {}
    for name, kind in (("then_branch", "Neg"), ("else_branch", "Abs")):
        inner = Net()
        made = inner.node(kind, y)
        info = onnx.helper.make_tensor_value_info(made, TensorProto.FLOAT, None)
        branches[name] = onnx.helper.make_graph(inner.nodes, name, [], [info])
    chosen = net.node("If", net.input("yes", (), TensorProto.BOOL), **branches)
    program = from_model(net.model(net.node("Exp", chosen)))
    assert names(program) == ["RELU", "LOGISTIC", "EXP"] and program.left[0].at == 2
    assert len(program.model.main.outputs) == 2
    assert check(program, runner).passed


def test_without_the_onnx_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    path = save(erf_between(), tmp_path / "net.onnx")
    script = (
        "import sys; sys.modules['onnx'] = None\n"
        "from nnapi_testkit.cli import main\n"
        f"sys.exit(main(['model', 'check', {str(path)!r}]))"
    )
    run_ = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run_.returncode == 2 and "nnapi-testkit[onnx]" in run_.stderr
    assert "Traceback" not in run_.stderr


def flattened(kind: str, coded: bool) -> Any:
    net = Net()
    x = net.input("x", (2, 3, 8, 8))
    if coded:
        x = net.rounded(x, 1 / 128, 128)
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.rounded(net.node("Flatten", x), 1 / 128, 128) if coded else net.node("Flatten", x)
    weight = net.random.normal(size=(48, 5)).astype(np.float32)
    if kind == "Gemm":
        weight = weight.T.copy()
    given = net.weights(weight, np.uint8) if coded else net.constant(weight)
    x = net.node(kind, x, given, **({"transB": 1} if kind == "Gemm" else {}))
    return net.model(net.rounded(x, 0.1, 128) if coded else x)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_weights_move_and_not_a_flattened_image(kind: str, coded: bool, runner: Runner) -> None:
    program = from_model(flattened(kind, coded), last=True)
    middle = ["MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert names(program) == (["QUANTIZE", *middle, "DEQUANTIZE"] if coded else middle)
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_a_flattened_image_that_others_read_lies_channels_first(runner: Runner) -> None:
    model = flattened("Gemm", False)
    name = next(n.output[0] for n in model.graph.node if n.op_type == "Flatten")
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    program = from_model(model, last=True)
    assert "TRANSPOSE" in names(program)
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_an_output_of_five_dimensions_is_held_in_those_of_its_operand(runner: Runner) -> None:
    net = Net()
    x = net.node("Relu", net.input("x", (2, 3, 4)))
    program = from_model(net.model(net.node("Unsqueeze", x, net.constant(np.array([0, 4])))))
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_an_empty_input_is_nothing_for_a_driver() -> None:
    net = Net()
    x, y = net.input("x", (2, 3)), net.input("y", (0, 3))
    joined = net.node("Exp", net.node("Concat", net.node("Relu", x), y, axis=0))
    model = net.model(joined)
    with pytest.raises(KitError, match="input y is empty"):
        from_model(model)
    feed = {"x": np.ones((2, 3), np.float32), "y": np.ones((0, 3), np.float32)}
    program = from_model(model, feeds=[feed])
    assert input_dims(program)[0] == (2, 3)
    assert "y, which is empty" in program.left[0].reason


def test_an_infinite_end_may_be_the_largest_number(runner: Runner) -> None:
    """What a driver does beyond the largest number is left open; the end says so too."""
    net = Net()
    mask = np.array([0, -np.inf, 0, 0], np.float32)
    x = net.node("Add", net.input("x", (3, 4)), net.constant(mask))
    report = check(from_model(net.model(x, net.node("Softmax", x))), runner)
    assert not report.verdict.is_failure, report.text()
    operand = Operand(OperandCode.TENSOR_FLOAT32, (1,))
    most = float(np.finfo(np.float32).max)
    for given, verdict in (
        (-most, Verdict.PASS),
        (most, Verdict.MISMATCH),
        (-1.0, Verdict.MISMATCH),
    ):
        array = np.array([given], np.float32)
        chain = Chain({}, (np.array([-np.inf]),), (0.0,), (np.zeros(1, np.bool_),))
        assert _end(operand, array, chain, 0, relaxed=False).verdict is verdict


def test_half_precision_is_not_compared_step_by_step(runner: Runner) -> None:
    """ONNX Runtime computes it in float32 and leaves out the casts between."""
    net = Net()
    x = net.node("Cast", net.input("x", (3, 8)), to=TensorProto.FLOAT16)
    x = net.node("Softmax", net.node("Cast", net.node("Mul", x, x), to=TensorProto.FLOAT))
    program = from_model(net.model(x))
    assert not program.stepwise and from_model(erf_between()).stepwise
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
