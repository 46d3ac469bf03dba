"""Any mode file: which kind it is, and what all kinds have."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.mode import MODES, Mode

AnyMode = Mode | AnsweringMode

ANSWERING = ("ai_agent", "help_chat_voice")
"""The modes in which an AI answers."""

_OWN = frozenset(AnsweringMode.model_fields) - frozenset(Mode.model_fields)


def is_mode_file(top: Mapping[str, object]) -> bool:
    """Whether these settings are those of a mode file."""
    return not {"mode", "source_language", "target_language", "base"}.isdisjoint(top)


def kind_of_mode(top: Mapping[str, object]) -> type[Mode] | type[AnsweringMode]:
    """The settings that a mode file with these names has, also when its `mode` is misspelt or left out."""
    written = top.get("mode")
    close = get_close_matches(written, MODES, n=1) if isinstance(written, str) else []
    if close:
        return AnsweringMode if close[0] in ANSWERING else Mode
    return Mode if _OWN.isdisjoint(top) else AnsweringMode
