"""RFC 3264 section 8: re-offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import MediaAbility, NotAcceptable

OURS = MediaAbility("192.0.2.1", 20_000)
PHONE = MediaAbility("192.0.2.9", 30_000)


def version(body: bytes) -> str:
    return (parse_sdp(body).origin or "").split()[2]


def test_the_version_counts_changes_only() -> None:
    session = SdpSession(77)
    first = session.offer(OURS)
    assert (parse_sdp(first).origin or "").startswith("- 77 1 ")
    assert session.offer(OURS) == first
    held = session.offer(replace(OURS, send=False))
    assert version(held) == "2"
    assert version(session.offer(OURS)) == "3"


def test_hold_and_resume_between_two_sessions() -> None:
    ours, phone = SdpSession(1), SdpSession(2)
    answer, agreed = phone.answer(ours.offer(OURS), PHONE)
    assert agreed.send
    assert ours.read_answer(answer).receive
    answer, agreed = ours.answer(phone.offer(replace(PHONE, receive=False)), OURS)
    assert (agreed.send, agreed.receive) == (False, True)
    assert not phone.read_answer(answer).receive
    answer, agreed = ours.answer(phone.offer(PHONE), OURS)
    assert (agreed.send, agreed.receive) == (True, True)
    assert version(answer) == "3"


def test_our_offer_after_theirs_keeps_their_lines_in_place() -> None:
    """RFC 3264 8: "the offer MUST contain at least as many m-lines"; a refused one stays refused."""
    session = SdpSession(1)
    session.answer(
        b"v=0\nc=IN IP4 192.0.2.9\nm=video 1 RTP/AVP 97\nm=audio 2 RTP/AVP 0 96\na=rtpmap:96 telephone-event/8000\n",
        OURS,
    )
    video, audio = parse_sdp(session.offer(OURS)).media
    assert (video.kind, video.port) == ("video", 0)
    assert (audio.kind, audio.port, audio.formats) == ("audio", 20_000, ("0", "8", "96"))
    answer = b"v=0\nc=IN IP4 192.0.2.9\nm=video 0 RTP/AVP 97\nm=audio 2 RTP/AVP 8\n"
    assert session.read_answer(answer).codec == "PCMA"


def test_a_refused_re_offer_changes_nothing() -> None:
    session = SdpSession(1)
    offer = b"v=0\nc=IN IP4 192.0.2.9\nm=audio 2 RTP/AVP 0\n"
    before, _ = session.answer(offer, OURS)
    with pytest.raises(NotAcceptable):
        session.answer(b"v=0\nc=IN IP4 192.0.2.9\nm=audio 2 RTP/AVP 18\n", OURS)
    assert session.answer(offer, OURS)[0] == before


def test_reading_an_answer_to_nothing_is_our_mistake() -> None:
    with pytest.raises(RuntimeError, match="without an offer"):
        SdpSession(1).read_answer(b"v=0\n")
