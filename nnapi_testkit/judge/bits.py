"""A digest of what a driver computed: two runs with the same digest gave the same bits."""

from __future__ import annotations

from hashlib import blake2b

from nnapi_testkit.model.case import Result

__all__ = ["bits_of"]

_BYTES = 8  # of two different outputs one pair in 2^64 looks alike


def bits_of(result: Result) -> str:
    """Return 16 hexadecimal digits for every output of every execution; "" where nothing ran.

    Result codes and reported dimensions count too; times and names do not.
    """
    if not any(run.outputs for run in result.executions):
        return ""
    digest = blake2b(digest_size=_BYTES)
    for run in result.executions:
        # The lengths keep apart what would be the same bytes one after another.
        shape = [(output.dims, len(output.data)) for output in run.outputs]
        digest.update(repr((run.code, shape)).encode())
        for output in run.outputs:
            digest.update(output.data)
    return digest.hexdigest()
