"""ONNX graphs for tests, written in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction: nodes in, names out."""

    def __init__(self, opset: int = 17, seed: int = 0) -> None:
        self.opset = opset
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str], type: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, type, list(shape)))
        return name

    def constant(self, array: Any) -> str:
        self._count += 1
        name = f"constant{self._count}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def real(self, *shape: int, scale: float = 1.0) -> str:
        """A constant of random numbers."""
        return self.constant((self.random.normal(size=shape) * scale).astype(np.float32))

    def node(self, kind: str, *inputs: str, outputs: int = 1, **how: Any) -> Any:
        self._count += 1
        names = [f"{kind.lower()}{self._count}_{at}" for at in range(outputs)]
        domain, _, kind = kind.rpartition(".")
        self.nodes.append(
            helper.make_node(kind, inputs, names, f"{kind}.{self._count}", domain=domain, **how)
        )
        return names[0] if outputs == 1 else names

    def quantize(self, x: str, scale: float, zero: int, type: Any = np.uint8) -> str:
        return str(
            self.node(
                "QuantizeLinear",
                x,
                self.constant(np.float32(scale)),
                self.constant(np.asarray(zero, type)),
            )
        )

    def dequantize(self, x: str, scale: Any, zero: Any, type: Any = np.uint8, **how: Any) -> str:
        scales, zeros = np.asarray(scale, np.float32), np.asarray(zero, type)
        return str(
            self.node("DequantizeLinear", x, self.constant(scales), self.constant(zeros), **how)
        )

    def rounded(self, x: str, scale: float, zero: int, type: Any = np.uint8) -> str:
        """QuantizeLinear and DequantizeLinear behind each other."""
        return self.dequantize(self.quantize(x, scale, zero, type), scale, zero, type)

    def weights(self, array: Any, type: Any = np.int8, axis: int | None = None) -> str:
        """A constant of codes with one scale, or one for each slice of `axis`, made real."""
        array = np.asarray(array, np.float32)
        zero = 0 if type == np.int8 else 128
        if axis is None:
            scale = np.float32(np.abs(array).max() / 127)
            codes = np.clip(np.rint(array / scale) + zero, *_range(type)).astype(type)
            return self.dequantize(self.constant(codes), scale, zero, type)
        others = tuple(i for i in range(array.ndim) if i != axis)
        scales = (np.abs(array).max(axis=others) / 127).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(array.ndim)]
        codes = np.clip(np.rint(array / scales.reshape(shape)), -127, 127).astype(np.int8)
        return self.dequantize(
            self.constant(codes), scales, np.zeros(len(scales)), np.int8, axis=axis
        )

    def bias(self, array: Any, scale: Any) -> str:
        """An int32 constant at a scale, or scales, made real."""
        scales = np.asarray(scale, np.float32)
        codes = np.rint(np.asarray(array) / scales).astype(np.int32)
        how = {"axis": 0} if scales.ndim else {}
        return self.dequantize(
            self.constant(codes), scales, np.zeros(scales.shape), np.int32, **how
        )

    def model(self, *outputs: str, types: Sequence[int] = ()) -> Any:
        kinds = [*types, *[TensorProto.FLOAT] * len(outputs)]
        infos = [
            helper.make_tensor_value_info(name, kind, None)
            for name, kind in zip(outputs, kinds, strict=False)
        ]
        graph = helper.make_graph(self.nodes, "net", self.inputs, infos, self.constants)
        domains = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=8)


def _range(type: Any) -> tuple[int, int]:
    info = np.iinfo(type)
    return int(info.min), int(info.max)
