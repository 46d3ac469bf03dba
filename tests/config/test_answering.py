"""Mode files of ai_agent and help_chat_voice: what goes together, and which text is said in which language."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kallglot_media.config.announcements import FALLBACK_LANGUAGE
from kallglot_media.config.answering import Handoff
from kallglot_media.config.phrases import DEFAULT_PHRASES, Phrases
from kallglot_media.config.tools import Tool

TO = {"to": "sip:agent@192.0.2.20"}
TRUNK = {"trunk": "pbx"}
NUMBER = {"number": "+4930123456"}


def test_a_tool_is_at_a_url_or_in_python() -> None:
    url, python = {"url": "https://shop.example.com/tools"}, {"python": "desk.tools:lookup"}
    for one in (url, python):
        Tool.model_validate({"name": "lookup", **one})
    with pytest.raises(ValidationError, match="does not go with url"):
        Tool.model_validate({"name": "lookup", **url, **python})


@pytest.mark.parametrize("good", [{}, TO, TRUNK, {**TRUNK, **NUMBER}])
def test_ways_to_a_human(good: dict[str, str]) -> None:
    Handoff.model_validate(good)


@pytest.mark.parametrize(
    ("bad", "wrong"),
    [
        ({**TO, **TRUNK, **NUMBER}, "does not go with to"),
        ({**TO, **TRUNK}, "does not go with to"),
        ({**TO, **NUMBER}, "does not go with to"),
        (NUMBER, "goes with trunk"),
    ],
)
def test_what_is_no_way_to_a_human(bad: dict[str, str], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        Handoff.model_validate(bad)


def test_a_phrase_is_the_files_own_then_the_default_then_english() -> None:
    default = DEFAULT_PHRASES["silence"]
    own = Phrases(silence={"de": "Hallo?", FALLBACK_LANGUAGE: "Hello?"})
    assert own.text("silence", "de") == "Hallo?"
    assert Phrases().text("silence", "de") == default["de"] != default[FALLBACK_LANGUAGE]
    other = next(language for language in default if language not in ("de", FALLBACK_LANGUAGE))
    assert own.text("silence", other) == default[other]
    assert own.text("silence", "xx") == "Hello?"
    assert Phrases().text("silence", "xx") == default[FALLBACK_LANGUAGE]
    assert Phrases(silence={"de": ""}).text("silence", "de") == "", "said by the file: nothing"
