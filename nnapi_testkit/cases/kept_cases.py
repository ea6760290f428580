"""Built cases, kept in the user's cache beside the index that they belong to.

Building the models of a whole run, with the data for them, takes as long as all that is done with
them. What is kept is under the hash of all that a case follows from (`kept.py`), in pieces of
neighbouring cases: a piece is written when most of it was asked for, in a row, and read when one
of its cases is. Goldens are bound to the data of a case, so that a kept case that is not the built
one fails as stale.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnapi_testkit.cases.kept_files import forget_old, read, write
from nnapi_testkit.model.case import Case

__all__ = ["FOLDER", "PIECE", "KeptCases"]

FOLDER = "cases"  # in the user's cache
MOST_KEPT = 2  # states of the sources; each takes up to 60 MB
PIECE = 64  # cases
_ENOUGH = PIECE // 2  # asked for in a row, after which the others of a piece are built too
_OURS = ("nnapi_testkit.model.", "nnapi_testkit.spec.")
# By what numpy's arrays are made again.
_NUMPY = {"_frombuffer", "_reconstruct", "dtype", "ndarray", "scalar"}


class KeptCases:
    """The cases of one operation.

    Args:
        folder: of this operation; made when something is kept.
        ids: of its cases, in order.
        build: builds a case.
    """

    def __init__(self, folder: Path, ids: list[str], build: Callable[[str], Case]) -> None:
        self._folder = folder
        self._ids = ids
        self._build = build
        self._piece_of = {case_id: at // PIECE for at, case_id in enumerate(ids)}
        self._piece = -1  # the one whose cases are at hand
        self._cases: dict[str, Case] = {}
        self._writes = True

    def get(self, case_id: str) -> Case:
        """Return a case: from the cache, or built. Raises what building it raises."""
        piece = self._piece_of[case_id]
        if piece != self._piece:
            self._piece, self._cases = piece, self._kept(piece)
        if case_id not in self._cases:
            self._cases[case_id] = self._build(case_id)
            if self._writes and len(self._cases) == min(_ENOUGH, len(self._of(piece))):
                self._keep(piece)
        return self._cases[case_id]

    def _of(self, piece: int) -> list[str]:
        return self._ids[piece * PIECE : (piece + 1) * PIECE]

    def _place(self, piece: int) -> Path:
        return self._folder / f"{piece}.pickle"

    def _kept(self, piece: int) -> dict[str, Case]:
        with contextlib.suppress(OSError, ValueError, pickle.UnpicklingError):
            cases: dict[str, Case] = _Reader(io.BytesIO(read(self._place(piece)))).load()
            if list(cases) == self._of(piece):
                return cases
        return {}

    def _keep(self, piece: int) -> None:
        try:
            cases = {case_id: self._made(case_id) for case_id in self._of(piece)}
        except Exception:
            return  # said when that case is asked for
        self._cases = cases
        try:
            first = not self._folder.parent.exists()
            write(self._place(piece), pickle.dumps(cases, pickle.HIGHEST_PROTOCOL))
            if first:
                forget_old(self._folder.parent, "*", MOST_KEPT, _forget)
        except OSError:
            self._writes = False

    def _made(self, case_id: str) -> Case:
        return self._cases[case_id] if case_id in self._cases else self._build(case_id)


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class _Reader(pickle.Unpickler):
    """Makes what cases consist of, and nothing else: a file of the cache runs no code."""

    def find_class(self, module: str, name: str) -> Any:
        numpy = module.partition(".")[0] == "numpy" and name in _NUMPY
        if numpy or module.startswith(_OURS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a case")
