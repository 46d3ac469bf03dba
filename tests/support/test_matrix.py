"""The page that make interop writes."""

from __future__ import annotations

from tests.support.matrix import Matrix


def test_a_row_passes_when_all_its_tests_did() -> None:
    matrix = Matrix()
    for outcome in ("passed", "passed"):
        matrix.add("baresip", "hold", "test_hold", outcome)
    matrix.add("SIPp", "busy", "test_busy", "passed")
    matrix.add("SIPp", "busy", "test_busy_again", "failed")
    matrix.add("SIPp", "busy", "test_busy_again", "passed")  # its teardown
    matrix.add("Asterisk", "trunk", "test_trunk", "skipped")
    page = matrix.page({"SIPp": "3.6"}, "2026-01-02")
    assert page.splitlines()[2].startswith("Made by `make interop` on 2026-01-02.")
    assert "| SIPp | 3.6 |" in page
    assert page.splitlines()[-3:] == [
        "| Asterisk | trunk | not tried: `test_trunk` |",
        "| baresip | hold | pass |",
        "| SIPp | busy | **failed**: `test_busy_again` |",
    ]
