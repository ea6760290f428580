"""Every node that PyTorch's converter maps, through PyTorch's runtime on the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch.backends._nnapi.serializer import _NnapiSerializer

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.check import CheckSettings, answers_for, check
from nnapi_testkit.mobile.compare import ExactOutput, compare
from nnapi_testkit.mobile.convert import Layout, convert
from nnapi_testkit.mobile.runtime import Runtime
from nnapi_testkit.mobile.walk import encode, real
from tests.mobile.aten import SMALL, Small

CASES = [(small, layout) for small in SMALL for layout in small.layouts]


@contextmanager
def _freezing(wanted: bool) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not wanted:
            patch.setattr(torch.jit, "freeze", lambda module: module)
        yield


def _model(small: Small) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    files.use_qnnpack()
    torch.manual_seed(1)
    model, inputs = small.build()
    model.eval()
    return (torch.jit.script(model) if small.scripted else model), inputs


def test_every_mapped_node_has_a_module() -> None:
    missing = set(_NnapiSerializer.ADDER_MAP) - {small.kind for small in SMALL}
    assert not missing, f"add a module to tests/mobile/aten.py for {sorted(missing)}"
    unknown = {small.kind for small in SMALL} - set(_NnapiSerializer.ADDER_MAP)
    assert not unknown, f"PyTorch does not map {sorted(unknown)} any more"
    assert len({small.name for small in SMALL}) == len(SMALL)


@pytest.mark.parametrize(
    ("small", "layout"), CASES, ids=[f"{small.name}-{layout}" for small, layout in CASES]
)
def test_small_module(small: Small, layout: Layout, runtime: Runtime) -> None:
    model, inputs = _model(small)
    with _freezing(small.frozen):
        converted = convert(model, inputs, layout=layout)
        kinds = {node.kind() for node in converted.source.graph.nodes()}
        assert small.kind in kinds, "the graph does not hold the node that it should cover"
        assert small.nnapi in ("", *converted.operations)
        report = check(model, [inputs], CheckSettings(layout=layout), runtime)
        answers = answers_for(model, converted, [inputs])
    assert report.passed, report.text()
    for expected in answers[0]:
        _bites(expected)


def _bites(expected: ExactOutput) -> None:
    """Zeros, a shift by one element, and one wrong element must not pass for the answer."""
    value = expected.value
    exact = real(value).contiguous()
    assert expected.tolerance <= exact.abs().max() * (0.25 if expected.coarse else 1e-4)
    wrong = [torch.zeros_like(exact), exact.flatten().roll(1).reshape(exact.shape)]
    single = exact.clone()
    step = max(exact.abs().max() * 1e-3, expected.tolerance * 1.5)
    if value.is_quantized:
        step = max(step, value.q_scale() * 2)
    single.view(-1)[-1] += step if single.view(-1)[-1] <= 0 else -step
    for made in [*wrong, single]:
        actual = made.float()
        if value.is_quantized:
            actual = encode(made, value.q_scale(), value.q_zero_point())
        found = compare(0, 0, replace(expected, eager=None), actual).verdict
        assert found is Verdict.MISMATCH
