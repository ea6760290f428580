"""What repeats `wire.json`: Python's wire codes, the C header, the tables of docs/wire-format.md.

`tools/generate_codes.py` writes them.
"""

from __future__ import annotations

import re
from typing import Any

NOTE = "Generated from wire.json by tools/generate_codes.py; do not edit."
# A letter of Python's struct module and a number of bytes for each kind of number.
KINDS = {
    "magic": ("4s", 4),
    "u8": ("B", 1),
    "u16": ("H", 2),
    "u32": ("I", 4),
    "u64": ("Q", 8),
    "i32": ("i", 4),
    "i64": ("q", 8),
    "f32": ("f", 4),
}

Table = dict[str, Any]


def python_wire(table: Table) -> str:
    """The text of `nnapi_testkit/model/wire_codes.py`."""
    lines = [
        '"""The wire format\'s numbers: frames, fields, layouts, limits, shared enums.',
        "",
        NOTE,
        '"""',
        "",
        "from enum import IntEnum",
        "from struct import Struct",
        "",
        f"VERSION = {table['version']}",
        f'MAGIC = b"{table["magic"]}"',
        *(f"{name} = {value}  # {what}" for name, (value, what) in table["limits"].items()),
        "",
    ]
    frames = [(name, row["code"], "") for name, row in table["frames"].items()]
    fields = [(name, code, "") for name, code in table["fields"].items()]
    enums = [("FrameKind", "What a frame holds.", frames), ("Field", "Tags of fields.", fields)]
    enums += [(name, row["doc"], row["values"]) for name, row in table["enums"].items()]
    for name, doc, values in enums:
        lines += ["", f"class {name}(IntEnum):", f'    """{doc}"""', ""]
        for key, code, remark in values:
            lines.append(f"    {key} = {code}")
            if remark:
                lines[-1] += f"  # {remark}"
            if len(lines[-1]) > 100:
                lines[-1:] = [f"    # {remark}", f"    {key} = {code}"]
        lines.append("")
    lines.append("")
    for name, parts in table["layouts"].items():
        letters = "".join(KINDS[kind][0] for kind, _ in parts)
        lines.append(f'{name} = Struct("<{letters}")')
    lines.append("")
    for owner, flags in table["flags"].items():
        lines += [f"{owner}_{name} = {bit}  # {what}" for name, bit, what in flags]
    return "\n".join(lines) + "\n"


def c_wire(table: Table) -> str:
    """The text of `emulator/include/wire_codes.h`, for the runner."""
    magic = int.from_bytes(table["magic"].encode(), "little")
    lines = [
        f"/* The wire format's numbers. {NOTE} */",
        "#ifndef NNAPI_TESTKIT_WIRE_CODES_H",
        "#define NNAPI_TESTKIT_WIRE_CODES_H",
        "",
        "enum {",
        f"    WIRE_VERSION = {table['version']},",
        f'    WIRE_MAGIC = {magic:#x}, /* "{table["magic"]}" */',
        "};",
        "",
    ]
    for name, (value, what) in table["limits"].items():
        # A fuzzer's build may set a smaller limit.
        lines += [f"/* {what[0].upper()}{what[1:]}. */", f"#ifndef {name}"]
        lines += [f"#define {name} {value}u", "#endif"]

    def enum(name: str, values: list[tuple[str, int]], last: str = "") -> None:
        lines.extend(["", f"enum {name} {{".replace("  ", " ")])
        lines.extend(f"    {key} = {code}," for key, code in values)
        lines.extend([f"    {last}", "};"] if last else ["};"])

    frames, fields = table["frames"].items(), table["fields"].items()
    enum("frame_kind", [(f"FRAME_{name}", row["code"]) for name, row in frames])
    enum("field_tag", [(f"FIELD_{name}", code) for name, code in fields])
    for row in table["enums"].values():
        values = [(f"{row['prefix']}_{key}", code) for key, code, _ in row["values"]]
        enum(row["c"], values, row.get("count", ""))
    for owner, flags in table["flags"].items():
        enum("", [(f"{owner}_{name}", bit) for name, bit, _ in flags])
    enum("", [(f"{name}_SIZE", size(parts)) for name, parts in table["layouts"].items()])
    return "\n".join([*lines, "", "#endif"]) + "\n"


def size(parts: list[list[str]]) -> int:
    """Bytes of a layout."""
    return sum(KINDS[kind][1] for kind, _ in parts)


def wire_page(table: Table, page: str) -> str:
    """docs/wire-format.md with the tables between its markers written anew.

    Raises:
        ValueError: a marker of a table is missing.
    """
    for name, rows in tables(table).items():
        begin, end = f"<!-- wire.json: {name} -->", "<!-- end -->"
        pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"docs/wire-format.md lacks the marker {begin}")
        text = "\n".join([begin, "", *rows, "", end])
        page = pattern.sub(text.replace("\\", r"\\"), page)
    return page


def tables(table: Table) -> dict[str, list[str]]:
    """The rows of each table of the page, by the name in its marker."""
    fields = table["fields"]
    found = {}
    for side in ("kit", "runner"):
        rows = ["| kind | frame | fields |", "|---|---|---|"]
        for name, row in table["frames"].items():
            if row["from"] == side:
                parts = [f"{fields[key]} {key}" + note(what) for key, what in row["fields"]]
                rows.append(f"| {row['code']} | {name} | {', '.join(parts)} |")
        found[f"frames from the {side}"] = rows
    found["layouts"] = ["| part | bytes | numbers |", "|---|---|---|"] + [
        f"| {name} | {size(parts)} | {', '.join(number(kind, what) for kind, what in parts)} |"
        for name, parts in table["layouts"].items()
    ]
    found["flags"] = ["| of | bit | meaning |", "|---|---|---|"] + [
        f"| {owner} | {bit} {name} | {what} |"
        for owner, flags in table["flags"].items()
        for name, bit, what in flags
    ]
    found["enums"] = ["| | numbers |", "|---|---|"] + [
        f"| {name} | {', '.join(f'{code} {key}' for key, code, _ in row['values'])} |"
        for name, row in table["enums"].items()
    ]
    found["limits"] = ["| limit | at most | |", "|---|---|---|"] + [
        f"| {name} | {value:,} | {what} |" for name, (value, what) in table["limits"].items()
    ]
    return found


def note(what: str) -> str:
    """A remark in brackets."""
    return f" ({what})" if what else ""


def number(kind: str, what: str) -> str:
    """One number of a layout."""
    return "4 bytes (the magic word)" if kind == "magic" else f"{kind} {what}"
