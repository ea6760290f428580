"""`python -m benchmarks.localize`: wrong operations of whole models are found; right ones pass.

Faults are planted at random operations of the 12 models of the zoo, in float and in 8-bit codes,
and of PyTorch's own quantized samples: another activation, a doubled weight, a flipped sign, one
percent, a bit of a filter, another operation. A fault counts where it changes a value of its
operation by more than one code (quantized) or at all (float) on the healthy driver's inputs. Each
model is then healthy for other seeds. Exit code 1 if a fault is not found where it is, or a healthy
driver is blamed.

    python -m benchmarks.localize [--faults 300] [--seeds 20]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from nnapi_testkit.frontends.export import from_module
from nnapi_testkit.frontends.torchscript import from_module as from_torchscript
from nnapi_testkit.mobile import samples
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.program import Program
from nnapi_testkit.models.check import check
from nnapi_testkit.models.steps import array_of
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner
from tests.frontends.zoo import ZOO, make
from tests.models.faulty import Edit, Faulty, faults
from tests.models.quantized import quantized

QUANTIZED = ("convnet_quantized", "mlp_quantized", "mobilenet_v2_quantized")


def programs(seed: int) -> Iterator[Program]:
    """The models of one seed: 12 in float and in codes, and PyTorch's quantized ones."""
    for name in ZOO:
        model, inputs = make(name, seed)
        program = from_module(model, [inputs], name=name)
        yield program
        yield quantized(program)
    for name in QUANTIZED:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, inputs = samples.SAMPLES[name]()
        yield from_torchscript(model, [inputs], layout="nhwc", name=name)


def changes(runner: Runner, case: Case, edit: Edit) -> bool:
    """Whether a fault changes a value of its operation, by more than one code if quantized."""
    wrong = Faulty(runner, edit)
    healthy, other = next(iter(runner.run([case]))), next(iter(wrong.run([case])))
    if not other.executions or other.executions[0].code:
        return False
    operand = case.model.main.operands[case.model.main.outputs[0]]
    first, second = (
        array_of(operand, result.executions[0].outputs[0], operand.dims).astype(np.float64)
        for result in (healthy, other)
    )
    limit = 1 if is_quantized(OperandCode(operand.type)) else 0
    return bool((np.abs(first - second) > limit).any())


def plant(count: int, runner: Runner) -> tuple[int, int]:
    """Plant `count` faults; returns how many were found, and how many were in codes."""
    random = np.random.default_rng(7)
    planted = found = coded = 0
    everything = list(programs(0))
    reports = [check(program, runner, samples=0) for program in everything]
    while planted < count:
        at = int(random.integers(len(everything)))
        program, report = everything[at], reports[at]
        step = report.steps[int(random.integers(len(report.steps)))]
        seed = int(random.integers(1 << 30))  # the same elements in the model and alone
        choices = list(faults(program.model, step.index, np.random.default_rng(seed)))
        if not choices:
            continue
        name, edit = choices[int(random.integers(len(choices)))]
        # The operation alone is operation 0 of a model of its own, with constants at its places.
        again = faults(step.case.model, 0, np.random.default_rng(seed))
        if not changes(runner, step.case, next(e for n, e in again if n == name)):
            continue
        wrong = Faulty(runner, edit)
        told = check(program, wrong, samples=0)  # type: ignore[arg-type]
        planted += 1
        graph = step.case.model.main
        coded += is_quantized(OperandCode(graph.operands[graph.outputs[0]].type))
        if [item.index for item in told.wrong] == [step.index] and wrong.runs <= 2:
            found += 1
        else:
            named = ", ".join(item.label for item in told.wrong) or "nothing"
            text = f"{program.name} {step.label}: {name}: {told.verdict.value}, {named} is named"
            print(f"MISSED: {text}", flush=True)
    return found, coded


def healthy(seeds: int, runner: Runner) -> tuple[int, int, int]:
    """Check every model for so many other seeds; returns checks, operations and alarms."""
    checked = steps = alarms = 0
    for seed in range(1, seeds + 1):
        for program in programs(seed):
            report = check(program, runner)
            checked += 1
            steps += len(report.steps)
            if report.verdict.is_failure or report.verdict.is_error or report.conversion:
                alarms += 1
                print(f"ALARM: seed {seed} {report.text()}", flush=True)
    return checked, steps, alarms


def main() -> int:
    """Print what was planted, found and missed, and false alarms; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with parse_target("host").open() as runner:
        began = time.process_time()
        found, coded = plant(options.faults, runner)
        print(
            f"{options.faults} faults planted, {coded} of them in codes: {found} found at the right"
            f" operation, in 2 driver runs each, {time.process_time() - began:.0f} s of processor"
            " time",
            flush=True,
        )
        began = time.process_time()
        checked, steps, alarms = healthy(options.seeds, runner)
        print(
            f"{checked} healthy checks of {steps} operations over {options.seeds} seeds: {alarms}"
            f" alarms, {time.process_time() - began:.0f} s of processor time"
        )
    return int(found < options.faults or bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
