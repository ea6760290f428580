"""What is said of a case is read from the case, not from its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.clusters.facts import case_facts, family


def _refs(operation: str) -> dict[str, CaseRef]:
    return {ref.id: ref for ref in case_index([operation])}


CONV = _refs("CONV_2D")


def facts(name: str, refs: dict[str, CaseRef] = CONV) -> dict[str, object]:
    # Another id: what would be read from it would be missing.
    return dict(case_facts(replace(refs[name], id="X[y]")))


def test_attributes_have_their_declared_names_and_documented_defaults() -> None:
    found = facts("CONV_2D[float32-relu6-same]")
    assert found["activation"] == "RELU6"
    assert found["padding"] == "SAME"
    assert found["nchw"] == "NHWC"
    assert found["dilation_w"] == 1.0  # left out, and 1 by the documentation
    assert not found["stride_w differs from stride_h"]
    assert facts("CONV_2D[float32-wide-stride]")["stride_w differs from stride_h"]
    assert facts("CONV_2D[float32-dilated]")["dilation_h"] == 3.0
    assert facts("CONV_2D[float32-nchw-same]")["nchw"] == "NCHW"


def test_quantization_is_told_by_scales_and_zero_points() -> None:
    found = facts("CONV_2D[quant8-multiplier-of-two]")
    assert found["product of the input scales by the output scale"] == 2.0
    assert found["output scale"] == 0.125
    assert found["input zero point at an end of its type"]
    assert facts("CONV_2D[quant8/per_channel-same]")["per-channel scales"]
    assert not facts("CONV_2D[quant8-same]")["per-channel scales"]


def test_a_way_is_told_with_the_case_it_is_like() -> None:
    ways = [ref for ref in CONV.values() if ref.kind == "path" and ref.cell == "float32"]
    found = [facts(ref.id) for ref in ways]
    assert {row["path"] for row in found} > {"burst", "fenced", "reusable"}
    assert {row["_like"] for row in found} == {"CONV_2D[float32-same]"}
    assert facts("CONV_2D[float32-same]")["path"] == "compute"


def test_shapes_of_graphs_are_told() -> None:
    graphs = [facts(ref.id) for ref in CONV.values() if ref.kind == "graph"]
    for name in (
        "a model output that is also read",
        "operations listed in another order than they run",
        "a model input that nothing reads",
    ):
        assert {row[name] for row in graphs} == {True, False}, name
    assert not facts("CONV_2D[float32-same]")["a model output that is also read"]


def test_a_refusal_is_told_by_what_it_breaks() -> None:
    refused = next(ref for ref in CONV.values() if ref.kind == "refusal" and ref.broken)
    found = facts(refused.id)
    assert refused.broken is not None
    assert found["rule"] == refused.broken.rule
    assert "padding" not in found


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("float32", "float"),
        ("float16>quant8", "float"),
        ("quant8/per_channel", "quantized"),
        ("per_channel>float32", "quantized"),
        ("int32", "int32"),
        ("bool8", "bool8"),
    ],
)
def test_families_of_types(cell: str, kind: str) -> None:
    assert family(cell) == kind
