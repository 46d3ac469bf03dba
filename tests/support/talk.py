"""Conversations for tests, written as they are read: "0.0-2.5 customer de Guten Tag | en Good day"."""

from __future__ import annotations

import re

from kallglot_media.store.turns import Turn

_LINE = re.compile(r"([\d.]+)-([\d.]+)(?:>([\d.]+))? +(\w+) +(\w\w) (.*?)(?: \| (\w\w) (.*))?$")


def talk(text: str, session_id: str = "sess_1") -> list[Turn]:
    """start-end[>translation heard from] speaker language words [| language translation]; times in seconds."""
    turns = []
    for sequence, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
        match = _LINE.match(line)
        assert match, line
        start, end, heard, speaker, language, words, other, translation = match.groups()
        turns.append(
            Turn(
                session_id,
                sequence,
                speaker,
                language,
                words,
                other,
                translation,
                round(1000 * float(start)),
                round(1000 * float(end)),
                first_sample_ms=round(1000 * float(heard)) if heard else None,
            )
        )
    return turns
