"""The m=text line in offers and answers, RFC 4103 section 10."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kallglot_media.sdp.answer import make_answer, read_answer
from kallglot_media.sdp.crypto import SUITES, Crypto
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import AgreedText, MediaAbility, Srtp, TextAbility

SUITE = "AES_CM_128_HMAC_SHA1_80"


def keys(first: int) -> tuple[Crypto, ...]:
    return (Crypto(1, SUITE, bytes(range(first, first + SUITES[SUITE]))),)


OURS = MediaAbility("192.0.2.1", 20_000, crypto=keys(0), text=TextAbility(20_002, keys(100)))
PHONE = MediaAbility(
    "192.0.2.9", 30_000, crypto=keys(50), text=TextAbility(30_002, keys(150), sends=False, receives=True)
)
AUDIO = ("m=audio 4000 RTP/AVP 0",)
TEXT = ("m=text 4002 RTP/AVP 97 96", "a=rtpmap:96 t140/1000", "a=rtpmap:97 red/1000", "a=fmtp:97 96/96/96")


def offer(*lines: str) -> bytes:
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0")
    return ("\r\n".join((*head, *lines)) + "\r\n").encode()


def text_lines(body: bytes) -> list[str]:
    lines = body.decode().split("\r\n")
    start = next(n for n, line in enumerate(lines) if line.startswith("m=text"))
    return lines[start:-1]


def test_our_offer_line_by_line() -> None:
    assert text_lines(make_offer(OURS)) == [
        "m=text 20002 RTP/AVP 100 98",
        "a=rtpmap:98 t140/1000",
        "a=rtpmap:100 red/1000",
        "a=fmtp:100 98/98/98",
        "a=sendonly",
    ]
    assert b"m=text" not in make_offer(replace(OURS, text=None))


def test_two_of_us_agree_on_text() -> None:
    answered, theirs = make_answer(make_offer(OURS), PHONE)
    ours = read_answer(OURS, answered)
    assert ours.text == AgreedText("192.0.2.9", 30_002, 98, 100, 98, 100)
    assert theirs.text == AgreedText("192.0.2.1", 20_002, 98, 100, 98, 100, send=False)
    assert text_lines(answered)[-1] == "a=recvonly"


def test_an_offered_text_line_is_agreed_to_under_its_own_numbers() -> None:
    body, agreed = make_answer(offer(*AUDIO, *TEXT), OURS)
    assert text_lines(body) == ["m=text 20002 RTP/AVP 97 96", *TEXT[1:], "a=sendonly"]
    assert agreed.text == AgreedText("192.0.2.9", 4002, 96, 97, 96, 97)


def test_a_session_without_subtitles_turns_it_down_as_ever() -> None:
    body, agreed = make_answer(offer(*AUDIO, *TEXT), replace(OURS, text=None))
    assert text_lines(body) == ["m=text 0 RTP/AVP 97 96"]
    assert agreed.text is None


@pytest.mark.parametrize(
    ("text", "red", "cps", "send"),
    [
        (("m=text 4 RTP/AVP 96", "a=rtpmap:96 T140/1000", "a=fmtp:96 cps=50"), None, 50, True),
        (("m=text 4 RTP/AVP 97 96", *TEXT[1:], "a=fmtp:96 cps=0;x"), 97, 1, True),
        (("m=text 4 RTP/AVP 97 96", "a=rtpmap:96 t140/1000", "a=rtpmap:97 red/8000"), None, 30, True),
        (("m=text 4 RTP/AVP 96", "a=rtpmap:96 t140/1000", "a=fmtp:96 cps=lots", "a=sendonly"), None, 30, False),
        (("m=text 4 RTP/AVP 96", "a=rtpmap:96 t140/1000", "c=IN IP4 0.0.0.0"), None, 30, False),
    ],
)
def test_what_phones_write(text: tuple[str, ...], red: int | None, cps: int, send: bool) -> None:
    _, agreed = make_answer(offer(*AUDIO, *text), OURS)
    assert agreed.text is not None
    assert (agreed.text.send_red_payload_type, agreed.text.cps, agreed.text.send) == (red, cps, send)


@pytest.mark.parametrize(
    "text",
    [
        ("m=text 4 RTP/AVP 96", "a=rtpmap:96 t140/8000"),
        ("m=text 4 RTP/AVP 96",),
        ("m=text 4 TCP/MSRP *",),
        ("m=text 4 RTP/AVP 96", "a=rtpmap:96 t140/1000", "c=IN IP4 text.example"),
        ("m=text 4 RTP/SAVP 96", "a=rtpmap:96 t140/1000"),
        ("m=text 4 UDP/TLS/RTP/SAVP 96", "a=rtpmap:96 t140/1000", "a=fingerprint:sha-256 00:11"),
        ("m=text 0 RTP/AVP 96", "a=rtpmap:96 t140/1000"),
    ],
)
def test_a_text_line_that_cannot_be_done_does_not_cost_the_call(text: tuple[str, ...]) -> None:
    body, agreed = make_answer(offer(*AUDIO, *text), OURS)
    assert agreed.codec == "PCMU"
    assert agreed.text is None
    assert parse_sdp(body).media[1].port == 0


def test_the_second_text_line_may_be_the_one() -> None:
    body, agreed = make_answer(offer(*AUDIO, "m=text 4 TCP/MSRP *", *TEXT), OURS)
    assert [line.port for line in parse_sdp(body).media] == [20_000, 0, 20_002]
    assert agreed.text is not None


@pytest.mark.parametrize(
    "text",
    [
        (),
        ("m=text 0 RTP/AVP 98",),
        ("m=video 4 RTP/AVP 98",),
        ("m=text 4 RTP/AVP 98",),
        ("m=text 4 RTP/AVP 98", "a=rtpmap:98 t140/1000", "c=IN IP6 ::1"),
    ],
)
def test_an_answer_without_text_is_an_answer(text: tuple[str, ...]) -> None:
    agreed = read_answer(OURS, offer(*AUDIO, *text))
    assert agreed.codec == "PCMU"
    assert agreed.text is None


def test_encrypted_sound_has_encrypted_text_or_none() -> None:
    secret = replace(OURS, srtp=Srtp.REQUIRED), replace(PHONE, srtp=Srtp.REQUIRED)
    answered, theirs = make_answer(make_offer(secret[0]), secret[1])
    ours = read_answer(secret[0], answered)
    assert ours.text is not None
    assert theirs.text is not None
    assert ours.keys is not None
    assert ours.text.keys is not None
    assert theirs.text.keys is not None
    assert ours.text.keys.send_key == theirs.text.keys.receive_key == keys(100)[0].key
    assert ours.text.keys.send_key != ours.keys.send_key, "a line has keys of its own, RFC 4568"
    plain = "\r\n".join(line for line in answered.decode().split("\r\n"))
    head, _, tail = plain.partition("m=text 30002 RTP/SAVP")
    naked = head + "m=text 30002 RTP/AVP" + "\r\n".join(line for line in tail.split("\r\n") if "crypto" not in line)
    assert read_answer(secret[0], naked.encode()).text is None
    optional = replace(OURS, srtp=Srtp.OPTIONAL)
    crypto = f"a=crypto:{keys(7)[0]}"
    body, agreed = make_answer(offer(*AUDIO, crypto, *TEXT), optional)
    assert agreed.keys is not None
    assert agreed.text is None
    assert parse_sdp(body).media[1].port == 0


def test_re_offers_keep_the_lines_place_and_numbers() -> None:
    session = SdpSession(1)
    first = session.offer(OURS)
    answered, _ = make_answer(first, PHONE)
    assert session.read_answer(answered).text is not None
    held = session.offer(replace(OURS, receive=False))
    assert [(line.kind, line.port) for line in parse_sdp(held).media] == [("audio", 20_000), ("text", 20_002)]
    _, agreed = session.answer(offer(*AUDIO, "m=video 6000 RTP/AVP 99", *TEXT), OURS)
    assert agreed.text is not None
    again = session.offer(OURS)
    assert [(line.kind, line.port) for line in parse_sdp(again).media] == [
        ("audio", 20_000),
        ("video", 0),
        ("text", 20_002),
    ]
    assert text_lines(again)[0] == "m=text 20002 RTP/AVP 97 96", "numbers never change their meaning"
    refreshed = session.read_answer(offer(*AUDIO, "m=video 0 RTP/AVP 99", *TEXT))
    assert refreshed.text == agreed.text


def test_a_line_that_was_not_there_comes_after_all_others() -> None:
    session = SdpSession(1)
    session.answer(offer(*AUDIO, "m=video 6000 RTP/AVP 99"), OURS)
    assert [line.kind for line in parse_sdp(session.offer(OURS)).media] == ["audio", "video", "text"]
