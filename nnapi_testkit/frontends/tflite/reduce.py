"""Along axes: sums, means, extremes, the places of extremes, and normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.tflite.elementwise import requantized, same_quant
from nnapi_testkit.frontends.tflite.file import Node
from nnapi_testkit.frontends.tflite.lower import Lowering, Rule, lowers, needed
from nnapi_testkit.frontends.tflite.shapes import axis_of
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

_C = OperandCode


def through_float(lowering: Lowering, code: str, at: int, rest: Sequence[int], out: int) -> None:
    """An operation that NNAPI does not have in these codes, in float32 between them."""
    real = lowering.draft.add(Operand(_C.TENSOR_FLOAT32, lowering.operand(at).dims))
    made = lowering.draft.add(Operand(_C.TENSOR_FLOAT32, lowering.operand(out).dims))
    lowering.emit("DEQUANTIZE", [at], [real])
    lowering.emit(code, [real, *rest], [made])
    lowering.emit("QUANTIZE", [made], [out])


def _reduction(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> None:
        tensor = needed(node, 0)
        at = lowering.read(tensor)
        given = lowering.ints(needed(node, 1), "the axes")
        axes = sorted({axis_of(axis, tensor.rank) for axis in given})
        if not axes:
            raise Refusal("without an axis")
        keep = bool(node.option("keepDims"))
        draft = lowering.draft
        rest = [draft.ints(axes), draft.int32(keep) if code == "MEAN" else draft.flag(keep)]
        out = lowering.write(node.outputs[0])
        if not is_quantized(OperandCode(lowering.operand(at).type)):
            lowering.emit(code, [at, *rest], [out])
        elif code in ("REDUCE_SUM", "REDUCE_PROD"):
            through_float(lowering, code, at, rest, out)
        elif same_quant(lowering, at, out):
            lowering.emit(code, [at, *rest], [out])
        elif code == "MEAN":  # NNAPI's has one scale; rounding in between would lose codes
            through_float(lowering, code, at, rest, out)
        else:
            between = lowering.temporary(at, lowering.operand(out).dims)
            lowering.emit(code, [at, *rest], [between])
            requantized(lowering, between, out)

    return rule


for _kind, _code in (
    ("MEAN", "MEAN"),
    ("SUM", "REDUCE_SUM"),
    *((_name, _name) for _name in ("REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN")),
    ("REDUCE_PROD", "REDUCE_PROD"),
):
    lowers(_kind)(_reduction(_code))


@lowers("ARG_MAX", "ARG_MIN")
def _argument(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    if node.outputs[0].type != "INT32":
        kind = node.outputs[0].type.lower()
        raise Refusal(f"its result is {kind}: convert with output_type=int32, which NNAPI has")
    axis = axis_of(lowering.ints(needed(node, 1), "the axis")[0], tensor.rank)
    inputs = [lowering.read(tensor), lowering.draft.int32(axis)]
    lowering.plain(node, node.kind.replace("_", ""), inputs)


@lowers("TOPK_V2")
def _topk(lowering: Lowering, node: Node) -> None:
    count = lowering.draft.int32(lowering.ints(needed(node, 1), "the number of values")[0])
    at = lowering.read(needed(node, 0))
    lowering.plain(node, "TOPK_V2", [at, count])
    if lowering.operand(at).type != _C.TENSOR_FLOAT32:  # floats are hardly ever equal
        lowering.unlike.append("TOPK_V2: of equal values LiteRT names the first, NNAPI the last")


@lowers("SOFTMAX")
def _softmax(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    beta = lowering.real(float(node.option("beta", 1.0)), at)
    lowering.plain(node, "SOFTMAX", [at, beta])


@lowers("LOG_SOFTMAX")
def _log_softmax(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    at = lowering.read(tensor)
    inputs = [at, lowering.real(1.0, at), lowering.draft.int32(tensor.rank - 1)]
    lowering.plain(node, "LOG_SOFTMAX", inputs)


@lowers("L2_NORMALIZATION")
def _l2_normalization(lowering: Lowering, node: Node) -> None:
    if node.option("fusedActivationFunction"):
        raise Refusal("with a fused activation: NNAPI's has none")
    lowering.plain(node, "L2_NORMALIZATION", [lowering.read(needed(node, 0))])


@lowers("LOCAL_RESPONSE_NORMALIZATION")
def _response(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    reals = [lowering.real(float(node.option(name)), at) for name in ("bias", "alpha", "beta")]
    radius = lowering.draft.int32(int(node.option("radius")))
    lowering.plain(node, "LOCAL_RESPONSE_NORMALIZATION", [at, radius, *reals])
    lowering.unlike.append("LOCAL_RESPONSE_NORMALIZATION: LiteRT leaves out the last neighbour")
