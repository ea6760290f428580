"""Everything that PyTorch's NNAPI converter refuses in a model, not the first node alone.

The converter stops where it meets a node that it cannot express. Here it goes on: what the refused
node returns is computed by eager PyTorch, and the nodes behind it see a tensor of that type and
shape.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.mobile.walk import values

__all__ = ["ConversionError", "Refused", "Watched", "one_line"]

_FIXED = (
    "convert with fixed sizes: leave out --flexible; only linear and convolution layers, relu"
    " and additions leave sizes open"
)
# What the converter says, and what a user can do about it.
_CURES = (
    ("object has no attribute 'dtype'", "an operand is a number: make it a tensor of equal rank"),
    ("expected inputsAt(1) TensorType", "an operand is a number: make it a tensor of equal rank"),
    ("expected len(strides) == 2, got 0", "say stride=kernel_size"),
    ("TensorType, but got NoneType", "the layer has no bias: give it one of zeros"),
    (
        "FloatType, but got TensorType",
        "scales are tensors, as FX graph mode writes them: quantize in eager mode",
    ),
    ("runtime flex shape", "name the flexible dimensions of the inputs instead"),
    ("Flexible size is not supported", _FIXED),
    ("flexible", _FIXED),
    ("Dilation not supported", "use a larger filter or a pooling in place of dilation"),
    ("Group convolution", "use one group, or as many groups as channels"),
    ("channel_multiplier", "let a depthwise convolution have as many channels out as in"),
    ("with alpha", "multiply before adding: x + alpha * y with alpha as a tensor"),
    ("Non-equal-rank", "reshape one operand to the rank of the other"),
    ("Per-channel PReLU", "convert with the layout nhwc"),
    ("prefer NHWC quantized", "convert with the layout nhwc"),
    ("output size (1, 1)", "pool to (1, 1), or use avg_pool2d with kernel and stride"),
    ("multiplier is greater than 1", "give the layer's output a larger scale: calibrate it anew"),
    ("hardtanh with args", "use nn.ReLU6, or nn.Hardtanh from -1 to 1"),
    ("count_include_pad=False", "use padding=0, or pad before"),
    ("dilated pooling", "use dilation=1"),
    ("flatten is not supported on NHWC", "pool to (1, 1) before, or convert with the layout nchw"),
    ("reshape is only supported on NHWC", "pool to (1, 1) before, or convert with the layout nchw"),
    ("expected dim_order PRESUMED_CONTIGUOUS", "convert with the layout nchw"),
    ("len(in_oper.shape) == 2, got", "flatten its input to a matrix before"),
    ("Unsupported return type", "return a tensor, or a tuple of tensors"),
    ("input with dtype", "use float32, int32 or quint8"),
)
_UNKNOWN = "PyTorch's NNAPI converter does not know it"
_EXPORT = "save the model with torch.export.save instead: model check FILE.pt2 knows more operators"
_OPERATOR_CURES = {
    "aten::batch_norm": "put it right behind a convolution: freezing folds it into that",
    "aten::relu6": "use nn.ReLU6 with torch.jit.trace, which writes hardtanh",
    "aten::dropout": "call model.eval() before",
    "aten::view": "use reshape",
    "aten::matmul": "use nn.Linear, if one operand is constant",
    "aten::hardswish": "use nn.ReLU6",
    "aten::leaky_relu": "use nn.PReLU",
}


class ConversionError(KitError):
    """PyTorch's converter cannot express the model in NNAPI.

    Args:
        refused: each node that is not possible; empty where it is not about nodes.
    """

    def __init__(self, text: str, refused: Sequence[Refused] = ()) -> None:
        super().__init__(text)
        self.refused = tuple(refused)
        if len(self.refused) > 1:
            self.details = tuple(item.text() for item in self.refused)

    def __str__(self) -> str:
        """One line, and one more for each node if there are several."""
        return "\n  ".join([super().__str__(), *self.details])


@dataclass(frozen=True)
class Refused:
    """One node that the converter does not take.

    Args:
        operator: its kind, as `aten::gelu`. module: path of the module that it stands in, empty
            if unknown. line: as `net.py:12`, empty if unknown.
        reason: what the converter says. cure: what the user can do; empty if nothing is known.
    """

    operator: str
    module: str
    line: str
    reason: str
    cure: str = ""

    @property
    def place(self) -> str:
        """Module and line in words; empty if both are unknown."""
        words = [f"in module {self.module}"] if self.module else []
        return ", ".join([*words, self.line] if self.line else words)

    def text(self) -> str:
        """The refusal in one line."""
        where = f" ({self.place})" if self.place else ""
        cure = f" ({self.cure})" if self.cure else ""
        return f"{self.operator} cannot be converted{where}: {self.reason}{cure}"


class Watched:
    """PyTorch's serializer, with its refusals noted.

    Args:
        inputs: an example of each argument. flexible: dimensions of each that stay open.

    `origins` is, for each NNAPI operation, the node that it is made from.
    """

    def __init__(
        self, inputs: Sequence[torch.Tensor], flexible: Sequence[Sequence[int]] = ()
    ) -> None:
        self._code: Any = importlib.import_module("torch.backends._nnapi.serializer")
        self.serializer: Any = self._code._NnapiSerializer(config=None)
        self.origins: list[str] = []
        self.refused: list[Refused] = []
        self._inputs, self._flexible = inputs, flexible
        self._module: torch.jit.ScriptModule | None = None
        self._values: dict[str, Any] | None = None
        self._others: dict[str, Any] | None = None
        self._serialize = self.serializer.serialize_model
        self.serializer.serialize_model = self._model
        self._add_node = self.serializer.add_node
        self._add_input = self.serializer.add_tensor_operand_for_input
        self.serializer.add_node = self._node
        self.serializer.add_tensor_operand_for_input = self._input

    def error(self, other: BaseException | None = None) -> ConversionError | None:
        """All refusals as one error: one line, and a list of lines if there are several.

        Args:
            other: what the converter raised in the end, on its own.
        """
        told = one_line(other) if other is not None else ""
        if other is not None and (not self.refused or "Unsupported return type" in told):
            self.refused.append(Refused("the model", "", "", told, _cure(told)))
        if not self.refused:
            return None
        if len(self.refused) == 1:
            return ConversionError(self.refused[0].text(), self.refused)
        kinds = len({item.operator for item in self.refused})
        return ConversionError(
            f"PyTorch's NNAPI converter refuses {len(self.refused)} nodes of {kinds}"
            f" kind{'s' if kinds > 1 else ''}:",
            self.refused,
        )

    def _model(self, module: torch.jit.ScriptModule, *how: Any) -> Any:
        self._module = module
        return self._serialize(module, *how)

    def _input(self, index: int, value: Any, tensor: torch.Tensor) -> int:
        try:
            return int(self._add_input(index, value, tensor))
        except Exception as error:  # the converter asserts, and raises bare Exceptions
            told = one_line(error)
            self.refused.append(Refused(f"input {index}", "", "", told, _cure(told)))
            other = torch.zeros(tensor.shape)
            other.nnapi_nhwc = getattr(tensor, "nnapi_nhwc", False)  # type: ignore[attr-defined]
            return int(self._add_input(index, value, other))

    def _node(self, node: Any) -> None:
        kind, known = node.kind(), node.kind() in self.serializer.ADDER_MAP
        module, line = _place(node)
        if not known:
            cure = _OPERATOR_CURES.get(kind, _EXPORT)
            self.refused.append(Refused(kind, module, line, _UNKNOWN, cure))
            self._go_on(node)
            return
        if not all(self._placed(value) for value in node.inputs()):
            return  # a refusal before it has been told already
        try:
            self._restricted(node)
            self._add_node(node)
        except Exception as error:  # the converter asserts, and raises bare Exceptions
            told = one_line(error)
            self.refused.append(Refused(kind, module, line, told, _cure(told)))
            self._go_on(node)
            return
        item = Refused(kind, module, line, "")
        origin = kind + (f" ({item.place})" if item.place else "")
        self.origins.extend([origin] * (len(self.serializer.operations) - len(self.origins)))

    def _placed(self, value: Any) -> bool:
        made = self.serializer
        places = (made.jitval_operand_map, made.constants, made.tensor_sequences)
        return any(value in place for place in places)

    def _go_on(self, node: Any) -> None:
        """Give each result of a refused node the operand that it would have had."""
        if self._values is None:
            assert self._module is not None
            self._values = values(self._module, self._inputs)
            if any(self._flexible):
                self._others = values(self._module, self._larger())
        for output in node.outputs():
            if not self._placed(output) and output.debugName() in self._values:
                self._stand_in(node, output, self._values[output.debugName()])

    def _stand_in(self, node: Any, output: Any, value: Any) -> None:
        if not isinstance(value, torch.Tensor):
            if not isinstance(value, list | tuple):
                self.serializer.add_constant_value(output, output.type(), value)
            return
        other = value if self._others is None else self._others.get(output.debugName())
        if other is None or other.dim() != value.dim():
            return
        plain = value.float() if value.is_floating_point() else value
        order = self._code.DimOrder
        try:
            operand = self.serializer.torch_tensor_to_operand(plain, order.PRESUMED_CONTIGUOUS)
        except Exception:  # a type that the converter does not have: what reads it is not asked
            return
        if plain.dim() == 4 and self._channels_last(node):
            operand = operand._replace(dim_order=order.CHANNELS_LAST)
        sizes = zip(value.shape, other.shape, strict=True)
        operand = operand._replace(shape=tuple(a if a == b else 0 for a, b in sizes))
        at = self.serializer.add_anonymous_tensor_operand(operand)
        self.serializer.jitval_operand_map[output] = at

    def _larger(self) -> list[torch.Tensor]:
        """The example with twice the size where dimensions stay open: what differs is open."""
        found = list(self._inputs)
        for at, open_ in enumerate(self._flexible):
            for dim in open_:
                found[at] = torch.cat([found[at], found[at]], dim)
        return found

    def _restricted(self, node: Any) -> None:
        """Refuses what the converter takes, and makes another model of."""
        if node.kind() != "aten::reshape":
            return
        at = self.serializer.jitval_operand_map.get(node.inputsAt(0))
        operand = None if at is None else self.serializer.operands[at]
        if operand is None or operand.dim_order is not self._code.DimOrder.CHANNELS_LAST:
            return
        if operand.shape[1] != 1 and tuple(operand.shape[2:]) != (1, 1):
            raise ConversionError("reshape is only supported on NHWC tensors if C=1 or H=W=1")

    def _channels_last(self, node: Any) -> bool:
        made = self.serializer
        ids = [made.jitval_operand_map.get(value) for value in node.inputs()]
        orders = [made.operands[at].dim_order for at in ids if at is not None]
        return self._code.DimOrder.CHANNELS_LAST in orders


def _cure(told: str) -> str:
    return next((cure for sign, cure in _CURES if sign in told), "")


def _place(node: Any) -> tuple[str, str]:
    """Module and line that a node comes from, as `features.3`, `net.py:12`; empty if unknown."""
    module = node.scopeName().rpartition("__module.")[2] or _hierarchy(node)
    # Scripted models say File "PATH", line N, traced ones PATH(N), innermost first.
    frames = re.findall(r'File "([^"]+)", line (\d+)|^(\S+\.py)\((\d+)\)', node.sourceRange(), re.M)
    lines = [(a or c, b or d) for a, b, c, d in frames]
    own = [
        line
        for line in lines
        if "/torch/" not in line[0] and not line[0].endswith("nnapi_testkit/mobile/convert.py")
    ]
    if own or (lines and not module):
        path, number = (own or lines)[0]
        return module, f"{path.rsplit('/', 1)[-1]}:{number}"
    return module, ""


_NAMELESS = ("", "SELF", "TOP", "UNKNOWN_INSTANCE")  # a function of the module, say


def _hierarchy(node: Any) -> str:
    """Path of the module of a node that was inlined, as in a TorchScript file; empty for the root.

    PyTorch says `features(Sequential).3(Conv2d)`.
    """
    told = re.sub(r"\([^()]*\)", "", node.getModuleHierarchy())
    return ".".join(part for part in told.split(".") if part not in _NAMELESS)


def one_line(error: BaseException) -> str:
    """The first line of an exception's text; its type where there is none.

    Advice for PyTorch's own interface ("Try setting ...") is left out: the cure is ours.
    """
    return first_line(error).partition("  Try ")[0].rstrip(".: ")
