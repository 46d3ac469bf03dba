"""Writing session descriptions: offers (RFC 3264 section 5) and the frame that answers share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kallglot_media.sdp.security import offer_protocol, offer_security
from kallglot_media.sdp.text import offered_text
from kallglot_media.sdp.types import COMFORT_NOISE, TELEPHONE_EVENT, Direction, Encoding, MediaAbility, MediaLine


def make_offer(ability: MediaAbility) -> bytes:
    """An offer of one audio line with all codecs of `ability`, best first, and telephone-event; then perhaps text."""
    text = offered_text(ability)
    return write_session(ability, [offered_lines(ability), *([text] if text else [])])


def offered_lines(ability: MediaAbility, *, protocol: str | None = None, rtcp_mux: bool = False) -> list[str]:
    """The audio m-line of our own offers. protocol, rtcp_mux: as the call has them, when this is not the first."""
    protocol = protocol or offer_protocol(ability)
    more = [*offer_security(ability, protocol), *(["a=rtcp-mux"] if rtcp_mux else [])]
    return audio_lines(ability, offered_encodings(ability), protocol=protocol, more=more)


def offered_encodings(ability: MediaAbility) -> list[Encoding]:
    """What our own offer lists: each codec under its usual number, then comfort noise and telephone-event."""
    encodings = [
        Encoding(codec.payload_type, codec.name, codec.clock_hz, codec.channels, codec.fmtp)
        for codec in ability.spoken()
    ]
    if ability.comfort_noise:
        encodings.append(Encoding(COMFORT_NOISE.payload_type, COMFORT_NOISE.name, COMFORT_NOISE.clock_hz))
    if ability.dtmf_payload_type is not None:
        encodings.append(Encoding(ability.dtmf_payload_type, TELEPHONE_EVENT, 8000, fmtp="0-16"))
    return encodings


def audio_lines(
    ability: MediaAbility,
    encodings: Sequence[Encoding],
    *,
    protocol: str = "RTP/AVP",
    direction: Direction | None = None,
    more: Iterable[str] = (),
) -> list[str]:
    """The audio m-line with its attributes; direction: as the ability says unless given; more: whole lines."""
    numbers = " ".join(str(encoding.payload_type) for encoding in encodings)
    lines = [f"m=audio {ability.port} {protocol} {numbers}"]
    for encoding in encodings:
        lines.append(f"a=rtpmap:{encoding.payload_type} {encoding}")
        if encoding.fmtp:
            lines.append(f"a=fmtp:{encoding.payload_type} {encoding.fmtp}")
    lines.append(f"a=ptime:{ability.ptime_ms}")
    lines.append(f"a={direction or Direction.of(sends=ability.send, receives=ability.receive)}")
    lines += more
    return lines


def refused_lines(line: MediaLine) -> list[str]:
    """An m-line that we turn down: "the port number in the corresponding stream MUST be set to zero"."""
    return [f"m={line.kind} 0 {line.protocol} {' '.join(line.formats)}"]


def write_session(ability: MediaAbility, media: Sequence[Sequence[str]]) -> bytes:
    """The whole body: session part of `ability`, then the m-lines. RFC 8866 section 5."""
    family = "IP6" if ":" in ability.host else "IP4"
    lines = [
        "v=0",
        f"o=- {ability.session_id} {ability.session_version} IN {family} {ability.host}",
        "s=-",
        f"c=IN {family} {ability.host}",
        "t=0 0",
        *(line for section in media for line in section),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
