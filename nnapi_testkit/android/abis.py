"""Android's four ABIs, as compilers and the ELF format see them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ABIS", "API_LEVEL", "PAGE_SIZE", "Abi"]

API_LEVEL = 27  # the oldest Android with NNAPI: 8.1
PAGE_SIZE = 16384  # of the largest pages that devices have


@dataclass(frozen=True)
class Abi:
    """One ABI.

    Args:
        name: as in `ro.product.cpu.abilist`.
        bits: of a pointer.
        machine: `e_machine` of the ELF header.
        zig: what `zig cc` is told: target and what else it needs for this one.
        clang: the target triple of clang.
        flags: for either compiler.
    """

    name: str
    bits: int
    machine: int
    zig: tuple[str, ...]
    clang: str
    flags: tuple[str, ...] = ()

    @property
    def interpreter(self) -> str:
        """Path of the dynamic linker on the device."""
        return "/system/bin/linker64" if self.bits == 64 else "/system/bin/linker"


ABIS: dict[str, Abi] = {
    abi.name: abi
    for abi in (
        Abi(
            "arm64-v8a",
            64,
            183,
            ("-target", "aarch64-linux-android"),
            f"aarch64-linux-android{API_LEVEL}",
            # Outlined atomics would call a compiler runtime that is not there.
            ("-mno-outline-atomics",),
        ),
        # zig's target for Android on arm passes floats in software: this one is the same ABI.
        Abi(
            "armeabi-v7a",
            32,
            40,
            ("-target", "arm-linux-gnueabi", "-mcpu=cortex_a7", "-mfloat-abi=softfp"),
            f"armv7a-linux-androideabi{API_LEVEL}",
        ),
        Abi(
            "x86_64",
            64,
            62,
            ("-target", "x86_64-linux-android"),
            f"x86_64-linux-android{API_LEVEL}",
        ),
        Abi("x86", 32, 3, ("-target", "x86-linux-android"), f"i686-linux-android{API_LEVEL}"),
    )
}
