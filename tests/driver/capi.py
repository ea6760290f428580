"""The NNAPI C interface through ctypes: raw calls for misuse, small builders for good models."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode

TABLE = json.loads((Path(__file__).resolve().parents[2] / "nnapi.json").read_text())

_SIMPLE: dict[str, Any] = {
    "bool": ctypes.c_bool,
    "float": ctypes.c_float,
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "ANeuralNetworksOperationType": ctypes.c_int32,
}


class OperandType(ctypes.Structure):
    """ANeuralNetworksOperandType."""

    _fields_ = (
        ("type", ctypes.c_int32),
        ("dimensionCount", ctypes.c_uint32),
        ("dimensions", ctypes.POINTER(ctypes.c_uint32)),
        ("scale", ctypes.c_float),
        ("zeroPoint", ctypes.c_int32),
    )


class ChannelQuant(ctypes.Structure):
    """ANeuralNetworksSymmPerChannelQuantParams."""

    _fields_ = (
        ("channelDim", ctypes.c_uint32),
        ("scaleCount", ctypes.c_uint32),
        ("scales", ctypes.POINTER(ctypes.c_float)),
    )


def operand_type(
    code: int, dims: Sequence[int] | None = None, scale: float = 0.0, zero_point: int = 0
) -> OperandType:
    """An operand type; `dims` None means a scalar or an unspecified rank."""
    if dims is None:
        return OperandType(code, 0, None, scale, zero_point)
    return OperandType(code, len(dims), (ctypes.c_uint32 * len(dims))(*dims), scale, zero_point)


def indices(values: Sequence[int]) -> ctypes.Array[ctypes.c_uint32]:
    """A C array of operand indices."""
    return (ctypes.c_uint32 * len(values))(*values)


class Library:
    """A loaded libneuralnetworks.so; `lib.Model_create(...)` calls ANeuralNetworksModel_create."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # The driver reads its readings once, when it is loaded.
        self.documented = os.environ.get("NNAPI_REFERENCE_READINGS") == "documented"
        self._library = ctypes.CDLL(str(path))
        for name, row in TABLE["functions"].items():
            function = getattr(self._library, name)
            function.argtypes = [_SIMPLE.get(kind, ctypes.c_void_p) for kind, _ in row["params"]]
            function.restype = {"void": None}.get(row["returns"], _SIMPLE.get(row["returns"]))

    def __getattr__(self, name: str) -> Any:
        prefix = "ANeuralNetworks" if not name.startswith("get") else "ANeuralNetworks_"
        return getattr(self._library, prefix + name)

    def device(self, index: int = 0) -> ctypes.c_void_p:
        """A device; the first is nnapi-reference."""
        device = ctypes.c_void_p()
        ok(self.getDevice(index, ctypes.byref(device)))
        return device

    def devices(self) -> dict[str, int]:
        """The addresses of all devices by name."""
        count = ctypes.c_uint32()
        ok(self.getDeviceCount(ctypes.byref(count)))
        found = {}
        for index in range(count.value):
            name = ctypes.c_char_p()
            device = self.device(index)
            ok(self.Device_getName(device, ctypes.byref(name)))
            found[(name.value or b"").decode()] = device.value or 0
        return found


def ok(code: int) -> None:
    """Fails unless the call succeeded."""
    assert code == ResultCode.NO_ERROR, ResultCode(code).name


def refused(code: int, expected: ResultCode = ResultCode.BAD_DATA) -> None:
    """Fails unless the call was refused with this code."""
    assert code == expected, f"{ResultCode(code).name} instead of {expected.name}"


class Handle:
    """An object of the driver; what a test does not free is freed after it (`free_all`)."""

    _living: ClassVar[list[Handle]] = []

    def __init__(self, lib: Library, free: str) -> None:
        self.lib = lib
        self.handle = ctypes.c_void_p()
        self._free = getattr(lib, free)
        self._living.append(self)

    def free(self) -> None:
        """Frees the object."""
        self._living.remove(self)
        self._free(self.handle)

    @classmethod
    def free_all(cls) -> None:
        """Frees what is left, the youngest first."""
        while cls._living:
            cls._living[-1].free()


def later(lib: Library, free: str, *handles: ctypes.c_void_p) -> None:
    """Has raw handles freed after the test."""
    for handle in handles:
        Handle(lib, free).handle = handle


class Model(Handle):
    """Builds a model; values stay alive with this object."""

    def __init__(self, lib: Library, relaxed: bool = False) -> None:
        super().__init__(lib, "Model_free")
        self.count = 0
        self.keep: list[Any] = []
        ok(lib.Model_create(ctypes.byref(self.handle)))
        if relaxed:
            ok(lib.Model_relaxComputationFloat32toFloat16(self.handle, True))

    def operand(
        self, code: int, dims: Sequence[int] | None = None, scale: float = 0.0, zero: int = 0
    ) -> int:
        """Adds an operand; returns its index."""
        kind = operand_type(code, dims, scale, zero)
        ok(self.lib.Model_addOperand(self.handle, ctypes.byref(kind)))
        self.count += 1
        return self.count - 1

    def value(self, index: int, array: NDArray[Any]) -> int:
        """Gives an operand a constant value."""
        array = np.ascontiguousarray(array)
        self.keep.append(array)
        pointer = array.ctypes.data_as(ctypes.c_void_p)
        ok(self.lib.Model_setOperandValue(self.handle, index, pointer, array.nbytes))
        return index

    def int32(self, value: int) -> int:
        """Adds a constant INT32 scalar."""
        return self.value(self.operand(OperandCode.INT32), np.array([value], np.int32))

    def submodel(self, model: Model) -> int:
        """Adds a MODEL operand that refers to a finished model."""
        index = self.operand(OperandCode.MODEL)
        ok(self.lib.Model_setOperandValueFromModel(self.handle, index, model.handle))
        self.keep.append(model)
        return index

    def operation(self, code: int, inputs: Sequence[int], outputs: Sequence[int]) -> int:
        """Adds an operation; returns the result code."""
        return int(
            self.lib.Model_addOperation(
                self.handle, code, len(inputs), indices(inputs), len(outputs), indices(outputs)
            )
        )

    def add(self, a: int, b: int, out: int, fuse: int = 0) -> None:
        """Adds an ADD."""
        ok(self.operation(OperationCode.ADD, [a, b, self.int32(fuse)], [out]))

    def identify(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Names inputs and outputs."""
        ok(
            self.lib.Model_identifyInputsAndOutputs(
                self.handle, len(inputs), indices(inputs), len(outputs), indices(outputs)
            )
        )

    def finish(self) -> int:
        """Finishes the model; returns the result code."""
        return int(self.lib.Model_finish(self.handle))

    def finished(self, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
        """Names inputs and outputs and finishes; returns itself."""
        self.identify(inputs, outputs)
        ok(self.finish())
        return self

    def compile(self, devices: int | Sequence[int] = 1) -> Compilation:
        """A finished compilation: for nnapi-reference, for devices by address, or (0) for those
        that the runtime chooses."""
        compilation = Compilation(self, devices)
        ok(self.lib.Compilation_finish(compilation.handle))
        return compilation

    def run(self, *inputs: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> int:
        """Compiles and computes once; returns the result code."""
        execution = Execution(self.compile())
        for i, array in enumerate(inputs):
            ok(execution.input(i, array))
        for i, array in enumerate(outputs):
            ok(execution.output(i, array))
        return execution.compute()


class Compilation(Handle):
    """A compilation that is not finished yet."""

    def __init__(self, model: Model, devices: int | Sequence[int] = 1) -> None:
        super().__init__(model.lib, "Compilation_free")
        self.model = model
        if devices:
            if isinstance(devices, int):
                devices = [self.lib.device().value or 0] * devices
            chosen = (ctypes.c_void_p * len(devices))(*devices)
            ok(
                self.lib.Compilation_createForDevices(
                    model.handle, chosen, len(devices), ctypes.byref(self.handle)
                )
            )
        else:
            ok(self.lib.Compilation_create(model.handle, ctypes.byref(self.handle)))


class Execution(Handle):
    """An execution; arrays stay alive with this object."""

    def __init__(self, compilation: Compilation) -> None:
        super().__init__(compilation.lib, "Execution_free")
        self.compilation = compilation
        self.keep: list[Any] = []
        ok(self.lib.Execution_create(compilation.handle, ctypes.byref(self.handle)))

    def _array(self, array: NDArray[Any]) -> ctypes.c_void_p:
        assert array.flags.c_contiguous
        self.keep.append(array)
        return array.ctypes.data_as(ctypes.c_void_p)

    def input(self, index: int, array: NDArray[Any] | None, kind: OperandType | None = None) -> int:
        """Sets an input; None omits it. Returns the result code."""
        pointer = None if array is None else self._array(array)
        size = 0 if array is None else array.nbytes
        shape = None if kind is None else ctypes.byref(kind)
        return int(self.lib.Execution_setInput(self.handle, index, shape, pointer, size))

    def output(
        self, index: int, array: NDArray[Any] | None, kind: OperandType | None = None
    ) -> int:
        """Sets an output; None omits it. Returns the result code."""
        pointer = None if array is None else self._array(array)
        size = 0 if array is None else array.nbytes
        shape = None if kind is None else ctypes.byref(kind)
        return int(self.lib.Execution_setOutput(self.handle, index, shape, pointer, size))

    def compute(self) -> int:
        """Computes; returns the result code."""
        return int(self.lib.Execution_compute(self.handle))

    def start(self) -> ctypes.c_void_p:
        """Starts computing; returns the event."""
        event = ctypes.c_void_p()
        ok(self.lib.Execution_startCompute(self.handle, ctypes.byref(event)))
        return event

    def shape(self, index: int) -> tuple[int, list[int]]:
        """The result code and dimensions of an output."""
        rank = ctypes.c_uint32(0)
        code = self.lib.Execution_getOutputOperandRank(self.handle, index, ctypes.byref(rank))
        dims = (ctypes.c_uint32 * max(1, rank.value))()
        if rank.value:
            again = self.lib.Execution_getOutputOperandDimensions(self.handle, index, dims)
            assert again == code
        return code, list(dims[: rank.value])

    def shape_code(self, index: int) -> int:
        """The result code of asking for an output's rank."""
        rank = ctypes.c_uint32(0)
        return int(self.lib.Execution_getOutputOperandRank(self.handle, index, ctypes.byref(rank)))


def add_model(lib: Library, dims: Sequence[int] | None = (2, 2)) -> Model:
    """A finished model: output = input0 + input1, float32."""
    model = Model(lib)
    a, b, out = (model.operand(OperandCode.TENSOR_FLOAT32, dims) for _ in range(3))
    model.add(a, b, out)
    return model.finished([a, b], [out])
