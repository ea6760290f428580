"""What the source itself computes: the file run by LiteRT's own kernels."""

from __future__ import annotations

import atexit
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.tflite.file import File, Tensor, schema

__all__ = ["SourceError", "computed", "real", "with_real_weights"]

Array = NDArray[Any]
TIMEOUT = 600  # seconds


class SourceError(Exception):
    """LiteRT does not run the file; the message says why."""


class _Worker:
    """LiteRT's process: started at the first job, and anew after one that killed it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, job: object) -> Any:
        """The answer to one job. Raises SourceError if the process does not live to give it."""
        with self._lock:
            process = self._process or self._start()
            watch = threading.Timer(TIMEOUT, process.kill)
            watch.start()
            try:
                return self._exchange(process, pickle.dumps(job))
            except (OSError, EOFError, struct.error) as error:
                self._process = None
                process.kill()
                code = process.wait()
                slow = not watch.is_alive()
                how = f"did not end within {TIMEOUT} s" if slow else f"crashed ({code})"
                raise SourceError(f"it {how}") from error
            finally:
                watch.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        script = str(Path(__file__).with_name("worker.py"))
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, stderr=quiet)
        self._process = process
        atexit.register(process.kill)
        return process

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], job: bytes) -> Any:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(struct.pack("<Q", len(job)) + job)
        process.stdin.flush()
        (length,) = struct.unpack("<Q", process.stdout.read(8))
        return pickle.loads(process.stdout.read(length))


_WORKER = _Worker()


def computed(
    file: File,
    content: bytes,
    row: Sequence[Array],
    wanted: Collection[int],
    also: Collection[int] = (),
) -> Mapping[int, Array]:
    """What LiteRT leaves in tensors of the main graph, by index, for data of the file's inputs.

    Args:
        content: the bytes of the file, or of one that computes the same.
        row: data of the file's inputs. States start fresh.
        also: tensors that are wanted too, where LiteRT keeps them.

    Raises SourceError.
    """
    if find_spec("ai_edge_litert") is None:
        raise SourceError("it is not installed")
    fed = dict(zip(file.graphs[0].inputs, row, strict=True))
    answer = _WORKER.ask((content, fed, set(wanted), set(also)))
    if isinstance(answer, str):
        raise SourceError(answer)
    return dict(answer)


def real(tensor: Tensor, array: Array) -> NDArray[np.float64]:
    """The real values of a tensor's codes, in the shape that NNAPI has for it."""
    found = np.asarray(array, np.float64)
    if tensor.scale:
        found = (found - tensor.zero_point) * float(np.float32(tensor.scale))
    return found.reshape(found.shape or (1,))


def with_real_weights(file: File, weights: Collection[int]) -> bytes:
    """The bytes of the same file with these tensors of the main graph as float32.

    NNAPI computes with the real values of 8-bit weights beside float data; LiteRT's kernels would
    quantize the data too, so they are asked about what NNAPI is asked about.
    """
    import flatbuffers

    module = schema()
    model = module.ModelT.InitFromObj(module.Model.GetRootAs(file.content, 0))
    graph = file.graphs[0]
    for at in weights:
        buffer = module.BufferT()
        data = np.ascontiguousarray(graph.tensors[at].real).tobytes()
        buffer.data = np.frombuffer(data, np.uint8)
        model.buffers.append(buffer)
        tensor = model.subgraphs[0].tensors[at]
        tensor.buffer = len(model.buffers) - 1
        tensor.type = module.TensorType.FLOAT32
        tensor.quantization = None
    builder = flatbuffers.Builder(len(file.content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
