"""LiteRT in a process of its own: what a damaged file does to its kernels stays there.

Started by `source.py` as a script. Jobs come through standard input and answers leave through
standard output, each a pickle behind its length in eight bytes: (content, rows by input index,
wanted
indexes, others) gives arrays by index, or the first line of an error.
"""

from __future__ import annotations

import pickle
import struct
import sys
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def run(content: bytes, row: dict[int, Any], wanted: set[int], also: set[int]) -> dict[int, Any]:
    """Feed a file and return what is left in its tensors. States start fresh."""
    # What phones run, and not the reference kernels: those lack operators and sum int8 wrongly.
    interpreter: Any = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    for at, array in row.items():
        interpreter.resize_tensor_input(at, array.shape)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    for at, array in row.items():
        interpreter.set_tensor(at, array.astype(interpreter.tensor(at)().dtype))
    interpreter.invoke()
    found = {at: np.array(interpreter.get_tensor(at)) for at in wanted}
    for at in also - wanted:
        with suppress(ValueError):  # a tensor that the kernels did without
            found[at] = np.array(interpreter.get_tensor(at))
    return found


def main(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer jobs until there are no more."""
    while head := jobs.read(8):
        (length,) = struct.unpack("<Q", head)
        try:
            answer: Any = run(*pickle.loads(jobs.read(length)))
        except (RuntimeError, ValueError, TypeError) as error:
            answer = (str(error).strip().splitlines() or ["no reason given"])[0]
        data = pickle.dumps(answer)
        answers.write(struct.pack("<Q", len(data)) + data)
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
