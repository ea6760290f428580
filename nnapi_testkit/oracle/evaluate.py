"""What a model computes: eager PyTorch in float64, with a bound for every element."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.model.case import Answer, Case, Execution, Expected
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.op.bounds import (
    FLOAT16,
    FLOAT32,
    QUANTIZED,
    RELAXED,
    SMALLEST,
    Precision,
    Situation,
    produced,
)
from nnapi_testkit.op.declare import Output, Scalar
from nnapi_testkit.oracle.bind import Binding, OracleError, bind, defaults
from nnapi_testkit.oracle.control import run_if, run_while
from nnapi_testkit.oracle.propagate import Bounded
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS, is_quantized

INTEGER = Precision(0.0, 0.0, float("inf"))
_HALF = (OperandCode.TENSOR_FLOAT16, OperandCode.FLOAT16)
_SINGLE = (OperandCode.TENSOR_FLOAT32, OperandCode.FLOAT32)


@dataclass(frozen=True, slots=True)
class Value:
    """An operand's value during evaluation.

    Args:
        data: float64 real values, int64 for TENSOR_INT32, bool for TENSOR_BOOL8, in the
            operand's stored layout; a Python scalar for scalars; None if omitted.
        error: how far a driver's real value may be from `data`; None if it is exact.
        exempt: elements the documentation leaves open; None for none.
        kind, law: see `Expected`.
    """

    data: Any
    error: Any = None
    exempt: Any = None
    kind: str = ""
    law: Any = None


def answer_case(case: Case) -> Answer:
    """The oracle's word on every input set of a case.

    Raises:
        OracleError: the model uses something that no op file declares.
    """
    return Answer(tuple(answer_set(case.model, execution) for execution in case.sets))


def answer_set(model: Model, execution: Execution) -> tuple[Expected, ...]:
    """The oracle's word on each output for one input set."""
    inputs = []
    for index, array in zip(model.main.inputs, execution.inputs, strict=True):
        operand = model.main.operands[index]
        inputs.append(Value(None) if array is None else decode(operand, array))
    outputs = run_graph(model, model.main, inputs)
    found = []
    for index, value in zip(model.main.outputs, outputs, strict=True):
        found.append(_expected(model.main.operands[index], value))
    return tuple(found)


def run_graph(model: Model, graph: Graph, inputs: list[Value]) -> list[Value]:
    """The values of the graph's outputs; operations run as their inputs become known."""
    values: dict[int, Value] = dict(zip(graph.inputs, inputs, strict=True))
    for index, operand in enumerate(graph.operands):
        if operand.lifetime == Lifetime.CONSTANT:
            values[index] = _constant(operand)
        elif operand.lifetime == Lifetime.OMITTED:
            values[index] = Value(None)
        elif operand.lifetime == Lifetime.SUBGRAPH:
            values[index] = Value(model.subgraphs[operand.subgraph])
    waiting = list(graph.operations)
    while waiting:
        ready = next((o for o in waiting if all(i in values for i in o.inputs)), None)
        if ready is None:
            raise OracleError("the model's operations depend on each other in a circle")
        waiting.remove(ready)
        results = _operation(model, graph, ready, [values[i] for i in ready.inputs])
        values.update(zip(ready.outputs, results, strict=True))
    return [values[index] for index in graph.outputs]


def _operation(
    model: Model, graph: Graph, operation: Operation, inputs: list[Value]
) -> list[Value]:
    if operation.code == OperationCode.IF:
        return run_if(lambda g, v: run_graph(model, g, v), inputs)
    if operation.code == OperationCode.WHILE:
        results = run_while(lambda g, v: run_graph(model, g, v), inputs)
        return results[: len(operation.outputs)]
    operands = [graph.operands[i] for i in operation.inputs]
    outputs = [graph.operands[i] for i in operation.outputs]
    binding = bind(
        operation.code,
        tuple(int(o.type) for o in operands),
        tuple(int(o.type) for o in outputs),
    )
    args, errors, channels_first = _arguments(binding, operands, inputs)
    precision = _precision(binding, outputs[0], model.relaxed)
    specs, situation = _situate(binding, args, precision, operands, outputs, model.relaxed)
    bounds = binding.op.bound(situation)
    bounds, exempt = _flush(situation, bounds)
    for leave_open in (binding.op.exempt, getattr(binding.op.bound, "exempt", None)):
        if leave_open is not None:
            exempt = _either(exempt, leave_open(situation))
    if errors:
        carried = _carried(binding, args, errors)
        bounds = tuple(b + c for b, c in zip(bounds, carried, strict=True))
    results = []
    for position, operand in enumerate(outputs):
        spec = specs[min(position, len(specs) - 1)]
        flip = spec.spatial and not channels_first
        if spec.kind == "draws":
            results.append(_drawn(situation.outputs[position], bounds[position]))
            continue
        value = _decoded(spec, operand, situation.outputs[position])
        open_ = exempt[position]
        if spec.opaque:
            open_ = torch.ones_like(value, dtype=torch.bool)
        result = _result(operand, value, bounds[position], open_, flip)
        results.append(replace(result, kind=spec.kind) if spec.kind else result)
    return results


def _arguments(
    binding: Binding, operands: list[Operand], inputs: list[Value]
) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """The reference's operands by name, the errors they carry, and whether data are NCHW."""
    args: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    nchw = False
    for spec, value in zip(binding.specs, inputs, strict=True):
        if spec.name == "nchw":
            nchw = bool(value.data)
    for spec, operand, value in zip(binding.specs, operands, inputs, strict=True):
        data, error = value.data, _error_of(value)
        if isinstance(spec, Scalar):
            if spec.name != "nchw":
                args[spec.name] = _real_scalar(spec, data, binding, operands)
            continue
        if data is not None and is_quantized(OperandCode(operand.type)) and error is not None:
            data, error = _through_codes(operand, data, error)
        if spec.codes and data is not None and is_quantized(OperandCode(operand.type)):
            data = (data / operand.scale).round() + operand.zero_point
        if spec.bias_of and data is not None and operand.type == OperandCode.TENSOR_INT32:
            data = data.to(torch.float64) * _bias_scale(binding, operands, inputs, spec.bias_of)
        elif data is not None and operand.type == OperandCode.TENSOR_INT32 and spec.type == "T":
            data = data.to(torch.float64)
        if data is not None and spec.spatial and not nchw:
            data = data.permute(0, 3, 1, 2)
            error = error.permute(0, 3, 1, 2) if error is not None else None
        if spec.many:
            args.setdefault(spec.name, []).append(data)
            errors.setdefault(spec.name, []).append(error)
            continue
        args[spec.name] = data
        if error is not None:
            errors[spec.name] = error
    if not any(_has_error(error) for error in errors.values()):
        errors = {}
    for name, default in defaults(binding.op, binding.specs).items():
        if name != "nchw":
            args.setdefault(name, default)
    return args, errors, nchw


def _error_of(value: Value) -> Any:
    """An operand's error; what the documentation left open on the way may be anything."""
    if value.exempt is None or not value.data.is_floating_point():
        return value.error
    error = torch.zeros_like(value.data) if value.error is None else value.error
    return torch.where(value.exempt, torch.inf, error)


def _real_scalar(spec: Scalar, data: Any, binding: Binding, operands: list[Operand]) -> Any:
    """A scalar's value; the real value of a code if it is `like` a quantized tensor."""
    if spec.like and data is not None:
        for other, operand in zip(binding.specs, operands, strict=True):
            if other.name == spec.like and is_quantized(OperandCode(operand.type)):
                return (data - operand.zero_point) * operand.scale
    return data


def _has_error(error: Any) -> bool:
    if isinstance(error, list):
        return any(_has_error(item) for item in error)
    return error is not None and bool((error > SMALLEST).any())


def _bias_scale(
    binding: Binding, operands: list[Operand], inputs: list[Value], names: tuple[str, str]
) -> Any:
    """Input scale times filter scale, for each output channel if the filter has many."""
    product: Any = 1.0
    for spec, operand, value in zip(binding.specs, operands, inputs, strict=True):
        if spec.name not in names:
            continue
        if isinstance(spec, Scalar):
            product = product * value.data
        elif operand.channel_quant is not None:
            scales = torch.tensor(operand.channel_quant.scales, dtype=torch.float64)
            product = product * scales
        else:
            product = product * operand.scale
    return product


def _situate(
    binding: Binding,
    args: dict[str, Any],
    precision: Precision,
    operands: list[Operand],
    outputs: list[Operand],
    relaxed: bool,
) -> tuple[list[Output], Situation]:
    """The outputs the operation has here, and what a bound may look at."""
    result = binding.reference(torch, **args)
    values = produced(result)
    specs = list(binding.op.outputs)
    if isinstance(result, tuple) and len(result) == len(specs):
        specs = [spec for spec, value in zip(specs, result, strict=True) if value is not None]

    @cache
    def propagate() -> tuple[Any, ...]:
        bounded = {name: _bounded(value, precision) for name, value in args.items()}
        found = produced(binding.reference(torch, **bounded))
        return tuple(f.error if isinstance(f, Bounded) else torch.zeros_like(f) for f in found)

    facts = {
        "operands": operands,
        "outputs": outputs,
        "cell": binding.cell,
        "specs": binding.specs,
    }
    reading = QUANTIZED
    if binding.cell.main in FLOATS:
        reading = FLOAT16 if binding.cell.main in _HALF else RELAXED if relaxed else FLOAT32
    return specs, Situation(
        torch, args, values, binding.reference, precision, propagate, facts, reading
    )


def _bounded(value: Any, precision: Precision) -> Any:
    if isinstance(value, list):
        return [_bounded(item, precision) for item in value]
    if torch.is_tensor(value) and value.is_floating_point():
        # Relaxed float32 may round each input to float16 first.
        size = value.abs().nan_to_num(0.0, 0.0)
        error = size * (precision.u if precision.relaxed else 0.0)
        return Bounded(value, error, precision.u, precision.tiny)
    return value


def _carried(binding: Binding, args: dict[str, Any], errors: dict[str, Any]) -> tuple[Any, ...]:
    """What the errors of the inputs become in the outputs, in exact arithmetic."""

    def lift(value: Any, error: Any) -> Any:
        if isinstance(value, list):
            return [lift(v, e) for v, e in zip(value, error or [None] * len(value), strict=True)]
        if torch.is_tensor(value) and value.is_floating_point():
            return Bounded(value, torch.zeros_like(value) if error is None else error, 0.0, 0.0)
        return value

    bounded = {name: lift(value, errors.get(name)) for name, value in args.items()}
    found = produced(binding.reference(torch, **bounded))
    return tuple(f.error if isinstance(f, Bounded) else torch.zeros_like(f) for f in found)


def _through_codes(operand: Operand, data: Any, error: Any) -> tuple[Any, Any]:
    """A quantized intermediate: clamped to its codes' range, half a code further off."""
    low, high = CODE_RANGE[OperandCode(operand.type)]
    scale, zero = operand.scale, operand.zero_point
    clamped = data.clamp((low - zero) * scale, (high - zero) * scale)
    return clamped, torch.where(error > SMALLEST, error + scale / 2, 0.0)


def _precision(binding: Binding, output: Operand, relaxed: bool) -> Precision:
    code = OperandCode(output.type)
    if code in _HALF:
        return FLOAT16
    if code in _SINGLE:
        if binding.cell.main in _HALF:
            return FLOAT16
        return RELAXED if relaxed else FLOAT32
    return QUANTIZED if is_quantized(code) else INTEGER


def _either(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """Masks of what is open for one reason or another; None stands for nothing."""
    return tuple(
        b if a is None else a if b is None else a | b for a, b in zip(first, second, strict=True)
    )


def _flush(
    situation: Situation, bounds: tuple[Any, ...]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Widen the bound where drivers may read inputs differently, and say what becomes open.

    Subnormal inputs may be read as zero; under relaxed float32, inputs too large for float16
    may become infinite.
    """
    precision = situation.precision
    settled = (None,) * len(bounds)
    if not precision.tiny:
        return bounds, settled

    def odd(value: Any) -> bool:
        if isinstance(value, list):
            return any(odd(item) for item in value)
        if not (torch.is_tensor(value) and value.is_floating_point()):
            return False
        size = value.abs()
        small = (size > 0) & (size < precision.tiny)
        large = (size > precision.maximum) & size.isfinite()
        return bool((small | large).any())

    if not any(odd(value) for value in situation.args.values()):
        return bounds, settled

    def read(x: Any) -> Any:
        x = torch.where(x.abs() < precision.tiny, torch.zeros_like(x), x)
        return torch.where(x.abs() > precision.maximum, x * torch.inf, x)

    activation = situation.args.get("activation")
    override = {} if activation is None else {"activation": activation}
    others = situation.run(read, **override)
    widened, masks = [], []
    for bound, value, other in zip(bounds, situation.outputs, others, strict=True):
        gap = (value - other).abs().nan_to_num(torch.inf, torch.inf)
        same = (value == other) | (value.isnan() & other.isnan())
        widened.append(torch.where(same, bound, torch.maximum(bound, gap)))
        # Where either reading gives infinity or NaN and the other does not, both are legal.
        masks.append(~same & ~gap.isfinite())
    return tuple(widened), tuple(masks)


def _decoded(spec: Output, operand: Operand, value: Any) -> Any:
    """The real value of what the reference returned, which may be codes."""
    if spec.codes and is_quantized(OperandCode(operand.type)):
        return (value - operand.zero_point) * operand.scale
    return value


def _drawn(law: Any, error: Any) -> Value:
    """What a driver draws: `law` and `error` are [..., draws, classes], one law for all draws."""
    stacked = torch.stack((law.select(-2, 0), error.select(-2, 0)))
    open_ = ~(law.isfinite() & error.isfinite()).all(-1)
    drawn = torch.zeros(law.shape[:-1], dtype=torch.float64)
    return Value(drawn, None, open_, "draws", stacked.nan_to_num(0.0, 1.0))


def _result(operand: Operand, value: Any, bound: Any, exempt: Any, flip: bool) -> Value:
    if flip:
        value, bound = value.permute(0, 2, 3, 1), bound.permute(0, 2, 3, 1)
        exempt = exempt.permute(0, 2, 3, 1) if exempt is not None else None
    if value.dtype == torch.bool or operand.type == OperandCode.TENSOR_INT32:
        if value.dtype == torch.bool:
            return Value(value, None, exempt)
        error = bound if bound.is_floating_point() and bool(bound.any()) else None
        return Value(value.round().to(torch.int64), error, exempt)
    return Value(value, bound, exempt)


def decode(operand: Operand, array: NDArray[np.generic]) -> Value:
    """Codes or floats of an operand as exact real values."""
    code = OperandCode(operand.type)
    if code == OperandCode.TENSOR_BOOL8:
        return Value(torch.from_numpy(np.ascontiguousarray(array != 0)))
    if code == OperandCode.TENSOR_INT32:
        return Value(torch.from_numpy(array.astype(np.int64)))
    data = torch.from_numpy(array.astype(np.float64))
    if operand.channel_quant is not None:
        shape = [1] * data.ndim
        shape[operand.channel_quant.dim] = -1
        scales = torch.tensor(operand.channel_quant.scales, dtype=torch.float64)
        return Value(data * scales.reshape(shape))
    if is_quantized(code):
        return Value((data - operand.zero_point) * operand.scale)
    return Value(data)


def _constant(operand: Operand) -> Value:
    code = OperandCode(operand.type)
    array = np.frombuffer(operand.value, dtype=DTYPE[code])
    if not operand.dims and array.size == 1:
        item = array[0].item()
        return Value(bool(item) if code == OperandCode.BOOL else item)
    return decode(operand, array.reshape(operand.dims))


def _expected(operand: Operand, value: Value) -> Expected:
    data = value.data.to(torch.float64).contiguous()
    bound = torch.zeros_like(data) if value.error is None else value.error.contiguous()
    exempt = value.exempt
    values = data.numpy()
    limits = np.broadcast_to(bound.numpy(), values.shape)
    # Where the float64 value itself is infinite or NaN, that is what a driver must give, unless
    # an intermediate sum could overflow on the way (bound not finite although the value is).
    special = ~np.isfinite(values)
    open_ = ~np.isfinite(limits) & ~special
    limits = np.where(special | open_, 0.0, limits)
    mask = open_ if exempt is None else open_ | exempt.numpy()
    law = None if value.law is None else value.law.contiguous().numpy()
    return Expected(values, limits, mask if mask.any() else None, value.kind, law)
