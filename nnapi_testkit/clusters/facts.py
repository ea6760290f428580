"""What is said of a case without its name: attributes, types, scales, shapes, path, graph.

Everything is read from the case itself and its place in the index. A fact that holds nothing
unusual (no activation, the default path) is still a value, so that cases with and without it can be
told apart; what a case cannot have is no fact of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from nnapi_testkit.cases.paths import MEMORY_WORD, PATH_WORD
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Case, ExecutionPath
from nnapi_testkit.model.types import Graph, Lifetime, Operand, Operation
from nnapi_testkit.op.cell import first_type
from nnapi_testkit.op.declare import Input, Scalar, Tensor
from nnapi_testkit.oracle.bind import Binding, OracleError, bind, defaults
from nnapi_testkit.spec.codes import FuseCode, OperandCode, PreferenceCode, PriorityCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS, Array, is_quantized, is_tensor

__all__ = ["WAYS", "Facts", "case_facts", "family"]

Fact = str | bool | float
Facts = dict[str, Fact]

# Facts about how a case is run, and not about what it computes.
WAYS = frozenset(
    {
        "path", "memory", "executed twice", "compilation cache", "padded memory", "durations asked",
        "preference", "priority", "compilation timeout", "execution timeout", "input sets",
        "batch changes", "data change", "path with memory", "weights fed at execution",
        "dimensions of the model",
    }
)  # fmt: skip
_CODES = {code.value: code for code in OperandCode}
MOST_VALUES = 8  # of an attribute tensor, to be named
_SIDES = (("_w", "_h"), ("_left", "_right"), ("_top", "_bottom"), ("_width", "_height"))
_FUSED = {code.value: code.name.removeprefix("FUSED_") for code in FuseCode}
_PADDING = {1: "SAME", 2: "VALID"}
_LARGE_INT = 1 << 24
_LARGEST_HALF = 65504.0


def family(cell: str) -> str:
    """`quantized`, `float`, or the integer or boolean type itself, of the first type of a cell."""
    word = first_type(cell)
    if word.startswith("float"):
        return "float"
    return "quantized" if word.startswith(("quant", "per_channel")) else word


def index_facts(ref: CaseRef) -> Facts:
    """What the index alone says of a case."""
    facts: Facts = {
        "operation": ref.operation, "type": ref.cell, "types": family(ref.cell), "kind": ref.kind,
    }  # fmt: skip
    if ref.broken is not None:
        facts["rule"] = ref.broken.rule
        facts["broken"] = str(ref.broken.constraint)
    return facts


def case_facts(ref: CaseRef, case: Case | None = None) -> Facts:
    """Every fact of a case: texts, flags and numbers by their names.

    A refusal has those of the index alone: what it breaks, in which operation and type.

    Args:
        case: as it was made; by default it is made if its facts need it.
    """
    facts = index_facts(ref)
    if not ref.computes:
        return facts
    case = case if case is not None else ref.make()
    if ref.answer_id:
        facts["_like"] = ref.answer_id
    facts |= _way(case)
    facts |= dict(_graph(case))
    found = _operation(ref.operation, case)
    if found is None:
        return facts
    graph, operation = found
    facts |= _types(graph, operation)
    try:
        bound = _bound(graph, operation)
    except OracleError:
        return facts
    main = graph is case.model.main
    arrays = _arrays(case, graph, operation) if main else _constants(graph, operation)
    named = [
        (spec, graph.operands[at], array)
        for spec, at, array in zip(bound.specs, operation.inputs, arrays, strict=True)
    ]
    for name, value in defaults(bound.op, bound.specs).items():
        if isinstance(value, (bool, int, float)):
            facts[name] = _scalar(name, value)
    for spec, operand, array in named:
        facts |= dict(_input(spec, operand, array))
    facts |= dict(_pairs(facts))
    facts |= dict(_tensors(case, named))
    facts |= dict(_scales(graph, operation, named))
    return facts


def _way(case: Case) -> Facts:
    quality = case.quality
    shapes = {
        tuple(None if array is None else array.shape for array in one.inputs) for one in case.sets
    }
    return {
        "path": PATH_WORD[case.path],
        "memory": MEMORY_WORD[case.memory],
        "path with memory": f"{PATH_WORD[case.path]} with memory {MEMORY_WORD[case.memory]}",
        "executed twice": case.repetitions > 1 or case.path is ExecutionPath.REUSABLE,
        "compilation cache": bool(case.cache_token),
        "padded memory": case.padding,
        "unaligned memory": case.extra.unaligned,
        "durations asked": case.measure,
        "preference": (
            PreferenceCode(quality.preference).name if quality.preference >= 0 else "none"
        ),
        "priority": PriorityCode(quality.priority).name if quality.priority >= 0 else "none",
        "compilation timeout": float(quality.compile_timeout_ns),
        "execution timeout": float(quality.execute_timeout_ns),
        "input sets": float(len(case.sets)),
        "batch changes": len(shapes) > 1,
        "relaxed": case.model.relaxed,
    }


def _graph(case: Case) -> Iterator[tuple[str, Fact]]:
    """What only a whole model has: wiring and order of its operations."""
    main = case.model.main
    yield "operations of the model", float(len(main.operations))
    yield "control flow", bool(case.model.subgraphs)
    yield from _readers(main)
    yield "operations listed in another order than they run", not _in_order(main)
    inputs = [main.operands[at] for at in main.inputs]
    ranked = all(one.dims or not _tensor(one) for one in inputs)
    open_ = any(0 in one.dims for one in inputs)
    yield (
        "dimensions of the model",
        "unknown rank" if not ranked else "unknown" if open_ else "known",
    )


def _readers(main: Graph) -> Iterator[tuple[str, Fact]]:
    """Who reads what: operands that several operations share, and that none does."""
    readers = Counter(at for operation in main.operations for at in set(operation.inputs))
    yield (
        "an operand used twice by one operation",
        any(len(set(operation.inputs)) < len(operation.inputs) for operation in main.operations),
    )
    yield "a model output that is also read", any(at in readers for at in main.outputs)
    yield "a model input that nothing reads", any(at not in readers for at in main.inputs)
    shared = [at for at, count in readers.items() if count > 1]
    lifetimes = {main.operands[at].lifetime for at in shared}
    yield "a constant used by several operations", Lifetime.CONSTANT in lifetimes
    yield "a value read by several operations", Lifetime.TEMPORARY in lifetimes


def _in_order(main: Graph) -> bool:
    """Whether each operation is listed behind those whose results it reads."""
    written: set[int] = set()
    made = {at for operation in main.operations for at in operation.outputs}
    for operation in main.operations:
        if not all(at in written or at not in made for at in operation.inputs):
            return False
        written |= set(operation.outputs)
    return True


def _operation(name: str, case: Case) -> tuple[Graph, Operation] | None:
    """The operation under test and its graph; None where the model has none of that name."""
    op = catalog().get(name)
    if op is None:
        return None
    for graph in (case.model.main, *case.model.subgraphs):
        for operation in graph.operations:
            if operation.code == int(op.code):
                return graph, operation
    return None


def _bound(graph: Graph, operation: Operation) -> Binding:
    def types(row: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(graph.operands[at].type) for at in row)

    return bind(operation.code, types(operation.inputs), types(operation.outputs))


def _types(graph: Graph, operation: Operation) -> Facts:
    kinds = [_code(graph.operands[at]) for at in (*operation.inputs, *operation.outputs)]
    return {
        "per-channel scales": OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL in kinds,
        "outputs": float(len(operation.outputs)),
        "signed codes": OperandCode.TENSOR_QUANT8_ASYMM_SIGNED in kinds,
        "a quantized output": kinds[-1] in CODE_RANGE if operation.outputs else False,
    }


def _code(operand: Operand) -> OperandCode | None:
    return _CODES.get(int(operand.type))


def _tensor(operand: Operand) -> bool:
    code = _code(operand)
    return code is not None and is_tensor(code)


def _constants(graph: Graph, operation: Operation) -> list[Array | None]:
    """The constant operands as arrays, flat where the model says no dimensions."""
    found: list[Array | None] = []
    for at in operation.inputs:
        operand = graph.operands[at]
        code = _code(operand)
        if operand.lifetime != Lifetime.CONSTANT or code not in DTYPE:
            found.append(None)
            continue
        assert code is not None
        array = np.frombuffer(operand.value, DTYPE[code])
        fits = math.prod(operand.dims) == array.size
        found.append(array.reshape(operand.dims) if fits else array)
    return found


def _arrays(case: Case, graph: Graph, operation: Operation) -> list[Array | None]:
    """The operands' values in the first input set; None for one that is computed or omitted."""
    fed = dict(zip(graph.inputs, case.sets[0].inputs, strict=True))
    constants = _constants(graph, operation)
    return [
        fed.get(at) if constant is None else constant
        for at, constant in zip(operation.inputs, constants, strict=True)
    ]


def _input(spec: Input, operand: Operand, array: Array | None) -> Iterator[tuple[str, Fact]]:
    """What an attribute is, or that an operand is left out or fed."""
    name = spec.name
    if isinstance(spec, Scalar):
        if array is not None and array.size == 1:
            value = array.item()
            yield name, _scalar(name, bool(value) if operand.type == OperandCode.BOOL else value)
        return
    if spec.optional:
        yield f"{name} given", operand.lifetime != Lifetime.OMITTED
    if spec.weight and operand.lifetime in (Lifetime.INPUT, Lifetime.CONSTANT):
        yield "weights fed at execution", operand.lifetime == Lifetime.INPUT
    elif operand.lifetime == Lifetime.CONSTANT:
        yield f"{name} constant", True
    if array is None:
        return
    if spec.type == "TENSOR_INT32":
        values = array.ravel().tolist()
        if len(values) <= MOST_VALUES:
            yield name, str(array.tolist())
        yield f"a negative value in {name}", any(value < 0 for value in values)
        yield f"{name} not sorted", values != sorted(values)
        yield f"equal values in {name}", len(set(values)) < len(values)
        if name == "perm":
            yield f"{name} its own inverse", _own_inverse(values)
    if "bias" in name and spec.type != "T":
        yield f"{name} not zero", bool(np.any(array))


def _own_inverse(values: Sequence[int]) -> bool:
    return all(0 <= value < len(values) and values[value] == at for at, value in enumerate(values))


def _scalar(name: str, value: object) -> Fact:
    assert isinstance(value, (bool, int, float))
    if name == "activation" and int(value) in _FUSED:
        return _FUSED[int(value)]
    if name == "padding":
        return _PADDING.get(int(value), str(value))
    if name == "nchw":
        return "NCHW" if value else "NHWC"
    return value if isinstance(value, bool) else float(value)


def _pairs(facts: Facts) -> Iterator[tuple[str, Fact]]:
    """Attributes of two directions that differ: where exchanging them would be seen."""
    for name, value in facts.items():
        for one, other in _SIDES:
            if name.endswith(one) and (second := name.removesuffix(one) + other) in facts:
                yield f"{name} differs from {second}", value != facts[second]


_Named = list[tuple[Input, Operand, Array | None]]


def _tensors(case: Case, named: _Named) -> Iterator[tuple[str, Fact]]:
    """Shapes and data of the inputs, size of the outputs."""
    yield from _ends(case.sets[0].output_dims)
    shapes = []
    for spec, operand, array in named:
        if not isinstance(spec, Tensor) or not _tensor(operand) or spec.type == "TENSOR_INT32":
            continue
        shape = array.shape if array is not None else operand.dims
        if not spec.weight:
            shapes.append(shape)
        elif len(shape) > 1:
            yield f"terms of {spec.name}", float(math.prod(shape[1:]))
            if len(shape) == 4:
                yield f"height of {spec.name} differs from its width", shape[1] != shape[2]
                yield f"{spec.name} of one element", shape[1] == shape[2] == 1
    if shapes:
        first = shapes[0]
        yield "rank", float(len(first))
        if len(first) > 1:
            yield "batch", float(first[0])
            yield "last dimension", float(first[-1])
        yield "shapes of the inputs differ", len(set(shapes)) > 1
        if len(first) == 4:
            yield "height differs from width", first[1] != first[2]
    yield from _values([(operand, array) for _, operand, array in named if array is not None])


def _ends(dims: Sequence[tuple[int, ...]]) -> Iterator[tuple[str, Fact]]:
    """Shapes of the outputs, above all of the first."""
    size = math.prod(dims[0]) if dims else 0
    yield "elements of the output", float(size)
    for vector in (4, 8, 16):
        if size > vector:
            yield f"elements that do not fill vectors of {vector}", size % vector != 0
    if dims and dims[0]:
        if len(dims[0]) > 1:  # of one dimension, the first is the last
            yield "batch of the output", float(dims[0][0])
        yield "last dimension of the output", float(dims[0][-1])
        yield "rank of the output", float(len(dims[0]))
        yield "a square output", len(dims[0]) > 2 and dims[0][1] == dims[0][2]
    yield "an empty tensor", any(0 in shape for shape in dims)


def _values(arrays: Sequence[tuple[Operand, Array]]) -> Iterator[tuple[str, Fact]]:
    tensors = [(_code(operand), array) for operand, array in arrays if _tensor(operand)]
    reals = [array for code, array in tensors if code in FLOATS and array.size]
    if reals:
        with np.errstate(all="ignore"):
            most = max(float(np.abs(array.astype(np.float64)).max()) for array in reals)
        yield "NaN or infinity in the inputs", not math.isfinite(most)
        if math.isfinite(most):
            yield "largest input", most
            yield "numbers beyond float16's", most > _LARGEST_HALF
        yield "negative inputs", any(bool(np.less(array, 0).any()) for array in reals)
    whole = [array for code, array in tensors if code == OperandCode.TENSOR_INT32 and array.size]
    if whole:
        yield (
            "integers beyond 2^24",
            any(int(np.abs(array.astype(np.int64)).max()) > _LARGE_INT for array in whole),
        )


def _scales(graph: Graph, operation: Operation, named: _Named) -> Iterator[tuple[str, Fact]]:
    """Quantization of inputs and outputs, and the multiplier between them."""
    inputs = [
        operand
        for _, operand, _ in named
        if (code := _code(operand)) in CODE_RANGE and operand.lifetime != Lifetime.OMITTED and code
    ]
    outputs = [graph.operands[at] for at in operation.outputs]
    out = next((one for one in outputs if (code := _code(one)) and is_quantized(code)), None)
    if out is not None and out.scale:
        yield "output scale", out.scale
        yield "output zero point", float(out.zero_point)
    if not inputs or not inputs[0].scale:
        return
    first = inputs[0]
    yield "input scale", first.scale
    yield "input zero point", float(first.zero_point)
    lowest, highest = CODE_RANGE[OperandCode(first.type)]
    yield "input zero point at an end of its type", first.zero_point in (lowest, highest)
    if len(inputs) > 1 and inputs[1].scale:
        yield "scales of the inputs differ", first.scale != inputs[1].scale
        yield "zero point of the second input not zero", inputs[1].zero_point != 0
        if out is not None and out.scale:
            yield (
                "product of the input scales by the output scale",
                first.scale * inputs[1].scale / out.scale,
            )
    if out is not None and out.scale:
        yield "input scale by the output scale", first.scale / out.scale
        same = (out.scale, out.zero_point) == (first.scale, first.zero_point)
        yield "input and output of one scale and zero point", same
