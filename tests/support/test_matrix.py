"""The page that make interop writes."""

from __future__ import annotations

import pytest

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


def test_the_readme_has_a_row_for_each_peer_between_its_marks() -> None:
    matrix = Matrix()
    matrix.add("SIPp", "CANCEL", "test_a", "passed")
    matrix.add("SIPp", "T.38", "test_b", "failed")
    matrix.add("baresip", "Opus", "test_c", "passed")
    once = matrix.into("before\n<!-- made by make interop -->\nold\n<!-- end -->\nafter\n")
    assert once.startswith("before\n<!-- made by make interop -->\n| peer |")
    assert "| baresip | Opus |\n| SIPp | CANCEL · T.38: **failed**: `test_b` |\n<!-- end -->\nafter\n" in once
    assert "old" not in once
    assert matrix.into(once) == once
    with pytest.raises(ValueError, match="no <!-- made"):
        matrix.into("nothing")
