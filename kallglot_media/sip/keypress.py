"""Keys pressed during a call as INFO requests: old phones and some trunks, with no specification but usage."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.sip.message import Request

RELAY = "application/dtmf-relay"
_PLAIN = "application/dtmf"
_KEYS = frozenset("0123456789*#ABCD")
_BY_NUMBER = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_USUAL_MS = 250
_LONGEST_MS = 60_000


@dataclass(frozen=True, slots=True)
class InfoKey:
    """key: one of 0–9 * # A–D. duration_ms: 250 when the sender does not say."""

    key: str
    duration_ms: int


def key_of(request: Request) -> InfoKey | None:
    """`Signal=5 / Duration=160` or a bare `5`; None when it is neither."""
    if request.content_type not in (RELAY, _PLAIN):
        return None
    text = request.body[:200].decode("utf-8", "replace")
    fields = dict(_field(line) for line in text.splitlines() if "=" in line)
    key = fields.get("signal", text.strip() if not fields else "").upper()
    key = _BY_NUMBER.get(key, key)
    if key not in _KEYS:
        return None
    duration = fields.get("duration", "")
    known = duration.isascii() and duration.isdigit() and len(duration) <= 6
    return InfoKey(key, min(int(duration), _LONGEST_MS) if known else _USUAL_MS)


def body_of(key: str, duration_ms: int) -> bytes:
    """The body of an INFO with RELAY as its type."""
    return f"Signal={key}\r\nDuration={duration_ms}\r\n".encode()


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip().lower(), value.strip()
