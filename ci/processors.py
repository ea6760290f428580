#!/usr/bin/env python3
"""The suite on other processors, as far as this one can play them.

`python ci/processors.py [--most N] [--bits]`. Maths libraries choose their code by the processor,
and environment variables name another one. Under each setting below the functions that the oracle
calls are run on fixed numbers, in a process of its own; which results differ in bits from this
processor's own is printed. Then `golden check` and a live run of the whole suite have to pass
under the first N of those that differ (default 2), or under the first N settings where none does;
`--bits` leaves that out. Exits 1 if a run fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time

# Of MKL, of PyTorch's own kernels, of the C library, of numpy; and how many threads share a sum.
SETTINGS: tuple[dict[str, str], ...] = (
    {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"},
    {"MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    {"MKL_CBWR": "COMPATIBLE"},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"MKL_CBWR": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"},
    {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2,FMA3,AVX512F,AVX512_SKX"},
)
ONE = ("exp", "expm1", "log", "sqrt", "rsqrt", "sin", "tanh", "sigmoid")


def digests() -> dict[str, str]:
    """A digest of the bits of each function's results here, by its name."""
    import numpy as np
    import torch

    from nnapi_testkit.cases.draw import key_of, magnitudes, uniform

    def numbers(*shape: int) -> torch.Tensor:
        count = int(np.prod(shape))
        return torch.from_numpy(uniform(key_of("bits", *shape), count, -3.0, 3.0).reshape(shape))

    x, y = numbers(100_003), numbers(7, 14_001)
    found = {name: getattr(torch, name)(x.abs() + 0.01) for name in ONE}
    found["pow"] = torch.pow(x.abs() + 0.01, 0.75)
    found["log_softmax"] = torch.log_softmax(y, -1)
    found["sum"], found["mean"], found["prod"] = y.sum(1), y.mean(0), (y.abs() * 0.8).prod(0)
    found["matmul"] = torch.matmul(numbers(61, 333), numbers(333, 67))
    found["linear"] = torch.nn.functional.linear(numbers(5, 129), numbers(9, 129), numbers(9))
    found["einsum"] = torch.einsum("bij,bjk->bik", numbers(3, 8, 70), numbers(3, 70, 9))
    image, filters = numbers(2, 6, 19, 17), numbers(8, 6, 3, 3)
    found["conv2d"] = torch.nn.functional.conv2d(image, filters)
    found["conv_transpose2d"] = torch.nn.functional.conv_transpose2d(image, numbers(6, 4, 3, 3))
    # What the inputs of the cases are made by.
    found["inputs"] = torch.from_numpy(magnitudes(key_of("bits"), 100_003))
    return {
        name: hashlib.blake2b(value.contiguous().numpy().tobytes(), digest_size=8).hexdigest()
        for name, value in found.items()
    }


def child(arguments: list[str], setting: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments under a setting."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | setting,
        capture_output=True,
        text=True,
        check=False,
    )


def words(setting: dict[str, str]) -> str:
    """A setting as one writes it before a command."""
    return " ".join(f"{name}={value}" for name, value in setting.items())


def differing() -> list[dict[str, str]]:
    """The settings that differ in bits; each is printed with the functions that do."""
    usual = json.loads(child([__file__, "--digests"], {}).stdout)
    found = []
    for setting in SETTINGS:
        done = child([__file__, "--digests"], setting)
        if done.returncode:
            print(f"{words(setting)}: not taken here ({done.stderr.strip().splitlines()[-1:]})")
            continue
        here = json.loads(done.stdout)
        other = [name for name, digest in here.items() if digest != usual[name]]
        if "inputs" in other:
            raise SystemExit(f"{words(setting)}: the inputs of cases differ")
        print(f"{words(setting)}: {'differs in ' + ', '.join(other) if other else 'the same bits'}")
        if other:
            found.append(setting)
    return found


def passes(setting: dict[str, str]) -> bool:
    """Whether goldens hold and the suite passes live under a setting; prints what was said."""
    fine = True
    for command in (
        ["golden", "check"],
        ["run", "--jobs", "2", "--oracle", "live"],
    ):
        began = time.monotonic()
        done = child(["-m", "nnapi_testkit.cli", *command], setting)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        seconds = time.monotonic() - began
        print(f"{words(setting)} nnapi-testkit {' '.join(command)}: {last} ({seconds:.0f} s)")
        if done.returncode:
            fine = False
            print(done.stdout[-4000:], done.stderr[-2000:], sep="\n")
    return fine


def main() -> int:
    """Print what differs, then run the suite under some of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int, default=2, help="settings to run the suite under")
    parser.add_argument("--bits", action="store_true", help="print what differs, run nothing")
    parser.add_argument("--digests", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.digests:
        print(json.dumps(digests()))
        return 0
    found = differing()
    print(f"{len(found)} of {len(SETTINGS)} settings differ in bits from this processor's own")
    if options.bits:
        return 0
    chosen = (found or list(SETTINGS))[: options.most]
    # A failure under one setting does not hide those under the other.
    failed = [words(setting) for setting in chosen if not passes(setting)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
