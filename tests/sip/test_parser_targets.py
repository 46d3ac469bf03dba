"""What scripts/fuzz_parsers.py does for minutes: a few examples of it, and all inputs that once broke something."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.support.parser_targets import TARGETS

TORTURE = Path(__file__).parents[1] / "torture"
FOUND = sorted(path for path in (TORTURE / "found").glob("*-*") if path.suffix != ".sip")
WHOLE = [path.read_bytes() for path in sorted((TORTURE / "rfc4475").glob("*.dat"))]


@pytest.mark.parametrize("name", TARGETS)
def test_torture_messages(name: str) -> None:
    for data in WHOLE:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(some.binary(max_size=300))
@settings(max_examples=100)
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("path", FOUND, ids=[path.name for path in FOUND])
def test_what_once_broke_something(path: Path) -> None:
    """timeout-sdp-1234…, crash-uri-…: the target's name comes first, then libFuzzer's."""
    TARGETS[path.name.partition("-")[0]](path.read_bytes())
