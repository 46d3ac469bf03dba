"""docs/phone.md says what the code does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from kallglot_media.audio.pcm import FRAME_MS
from kallglot_media.phone.ear import HearRules
from kallglot_media.phone.report import PhoneReport
from kallglot_media.phone.script import _STEPS, DEFAULT_WITHIN_MS

TEXT = " ".join((Path(__file__).parents[2] / "docs" / "phone.md").read_text("utf-8").split())


def test_the_page_quotes_the_defaults() -> None:
    rules = HearRules()
    assert f"({DEFAULT_WITHIN_MS // 1000} s unless `within` says otherwise)" in TEXT
    assert f"above −{-rules.floor_dbfs:.0f} dBFS" in TEXT
    assert f"for {rules.loud_frames * FRAME_MS} ms out of {rules.among_frames * FRAME_MS}" in TEXT


def test_the_page_has_every_step_and_every_field_of_the_report() -> None:
    assert all(f"| `{word}" in TEXT for word in _STEPS)
    plain = {"uri", "reason", "codec", "rate_hz", "seconds"}
    assert all(f"`{field.name}`" in TEXT for field in fields(PhoneReport) if field.name not in plain)
