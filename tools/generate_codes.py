#!/usr/bin/env python3
"""Write everything that repeats `nnapi.json` or `wire.json`: Python codes, C headers, tables.

`python tools/generate_codes.py` writes the files, `--check` only compares and exits 1 on a
difference. Nothing else in the tree may spell out an NNAPI code, limit or function level.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.generate_wire import c_wire, python_wire, wire_page  # noqa: E402

TABLE, WIRE = ROOT / "nnapi.json", ROOT / "wire.json"
PAGE = ROOT / "docs/wire-format.md"
NOTE = "Generated from nnapi.json by tools/generate_codes.py; do not edit."
# The C enums a caller passes by value; the rest of the table is integers in the C API.
OPAQUE = (
    "Burst",
    "Compilation",
    "Device",
    "Event",
    "Execution",
    "Memory",
    "MemoryDesc",
    "Model",
)


def python_codes(table: dict[str, Any]) -> str:
    """The text of `nnapi_testkit/spec/codes.py`."""
    lines = ['"""NNAPI codes, limits and function levels.', "", NOTE, '"""', ""]
    lines.extend(["from enum import IntEnum", ""])

    def enum(name: str, values: dict[str, int], doc: str) -> None:
        lines.extend(["", f"class {name}(IntEnum):", f'    """{doc}"""', ""])
        lines.extend(f"    {key} = {value}" for key, value in values.items())
        lines.append("")

    enum(
        "OperationCode",
        {name: row["code"] for name, row in table["operations"].items()},
        "The operations of the NNAPI reference.",
    )
    enum(
        "OperandCode",
        {name: row["code"] for name, row in table["operand_types"].items()},
        "The operand types of the NNAPI reference.",
    )
    for name, values in table["enums"].items():
        enum(name, values, f"`{name}` of the NNAPI reference.")

    def mapping(name: str, kind: str, rows: dict[str, object]) -> None:
        lines.extend(["", f"{name}: dict[str, {kind}] = {{"])
        lines.extend(f'    "{key}": {json.dumps(value)},' for key, value in rows.items())
        lines.append("}")

    mapping("OPERATION_SINCE", "int", {k: v["since"] for k, v in table["operations"].items()})
    mapping("OPERAND_KIND", "str", {k: v["kind"] for k, v in table["operand_types"].items()})
    lines.append("")
    lines.extend(f"{key} = {value}" for key, value in table["limits"].items())
    return "\n".join(lines) + "\n"


HEADER_BEGIN = """\
#ifndef NNAPI_TESTKIT_NNAPI_H
#define NNAPI_TESTKIT_NNAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
"""
HEADER_TYPES = """\
typedef struct AHardwareBuffer AHardwareBuffer;
typedef int32_t ANeuralNetworksOperationType;

typedef struct ANeuralNetworksOperandType {
    int32_t type;
    uint32_t dimensionCount;
    const uint32_t* dimensions;
    float scale;
    int32_t zeroPoint;
} ANeuralNetworksOperandType;

typedef struct ANeuralNetworksSymmPerChannelQuantParams {
    uint32_t channelDim;
    uint32_t scaleCount;
    const float* scales;
} ANeuralNetworksSymmPerChannelQuantParams;

/* X(name, feature level, return type, parameters) for every function. */
#define NNAPI_FUNCTIONS(X) \\"""


def c_header(table: dict[str, Any]) -> str:
    """The text of `emulator/include/nnapi.h`, for driver and runner alike."""
    lines = [f"/* The NNAPI C interface. {NOTE} */", HEADER_BEGIN]

    def enum(values: dict[str, int]) -> None:
        lines.append("enum {")
        lines.extend(f"    ANEURALNETWORKS_{key} = {value}," for key, value in values.items())
        lines.extend(["};", ""])

    enum({name: row["code"] for name, row in table["operand_types"].items()})
    enum({name: row["code"] for name, row in table["operations"].items()})
    for values in table["enums"].values():
        enum(values)
    enum(table["limits"])
    for name in OPAQUE:
        lines.append(f"typedef struct ANeuralNetworks{name} ANeuralNetworks{name};")
    lines.append(HEADER_TYPES)
    functions = table["functions"]
    signatures = {
        name: ", ".join(f"{kind} {label}" for kind, label in row["params"]) or "void"
        for name, row in functions.items()
    }
    rows = [
        f"    X({name}, {row['since']}, {row['returns']}, ({signatures[name]}))"
        for name, row in functions.items()
    ]
    lines.extend([" \\\n".join(rows), ""])
    for macro, what in (("operations", "operation"), ("operand_types", "operand type")):
        lines.append(f"/* X(name, code, feature level) for every {what}. */")
        lines.append(f"#define NNAPI_{macro.upper()}(X) \\")
        rows = [
            f"    X({name}, {row['code']}, {row['since']})" for name, row in table[macro].items()
        ]
        lines.extend([" \\\n".join(rows), ""])
    lines.append("/* X(name, bytes of an element) for every operand type. */")
    lines.append("#define NNAPI_ELEMENT_SIZES(X) \\")
    rows = [f"    X({name}, {row['bytes']})" for name, row in table["operand_types"].items()]
    lines.extend([" \\\n".join(rows), ""])
    lines.append("#ifndef NNAPI_NO_PROTOTYPES")
    lines.extend(f"{row['returns']} {name}({signatures[name]});" for name, row in functions.items())
    lines.extend(["#endif", "", "#ifdef __cplusplus", "}", "#endif", "", "#endif"])
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check the generated files."""
    table, wire = json.loads(TABLE.read_text()), json.loads(WIRE.read_text())
    stale = []
    for source, path, text in (
        (TABLE, ROOT / "nnapi_testkit/spec/codes.py", python_codes(table)),
        (TABLE, ROOT / "emulator/include/nnapi.h", c_header(table)),
        (WIRE, ROOT / "nnapi_testkit/model/wire_codes.py", python_wire(wire)),
        (WIRE, ROOT / "emulator/include/wire_codes.h", c_wire(wire)),
        (WIRE, PAGE, wire_page(wire, PAGE.read_text())),
    ):
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                stale.append((path.relative_to(ROOT), source.name))
        else:
            path.write_text(text)
    for name, source_name in stale:
        print(f"{name} differs from {source_name}: run python tools/generate_codes.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
