"""Model files that carry their own test inputs, and converted ones that carry their answers too.

The inputs are PyTorch's bundled inputs (`torch.utils.bundled_inputs`), which any PyTorch program
can read. Answers of a converted model are one more entry of its archive.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.utils.bundled_inputs as bundled_inputs

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.mobile.compare import ExactOutput

__all__ = [
    "Answers",
    "InputSets",
    "Loaded",
    "ModelFileError",
    "bundle",
    "load",
    "save",
    "use_qnnpack",
]

InputSets = Sequence[Sequence[torch.Tensor]]
Answers = tuple[tuple[ExactOutput, ...], ...]  # by input set, by output
_ANSWERS = "nnapi_testkit_answers.pt"
_PLAIN_FORMAT = "{}"
_ENDINGS = {"torch.export": ".pt2", "ONNX": ".onnx", "TensorFlow Lite": ".tflite"}


class ModelFileError(KitError):
    """A file holds no model that can be checked; the message says what to do."""


@dataclass(frozen=True)
class Loaded:
    """A model from a file.

    Args:
        module: the module. converted: whether it runs through NNAPI already.
        inputs: the bundled input sets; empty if there are none.
        answers: what a converted module should return for them; None if it does not say.
    """

    module: torch.jit.ScriptModule
    converted: bool
    inputs: tuple[tuple[torch.Tensor, ...], ...]
    answers: Answers | None = None


def bundle(module: torch.jit.ScriptModule, inputs: InputSets) -> torch.jit.ScriptModule:
    """Return a copy of the module that carries input sets; those it carried are replaced."""
    # PyTorch refuses to bundle tensors of more than 16 bytes unless they say that they are meant.
    meant = [
        tuple(bundled_inputs.InflatableArg(t.contiguous(), _PLAIN_FORMAT) for t in given)
        for given in inputs
    ]
    try:
        made: torch.jit.ScriptModule = bundled_inputs.bundle_inputs(module, meant)
    except Exception as error:  # bundling raises bare Exceptions
        raise ModelFileError(f"inputs cannot be bundled: {_first_line(error)}") from error
    return made


def save(
    module: torch.jit.ScriptModule,
    path: Path,
    *,
    inputs: InputSets = (),
    answers: Answers | None = None,
    lite: bool = False,
) -> None:
    """Write a module that has not run yet.

    Args:
        module: TorchScript, converted or not. path: the file, replaced if it exists.
        inputs: bundled with it. answers: of a converted module for these inputs.
        lite: in the format of PyTorch's lite interpreter, as apps on a phone load it
            (`torch.jit.load` reads such a file as well).

    Raises:
        ModelFileError: the file cannot be written, or the module holds a compilation.
    """
    subject = bundle(module, inputs) if inputs else module
    extra = {_ANSWERS: _pack(answers)} if answers is not None else {}
    try:
        if lite:
            subject._save_for_lite_interpreter(str(path), _extra_files=extra)
        else:
            torch.jit.save(subject, str(path), _extra_files=extra)
    except Exception as error:  # TorchScript's writer has its own, and those of attributes
        hint = ""
        if "_nnapi.Compilation" in str(error):
            hint = ": it has run already and holds a compilation; save it before its first call"
        raise ModelFileError(f"{path} cannot be written{hint or ': ' + _first_line(error)}") from (
            error
        )


def load(path: Path) -> Loaded:
    """Read a TorchScript file, converted or not, for the lite interpreter or not.

    Raises:
        ModelFileError: no such file, no TorchScript, or bundled inputs that cannot be read.
    """
    if not path.exists():
        raise ModelFileError(f"there is no model file {path}: check the path")
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder: name the model file in it")
    if not os.access(path, os.R_OK):
        raise ModelFileError(f"{path} cannot be read: check its permissions")
    if other := _other_format(path):
        raise ModelFileError(
            f"{path} is a model of {other}, and PyTorch's own converter takes TorchScript alone:"
            f" use model check, coverage or bench, with a name that ends in {_ENDINGS[other]}"
        )
    use_qnnpack()
    extra: dict[str, Any] = {_ANSWERS: ""}
    try:
        module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu", _extra_files=extra
        )
    except Exception as error:  # whatever bytes it is: the reader's errors are not of one kind
        raise ModelFileError(
            f"{path} is not a TorchScript model ({_first_line(error)}): save the model with"
            " torch.jit.save(torch.jit.trace(model, inputs), path)"
        ) from error
    inputs: tuple[tuple[torch.Tensor, ...], ...] = ()
    if hasattr(module, "get_all_bundled_inputs"):
        try:
            inputs = tuple(tuple(given) for given in module.get_all_bundled_inputs())
        except Exception as error:  # code of the file runs
            raise ModelFileError(
                f"the bundled inputs of {path} cannot be read: {_first_line(error)}"
            ) from error
        if any(not isinstance(item, torch.Tensor) for given in inputs for item in given):
            raise ModelFileError(f"the bundled inputs of {path} are not all tensors")
    packed = extra[_ANSWERS]
    answers = _unpack(path, packed) if packed else None
    return Loaded(module, _is_converted(module), inputs, answers)


def _other_format(path: Path) -> str:
    """The format of a model file that is no TorchScript; empty if it is not known to be another."""
    for name, ending in _ENDINGS.items():
        if path.suffix == ending:
            return name
    with path.open("rb") as file:
        if file.read(8)[4:] == b"TFL3":  # the identifier of the schema, behind the first offset
            return "TensorFlow Lite"
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.export.save says so in an entry of its own; TorchScript has none.
            marks = [name for name in archive.namelist() if name.endswith("archive_format")]
            return "torch.export" if marks and archive.read(marks[0]) == b"pt2" else ""
    except (OSError, zipfile.BadZipFile, KeyError, RuntimeError):
        return ""


def use_qnnpack() -> None:
    """Compute quantized layers with QNNPACK, where it exists.

    The default engine of x86 may saturate 16-bit sums of full-range weights; QNNPACK is what
    PyTorch uses on phones, and does not.
    """
    if "qnnpack" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "qnnpack"


def _is_converted(module: torch.nn.Module) -> bool:
    inner = getattr(module, "mod", None)
    return inner is not None and hasattr(inner, "ser_model")


def _pack(answers: Answers) -> bytes:
    buffer = io.BytesIO()
    rows = [[(e.value, e.tolerance, e.eager, e.coarse) for e in given] for given in answers]
    torch.save(rows, buffer)
    return buffer.getvalue()


def _unpack(path: Path, packed: bytes) -> Answers:
    try:
        rows = torch.load(io.BytesIO(packed), weights_only=True)
        return tuple(tuple(ExactOutput(*row) for row in given) for given in rows)
    except Exception as error:  # damaged bytes: unpickling and unpacking raise anything
        raise ModelFileError(
            f"the answers in {path} are damaged ({_first_line(error)}): convert the model again"
        ) from error


def _first_line(error: BaseException) -> str:
    return first_line(error).partition(" This is an internal")[0].rstrip(".: ")
