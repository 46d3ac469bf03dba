"""Small models are not run in int8 where the processor saturates."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.speech import compute
from kallglot_media.speech.compute import SMALL_BYTES, compute_type_for, has_exact_int8, weights_bytes


@pytest.mark.parametrize(
    ("flags", "exact"),
    [
        ("flags\t\t: fpu sse2 avx2 fma", False),
        ("processor: 0\nflags\t\t: fpu avx512f avx512_vnni\n", True),
        ("flags\t\t: avx2 avx_vnni", True),
        ("model name: avx_vnni\n", False),
        ("", False),
    ],
)
def test_vnni_is_found_among_the_flags(flags: str, exact: bool) -> None:
    assert has_exact_int8(flags) is exact


@pytest.mark.parametrize(
    ("wanted", "size", "exact", "used"),
    [
        ("auto", 9_000_000, False, "float32"),
        ("auto", 9_000_000, True, "int8"),
        ("auto", SMALL_BYTES + 1, False, "int8"),
        ("int8", 9_000_000, False, "int8"),
        ("float32", SMALL_BYTES + 1, True, "float32"),
    ],
)
def test_only_small_models_on_processors_without_it_are_run_in_float32(
    wanted: str, size: int, exact: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "multiplies_int8_exactly", lambda: exact)
    assert compute_type_for(wanted, size) == used


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.bin").write_bytes(b"12345")
    (tmp_path / "about.json").write_bytes(b"{}")
    assert weights_bytes(tmp_path) == 7
    assert weights_bytes(tmp_path / "about.json") == 2
