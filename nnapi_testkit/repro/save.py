"""Writing a case as a folder, and reading it back.

case.nntk        the case as a batch of the wire format, for `nnapi-testkit replay`
model.txt        the model as text
repro.c          the same on the public NNAPI header alone
inputs/, expected/   .npy of each input set: inputs, values, bounds
record.json      verdict and evidence, target and device, versions
README.md        what failed, and how to see it again
"""

from __future__ import annotations

import dataclasses
import json
import platform
from pathlib import Path

import numpy as np

import nnapi_testkit
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Answer, Case
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.paths import runner_sources
from nnapi_testkit.repro.c_file import c_file
from nnapi_testkit.repro.model_text import model_text
from nnapi_testkit.spec.kinds import OutputKind

__all__ = ["BUILD", "RUN", "save"]

BUILD = "cc -std=c11 -O1 repro.c -o repro libneuralnetworks.so -lm -Wl,-rpath,'$ORIGIN'"
RUN = "./repro"


def save(folder: Path, case: Case, answer: Answer | None, record: Record, *, profile: str) -> None:
    """Write a case with what is expected and what came of it.

    Args:
        folder: made, with its parents; an existing one must be empty.
        answer: the expected result; None for a model that has to be refused.

    Raises KitError if the folder cannot be written or holds something.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise KitError(f"{folder} is not empty: name another folder")
        _write(folder, case, answer, record, profile)
    except OSError as error:
        raise KitError(f"{folder} cannot be written: {error.strerror}") from error


def _write(folder: Path, case: Case, answer: Answer | None, record: Record, profile: str) -> None:
    (folder / "case.nntk").write_bytes(encode_batch([case]))
    (folder / "model.txt").write_text(model_text(case), encoding="utf-8")
    source = c_file(case, answer, profile=profile, build=BUILD, run=RUN)
    (folder / "repro.c").write_text(source, encoding="utf-8")
    header = runner_sources()[1] / "nnapi.h"
    (folder / "nnapi.h").write_bytes(header.read_bytes())
    for number, execution in enumerate(case.sets):
        place = folder / "inputs" / f"set{number}"
        place.mkdir(parents=True)
        for at, array in enumerate(execution.inputs):
            if array is not None:
                np.save(place / f"input{at}.npy", array)
    for number, row in enumerate(answer.sets if answer is not None else ()):
        place = folder / "expected" / f"set{number}"
        place.mkdir(parents=True)
        for at, expected in enumerate(row):
            np.save(place / f"output{at}.npy", expected.value)
            np.save(place / f"output{at}.bound.npy", expected.bound)
            if expected.exempt is not None:
                np.save(place / f"output{at}.exempt.npy", expected.exempt)
            if expected.distribution is not None:
                np.save(place / f"output{at}.law.npy", expected.distribution)
            if expected.kind != OutputKind.EACH:
                (place / f"output{at}.kind.txt").write_text(expected.kind.value + "\n")
    names = {item.name: item.metadata.get("json", item.name) for item in dataclasses.fields(record)}
    facts = {
        "nnapi-testkit": nnapi_testkit.__version__,
        "python": platform.python_version(),
        "profile": profile,
        "record": {names[at]: value for at, value in dataclasses.asdict(record).items()}
        | {"stage": record.stage.name if record.stage is not None else ""},
    }
    text = json.dumps(facts, indent=1, default=str)
    (folder / "record.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(case, record, profile), encoding="utf-8")


def _readme(case: Case, record: Record, profile: str) -> str:
    lines = [
        f"# {case.id}",
        "",
        f"{record.verdict.value} on {record.device or 'an unattributed device'}"
        f" (target {record.target or 'unknown'}), profile {profile}: {record.message}",
        "",
    ]
    if record.differences:
        lines += ["| set | output | index | got | expected | error | allowed |", "|" + "---|" * 7]
        lines += [
            f"| {d.set} | {d.output} | {list(d.index)} | {d.actual:.9g} | {d.expected:.9g} |"
            f" {d.error:.3g} | {d.bound:.3g} |"
            for d in record.differences
        ]
        lines.append("")
    lines += [
        "Without the kit, on the public header alone (with an NDK's compiler for Android):",
        "",
        f"    {BUILD}",
        f"    {RUN}",
        "",
        "With it, here or on a device:",
        "",
        "    nnapi-testkit replay . --target host",
        "",
        "`model.txt` is the model; `inputs/` and `expected/` hold its data as NumPy files, with the"
        " bound of each value beside it; `record.json` is the evidence.",
    ]
    return "\n".join(lines) + "\n"
