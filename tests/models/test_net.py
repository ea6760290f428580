"""Models by hand: inferred shapes, any value as an output, mistakes in one line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program
from nnapi_testkit.models.check import check
from nnapi_testkit.models.net import Net
from nnapi_testkit.models.run import run
from nnapi_testkit.targets.base import Runner
from tests.models.faulty import Faulty


def test_shapes_are_inferred_and_the_model_is_right(runner: Runner) -> None:
    random = np.random.default_rng(0)
    net = Net()
    x = net.input((1, 6, 6, 3))
    filters = net.constant(random.normal(size=(4, 3, 3, 3)))
    zeros = net.constant(np.zeros(4, np.float32))
    y = net.add("CONV_2D", x, filters, zeros, 1, 2, 2, "RELU6", name="stem")
    assert y.shape == (1, 3, 3, 4)
    z = net.add("RESHAPE", y, net.constant(np.array([3, 12])))
    weights = net.constant(random.normal(size=(5, 12)))
    out = net.add("FULLY_CONNECTED", z, weights, net.constant(np.zeros(5, np.float32)), "NONE")
    assert (z.shape, out.shape) == ((3, 12), (3, 5))
    data = random.normal(size=(1, 6, 6, 3)).astype(np.float32)
    program = net.program([out, y], [(data,)])
    assert program.label(0) == "#0 CONV_2D stem"
    report = check(program, runner)
    assert report.passed, report.text()
    assert len(report.ends) == 2  # a value that another operation reads is an output too


def test_several_results_and_quantized_ones(runner: Runner) -> None:
    net = Net()
    x = net.input((2, 5), "TENSOR_QUANT8_ASYMM", 0.5, 3)
    best, places = net.add("TOPK_V2", x, 2)
    assert best.shape == places.shape == (2, 2)
    real = net.add("DEQUANTIZE", best, type="TENSOR_FLOAT32")
    data = np.arange(10, dtype=np.uint8).reshape(2, 5)
    report = check(net.program([real, places], [(data,)]), runner)
    assert report.passed, report.text()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda net, x: net.add("RELUU", x), "did you mean RELU"),
        (lambda net, x: net.add("ADD", x, x, "SWISH"), "there is no activation 'SWISH': one of"),
        (lambda net, x: net.add("ADD", x, x), "no documented signature of ADD takes"),
        (lambda net, x: net.add("ADD", x, net.input((7,)), 0), "ADD does not take shapes"),
        (lambda net, x: net.input((2,), "TENSOR_FLOAT"), "did you mean TENSOR_FLOAT"),
        (lambda net, x: net.add("ADD", 1, 2, 0), "reads no tensor"),
    ],
)
def test_mistakes_are_one_line(make, words: str) -> None:  # type: ignore[no-untyped-def]
    net = Net()
    x = net.input((2, 3))
    with pytest.raises(KitError) as error:
        make(net, x)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_documented_program(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text("utf-8")
    (text,) = re.findall(r"<!-- python: models -->\n```python\n(.*?)```", page, re.S)
    found: dict[str, Any] = {}
    exec(compile(text, "docs/models.md", "exec"), found)
    assert found["second"].tolist() == [[0, 1, 2, 3]]
    assert found["first"].sum() == pytest.approx(1)
    assert found["report"].passed and found["report"].first_wrong is None
    assert found["covered"].claimed == 2 and found["covered"].right == 2
    assert "PASS" in capsys.readouterr().out


def test_results_as_arrays(runner: Runner) -> None:
    net = Net()
    x = net.input((2, 2))
    program = net.program([net.add("RELU", x)])
    sets = [[np.float32([[-1, 1], [2, -2]])], [np.ones((2, 2), np.float32)]]
    rows = run(program, runner, sets)
    assert [row[0].tolist() for row in rows] == [[[0, 1], [2, 0]], [[1, 1], [1, 1]]]
    builder = Builder()
    y = builder.input("TENSOR_FLOAT32", (0, 2))
    out = builder.output("TENSOR_FLOAT32", (0, 2))
    builder.operation("RELU", (y,), (out,))
    ((open_,),) = run(Program(builder.build()), runner, [[np.float32([[3, -3]])]])
    assert open_.tolist() == [[3, 0]]
    for given, words in (
        ((), "brings no inputs"),
        ([[]], "has 1 inputs, 0 were given"),
        ([[np.ones(3, np.float32)]], "input 0 has shape"),
    ):
        with pytest.raises(KitError, match=words):
            run(program, runner, given)  # type: ignore[arg-type]
    refusing = Faulty(runner, lambda model: replace(model, main=replace(model.main, operations=())))
    with pytest.raises(KitError, match="net does not run: REFUSED: "):
        run(program, refusing, sets)


def test_the_builder_suggests_names_and_knows_its_operands() -> None:
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (2,))
    with pytest.raises(KitError, match="did you mean RELU"):
        builder.operation("RELUU", (x,), (x,))
    with pytest.raises(KitError, match="uses operand 9, the graph has 1: make it first"):
        builder.operation("RELU", (x,), (9,))
