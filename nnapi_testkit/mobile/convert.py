"""From an eager or TorchScript model to the module that PyTorch runs through NNAPI.

The work is PyTorch's (`torch.backends._nnapi`). Added here: layouts and flexible dimensions as
arguments instead of attributes on tensors, models that are frozen already, and errors of one line
that name the operator.
"""

from __future__ import annotations

import importlib
import logging
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from nnapi_testkit.errors import KitError
from nnapi_testkit.spec.codes import OperationCode

__all__ = [
    "ConversionError",
    "Converted",
    "Layout",
    "as_torchscript",
    "convert",
    "operations",
]

Layout = Literal["nchw", "nhwc"]
# The serializer's header, operand, value and operation records (torch serializer.py).
_HEADER, _OPERAND, _VALUE, _OPERATION = (
    struct.calcsize("6i"),
    struct.calcsize("2ifi"),
    struct.calcsize("3i"),
    struct.calcsize("3i"),
)
# What the converter says, and what a user can do about it.
_HINTS = (
    ("object has no attribute 'dtype'", "an operand is a number: make it a tensor of equal rank"),
    ("expected inputsAt(1) TensorType", "an operand is a number: make it a tensor of equal rank"),
    ("expected len(strides) == 2, got 0", "say stride=kernel_size"),
    ("TensorType, but got NoneType", "the layer has no bias: give it one of zeros"),
    (
        "FloatType, but got TensorType",
        "scales are tensors, as FX graph mode writes them: quantize in eager mode",
    ),
    ("runtime flex shape", "name the flexible dimensions of the inputs instead"),
)


class ConversionError(KitError):
    """PyTorch's converter cannot express the model in NNAPI; the message names the operator."""


@dataclass(frozen=True)
class Converted:
    """A converted model.

    Args:
        module: takes the same tensors as the source and returns the same structure. Its first
            call compiles for the shapes it is called with; then it keeps them.
        source: the frozen TorchScript module that it was made from.
        layout: memory order that the driver sees for 4-dimensional tensors.
        operations: how many NNAPI operations of each name it contains.
    """

    module: torch.jit.ScriptModule
    source: torch.jit.ScriptModule
    layout: Layout
    operations: Mapping[str, int] = field(default_factory=dict)


def convert(
    model: torch.nn.Module,
    inputs: Sequence[torch.Tensor],
    *,
    layout: Layout = "nchw",
    flexible: Sequence[Sequence[int]] = (),
    relaxed: bool = False,
) -> Converted:
    """Convert a model for PyTorch's NNAPI runtime.

    Args:
        model: an nn.Module (it is traced) or TorchScript module, in evaluation mode.
        inputs: one example tensor for each argument, float32, int32 or quint8, in PyTorch's
            shape (NCHW) whatever the layout.
        layout: `nhwc` hands 4-dimensional inputs to NNAPI channels last.
        flexible: for each input the dimensions whose size is left open (the converter's zero
            sizes) until the converted module is called for the first time.
        relaxed: let the driver compute float32 in the precision of float16.

    Raises:
        ConversionError: the converter cannot express an operator, or an input.
    """
    example = list(inputs)
    if not example:
        raise ConversionError("the model has no inputs: NNAPI needs at least one tensor")
    scripted = as_torchscript(model, example)
    templates = [
        _template(tensor, layout, flexible[index] if index < len(flexible) else (), index)
        for index, tensor in enumerate(example)
    ]
    if len(flexible) > len(example):
        raise ConversionError(
            f"flexible dimensions are given for {len(flexible)} inputs, the model has"
            f" {len(example)}"
        )
    prepare: Any = importlib.import_module("torch.backends._nnapi.prepare")
    log = logging.getLogger("nnapi_serialize")
    quiet = log.disabled
    log.disabled = True  # It warns about run-time flexible shapes; nothing follows from it here.
    try:
        with torch.no_grad():
            module = prepare.convert_model_to_nnapi(
                scripted, templates, serializer=_serializer(), relax_f32_to_f16=relaxed
            )
    except ConversionError:
        raise
    except Exception as error:  # the converter asserts, and raises bare Exceptions
        raise ConversionError(f"the model cannot be converted: {_one_line(error)}") from error
    finally:
        log.disabled = quiet
    return Converted(module, freeze(scripted), layout, operations(module))


def as_torchscript(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor]
) -> torch.jit.ScriptModule:
    """Return the model as TorchScript that can be frozen: traced, unless it is TorchScript.

    Raises ConversionError for a model in training mode and for one that cannot be traced.
    """
    frozen = isinstance(model, torch.jit.ScriptModule) and not hasattr(model, "training")
    if not frozen and model.training:
        raise ConversionError("the model is in training mode: call model.eval() before")
    if isinstance(model, torch.jit.ScriptModule) and not frozen:
        return model
    # A frozen module cannot be frozen again, which the converter does: a trace that calls it can.
    subject = _Call(model).eval() if frozen else model
    try:
        with torch.no_grad():
            traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
                subject, tuple(inputs), check_trace=False
            )
    except Exception as error:  # the user's model: its forward may raise anything
        raise ConversionError(f"the model cannot be traced: {_one_line(error)}") from error
    return traced


def freeze(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Return the module with weights as constants and one graph, as the converter sees it."""
    frozen: torch.jit.ScriptModule = torch.jit.freeze(module)
    return frozen


def operations(module: torch.nn.Module) -> Mapping[str, int]:
    """Count the NNAPI operations of a converted module, by their names in the NNAPI reference."""
    # The wrapper holds the runtime's module as `mod`, and that the model as 32-bit words.
    wrapper: Any = module
    words: torch.Tensor = wrapper.mod.ser_model
    raw = words.numpy().tobytes()
    _version, operands, values, count, _inputs, _outputs = struct.unpack_from("6i", raw)
    start = _HEADER + operands * _OPERAND + values * _VALUE
    found: Counter[str] = Counter()
    for index in range(count):
        (code,) = struct.unpack_from("i", raw, start + index * _OPERATION)
        found[OperationCode(code).name] += 1
    return dict(found)


class _Call(torch.nn.Module):
    """A module around a frozen one, which lacks what `torch.jit.freeze` asks for."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: torch.Tensor) -> Any:
        """Call the inner module."""
        return self.inner(*args)


def _template(
    tensor: torch.Tensor, layout: Layout, flexible: Sequence[int], index: int
) -> torch.Tensor:
    """A tensor of the example's type that says shape, open dimensions and layout."""
    if not isinstance(tensor, torch.Tensor):
        raise ConversionError(
            f"input {index} is {type(tensor).__name__}: models for NNAPI take tensors"
        )
    shape = list(tensor.shape)
    for dim in flexible:
        if not -len(shape) <= dim < len(shape):
            raise ConversionError(
                f"input {index} has {len(shape)} dimensions: dimension {dim} cannot be flexible"
            )
        shape[dim] = 0
    if tensor.is_quantized:
        template = torch.quantize_per_tensor(
            torch.zeros(shape), tensor.q_scale(), tensor.q_zero_point(), tensor.dtype
        )
    else:
        template = torch.zeros(shape, dtype=tensor.dtype)
    if layout == "nhwc" and len(shape) == 4:
        template.nnapi_nhwc = True  # type: ignore[attr-defined]
    return template


def _serializer() -> Any:
    """PyTorch's serializer, with errors that name the node they happened at."""
    module: Any = importlib.import_module("torch.backends._nnapi.serializer")
    serializer = module._NnapiSerializer(config=None)
    known = serializer.ADDER_MAP
    add_node = serializer.add_node

    def guarded(node: Any) -> None:
        kind = node.kind()
        where = _place(node)
        if kind not in known:
            raise ConversionError(
                f"{kind} cannot be converted{where}: PyTorch's NNAPI converter does not know it"
            )
        try:
            add_node(node)
        except Exception as error:  # the converter asserts, and raises bare Exceptions
            told = _one_line(error)
            hint = next((f" ({cure})" for sign, cure in _HINTS if sign in told), "")
            raise ConversionError(f"{kind} cannot be converted{where}: {told}{hint}") from error

    serializer.add_node = guarded
    return serializer


def _place(node: Any) -> str:
    """Where a node comes from, as ` (in module features.3, net.py:12)`; empty if unknown."""
    found = [f"in module {m}" for m in [node.scopeName().rpartition("__module.")[2]] if m]
    # Scripted models say File "PATH", line N, traced ones PATH(N), innermost first.
    frames = re.findall(r'File "([^"]+)", line (\d+)|^(\S+\.py)\((\d+)\)', node.sourceRange(), re.M)
    lines = [(a or c, b or d) for a, b, c, d in frames]
    own = [line for line in lines if "/torch/" not in line[0] and line[0] != __file__]
    if own or (lines and not found):
        path, number = (own or lines)[0]
        found.append(f"{path.rsplit('/', 1)[-1]}:{number}")
    return f" ({', '.join(found)})" if found else ""


def _one_line(error: BaseException) -> str:
    """The first line of an exception's text; its type where there is none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".: ")
