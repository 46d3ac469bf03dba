"""In which arithmetic CTranslate2 runs a model.

Without VNNI an x86 processor adds pairs of int8 products up in 16 bits, which saturate. Models of usual size bear it;
the starter's, which are small and sure of little, lose a sentence here and there, and cost little in float32.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

SMALL_BYTES = 50_000_000
AUTO = "auto"
EXACT_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})


def compute_type_for(wanted: str, weights_bytes: int) -> str:
    """CTranslate2's compute type for a model of so many bytes; wanted: "auto", or one of CTranslate2's."""
    if wanted != AUTO:
        return wanted
    return "int8" if weights_bytes > SMALL_BYTES or multiplies_int8_exactly() else "float32"


def weights_bytes(path: Path) -> int:
    """The size of a model: of its file, or of all files of its folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@cache
def multiplies_int8_exactly() -> bool:
    """Whether this processor does; others than x86 do."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    cpuinfo = Path("/proc/cpuinfo")
    return has_exact_int8(cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else "")


def has_exact_int8(cpuinfo: str) -> bool:
    """Whether the flags in the text of /proc/cpuinfo have VNNI."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return not EXACT_FLAGS.isdisjoint(flags.split())
