"""Instrumented copies of the driver's sources: each rule and each mutant gets a switch.

A rule is a call of `require`, `refuse`, `fail` or of a checking method of OpView or Context; left
out, the call does nothing. A mutant is a small change of code that computes. All switches of a file
are compiled at once and chosen at run time (mutant schemata), so that a mutant costs a run and no
compilation. The syntax tree is tree-sitter's: it needs no headers and no flags of a compiler, and
gives byte ranges to edit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError

__all__ = ["Site", "flat", "instrument", "mutant_sites", "parser", "rule_sites", "walk"]

CHECKS = frozenset(
    {
        "require",
        "refuse",
        "inputs",
        "inputRange",
        "outputs",
        "sameType",
        "scalar",
        "realScalar",
        "anyRealScalar",
        "rank",
        "dim",
        "sameDim",
        "sameRank",
        "sameShape",
        "integer",
        "activation",
        "paddingScheme",
        "optionalFlag",
        "sameQuant",
        "quant",
        "bias",
        "type",
    }
)
FREE_CHECKS = frozenset({"fail", "refuse"})
CONTEXTS = frozenset({"c", "context"})  # what kernels call their Context; else it is an OpView
# Methods of OpView that every kernel calls by a name of its own: there each call is a rule.
INSIDE = {
    "driver/opview.cpp": frozenset({"sameQuant", "quant", "bias", "sameRank"}),
    "driver/context.cpp": frozenset({"setShape"}),
}
SWAPS = {
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "/",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
    "+=": "-=",
    "-=": "+=",
    "*=": "+=",
    "/=": "*=",
}
# Nothing inside of these is code of which a changed copy could be chosen at run time.
FIXED = frozenset(
    {
        "template_argument_list",
        "template_parameter_list",
        "static_assert_declaration",
        "attribute_declaration",
        "attribute_specifier",
        "case_statement_label",
        "enumerator_list",
        "optional_parameter_declaration",
        "array_declarator",
        "parameter_list",
        "preproc_include",
        "preproc_def",
        "gnu_asm_expression",
        "alignas_qualifier",
    }
)
SILENT_CALLS = ("checkDeadline", "spend", "logNote", "logRefusal")  # of time and text alone


@dataclass(frozen=True, slots=True)
class Site:
    """A place with a switch.

    Args:
        name: `rule:driver/opview.cpp:183`, `mutant:driver/kernels/pad.cpp:57:12:< to <=`.
        file: path below `emulator`.
        line: of the original file, from 1.
        start, end: bytes of the original file.
        text: the code that it replaces, in one line.
        instead: what stands there when it is switched on; of a rule, the value of the call.
        kind: `rule`, `inner` (a rule that other rules call), `expression` or `statement`.
        change: of a mutant, what is changed to what (`< to <=`); "" for a rule.
    """

    name: str
    file: str
    line: int
    start: int
    end: int
    text: str
    instead: str
    kind: str
    change: str = ""


@cache
def parser() -> Any:
    """Return the parser of C++. Raises KitError where it is not installed."""
    try:
        import tree_sitter
        import tree_sitter_cpp
    except ImportError as error:
        raise KitError(
            "the driver's sources are read with tree-sitter: pip install 'nnapi-testkit[dev]'"
        ) from error
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_cpp.language()))


def walk(node: Any, inside: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield each node of a tree with those that it stands in, outermost first."""
    yield node, inside
    for child in node.children:
        yield from walk(child, (*inside, node))


def _text(source: bytes, node: Any) -> str:
    return source[node.start_byte : node.end_byte].decode()


def flat(text: str) -> str:
    """Return the text as one line."""
    return " ".join(text.split())


def _inner_declarator(node: Any) -> Any:
    """What a declarator wraps; that of a reference has no field name in the grammar."""
    if node.type == "reference_declarator":
        return node.named_children[-1]
    return node.child_by_field_name("declarator")


def _function(source: bytes, inside: Iterable[Any]) -> tuple[str, str]:
    """The name of the innermost named function around a node, and all before its body."""
    name = ""
    head = ""
    for node in inside:
        if node.type == "function_definition":
            body = node.child_by_field_name("body")
            declarator = node.child_by_field_name("declarator")
            while declarator is not None and declarator.type != "function_declarator":
                declarator = _inner_declarator(declarator)
            if body is None or declarator is None:
                continue
            head = source[node.start_byte : body.start_byte].decode()
            name = _text(source, declarator.child_by_field_name("declarator")).split("::")[-1]
    return name, head


def rule_sites(file: str, source: bytes) -> list[Site]:
    """The rules of one source file, in order."""
    found: list[Site] = []
    names: set[str] = set()
    for node, inside in walk(parser().parse(source).root_node):
        if node.type != "call_expression":
            continue
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        within, head = _function(source, inside)
        if not within or within in FREE_CHECKS or "noreturn" in head:
            continue
        if _in_local_refuse(source, inside):
            continue  # what calls it is the rule
        if file in INSIDE and within not in INSIDE[file]:
            continue
        instead = _left_out(source, function, arguments)
        if instead is None:
            continue
        line = node.start_point[0] + 1
        name = f"rule:{file}:{line}"
        if name in names:
            name += f":{node.start_point[1] + 1}"
        names.add(name)
        found.append(
            Site(
                name,
                file,
                line,
                node.start_byte,
                node.end_byte,
                flat(_text(source, node)),
                instead,
                "inner" if file in INSIDE else "rule",
            )
        )
    return found


def _in_local_refuse(source: bytes, inside: tuple[Any, ...]) -> bool:
    """Whether a node is in the body of a lambda that is called as `refuse` or `fail` is."""
    return any(
        node.type == "lambda_expression"
        and outer.type == "init_declarator"
        and _text(source, outer.child_by_field_name("declarator")) in FREE_CHECKS
        for outer, node in pairwise(inside)
    )


def _left_out(source: bytes, function: Any, arguments: Any) -> str | None:
    """What a check is worth when it is left out; None if the call is no check."""
    if function.type == "identifier":
        return "(void)0" if _text(source, function) in FREE_CHECKS else None
    if function.type != "field_expression":
        return None
    receiver = _text(source, function.child_by_field_name("argument"))
    method = _text(source, function.child_by_field_name("field"))
    if method not in CHECKS or not receiver.isidentifier():
        return None
    given = [_text(source, child) for child in arguments.named_children]
    if receiver in CONTEXTS:
        if method in ("require", "refuse"):
            return "(void)0"
        if method in ("integer", "activation"):
            return f"{receiver}.scalar<int32_t>({flat(given[0])})"
        return None
    if method == "type":
        return f"::nnapi::faults::anyType({receiver}, {flat(given[0])})" if given[1:] else None
    # A Shape has a `rank` too, a Binding `inputs`: what is called without arguments checks nothing.
    return "(void)0" if given and receiver in ("v", "where", "view") else None


def mutant_sites(file: str, source: bytes) -> list[Site]:
    """Every mutant that the operators below make of the code that computes, in order."""
    found: list[Site] = []
    for node, inside in walk(parser().parse(source).root_node):
        if not _computes(source, node, inside):
            continue
        text = _text(source, node)
        if "//" in text or "/*" in text or "\\\n" in text:
            continue
        for what, instead, kind in _mutations(source, node, inside):
            line, column = node.start_point[0] + 1, node.start_point[1] + 1
            found.append(
                Site(
                    f"mutant:{file}:{line}:{column}:{what}",
                    file,
                    line,
                    node.start_byte,
                    node.end_byte,
                    flat(text),
                    flat(instead),
                    kind,
                    what,
                )
            )
    return found


def _computes(source: bytes, node: Any, inside: tuple[Any, ...]) -> bool:
    if any(parent.type in FIXED for parent in inside) or node.type in FIXED:
        return False
    within, head = _function(source, inside)
    if not within or "constexpr" in head or "OpView" in head or within.startswith("validate"):
        return False
    if "&" in head.partition("(")[0]:
        return False  # what returns a reference finds a thing: it is not where numbers come from
    body = max(i for i, parent in enumerate(inside) if parent.type == "function_definition")
    if not any(parent.type == "compound_statement" for parent in inside[body:]):
        return False
    for parent in inside[body:]:
        if parent.type == "declaration" and "constexpr" in _text(source, parent).split("=")[0]:
            return False
        if parent.type == "call_expression":
            function = parent.child_by_field_name("function")
            if _left_out(source, function, parent.child_by_field_name("arguments")) is not None:
                return False  # a rule's own words are the rules' business
            if _text(source, function).endswith(SILENT_CALLS):
                return False
    return True


_Changes = Iterator[tuple[str, str, str]]


def _mutations(source: bytes, node: Any, inside: tuple[Any, ...]) -> _Changes:
    """Yield (what, new code, kind of site) for each change of this node."""
    change = _CHANGES.get(node.type)
    if change is not None:
        yield from change(source, node, inside[-1] if inside else None)


def _operator_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    operator = node.child_by_field_name("operator")
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    sign = _text(source, operator)
    if sign in SWAPS:
        new = f"{_text(source, left)} {SWAPS[sign]} {_text(source, right)}"
        yield f"{sign} to {SWAPS[sign]}", new, "expression"
    if sign in ("<", ">", "<=", ">="):
        yield f"not {sign}", f"!({_text(source, node)})", "expression"


def _sign_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    sign = _text(source, node.child_by_field_name("operator"))
    value = _text(source, node.child_by_field_name("argument"))
    if sign == "-":
        yield "without -", f"({value})", "expression"
    elif sign == "!":
        # Of the type that `!` has: beside an optional, `?:` would make `false` an optional that
        # holds something, with no switch on.
        yield "without !", f"static_cast<bool>({value})", "expression"


def _number_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    yield from _numbers(_text(source, node), parent)


def _call_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    function = _text(source, node.child_by_field_name("function"))
    rest = _text(source, node)[len(function) :]
    for a, b in (("std::max", "std::min"), ("std::min", "std::max")):
        if function.split("<")[0] == a:
            yield f"{a} to {b}", function.replace(a, b, 1) + rest, "expression"


def _condition_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    value = node.child_by_field_name("value")
    branch = parent is not None and parent.type == "if_statement"
    if branch and value is not None and value.type != "declaration":
        yield "condition negated", f"(!({_text(source, value)}))", "condition"


def _branch_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    first = node.child_by_field_name("condition")
    yes, no = (node.child_by_field_name(f) for f in ("consequence", "alternative"))
    new = f"({_text(source, first)}) ? ({_text(source, no)}) : ({_text(source, yes)})"
    yield "branches swapped", new, "expression"


def _statement_changes(source: bytes, node: Any, parent: Any) -> _Changes:
    if not node.named_children:
        return
    inner = node.named_children[0]
    called = inner.child_by_field_name("function") if inner.type == "call_expression" else None
    if called is not None and (
        _text(source, called).endswith(SILENT_CALLS)
        or _left_out(source, called, inner.child_by_field_name("arguments")) is not None
    ):
        return
    if inner.type in ("assignment_expression", "call_expression"):
        yield "statement dropped", ";", "statement"


# What changes a node of each type, given the source, the node and its parent.
_CHANGES = {
    "binary_expression": _operator_changes,
    "assignment_expression": _operator_changes,
    "unary_expression": _sign_changes,
    "number_literal": _number_changes,
    "call_expression": _call_changes,
    "condition_clause": _condition_changes,
    "conditional_expression": _branch_changes,
    "expression_statement": _statement_changes,
}


def _numbers(text: str, parent: Any) -> Iterator[tuple[str, str, str]]:
    if parent.type == "initializer_list":
        return  # a number that is chosen at run time may not narrow
    if text.isdecimal():
        for new in (int(text) + 1, int(text) - 1):
            if new >= 0:
                yield f"{text} to {new}", str(new), "expression"
    elif text.rstrip("fF").replace(".", "", 1).isdecimal():
        digits = text.rstrip("fF")
        value = float(digits)
        new_text = repr(value * 1.5 if value else 1.0) + text[len(digits) :]
        yield f"{text} to {new_text}", new_text, "expression"


def sample(sites: Iterable[Site], found: Mapping[str, bytes], seed: int) -> list[Site]:
    """The sites in an order of their own for each seed.

    The place of each follows from its own line of code: a change elsewhere, in its file too, leaves
    the others in their order.

    Args:
        found: the sources by file.
    """
    lines = {file: data.decode().splitlines() for file, data in found.items()}
    met: Counter[tuple[str, ...]] = Counter()
    places: list[tuple[bytes, Site]] = []
    for site in sites:
        key = (site.file, lines[site.file][site.line - 1].strip(), site.text, site.change)
        text = repr((seed, *key, met[key]))
        met[key] += 1
        places.append((hashlib.sha256(text.encode()).digest(), site))
    return [site for _, site in sorted(places, key=lambda place: place[0])]


def instrument(source: bytes, sites: Iterable[tuple[int, Site]]) -> str:
    """Return the source with a switch at each site.

    Args:
        sites: (number, site) of this file; several may cover the same bytes.
    """
    wraps: dict[tuple[int, int], list[tuple[int, Site]]] = {}
    for number, site in sites:
        wraps.setdefault((site.start, site.end), []).append((number, site))
    root = parser().parse(source).root_node
    # A tree begins at its first token: what stands before it counts for line numbers.
    head = source[: root.start_byte].decode()
    return head + _render(source, root, wraps, set()) + source[root.end_byte :].decode()


def _render(
    source: bytes,
    node: Any,
    wraps: dict[tuple[int, int], list[tuple[int, Site]]],
    done: set[tuple[int, int]],
) -> str:
    place = (node.start_byte, node.end_byte)
    if not any(place[0] <= start and end <= place[1] for start, end in wraps):
        return _text(source, node)
    # A node and its only child may cover the same bytes: the outer one is wrapped.
    mine = [] if place in done else wraps.get(place, [])
    done.add(place)
    pieces: list[str] = []
    at = node.start_byte
    for child in node.children:
        pieces.append(source[at : child.start_byte].decode())
        pieces.append(_render(source, child, wraps, done))
        at = child.end_byte
    pieces.append(source[at : node.end_byte].decode())
    text = "".join(pieces)
    for number, site in mine:
        text = _WRAP[site.kind](number, site.instead, text)
    return text


_WRAP: dict[str, Callable[[int, str, str], str]] = {
    "rule": lambda n, new, old: f"(::nnapi::faults::off({n}) ? {new} : {old})",
    "inner": lambda n, new, old: f"(::nnapi::faults::offInner({n}) ? {new} : {old})",
    "expression": lambda n, new, old: f"(::nnapi::faults::on({n}) ? ({new}) : ({old}))",
    "condition": lambda n, new, old: f"(::nnapi::faults::on({n}) ? {new} : {old})",
    "statement": lambda n, new, old: f"if (!::nnapi::faults::on({n})) {{ {old} }}",
}


def sources(root: Path) -> dict[str, bytes]:
    """The driver's sources by path below `root`, the folder `emulator`."""
    folders = ("driver", "driver/kernels", "driver/kernels/math", "include")
    found = [path for folder in folders for path in sorted((root / folder).glob("*.*"))]
    kept = (path for path in found if path.suffix in (".cpp", ".h"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in kept}
