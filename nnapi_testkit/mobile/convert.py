"""From an eager or TorchScript model to the module that PyTorch runs through NNAPI.

The work is PyTorch's (`torch.backends._nnapi`). Added here: layouts and flexible dimensions as
arguments instead of attributes on tensors, models that are frozen already, and errors of one line
that name the operator.
"""

from __future__ import annotations

import importlib
import logging
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from nnapi_testkit.errors import KitError
from nnapi_testkit.mobile.refusals import ConversionError, Refused, Watched, one_line
from nnapi_testkit.spec.codes import OperationCode

__all__ = [
    "ConversionError",
    "Converted",
    "Layout",
    "Refused",
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


@dataclass(frozen=True)
class Converted:
    """A converted model.

    Args:
        module: takes the same tensors as the source and returns the same structure. Its first
            call compiles for the shapes it is called with; then it keeps them.
        source: the frozen TorchScript module that it was made from.
        layout: memory order that the driver sees for 4-dimensional tensors.
        operations: how many NNAPI operations of each name it contains.
        origins: for each NNAPI operation, in order, the node that it was made from.
    """

    module: torch.jit.ScriptModule
    source: torch.jit.ScriptModule
    layout: Layout
    operations: Mapping[str, int] = field(default_factory=dict)
    origins: tuple[str, ...] = ()


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
        ConversionError: the converter cannot express an operator, or an input; it names all of
            them, with module, line and cure (`ConversionError.refused`).
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
    watched = Watched(example, flexible)
    log.disabled = True  # It warns about run-time flexible shapes; nothing follows from it here.
    try:
        with torch.no_grad():
            module = prepare.convert_model_to_nnapi(
                scripted, templates, serializer=watched.serializer, relax_f32_to_f16=relaxed
            )
    except Exception as error:  # the converter asserts, and raises bare Exceptions
        raise watched.error(error) or ConversionError(one_line(error)) from error
    finally:
        log.disabled = quiet
    if refused := watched.error():
        raise refused
    return Converted(module, freeze(scripted), layout, operations(module), tuple(watched.origins))


def as_torchscript(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor]
) -> torch.jit.ScriptModule:
    """Return the model as TorchScript that can be frozen: traced, unless it is TorchScript.

    Raises ConversionError for a model in training mode and for one that cannot be traced.
    """
    frozen = isinstance(model, torch.jit.ScriptModule) and not hasattr(model, "training")
    if not frozen and model.training:
        raise ConversionError(
            "the model is in training mode: call model.eval() before it is converted or saved"
        )
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
        raise ConversionError(f"the model cannot be traced: {one_line(error)}") from error
    return traced


def run(model: torch.nn.Module, given: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """What eager PyTorch gives for an input set; KitError if the model does not take it."""
    try:
        with torch.no_grad():
            result: Any = model(*given)
    except Exception as error:  # the user's model: its forward may raise anything
        told = [line.strip() for line in str(error).splitlines() if line.strip()]
        shapes = ", ".join(str(list(tensor.shape)) for tensor in given)
        raise KitError(
            f"eager PyTorch cannot run the model with {shapes}: {told[-1] if told else error!r}"
        ) from error
    return tuple(result) if isinstance(result, list | tuple) else (result,)


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
