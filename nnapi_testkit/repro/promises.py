"""What an operation promises, and where the header says so."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.codes import RULES, rule_for
from nnapi_testkit.judge.verdict import code_name
from nnapi_testkit.op.declare import Op

__all__ = ["promises", "readings", "refusal_promise"]

HEADER = "NeuralNetworksTypes.h"
WIDTH = 96


def promises(ref: CaseRef) -> Iterator[str]:
    """Yield what the operation of a case promises: meaning, section, types, rules, acceptance."""
    op = catalog().get(ref.operation)
    if op is None:
        return
    yield from _wrapped(_meaning(op))
    yield (
        f"section: ANEURALNETWORKS_{op.name} of OperationCode ({int(op.code)}) in {HEADER}; since"
        f" feature level {op.since}, this case since {ref.level}"
    )
    cell = next((cell for cell in op.cells if cell.name == ref.cell), None)
    if cell is not None:
        types = {spec.name: cell.type_of(spec.name, spec.type).name for spec in op.signatures[0]}
        types |= {f"-> {out.name}": cell.type_of(out.name, out.type).name for out in op.outputs}
        told = ", ".join(f"{name} {kind}" for name, kind in types.items())
        yield from _wrapped(f"types of {ref.cell}: {told}")
    for rule in op.rules:
        if not rule.only or ref.cell in rule.only:
            yield from _wrapped(f"rule {rule.name}: {rule.says}")
    for later in op.later:
        yield from _wrapped(f"from feature level {later.level} on: {later.says}")
    if op.ambiguity:
        yield from _wrapped(f"read so where the text is unclear: {op.ambiguity}")
    yield f"acceptance: {op.bound.rule}"


def _meaning(op: Op) -> str:
    """The first paragraph of the op file: what is computed, in words."""
    module = sys.modules.get(getattr(op.reference, "__module__", ""))
    text = (module.__doc__ if module is not None else "") or op.name
    return " ".join(text.split("\n\n")[0].split())


def readings(ref: CaseRef) -> Iterator[str]:
    """Yield the question that a contested case asks, and the answers in use."""
    contest = ref.contest
    if contest is None:
        yield "none: documentation and field agree here, and every reading computes it alike"
        return
    yield from _wrapped(f"{contest.topic}: {contest.text}")
    for reading in contest.readings:
        how = "refuses the model" if reading.refuses else "computes it"
        yield f"  {reading.name}: {how}"


def refusal_promise(ref: CaseRef) -> Iterator[str]:
    """Yield what a refusal breaks, and which result codes are legal for it."""
    broken = ref.broken
    if broken is None:
        return
    yield f"it breaks: {broken.constraint}"
    if broken.control:
        yield f"unbroken, the same model is {broken.control}"
    if broken.open:
        yield from _wrapped(f"not charged under `standard`: {broken.open}")
    functions = {function for rule in RULES for function in rule.functions}
    found = [rule_for(broken, f"ANeuralNetworks{function}") for function in sorted(functions)]
    named = list(dict.fromkeys(rule for rule in found if rule is not None))
    if not named:
        yield "legal codes: any but NO_ERROR, for the documentation names none for this"
    for rule in named:
        codes = " or ".join(map(code_name, sorted(rule.codes)))
        where = ", ".join(f"ANeuralNetworks{name}" for name in rule.functions)
        yield from _wrapped(f'legal code of {where}: {codes}: "{rule.sentence}"')


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
