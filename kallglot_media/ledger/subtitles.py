"""A transcript as text and as subtitles: plain text, SubRip (SRT) and WebVTT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kallglot_media.store.turns import Turn

SHORTEST_CUE_MS = 500
"""Some players show nothing of a cue that is shorter."""


def as_text(turns: Sequence[Turn], *, translations: bool = True) -> str:
    """One line for each turn, its translation below it.

    [00:00:03] customer (de): Guten Tag
                        → en: Good day
    """
    lines: list[str] = []
    for turn in turns:
        head = f"[{_clock(turn.start_ms)}] {turn.speaker} ({turn.language}): "
        lines.append(head + _flat(turn.text))
        if translations and turn.translation_text is not None:
            lines.append(
                f"{'→ ' + (turn.translation_language or '?'):>{len(head) - 2}}: {_flat(turn.translation_text)}"
            )
    return "".join(line + "\n" for line in lines)


def as_srt(turns: Sequence[Turn], *, translations: bool = True) -> str:
    """SubRip: numbered cues, times with a comma. An arrow in what was said would read as a time: it loses its head."""
    cues = []
    for number, turn in enumerate(turns, 1):
        start_ms, end_ms = _times(turn)
        lines = [f"{turn.speaker}: {_flat(turn.text)}", *_translated(turn, translations)]
        text = "\n".join(line.replace("-->", "--") for line in lines)
        cues.append(f"{number}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n{text}\n")
    return "\n".join(cues)


def as_vtt(turns: Sequence[Turn], *, translations: bool = True) -> str:
    """WebVTT: who speaks stands in a voice tag, so that a page may colour it."""
    cues = ["WEBVTT\n"]
    for turn in turns:
        start_ms, end_ms = _times(turn)
        lines = [f"<v {turn.speaker}>{_escaped(_flat(turn.text))}"]
        lines += [f"<i>{_escaped(line)}</i>" for line in _translated(turn, translations)]
        text = "\n".join(lines)
        cues.append(f"{turn.sequence}\n{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}\n{text}\n")
    return "\n".join(cues)


def _translated(turn: Turn, wanted: bool) -> Iterator[str]:
    flat = _flat(turn.translation_text or "")
    if wanted and flat:
        yield flat


def _times(turn: Turn) -> tuple[int, int]:
    return turn.start_ms, max(turn.end_ms, turn.start_ms + SHORTEST_CUE_MS)


def _clock(ms: int, point: str | None = None) -> str:
    """_clock(3_723_004) == "01:02:03", _clock(3_723_004, ",") == "01:02:03,004" """
    seconds, rest_ms = divmod(ms, 1000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text if point is None else f"{text}{point}{rest_ms:03d}"


def _flat(text: str) -> str:
    """On one line: an empty one would end the cue."""
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
