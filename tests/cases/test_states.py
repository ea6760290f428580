"""Cases of state and of the API's own values: each is noticed where a driver gets it wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.qualities import OPERATIONS, TOKEN_BYTES
from nnapi_testkit.cases.states import state_refs
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, ExecutionPath, MemoryKind, Quality, Result
from nnapi_testkit.oracle.evaluate import answer_case
from tests.cases.wrong_drivers import Judged, refs_of

WEIGHTED = ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D")
COMPUTING = ("ADD", "SOFTMAX", "MAX_POOL_2D", "CONCATENATION", "TRANSPOSE")


@pytest.mark.parametrize("name", (*WEIGHTED, *COMPUTING))
def test_results_that_are_kept_from_the_set_before(judged: Judged, name: str) -> None:
    def kept(case: Case, result: Result) -> Result:
        first = result.executions[0]
        return replace(result, executions=(first,) * len(result.executions))

    judged.noticed(refs_of(name, "state-reusable", "state-burst"), spoil=kept)


def test_sets_at_once_and_without_the_model() -> None:
    """Each state of an operation also at once, by one of four ways, and with its model freed."""
    refs = [ref for ref in case_index() if ref.kind == "state"]
    again = {r.id.partition("-state")[0] for r in refs if "state-reusable" in r.id}
    by_word: dict[str, set[str]] = defaultdict(set)
    for ref in refs:
        for word in ("together-threads", "together-started", "together-bursts", "together-fences"):
            if word in ref.id:
                case = ref.make()
                assert case.extra.together and len(case.sets) == 3 and ref.answer_id
                by_word[word].add(ref.id.partition("-state")[0])
        if "model-freed" in ref.id:
            assert ref.make().extra.orphan
            by_word["freed"].add(ref.id.partition("-state")[0])
    freed = by_word.pop("freed")
    assert freed == again == set().union(*by_word.values()) and len(again) > 150
    assert all(len(found) > 20 for found in by_word.values())


@pytest.mark.parametrize("name", ("ADD", "FULLY_CONNECTED"))
def test_sets_at_once_that_change_places(judged: Judged, name: str) -> None:
    """A driver that gives an execution what another one of the same time asked for."""

    def crossed(case: Case, result: Result) -> Result:
        first, second, third = result.executions
        return replace(result, executions=(second, first, third))

    judged.noticed(refs_of(name, "state-together"), spoil=crossed)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_that_are_packed_once(judged: Judged, name: str) -> None:
    """A driver that takes the weights of the first execution for those of all."""

    def packed(case: Case) -> Case:
        first = case.sets[0].inputs
        sets = (replace(s, inputs=(s.inputs[0], *first[1:])) for s in case.sets)
        return replace(case, sets=tuple(sets))

    judged.noticed(refs_of(name, "state-reusable", "state-burst-shared", "state-burst-p"), packed)


@pytest.mark.parametrize("name", COMPUTING)
def test_the_last_data_once_more(judged: Judged, name: str) -> None:
    """A driver that is one execution behind: A, A, B instead of A, B, A."""

    def behind(case: Case) -> Case:
        first, second, _ = case.sets
        return replace(case, sets=(first, first, second))

    judged.noticed(refs_of(name, "state-reusable"), behind)


@pytest.mark.parametrize("name", ("SOFTMAX", "CONV_2D", "RELU", "FULLY_CONNECTED"))
def test_bursts_that_keep_the_shapes_of_their_first_execution(judged: Judged, name: str) -> None:
    def kept(case: Case, result: Result) -> Result:
        dims = [output.dims for output in result.executions[0].outputs]
        sets = [
            replace(
                run,
                outputs=tuple(replace(o, dims=d) for o, d in zip(run.outputs, dims, strict=True)),
            )
            for run in result.executions
        ]
        return replace(result, executions=tuple(sets))

    judged.noticed(refs_of(name, "state-burst-batches"), spoil=kept)


def test_state_is_asked_of_every_operation_by_each_way() -> None:
    refs = [ref for op in catalog().values() for ref in state_refs(op)]
    found = {ref.operation for ref in refs}
    counted = {
        name for name, op in catalog().items() if any(output.counted for output in op.outputs)
    }
    # Control flow has cases of its own; draws and counted rows are judged as wholes.
    assert set(catalog()) - found == {"IF", "WHILE", "RANDOM_MULTINOMIAL"} | counted
    ways: dict[ExecutionPath, set[MemoryKind]] = defaultdict(set)
    batches = set()
    for ref in refs:
        case = ref.make()
        if "-batches-" in ref.id:
            batches.add(ref.operation)
            shapes = [s.inputs[0].shape for s in case.sets if s.inputs[0] is not None]
            assert len(set(shapes)) == 3 and shapes[0] == shapes[-1], ref.id
            continue
        ways[case.path].add(case.memory)
        first, second, third = case.sets
        assert first is third and first is not second
    assert (
        ways[ExecutionPath.REUSABLE]
        == ways[ExecutionPath.BURST]
        == {*MemoryKind}
        - {
            MemoryKind.AHARDWARE_BUFFER,
            MemoryKind.DYNAMIC,
        }
    )
    assert len(batches) >= 40


def test_caches_that_look_at_a_part_of_the_token(judged: Judged) -> None:
    """The model of the first token that agrees in the bytes looked at is what runs."""
    refs = refs_of("ADD", "quality-token")
    judged.healthy(refs)
    for seen in (slice(0, 8), slice(0, 31), slice(1, 32), slice(0, 0)):
        known: dict[bytes, Case] = {}

        def cached(case: Case, part: slice = seen, known: dict[bytes, Case] = known) -> Case:
            return replace(case, model=known.setdefault(case.cache_token[part], case).model)

        records = judged.verdicts(refs, cached)
        failing = [i for i, r in records.items() if r.verdict is Verdict.MISMATCH]
        # A collision is seen by who comes second.
        ignored = TOKEN_BYTES - len(range(TOKEN_BYTES)[seen])
        assert len(failing) >= ignored, (seen, failing)


def test_tokens_differ_in_each_byte() -> None:
    cases = {ref.id: ref.make() for ref in refs_of("ADD", "quality-token")}
    first = cases["ADD[float32-quality-token-first]"]
    apart = set()
    for case in cases.values():
        places = [
            at
            for at, (a, b) in enumerate(zip(first.cache_token, case.cache_token, strict=True))
            if a != b
        ]
        if len(places) == 1:
            apart.add(places[0])
            assert case.model != first.model
    assert apart == set(range(TOKEN_BYTES))
    again = cases["ADD[float32-quality-token-again]"]
    assert (again.cache_token, again.model) == (first.cache_token, first.model)


def test_every_value_is_asked_for() -> None:
    asked: dict[str, set[int]] = defaultdict(set)
    paths = set()
    for name in OPERATIONS:
        for ref in refs_of(name, "-quality-"):
            case = ref.make()
            quality = case.quality
            asked["preference"].add(quality.preference)
            asked["priority"].add(quality.priority)
            asked["compile"].add(quality.compile_timeout_ns)
            asked["execute"].add(quality.execute_timeout_ns)
            if quality.execute_timeout_ns == 2**64 - 1:
                paths.add(case.path)
            # Nothing may expire: an hour is the least.
            for time in (quality.compile_timeout_ns, quality.execute_timeout_ns):
                assert time == 0 or time >= 3600 * 10**9
    assert asked["preference"] == {-1, 0, 1, 2}
    assert asked["priority"] == {-1, 90, 100, 110}
    assert asked["compile"] == asked["execute"] >= {0, 2**63 - 1, 2**63, 2**64 - 1}
    assert paths == set(ExecutionPath)


@pytest.mark.parametrize("name", ("ADD", "SOFTMAX"))
def test_a_preference_that_computes_otherwise(judged: Judged, name: str) -> None:
    """A driver that saves power by leaving out half of the inputs' bits."""

    def saving(case: Case) -> Case:
        if case.quality.preference != 0:
            return case
        sets = []
        for execution in case.sets:
            arrays = tuple(None if a is None else a // 16 for a in execution.inputs)
            kept = tuple(
                None if a is None or b is None else b.astype(a.dtype)
                for a, b in zip(execution.inputs, arrays, strict=True)
            )
            sets.append(replace(execution, inputs=kept))
        return replace(case, sets=tuple(sets))

    judged.noticed(refs_of(name, "quality-low-power"), saving)


def test_clocks_that_overflow(judged: Judged) -> None:
    """A driver that adds the timeout to a clock of 64 bits: the end is in the past."""

    def late(case: Case, result: Result) -> Result:
        if (10**12 + case.quality.execute_timeout_ns) % 2**64 > 10**12:
            return result
        runs = tuple(replace(run, code=12, outputs=()) for run in result.executions)
        return replace(result, executions=runs)

    judged.noticed(refs_of("ADD", "execute-unsigned-limit"), spoil=late)


def test_other_processors_may_answer_other_preferences(judged: Judged) -> None:
    """Bits that differ between qualities are no finding; between paths they are."""
    refs = [r for r in refs_of("SOFTMAX", "-quality-") if r.cell == "float32"][:2]
    agreement = Agreement()
    for number, ref in enumerate(refs):
        case = ref.make()
        assert case.quality != Quality()
        result = next(iter(judged.runner.run([case])))
        record = judged.verdicts([ref])[ref.id]
        if number:
            output = result.executions[0].outputs[0]
            data = bytes((output.data[0] ^ 1, *output.data[1:]))
            run = replace(result.executions[0], outputs=(replace(output, data=data),))
            result = replace(result, executions=(run,))
        for kind, verdict in (("quality", Verdict.PASS), ("path", Verdict.NONDETERMINISTIC)):
            other = replace(ref, kind=kind, answer_id=f"{kind}-group")
            found = agreement.check(other, case, answer_case(case), result, record)
            assert found.verdict is (verdict if number else Verdict.PASS)
