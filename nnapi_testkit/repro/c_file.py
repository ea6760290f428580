"""A case as one C file on the public NNAPI header alone.

The file builds the model, compiles it for one device, executes every input set and compares with
the legal values that stand in it: for floats the expected value and how far a right one may be
from it, for codes and integers the lowest and highest legal one. Its exit status is 0 if all are
legal, 1 if not, 2 if an NNAPI function failed, 3 where this file cannot judge the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.model.case import Answer, Case, Expected, Stage
from nnapi_testkit.model.types import Graph, Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

__all__ = ["c_file"]

_LARGEST = {"<f4": float(np.finfo(np.float32).max), "<f2": 65504.0}

_HEAD = """\
/* {id}
 *
 * Built by nnapi-testkit; it needs nothing but the public NNAPI header and the library:
 *   {build}
 *   {run}
 * The first argument names the NNAPI device; without one it is the first that is listed.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __ANDROID__
#include <android/NeuralNetworks.h>
#else
#include "nnapi.h"
#endif

static int check(int code, const char* what) {{
    if (code != 0) {{
        printf("%s gave %d\\n", what, code);
        exit(2);
    }}
    return code;
}}
#define CALL(function, ...) check(function(__VA_ARGS__), #function)

static inline float half(uint16_t bits) {{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 0    ? ldexp(fraction, -24)
                   : exponent == 31 ? (fraction ? NAN : INFINITY)
                                    : ldexp(1024 + fraction, exponent - 25);
    return (float)(bits & 0x8000 ? -value : value);
}}

static long wrong, compared;

static inline void judge(const char* where, long at, double got, double low, double high,
                         double want) {{
    bool legal = isnan(want) ? isnan(got) : got >= low && got <= high;
    compared++;
    if (legal) return;
    if (++wrong <= 10)
        printf("%s[%ld] is %.9g, legal %.9g to %.9g\\n", where, at, got, low, high);
}}

"""

_MAIN = """\
int main(int argc, char** argv) {{
    ANeuralNetworksDevice* device = NULL;
    uint32_t count = 0;
    CALL(ANeuralNetworks_getDeviceCount, &count);
    for (uint32_t i = 0; i < count && device == NULL; i++) {{
        ANeuralNetworksDevice* one;
        const char* name;
        CALL(ANeuralNetworks_getDevice, i, &one);
        CALL(ANeuralNetworksDevice_getName, one, &name);
        if (argc < 2 || strcmp(argv[1], name) == 0) device = one;
    }}
    if (device == NULL) {{
        puts("there is no such NNAPI device");
        return 2;
    }}
    ANeuralNetworksModel* models[{models}];
{build}
    ANeuralNetworksCompilation* compilation;
    const ANeuralNetworksDevice* devices[] = {{device}};
    CALL(ANeuralNetworksCompilation_createForDevices, models[{last}], devices, 1, &compilation);
    CALL(ANeuralNetworksCompilation_finish, compilation);
{execute}
    ANeuralNetworksCompilation_free(compilation);
    for (int i = {last}; i >= 0; i--) ANeuralNetworksModel_free(models[i]);
{verdict}
}}
"""


def c_file(case: Case, answer: Answer | None, *, profile: str, build: str, run: str) -> str:
    """The C source that runs a case.

    Args:
        answer: the expected result; None for a model that has to be refused, or an edge.
        profile: how an answer is judged. build, run: command lines for its head.
    """
    data: list[str] = []
    graphs = [*case.model.subgraphs, case.model.main]
    made: list[str] = []
    for number, graph in enumerate(graphs):
        made += _graph(number, graph, data, case.model.relaxed)
    execute: list[str] = []
    judged = True
    for number in range(len(case.sets)):
        expected = answer.sets[number] if answer is not None else None
        lines, known = _set(case, number, expected, profile, data)
        execute += lines
        judged = judged and known
    if case.expect != Stage.DONE:
        verdict = '    puts("the model was accepted and computed");\n    return 1;'
    elif answer is None:
        verdict = '    puts("computed in time; the values are open");\n    return 0;'
    elif not judged:
        verdict = '    puts("computed; these values need nnapi-testkit replay");\n    return 3;'
    else:
        verdict = (
            '    printf("%ld of %ld values are not legal\\n", wrong, compared);\n'
            "    return wrong != 0;"
        )
    head = _HEAD.format(id=case.id.replace("*/", "* /"), build=build, run=run)
    body = _MAIN.format(
        models=len(graphs),
        last=len(graphs) - 1,
        build="\n".join(f"    {line}" for line in made),
        execute="\n".join(f"    {line}" for line in execute),
        verdict=verdict,
    )
    return head + "\n".join([*data, "", body])


def _graph(number: int, graph: Graph, data: list[str], relaxed: bool) -> Iterator[str]:
    model = f"models[{number}]"
    yield f"CALL(ANeuralNetworksModel_create, &{model});"
    for at, operand in enumerate(graph.operands):
        yield from _operand(f"g{number}_{at}", model, at, operand, data)
    for operation in graph.operations:
        known = operation.code in {code.value for code in OperationCode}
        name = OperationCode(operation.code).name if known else "an unknown operation"
        yield (
            f"CALL(ANeuralNetworksModel_addOperation, {model}, {operation.code} /* {name} */,"
            f" {len(operation.inputs)}, {_indexes(operation.inputs)},"
            f" {len(operation.outputs)}, {_indexes(operation.outputs)});"
        )
    yield (
        f"CALL(ANeuralNetworksModel_identifyInputsAndOutputs, {model}, {len(graph.inputs)},"
        f" {_indexes(graph.inputs)}, {len(graph.outputs)}, {_indexes(graph.outputs)});"
    )
    if relaxed:
        yield f"CALL(ANeuralNetworksModel_relaxComputationFloat32toFloat16, {model}, true);"
    yield f"CALL(ANeuralNetworksModel_finish, {model});"


def _indexes(indexes: Sequence[int]) -> str:
    listed = ", ".join(map(str, indexes)) or "0"
    return f"(uint32_t[]){{{listed}}}"


def _type(operand: Operand, dims: Sequence[int]) -> str:
    shape = _indexes(dims) if dims else "NULL"
    return (
        f"&(ANeuralNetworksOperandType){{.type = {int(operand.type)}, .dimensionCount ="
        f" {len(dims)}, .dimensions = {shape}, .scale = {_float(operand.scale)}, .zeroPoint ="
        f" {operand.zero_point}}}"
    )


def _operand(name: str, model: str, at: int, operand: Operand, data: list[str]) -> Iterator[str]:
    yield f"CALL(ANeuralNetworksModel_addOperand, {model}, {_type(operand, operand.dims)});"
    quant = operand.channel_quant
    if quant is not None:
        scales = ", ".join(map(_float, quant.scales))
        yield (
            f"CALL(ANeuralNetworksModel_setOperandSymmPerChannelQuantParams, {model}, {at},"
            f" &(ANeuralNetworksSymmPerChannelQuantParams){{.channelDim = {quant.dim}, .scaleCount"
            f" = {len(quant.scales)}, .scales = (float[]){{{scales}}}}});"
        )
    if operand.lifetime == Lifetime.CONSTANT:
        size = len(operand.value)
        data.append(_bytes(f"{name}_value", operand.value))
        yield f"CALL(ANeuralNetworksModel_setOperandValue, {model}, {at}, {name}_value, {size});"
    elif operand.lifetime == Lifetime.OMITTED:
        yield f"CALL(ANeuralNetworksModel_setOperandValue, {model}, {at}, NULL, 0);"
    elif operand.lifetime == Lifetime.SUBGRAPH:
        other = f"models[{operand.subgraph}]"
        yield f"CALL(ANeuralNetworksModel_setOperandValueFromModel, {model}, {at}, {other});"


def _set(
    case: Case, number: int, expected: Sequence[Expected] | None, profile: str, data: list[str]
) -> tuple[list[str], bool]:
    """The lines that execute an input set and judge its outputs, and whether they can."""
    execution = case.sets[number]
    graph = case.model.main
    lines = [
        "{",
        "    ANeuralNetworksExecution* execution;",
        "    CALL(ANeuralNetworksExecution_create, compilation, &execution);",
    ]
    for position, (at, array) in enumerate(zip(graph.inputs, execution.inputs, strict=True)):
        if array is None:
            lines.append(
                f"    CALL(ANeuralNetworksExecution_setInput, execution, {position}, NULL, NULL,"
                " 0);"
            )
            continue
        name = f"s{number}_input{position}"
        data.append(_bytes(name, array.tobytes()))
        operand = graph.operands[at]
        open_ = bool(array.shape) and tuple(operand.dims) != array.shape
        type = _type(operand, array.shape) if open_ else "NULL"
        lines.append(
            f"    CALL(ANeuralNetworksExecution_setInput, execution, {position}, {type}, {name},"
            f" {array.nbytes});"
        )
    judged = True
    rest: list[str] = []
    for position, (at, dims) in enumerate(zip(graph.outputs, execution.output_dims, strict=True)):
        operand = graph.operands[at]
        kind = np.dtype(DTYPE[OperandCode(operand.type)])
        name = f"s{number}_output{position}"
        size = max(1, math.prod(dims) * kind.itemsize)
        data.append(f"static _Alignas(16) uint8_t {name}[{size}];")
        lines.append(
            f"    CALL(ANeuralNetworksExecution_setOutput, execution, {position}, NULL, {name},"
            f" {math.prod(dims) * kind.itemsize});"
        )
        if expected is not None:
            more, known = _judged(name, operand, expected[position], profile, case, data)
            rest += more
            judged = judged and known
    lines += [
        "    CALL(ANeuralNetworksExecution_compute, execution);",
        "    ANeuralNetworksExecution_free(execution);",
        *(f"    {line}" for line in rest),
        "}",
    ]
    return lines, judged


def _judged(
    name: str, operand: Operand, expected: Expected, profile: str, case: Case, data: list[str]
) -> tuple[list[str], bool]:
    """The lines that judge an output; whether its values are judged one by one."""
    if expected.kind not in (OutputKind.EACH, OutputKind.TRUTH):
        return [], False
    low, high, want = legal(operand, expected, profile, case.model.relaxed)
    for word, values in (("low", low), ("high", high), ("want", want)):
        listed = ", ".join(map(_double, values.ravel().tolist())) or "0"
        data.append(f"static const double {name}_{word}[] = {{{listed}}};")
    code = OperandCode(operand.type)
    read = {
        "<f4": f"((const float*){name})[i]",
        "<f2": f"half(((const uint16_t*){name})[i])",
        "<i4": f"((const int32_t*){name})[i]",
        "<i2": f"((const int16_t*){name})[i]",
        "<u2": f"((const uint16_t*){name})[i]",
        "|i1": f"((const int8_t*){name})[i]",
        "|u1": f"{name}[i]",
    }[np.dtype(DTYPE[code]).str]
    if code == OperandCode.TENSOR_BOOL8 or expected.kind == OutputKind.TRUTH:
        read = f"({read} != 0)"
    return [
        f"for (long i = 0; i < {expected.value.size}; i++)",
        f'    judge("{name}", i, {read}, {name}_low[i], {name}_high[i], {name}_want[i]);',
    ], True


def legal(
    operand: Operand, expected: Expected, profile: str, relaxed: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and highest legal value of each element, and what is expected (NaN: NaN).

    Codes and integers as they are stored, floats as real values.
    """
    code = OperandCode(operand.type)
    shape = expected.value.shape
    how = profile_called(profile)
    if code in CODE_RANGE and expected.kind != OutputKind.TRUTH:
        zeros = np.zeros(shape, DTYPE[code]).tobytes()
        found = compare(operand, expected, zeros, how, relaxed)
        assert found.low is not None and found.high is not None
        low, high = found.low.astype(np.float64), found.high.astype(np.float64)
        open_ = np.isnan(expected.value)
        want = np.where(open_, 0.0, expected.value)
    else:
        allowed = np.zeros(shape)
        if code in FLOATS:
            zeros = np.zeros(shape, DTYPE[code]).tobytes()
            allowed = compare(operand, expected, zeros, how, relaxed).allowed
        elif expected.kind != OutputKind.TRUTH:
            allowed = expected.bound
        with np.errstate(all="ignore"):
            low, high = expected.value - allowed, expected.value + allowed
            limit = (
                _LARGEST.get(np.dtype(DTYPE[code]).str, math.inf) if code in FLOATS else math.inf
            )
            limit = 65504.0 if relaxed else limit
            # From half a unit above the largest number on, rounding gives infinity.
            low = np.where(low < -limit, -np.inf, low)
            high = np.where(high > limit, np.inf, high)
        low = np.where(np.isinf(expected.value), expected.value, low)
        high = np.where(np.isinf(expected.value), expected.value, high)
        want = expected.value
        open_ = np.zeros(shape, bool)
    if expected.exempt is not None:
        open_ = open_ | expected.exempt
    low, high = np.where(open_, -np.inf, low), np.where(open_, np.inf, high)
    # An open element may be anything, a NaN too: the C file's comparison knows no such interval.
    return low, high, np.where(open_, 0.0, want)


def _bytes(name: str, value: bytes) -> str:
    rows = [
        ", ".join(f"0x{byte:02x}" for byte in value[start : start + 20])
        for start in range(0, len(value), 20)
    ]
    listed = ",\n    ".join(rows) or "0"
    return f"static const _Alignas(16) uint8_t {name}[] = {{\n    {listed}}};"


def _float(value: float) -> str:
    return f"{float(value).hex()}f" if value else "0.0f"


def _double(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return float(value).hex()
