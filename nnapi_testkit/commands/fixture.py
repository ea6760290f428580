"""The `nnapi` fixture: users' own models on a driver, against eager PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.closing import Closing
from nnapi_testkit.commands.chosen import settings_of
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Answer, Case, Ending, Execution, OutputResult
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.model.types import Model, Operand
from nnapi_testkit.models.check import settle
from nnapi_testkit.report.text import details
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.services import RunnerLike, Services, load
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["Nnapi"]

_Fixture = TypeVar("_Fixture", bound="Nnapi")


class Nnapi(Closing):
    """Runs and judges models on one target; open as long as the test session.

        def test_my_model(nnapi):
            builder = Builder()
            ...
            nnapi.check(builder.build(), np.ones((1, 4), np.float32))

    Args:
        settings: target, profile and limits; the oracle is always live, since a user's model has
            no golden.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = replace(settings, oracle=OracleMode.LIVE)
        self._services: Services = load(settings.services)
        self._runner: RunnerLike | None = None
        self._count = 0

    @classmethod
    def of(cls: type[_Fixture], config: pytest.Config) -> _Fixture:
        """Return the fixture for pytest's `--nnapi-...` options."""
        return cls(settings_of(lambda name: config.getoption(f"nnapi_{name}"), None))

    def close(self) -> None:
        """End the runner, if a check has started one."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def check(
        self, model: Model | Case, *inputs: ArrayLike | None, profile: str | None = None
    ) -> Record:
        """Run a model on the driver, judge its outputs, and return the record of a pass.

        A bound as wide as an output's data judges nothing: then the record is OBSERVED. A model of
        many operations is judged one by one by `nnapi_testkit.models.check.check`.

        Args:
            model: a model with one array for each of its inputs, or a whole case.
            inputs: real element values or codes, in the operands' own types; `None` omits one.
            profile: `strict`, `standard` or `cts`; by default what `--nnapi-profile` says.

        Raises AssertionError with the evidence if the driver is wrong, and KitError if the check
        itself cannot be made.
        """
        case = self._case(model, inputs)
        settings = replace(self._settings, profile=profile or self._settings.profile)
        ref = CaseRef(case.id, "MODEL", _cell(case.model), 1, Kind.GRAPH, lambda: case)
        Session(settings)  # says what is missing before a driver is started
        with Lane(settings, self._services) as lane:
            record = next(iter(lane.run([ref])))
        if record.verdict.is_pass:
            record = settle(case, self._answer(case), record, settings.profile)
        record = replace(record, repro="")
        text = "\n".join(details(record))
        if record.verdict.is_error:
            raise KitError(text)
        if not record.verdict.meaning.computed:
            raise AssertionError(text)
        return record

    def run(self, model: Model | Case, *inputs: ArrayLike | None) -> list[NDArray[np.generic]]:
        """Return the driver's outputs of the first input set, without judging them.

        Raises AssertionError if the driver does not compute the model.
        """
        case = self._case(model, inputs)
        if self._runner is None:
            self._runner = self._services.open_runner(
                self._settings.target,
                isolate=True,
                memory_limit_mb=self._settings.memory_limit_mb,
            )
        result = next(iter(self._runner.run([case])))
        if result.ending is not Ending.COMPLETED or result.executions[0].code:
            code = result.executions[0].code if result.executions else result.code
            where = result.function or result.stage.name
            raise AssertionError(
                f"the driver did not compute {case.id}: {result.ending.name} at {where},"
                f" code {code} {result.text}".rstrip()
            )
        operands = [case.model.main.operands[at] for at in case.model.main.outputs]
        outputs = result.executions[0].outputs
        return [_array(*pair) for pair in zip(operands, outputs, strict=True)]

    def answer(self, model: Model | Case, *inputs: ArrayLike | None) -> Answer:
        """Return what eager PyTorch says: float64 values with bounds, for each input set."""
        return self._answer(self._case(model, inputs))

    def _answer(self, case: Case) -> Answer:
        ref = CaseRef(case.id, "MODEL", _cell(case.model), 1, Kind.GRAPH, lambda: case)
        return self._services.live()(ref, case)

    def _case(self, model: Model | Case, inputs: Sequence[ArrayLike | None]) -> Case:
        if isinstance(model, Case):
            if inputs:
                raise KitError("a Case brings its own inputs: pass the model alone to give others")
            return model
        self._count += 1
        arrays = Program(model).accept(inputs)
        outputs = [model.main.operands[at] for at in model.main.outputs]
        dims = tuple(operand.dims for operand in outputs)
        case = Case(f"MODEL[{self._count}]", model, (Execution(arrays, dims),))
        if any(not _known(operand) for operand in outputs):
            shapes = tuple(expected.value.shape for expected in self._answer(case).sets[0])
            case = replace(case, sets=(Execution(arrays, shapes),))
        return case


def _known(operand: Operand) -> bool:
    return bool(operand.dims) and all(operand.dims)


def _array(operand: Operand, output: OutputResult) -> NDArray[np.generic]:
    kind = np.dtype(DTYPE[OperandCode(operand.type)])
    dims = operand.dims if output.dims is None else output.dims
    count = int(np.prod(dims, dtype=np.int64))
    return np.frombuffer(output.data, kind, count).reshape(dims)


def _cell(model: Model) -> str:
    names = [operation_name(operation.code) for operation in model.main.operations]
    return "+".join(dict.fromkeys(names))[:80]
