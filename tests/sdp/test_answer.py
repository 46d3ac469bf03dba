"""RFC 3264: what an offer, and an answer to ours, comes to."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.media.messages import SetRemote
from kallglot_media.sdp.answer import make_answer, read_answer
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.types import Agreed, Direction, MediaAbility, NotAcceptable, SdpError

OURS = MediaAbility("192.0.2.1", 20_000)
PHONE = MediaAbility("192.0.2.9", 30_000)


def offer(*lines: str, c: str = "c=IN IP4 192.0.2.9") -> bytes:
    return "\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", c, "t=0 0", *lines, ""]).encode()


def refused(body: bytes, ability: MediaAbility = OURS) -> NotAcceptable:
    with pytest.raises(NotAcceptable) as caught:
        make_answer(body, ability)
    return caught.value


def test_two_of_us_agree() -> None:
    offered = make_offer(OURS)
    answered, theirs = make_answer(offered, PHONE)
    ours = read_answer(OURS, answered)
    assert ours == Agreed("192.0.2.9", 30_000, "PCMU", 0, 0, 101, 101)
    assert theirs == Agreed("192.0.2.1", 20_000, "PCMU", 0, 0, 101, 101)
    values = asdict(ours)
    assert values.pop("text") is None
    assert SetRemote("leg", *values.values()).ptime_ms == 20


def test_the_offerers_order_wins() -> None:
    body, agreed = make_answer(offer("m=audio 4000 RTP/AVP 18 8 0"), OURS)
    assert agreed.codec == "PCMA"
    line = parse_sdp(body).media[0]
    assert line.formats == ("8",)
    assert agreed.dtmf_send_payload_type is None


def test_comfort_noise_is_agreed_to_where_both_want_it_and_the_codec_is_g711() -> None:
    """RFC 3389 section 4, and RFC 3551: number 13 means it without an rtpmap."""
    noisy = replace(OURS, comfort_noise=True)
    for lines, wanted in (
        (["m=audio 4000 RTP/AVP 0 13"], True),
        (["m=audio 4000 RTP/AVP 8 13 101", "a=rtpmap:13 CN/8000", "a=rtpmap:101 telephone-event/8000"], True),
        (["m=audio 4000 RTP/AVP 0"], False),
        (["m=audio 4000 RTP/AVP 9 13", "a=rtpmap:9 G722/8000"], False),
        (["m=audio 4000 RTP/AVP 0 98", "a=rtpmap:98 CN/16000"], False),
    ):
        body, agreed = make_answer(offer(*lines), replace(noisy, codecs=("G722", "PCMU", "PCMA")))
        assert agreed.comfort_noise is wanted, lines
        assert ("13" in parse_sdp(body).media[0].formats) is wanted, lines
    body, agreed = make_answer(offer("m=audio 4000 RTP/AVP 0 13"), OURS)
    assert not agreed.comfort_noise
    assert parse_sdp(body).media[0].formats == ("0",)


def test_comfort_noise_is_offered_and_the_answer_decides() -> None:
    noisy = replace(OURS, comfort_noise=True)
    assert parse_sdp(make_offer(OURS)).media[0].formats == ("0", "8", "101")
    assert parse_sdp(make_offer(noisy)).media[0].formats == ("0", "8", "13", "101")
    for phone, wanted in ((replace(PHONE, comfort_noise=True), True), (PHONE, False)):
        answered, theirs = make_answer(make_offer(noisy), phone)
        assert read_answer(noisy, answered).comfort_noise is theirs.comfort_noise is wanted


def test_a_static_codec_under_a_dynamic_number() -> None:
    _, agreed = make_answer(offer("m=audio 4000 RTP/AVP 98", "a=rtpmap:98 pcma/8000"), OURS)
    assert (agreed.codec, agreed.send_payload_type, agreed.receive_payload_type) == ("PCMA", 98, 98)


def test_telephone_event_of_the_same_clock_is_taken_or_else_any() -> None:
    two = offer("m=audio 4000 RTP/AVP 0 96 97", "a=rtpmap:96 telephone-event/48000", "a=rtpmap:97 telephone-event/8000")
    assert make_answer(two, OURS)[1].dtmf_send_payload_type == 97
    odd = offer("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/16000")
    body, agreed = make_answer(odd, OURS)
    assert agreed.dtmf_receive_payload_type == 96
    assert b"a=rtpmap:96 telephone-event/16000\r\n" in body
    assert make_answer(two, replace(OURS, dtmf_payload_type=None))[1].dtmf_send_payload_type is None


def test_several_lines_first_usable_audio_is_taken_the_others_get_port_zero() -> None:
    body, agreed = make_answer(
        offer(
            "m=video 5000 RTP/AVP 97",
            "m=audio 0 RTP/AVP 0",
            "m=audio 5002 RTP/SAVP 0",
            "m=audio 5004 RTP/AVP 0",
            "m=audio 5006 RTP/AVP 8",
        ),
        OURS,
    )
    answered = parse_sdp(body).media
    assert [line.port for line in answered] == [0, 0, 0, 20_000, 0]
    assert [line.protocol for line in answered] == ["RTP/AVP", "RTP/AVP", "RTP/SAVP", "RTP/AVP", "RTP/AVP"]
    assert agreed.remote_port == 5004


@pytest.mark.parametrize(
    ("offered", "answered", "send", "receive"),
    [
        ("sendrecv", Direction.SENDRECV, True, True),
        ("sendonly", Direction.RECVONLY, False, True),
        ("recvonly", Direction.SENDONLY, True, False),
        ("inactive", Direction.INACTIVE, False, False),
    ],
)
def test_directions_of_an_offer(offered: str, answered: Direction, send: bool, receive: bool) -> None:
    """RFC 3264 6.1 and 8.4."""
    body, agreed = make_answer(offer("m=audio 4000 RTP/AVP 0", f"a={offered}"), OURS)
    assert parse_sdp(body).media[0].direction is answered
    assert (agreed.send, agreed.receive) == (send, receive)


@pytest.mark.parametrize("answered", list(Direction))
def test_directions_of_an_answer(answered: Direction) -> None:
    body, _ = make_answer(make_offer(OURS), replace(PHONE, send=answered.sends, receive=answered.receives))
    ours = read_answer(OURS, body)
    assert (ours.send, ours.receive) == (answered.receives, answered.sends)


def test_what_we_hold_stays_held_whatever_the_peer_answers() -> None:
    held = replace(OURS, send=False)
    assert b"a=recvonly\r\n" in make_offer(held)
    assert not read_answer(held, make_answer(make_offer(OURS), PHONE)[0]).send


def test_hold_by_the_zero_address() -> None:
    """RFC 3264 8.4: c=0.0.0.0 "means that neither RTP nor RTCP should be sent to the peer"."""
    body, agreed = make_answer(offer("m=audio 4000 RTP/AVP 0", c="c=IN IP4 0.0.0.0"), OURS)
    assert (agreed.send, agreed.receive) == (False, True)
    assert parse_sdp(body).media[0].direction is Direction.RECVONLY


def test_ipv6() -> None:
    six = MediaAbility("2001:db8::1", 20_000)
    body, agreed = make_answer(offer("m=audio 4000 RTP/AVP 0", c="c=IN IP6 2001:DB8:0::9"), six)
    assert agreed.remote_host == "2001:db8::9"
    assert b"c=IN IP6 2001:db8::1\r\n" in body


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:60", "a=maxptime:40"), 40),
        (("a=maxptime:10",), 10),
        (("a=ptime:x",), 20),
    ],
)
def test_the_ptime_the_peer_wishes(lines: tuple[str, ...], ptime_ms: int) -> None:
    assert make_answer(offer("m=audio 4000 RTP/AVP 0", *lines), OURS)[1].ptime_ms == ptime_ms


def test_codecs_that_do_not_meet() -> None:
    reason = refused(offer("m=audio 4000 RTP/AVP 18 96 101", "a=rtpmap:101 telephone-event/8000"))
    assert reason.warning() == ('305 kallglot "offer has G729/8000, payload type 96; we speak PCMU/8000, PCMA/8000"')


def test_only_srtp_is_offered() -> None:
    reason = refused(offer("m=audio 4000 RTP/SAVP 0"))
    assert (reason.code, reason.text) == (302, "offer has RTP/SAVP; we speak RTP/AVP")


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (offer("m=video 4000 RTP/AVP 97"), 304, "offer has video 4000"),
        (offer(), 304, "offer has no media"),
        (offer("m=audio 4000 RTP/AVP 0", c="a=x"), 301, "no c= line"),
        (offer("m=audio 4000 RTP/AVP 0", c="c=IN IP4 phone.example"), 301, "the name phone.example"),
        (offer("m=audio 4000 RTP/AVP 0", c="c=IN IP6 2001:db8::1"), 301, "IPv6 address"),
        (offer("m=audio 4000 RTP/AVP 0", c="c=IN IP4 224.0.1.1/1"), 301, "multicast"),
    ],
)
def test_other_reasons_to_refuse(body: bytes, code: int, text: str) -> None:
    reason = refused(body)
    assert reason.code == code
    assert text in reason.text


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (offer("m=audio 0 RTP/AVP 0"), 304),
        (offer(), 304),
        (offer("m=video 1 RTP/AVP 97"), 304),
        (offer("m=audio 4000 RTP/AVP 9"), 305),
    ],
)
def test_answers_that_come_to_nothing(answer: bytes, code: int) -> None:
    with pytest.raises(NotAcceptable) as caught:
        read_answer(OURS, answer)
    assert caught.value.code == code


def test_an_answer_with_its_own_dynamic_numbers() -> None:
    """RFC 3264 6.1: each side says which numbers it wants to receive."""
    body = offer("m=audio 4000 RTP/AVP 8 99", "a=rtpmap:99 telephone-event/8000")
    agreed = read_answer(OURS, body)
    assert (agreed.dtmf_send_payload_type, agreed.dtmf_receive_payload_type) == (99, 101)
    assert (agreed.send_payload_type, agreed.receive_payload_type) == (8, 8)


def test_the_warning_is_a_quoted_string() -> None:
    assert NotAcceptable(399, 'say "a\\b"').warning("x") == '399 x "say \\"a\\\\b\\""'
    assert NotAcceptable(305, "offer has \x1b[2J\u00e9").warning("x") == '305 x "offer has ?[2J?"'


TOKENS = some.sampled_from(
    [
        "m=audio 4000 RTP/AVP 0 101",
        "m=audio 0 RTP/AVP 0",
        "m=video 1 RTP/AVP 97",
        "a=sendonly",
        "a=rtpmap:101 telephone-event/8000",
        "c=IN IP4 192.0.2.7",
        "c=IN IP6 ::1",
        "a=rtpmap:0 opus/48000/2",
        "m=audio 9 RTP/SAVPF 0",
        "a=ptime:0",
        "m=image 1 udptl t38",
    ]
)


@given(some.lists(TOKENS, max_size=12))
def test_every_answer_has_the_offers_lines_and_can_be_read(lines: list[str]) -> None:
    body = offer(*lines)
    try:
        answered, agreed = make_answer(body, OURS)
    except (NotAcceptable, SdpError):
        return
    theirs = parse_sdp(body).media
    ours = parse_sdp(answered).media
    assert [line.kind for line in ours] == [line.kind for line in theirs]
    assert sum(line.port != 0 for line in ours) == 1
    assert 0 < agreed.remote_port < 65_536
