"""The m=text line, RFC 4103 section 10: t140/1000, and red/1000 round it.

A text line never costs the call: what cannot be agreed is answered with port 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kallglot_media.sdp.security import (
    DTLS,
    SDES,
    Security,
    answer_security,
    offer_protocol,
    offer_security,
    read_security,
)
from kallglot_media.sdp.types import (
    Agreed,
    AgreedText,
    Direction,
    Encoding,
    MediaAbility,
    MediaLine,
    NotAcceptable,
    TextAbility,
)

_CLOCK_HZ = 1000
_USUAL_CPS = 30
_MOST_CPS = 1000
_GENERATIONS = 2

Attributes = Iterable[tuple[str, str | None]]


def offered_text(ability: MediaAbility, protocol: str | None = None) -> list[str] | None:
    """The m-line of our own offers; None: there is none. protocol: as the call has it, when this is not the first.

    With DTLS there is none: the handshake of a leg is that of its sound.
    """
    text, protocol = ability.text, protocol or offer_protocol(ability)
    if text is None or protocol.upper() in DTLS or (protocol.upper() in SDES and not ability.offers_keys):
        return None
    security = offer_security(_with_own_keys(ability, text), protocol)
    return _lines(text, protocol, Direction.of(sends=text.sends, receives=text.receives), security)


def answer_text(
    line: MediaLine, session: Attributes, ability: MediaAbility, audio: Agreed, host: str
) -> tuple[list[str], AgreedText]:
    """Our answer to an offered text line, and what it comes to. host: where the peer is. Raises NotAcceptable."""
    text = ability.text
    if text is None:
        raise NotAcceptable(304, "offer has a text line, and no text is sent on this call")
    t140, red = _encodings(line)
    security = answer_security(line, session, _with_own_keys(ability, text))
    _as_secret_as(audio, security)
    ours = replace(text, text_payload_type=t140.payload_type, red_payload_type=red.payload_type if red else None)
    sends, receives = text.sends and line.direction.receives, text.receives and line.direction.sends
    direction = Direction.of(sends=sends, receives=receives)
    agreed = _agreed(line, host, security, t140, red, ours, sends=sends)
    return _lines(ours, line.protocol, direction, security.lines), agreed


def read_text(
    line: MediaLine, session: Attributes, ability: MediaAbility, audio: Agreed, host: str
) -> AgreedText | None:
    """What the peer's answer to our text line comes to; None: nothing. Raises NotAcceptable for what is no answer."""
    text = ability.text
    if text is None or line.kind != "text" or line.port == 0:
        return None
    t140, red = _encodings(line)
    security = read_security(line, session, _with_own_keys(ability, text))
    _as_secret_as(audio, security)
    return _agreed(line, host, security, t140, red, text, sends=text.sends and line.direction.receives)


def _agreed(
    line: MediaLine,
    host: str,
    security: Security,
    t140: Encoding,
    red: Encoding | None,
    ours: TextAbility,
    *,
    sends: bool,
) -> AgreedText:
    return AgreedText(
        remote_host=host,
        remote_port=line.port,
        send_text_payload_type=t140.payload_type,
        send_red_payload_type=red.payload_type if red else None,
        receive_text_payload_type=ours.text_payload_type,
        receive_red_payload_type=ours.red_payload_type if red else None,
        generations=min(_generations(red), _GENERATIONS),
        cps=_cps(t140),
        send=sends and not line.is_held_by_address,
        keys=security.keys,
    )


def _encodings(line: MediaLine) -> tuple[Encoding, Encoding | None]:
    """t140, and red where that is red of t140."""
    by_name = {encoding.name.lower(): encoding for encoding in reversed(line.encodings)}
    t140, red = by_name.get("t140"), by_name.get("red")
    if t140 is None or t140.clock_hz != _CLOCK_HZ:
        theirs = ", ".join(map(str, line.encodings)) or "no format"
        raise NotAcceptable(305, f"the text line has {theirs}; we speak t140/{_CLOCK_HZ}")
    return t140, red if red is not None and red.clock_hz == _CLOCK_HZ and _generations(red) else None


def _generations(red: Encoding | None) -> int:
    """RFC 4103 section 10: `a=fmtp:100 98/98/98` is two generations of 98; without it we take it for those."""
    if red is None:
        return 0
    return red.fmtp.split(";")[0].count("/") if red.fmtp else _GENERATIONS


def _cps(t140: Encoding) -> int:
    """RFC 4103 section 6: 30 when the peer says nothing."""
    for parameter in (t140.fmtp or "").split(";"):
        name, _, value = parameter.strip().partition("=")
        value = value.strip()
        if name.strip().lower() == "cps" and value.isascii() and value.isdigit() and 0 < len(value) <= 6:
            return min(max(1, int(value)), _MOST_CPS)
    return _USUAL_CPS


def _as_secret_as(audio: Agreed, text: Security) -> None:
    if (audio.keys is not None or audio.dtls is not None) and text.keys is None:
        raise NotAcceptable(302, "the sound is encrypted and the text would not be")


def _with_own_keys(ability: MediaAbility, text: TextAbility) -> MediaAbility:
    """RFC 4568 section 6.1: each line has a master key of its own. DTLS is for the sound alone."""
    return replace(ability, crypto=text.crypto, fingerprint=None)


def _lines(text: TextAbility, protocol: str, direction: Direction, more: Iterable[str]) -> list[str]:
    t140, red = text.text_payload_type, text.red_payload_type
    numbers = str(t140) if red is None else f"{red} {t140}"
    lines = [f"m=text {text.port} {protocol} {numbers}", f"a=rtpmap:{t140} t140/{_CLOCK_HZ}"]
    if red is not None:
        generations = "/".join([str(t140)] * (_GENERATIONS + 1))
        lines += [f"a=rtpmap:{red} red/{_CLOCK_HZ}", f"a=fmtp:{red} {generations}"]
    return [*lines, f"a={direction}", *more]
