"""Answering an offer and reading an answer, RFC 3264 sections 6, 7 and 8."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kallglot_media.sdp.offer import audio_lines, offered_encodings, refused_lines, write_session
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.security import Attributes, answer_security, read_security
from kallglot_media.sdp.text import answer_text, read_text
from kallglot_media.sdp.types import (
    COMFORT_NOISE,
    LAWS,
    TELEPHONE_EVENT,
    Agreed,
    AgreedText,
    Codec,
    Direction,
    Encoding,
    MediaAbility,
    MediaLine,
    NotAcceptable,
    SessionDescription,
)

_USUAL_PTIME_MS = 20


def make_answer(offer: bytes, ability: MediaAbility) -> tuple[bytes, Agreed]:
    """The answer to `offer` and what it comes to.

    The first audio line that we can do is taken, with the first codec of the
    offerer's order that we speak, unless ability.follows_peer is False; where ability.text is set, the first text line
    that we can do is taken as well. Every other m-line is answered with port 0.
    Raises SdpError for bytes that are not SDP, NotAcceptable when no line can be done.
    """
    description = parse_sdp(offer)
    answer = answer_media(description, ability)
    return write_session(ability, answer.sections), answer.agreed


def read_answer(ability: MediaAbility, answer: bytes, *, audio_index: int = 0, text_index: int | None = 1) -> Agreed:
    """What the peer's answer to our `make_offer(ability)` comes to.

    audio_index, text_index  which m-lines of our offer were those of sound and text
    Raises SdpError, or NotAcceptable when the answer turns our audio down or picks what we did not offer.
    """
    description = parse_sdp(answer)
    media = description.media
    if audio_index >= len(media):
        raise NotAcceptable(304, f"the answer has {len(media)} m-lines, our offer had audio in line {audio_index + 1}")
    line = media[audio_index]
    if line.kind != "audio" or line.port == 0:
        raise NotAcceptable(304, "the answer turned our audio line down")
    offered = offered_encodings(ability)
    host = _reachable_host(line, ability, "answer")
    picked, codec = _pick(line, replace(ability, follows_peer=True), "answer")
    ours = next(encoding for encoding in offered if encoding.is_codec(codec))
    security = read_security(line, description.attributes, ability)
    dtmf = _pick_dtmf(line.encodings, codec) if ability.dtmf_payload_type is not None else None
    agreed = Agreed(
        remote_host=host,
        remote_port=line.port,
        codec=codec.name,
        send_payload_type=picked.payload_type,
        receive_payload_type=ours.payload_type,
        dtmf_send_payload_type=dtmf.payload_type if dtmf else None,
        dtmf_receive_payload_type=ability.dtmf_payload_type if dtmf else None,
        ptime_ms=_wished_ptime_ms(line),
        send=ability.send and line.direction.receives and not line.is_held_by_address,
        receive=ability.receive and line.direction.sends,
        dtmf_clock_hz=dtmf.clock_hz if dtmf else 8000,
        keys=security.keys,
        dtls=security.dtls,
        rtcp_mux=line.has("rtcp-mux"),
        rtcp_port=_rtcp_port(line),
        comfort_noise=_takes_comfort_noise(line.encodings, codec, ability),
    )
    return replace(agreed, text=_read_text(description, ability, agreed, text_index))


def _read_text(
    description: SessionDescription, ability: MediaAbility, audio: Agreed, index: int | None
) -> AgreedText | None:
    """A text line that cannot be used costs the text, not the call."""
    if ability.text is None or index is None or index >= len(description.media):
        return None
    line = description.media[index]
    try:
        return read_text(line, description.attributes, ability, audio, _reachable_host(line, ability, "answer"))
    except NotAcceptable:
        return None


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """sections: the m-lines of the answer; audio_index, text_index: which of them are in use for sound and text."""

    sections: list[list[str]]
    audio_index: int
    agreed: Agreed
    text_index: int | None = None


def answer_media(description: SessionDescription, ability: MediaAbility) -> MediaAnswer:
    """The m-lines of the answer, one for each of the offer. RFC 3264 section 6.

    When no line can be done, the NotAcceptable of the first audio line is raised: it says most.
    """
    first_reason: NotAcceptable | None = None
    for index, line in enumerate(description.media):
        if line.kind != "audio" or line.port == 0:
            continue
        try:
            section, agreed = _answer_audio(line, description.attributes, ability)
        except NotAcceptable as reason:
            first_reason = first_reason or reason
            continue
        sections = [refused_lines(other) for other in description.media]
        sections[index] = section
        return _with_text(MediaAnswer(sections, index, agreed), description, ability)
    if first_reason is not None:
        raise first_reason
    kinds = ", ".join(f"{line.kind} {line.port}" for line in description.media) or "no media"
    raise NotAcceptable(304, f"offer has {kinds}; we need an audio line with a port")


def _with_text(answer: MediaAnswer, description: SessionDescription, ability: MediaAbility) -> MediaAnswer:
    """The answer, with the first text line that we can do."""
    for index, line in enumerate(description.media):
        if ability.text is None or line.kind != "text" or line.port == 0:
            continue
        try:
            host = _reachable_host(line, ability, "offer")
            section, text = answer_text(line, description.attributes, ability, answer.agreed, host)
        except NotAcceptable:
            continue
        answer.sections[index] = section
        return replace(answer, agreed=replace(answer.agreed, text=text), text_index=index)
    return answer


def _answer_audio(line: MediaLine, session: Attributes, ability: MediaAbility) -> tuple[list[str], Agreed]:
    security = answer_security(line, session, ability)
    host = _reachable_host(line, ability, "offer")
    picked, codec = _pick(line, ability, "offer")
    dtmf = _pick_dtmf(line.encodings, codec) if ability.dtmf_payload_type is not None else None
    # RFC 3264 6.1: what the offerer only sends we can only receive, and the other way round.
    send = ability.send and line.direction.receives and not line.is_held_by_address
    receive = ability.receive and line.direction.sends
    encodings = [Encoding(picked.payload_type, codec.name, codec.clock_hz, codec.channels, codec.fmtp)]
    noise = _takes_comfort_noise(line.encodings, codec, ability)
    if noise:
        encodings.append(Encoding(COMFORT_NOISE.payload_type, COMFORT_NOISE.name, COMFORT_NOISE.clock_hz))
    if dtmf is not None:
        encodings.append(Encoding(dtmf.payload_type, TELEPHONE_EVENT, dtmf.clock_hz, fmtp="0-16"))
    direction = Direction.of(sends=send, receives=receive)
    number = dtmf.payload_type if dtmf else None
    agreed = Agreed(
        remote_host=host,
        remote_port=line.port,
        codec=codec.name,
        send_payload_type=picked.payload_type,
        receive_payload_type=picked.payload_type,
        dtmf_send_payload_type=number,
        dtmf_receive_payload_type=number,
        ptime_ms=_wished_ptime_ms(line),
        send=send,
        receive=receive,
        dtmf_clock_hz=dtmf.clock_hz if dtmf else 8000,
        keys=security.keys,
        dtls=security.dtls,
        rtcp_mux=line.has("rtcp-mux"),
        rtcp_port=_rtcp_port(line),
        comfort_noise=noise,
    )
    more = (*security.lines, *(("a=rtcp-mux",) if agreed.rtcp_mux else ()))
    return audio_lines(ability, encodings, protocol=line.protocol, direction=direction, more=more), agreed


def _reachable_host(line: MediaLine, ability: MediaAbility, what: str) -> str:
    """Where RTP goes; an address that we cannot send to is refused with what it is."""
    if line.host is None:
        raise NotAcceptable(301, f"{what} has no c= line")
    try:
        address = ipaddress.ip_address(line.host)
    except ValueError:
        raise NotAcceptable(301, f"{what} has the name {line.host} in c=; we need an address") from None
    if line.is_held_by_address:
        return str(address)
    ours = ipaddress.ip_address(ability.host)
    if address.version != ours.version:
        raise NotAcceptable(301, f"{what} has the IPv{address.version} address {address}; we have IPv{ours.version}")
    if address.is_multicast:
        raise NotAcceptable(301, f"{what} has the multicast address {address}; we need a unicast one")
    return str(address)


def _pick(line: MediaLine, ability: MediaAbility, what: str) -> tuple[Encoding, Codec]:
    """The first encoding in the peer's order that we speak, or in ours, whatever number it has."""
    spoken = ability.spoken()
    fitting = [(encoding, codec) for encoding in line.encodings for codec in spoken if encoding.is_codec(codec)]
    if fitting:
        return fitting[0] if ability.follows_peer else min(fitting, key=lambda pair: spoken.index(pair[1]))
    theirs = ", ".join(str(encoding) for encoding in line.encodings if encoding.name.lower() != TELEPHONE_EVENT)
    raise NotAcceptable(305, f"{what} has {theirs or 'no codec'}; we speak {', '.join(map(str, spoken))}")


def _pick_dtmf(encodings: Iterable[Encoding], codec: Codec) -> Encoding | None:
    """telephone-event on the codec's clock, or else on any (RFC 4733 2.1 wants the same; phones differ)."""
    events = [encoding for encoding in encodings if encoding.name.lower() == TELEPHONE_EVENT]
    return next((event for event in events if event.clock_hz == codec.clock_hz), events[0] if events else None)


def _takes_comfort_noise(encodings: Iterable[Encoding], codec: Codec, ability: MediaAbility) -> bool:
    """Whether the peer lists it, under its own number, for a codec that goes with it. RFC 3389 section 4."""
    if not ability.comfort_noise or codec.name not in LAWS:
        return False
    return any(one.payload_type == COMFORT_NOISE.payload_type and one.is_codec(COMFORT_NOISE) for one in encodings)


def _rtcp_port(line: MediaLine) -> int | None:
    """RFC 3605: a=rtcp:<port> [address]; another address than that of RTP is not followed."""
    value = line.value("rtcp")
    port = value.split()[0] if value else ""
    return int(port) if port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535 else None


def _wished_ptime_ms(line: MediaLine) -> int:
    wished = line.ptime_ms or _USUAL_PTIME_MS
    return min(wished, line.maxptime_ms) if line.maxptime_ms else wished
