"""Tables of documented types, tersely written."""

from __future__ import annotations

from nnapi_testkit.op.declare import Cell
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import SHORT_NAME


def _code(name: str) -> OperandCode:
    return OperandCode[f"TENSOR_{name}"]


def cells(table: str, *, second: str = "", **fixed: str) -> tuple[Cell, ...]:
    """Cells from `"FLOAT32:1 FLOAT16:3 QUANT8_ASYMM>FLOAT32:1"`.

    Each entry is the main type, optionally `>` the type of the output `out`, and the feature
    level. `fixed` gives further operand types, by operand name, shared by all rows. In
    `"QUANT16_ASYMM/QUANT8_ASYMM:3"` the type after `/` is that of the operand called `second`,
    which has the main type in rows without `/`.
    """
    rows = []
    for entry in table.split():
        types, since = entry.split(":")
        types, _, out = types.partition(">")
        main, _, other = types.partition("/")
        extra = {name: OperandCode[value] for name, value in fixed.items()}
        label = SHORT_NAME[_code(main)]
        if second:
            extra[second] = _code(other or main)
            label += f"/{SHORT_NAME[_code(other)]}" if other else ""
        if out:
            extra["out"] = _code(out)
            label += f">{SHORT_NAME[_code(out)]}"
        rows.append(Cell(_code(main), int(since), extra, label))
    return tuple(rows)


def convolution_cells(float32: int = 1, quant8: int = 1) -> tuple[Cell, ...]:
    """The rows that all convolutions share: operands `input`, `filter`, `bias`.

    Bias is the input's type for floats and TENSOR_INT32 for quantized rows; the filter is the
    input's type or TENSOR_QUANT8_SYMM_PER_CHANNEL.
    """
    per_channel = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL
    rows = []
    for name, since, channel in (
        ("FLOAT32", float32, False),
        ("FLOAT16", 3, False),
        ("QUANT8_ASYMM", quant8, False),
        ("QUANT8_ASYMM", 3, True),
        ("QUANT8_ASYMM_SIGNED", 4, False),
        ("QUANT8_ASYMM_SIGNED", 4, True),
    ):
        main = _code(name)
        types = {"filter": per_channel if channel else main}
        types["bias"] = main if name.startswith("FLOAT") else OperandCode.TENSOR_INT32
        label = SHORT_NAME[main] + ("/per_channel" if channel else "")
        rows.append(Cell(main, since, types, label))
    return tuple(rows)


def numeric(
    float32: int = 1, quant8: int = 1, *, int32: int = 0, signed: int = 4
) -> tuple[Cell, ...]:
    """FLOAT32, FLOAT16, QUANT8_ASYMM, QUANT8_ASYMM_SIGNED and perhaps INT32 rows."""
    table = f"FLOAT32:{float32} FLOAT16:3 QUANT8_ASYMM:{quant8} QUANT8_ASYMM_SIGNED:{signed}"
    return cells(table + (f" INT32:{int32}" if int32 else ""))


def floats(float32: int = 1) -> tuple[Cell, ...]:
    """FLOAT32 and FLOAT16 rows."""
    return cells(f"FLOAT32:{float32} FLOAT16:3")
