"""Each row of the four modes' feature lists has a test on a real call, whose docstring names it: mode: "row"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {
    "bidirectional_translation": (
        "Real-time speech-to-speech translation",
        "Dual-channel recording (original + translated)",
        "Full transcript with translations",
    ),
    "assistive_translation": (
        "Agent hears original customer audio",
        "Real-time translated subtitles for agent",
        "Customer hears translated agent speech",
    ),
    "ai_agent": (
        "Natural language understanding",
        "Custom system prompts",
        "Knowledge base integration",
        "Function calling for external integrations",
        "Handoff to human agents",
    ),
    "help_chat_voice": (
        "AI-powered answers from knowledge base",
        "Voice input and output",
        "Seamless escalation to human agents",
        "Chat history context",
    ),
}


def named() -> dict[tuple[str, str], list[str]]:
    """(mode, row): the tests on real calls that name it, as file::test."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted((ROOT / "tests" / "interop").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for mode, row in re.findall(r'(\w+): "([^"]+)"', ast.get_docstring(node) or ""):
                    found.setdefault((mode, row), []).append(f"{path.name}::{node.name}")
    return found


def test_every_row_has_a_test_on_a_real_call_and_the_page_names_it() -> None:
    tests = named()
    page = (ROOT / "docs" / "testing.md").read_text("utf-8")
    for mode, rows in ROWS.items():
        for row in rows:
            assert (mode, row) in tests, f'no test in tests/interop has {mode}: "{row}" in its docstring'
            for test in tests[mode, row]:
                line = f"| `{mode}` | {row} | `{test}` |"
                assert line in page, f"docs/testing.md lacks the line {line}"


def test_no_test_names_a_row_that_there_is_not() -> None:
    known = {(mode, row) for mode, rows in ROWS.items() for row in rows}
    assert {one for one in named() if one[0] in ROWS} <= known
