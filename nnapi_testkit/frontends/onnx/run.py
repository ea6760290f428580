"""The source graph's own values: ONNX Runtime where it is installed, else ONNX's reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.frontends.onnx.unsigned import unsigned_weights

__all__ = ["evaluate"]

Array = NDArray[Any]


def evaluate(model: Any, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
    """Values of a graph, of any of its nodes, by name.

    Nothing is optimized: QuantizeLinear and DequantizeLinear round as they are written.

    Raises KitError in one line: the graph does not run on these inputs.
    """
    import onnx

    shown = type(model)()
    shown.CopyFrom(model)
    known = {value.name for value in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    try:
        found = _found(shown, list(names), dict(feeds))
    except Exception as error:  # whatever the graph does: the runtimes' errors are of many kinds
        raise KitError(
            f"the source graph does not run on its inputs: {first_line(error)}"
        ) from error
    return {name: np.asarray(array) for name, array in zip(names, found, strict=True)}


def _found(model: Any, names: list[str], feeds: dict[str, Array]) -> Any:
    from onnx.reference import ReferenceEvaluator

    try:
        return _runtime(model)(names, feeds)
    except ImportError:
        return ReferenceEvaluator(model).run(names, feeds)
    except Exception:  # ONNX Runtime lacks some of what the reference has; if both fail, its error
        try:
            return ReferenceEvaluator(model).run(names, feeds)
        except Exception:
            pass
        raise


def _runtime(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        unsigned_weights(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run
