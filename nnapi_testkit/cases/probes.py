"""Samples that follow from an operation's own: regimes of quantization, sizes, telling data.

A probe is a sample of one case, without variations. What it changes is general: scales and zero
points (`probe_quant`), sizes of dimensions (`probe_sizes`), floats where formulas break
(`probe_floats`), integers that tell (`probe_data`), places where kernels break (`probe_kernels`,
`probe_conditions`), extents that are seldom met (`probe_extent`).
"""

from __future__ import annotations

from functools import lru_cache

from nnapi_testkit.cases.derive import base_for
from nnapi_testkit.cases.probe_conditions import condition_probes
from nnapi_testkit.cases.probe_data import data_probes, saturated_probes
from nnapi_testkit.cases.probe_extent import extent_probes
from nnapi_testkit.cases.probe_floats import float_probes
from nnapi_testkit.cases.probe_kernels import kernel_probes
from nnapi_testkit.cases.probe_quant import quant_probes
from nnapi_testkit.cases.probe_sizes import size_probes
from nnapi_testkit.catalog import operation
from nnapi_testkit.op.declare import Cell, Op, Sample


def probe_samples(op: Op, cell: Cell) -> list[Sample]:
    """The probes of an operation in a cell; none where its data are tied in ways of their own."""
    return _probes(op.name, cell.name)


@lru_cache(maxsize=2048)
def _probes(op_name: str, cell_name: str) -> list[Sample]:
    op = operation(op_name)
    cell = next(cell for cell in op.cells if cell.name == cell_name)
    if op.graphs is not None or "*" in op.fixed:
        return []
    base = base_for(op, cell)
    found = (
        quant_probes,
        float_probes,
        size_probes,
        data_probes,
        saturated_probes,
        kernel_probes,
        condition_probes,
        extent_probes,
    )
    return [sample for probes in found for sample in probes(base)]
