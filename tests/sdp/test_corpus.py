"""Offers as phones, PBXs and carriers write them (corpus/, written after their manner), and our answer to each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kallglot_media.sdp.answer import make_answer
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.types import LAWS, MediaAbility, NotAcceptable, Srtp

CORPUS = Path(__file__).parent / "corpus"
OURS = MediaAbility("192.0.2.10", 30_000, LAWS)
OURS_6 = MediaAbility("2001:db8::1", 30_000, LAWS)


@dataclass(frozen=True)
class Want:
    """to: host and port of the peer's RTP; dtmf: payload type and clock; line: our audio m-line; index: which it is."""

    to: tuple[str, int]
    codec: str
    line: str
    dtmf: tuple[int, int] | None = None
    ptime_ms: int = 20
    direction: str = "sendrecv"
    index: int = 0
    ours: MediaAbility = OURS


ANSWERED = {
    "baresip": Want(("192.0.2.20", 10000), "PCMU", "audio 30000 RTP/AVP 0 97", (97, 8000)),
    "linphone": Want(("192.0.2.21", 7078), "PCMU", "audio 30000 RTP/AVPF 0 100", (100, 8000)),
    "asterisk": Want(("192.0.2.22", 14566), "PCMA", "audio 30000 RTP/AVP 8 101", (101, 8000)),
    "freeswitch": Want(("192.0.2.23", 25788), "PCMU", "audio 30000 RTP/AVP 0 101", (101, 8000)),
    "cisco_like_desk_phone": Want(("192.0.2.24", 24576), "PCMU", "audio 30000 RTP/AVP 0 101", (101, 8000)),
    "cisco_like_gateway_without_rtpmap": Want(("192.0.2.25", 17020), "PCMA", "audio 30000 RTP/AVP 8"),
    "yealink_like": Want(("192.0.2.26", 11796), "PCMA", "audio 30000 RTP/AVP 8 101", (101, 8000)),
    "snom_like_with_optional_keys": Want(("192.0.2.27", 57192), "PCMU", "audio 30000 RTP/AVP 0 101", (101, 8000)),
    "carrier_sbc_with_comfort_noise": Want(
        ("198.51.100.7", 33162), "PCMA", "audio 30000 RTP/AVP 8 118", (118, 8000), ptime_ms=30
    ),
    "carrier_port_range_and_multiple_audio": Want(("198.51.100.8", 20010), "PCMA", "audio 30000 RTP/AVP 8", index=2),
    "hold_by_zero_address": Want(("0.0.0.0", 49170), "PCMU", "audio 30000 RTP/AVP 0", direction="recvonly"),
    "hold_sendonly_at_session_level": Want(
        ("192.0.2.28", 49170), "PCMA", "audio 30000 RTP/AVP 8", direction="recvonly"
    ),
    "hold_inactive": Want(
        ("192.0.2.28", 49170), "PCMA", "audio 30000 RTP/AVP 8 101", (101, 8000), direction="inactive"
    ),
    "line_feeds_only_and_odd_order": Want(("192.0.2.29", 5004), "PCMU", "audio 30000 RTP/AVP 0"),
    "lower_case_names_and_dynamic_pcmu": Want(("192.0.2.30", 6000), "PCMU", "audio 30000 RTP/AVP 110 120", (120, 8000)),
    "events_on_another_clock_only": Want(("192.0.2.31", 6000), "PCMA", "audio 30000 RTP/AVP 8 101", (101, 16000)),
    "ipv6": Want(("2001:db8::20", 6000), "PCMU", "audio 30000 RTP/AVP 0 101", (101, 8000), ours=OURS_6),
}
REFUSED = {
    "webrtc_like": (302, "UDP/TLS/RTP/SAVPF"),
    "savp_required": (302, "RTP/SAVP"),
    "t38_only": (304, "image 6002"),
    "g729_only": (305, "G729/8000"),
    "name_instead_of_address": (301, "phone.example.com"),
    "everything_turned_off": (304, "audio 0"),
}


def offer(name: str) -> bytes:
    return (CORPUS / f"{name}.sdp").read_bytes()


def test_every_file_has_its_answer() -> None:
    assert {path.stem for path in CORPUS.glob("*.sdp")} == ANSWERED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_agreed(name: str) -> None:
    want = ANSWERED[name]
    body, agreed = make_answer(offer(name), want.ours)
    assert (agreed.remote_host, agreed.remote_port, agreed.codec) == (*want.to, want.codec)
    assert agreed.ptime_ms == want.ptime_ms
    dtmf = None if agreed.dtmf_send_payload_type is None else (agreed.dtmf_send_payload_type, agreed.dtmf_clock_hz)
    assert dtmf == want.dtmf
    assert f"m={want.line}\r\n".encode() in body
    assert f"a={want.direction}\r\n".encode() in body
    assert (agreed.send, agreed.receive) == (want.direction == "sendrecv", want.direction in ("sendrecv", "recvonly"))


@pytest.mark.parametrize("name", ANSWERED)
def test_the_answer_has_the_form_that_the_offer_asks_for(name: str) -> None:
    """RFC 3264 section 6: as many m-lines, of the same kind and protocol; all but ours turned down."""
    want = ANSWERED[name]
    theirs = parse_sdp(offer(name)).media
    ours = parse_sdp(make_answer(offer(name), want.ours)[0]).media
    assert [(line.kind, line.protocol) for line in ours] == [(line.kind, line.protocol) for line in theirs]
    assert [line.port > 0 for line in ours] == [index == want.index for index in range(len(theirs))]
    audio = ours[want.index]
    numbers = {encoding.payload_type: str(encoding).lower() for encoding in theirs[want.index].encodings}
    assert all(numbers[encoding.payload_type] == str(encoding).lower() for encoding in audio.encodings)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name: str) -> None:
    code, names = REFUSED[name]
    with pytest.raises(NotAcceptable) as refused:
        make_answer(offer(name), OURS)
    assert refused.value.code == code
    assert names in refused.value.warning()


@pytest.mark.parametrize("name", ["savp_required", "snom_like_with_optional_keys"])
def test_keys_are_read(name: str) -> None:
    line = parse_sdp(offer(name)).media[0]
    assert (line.value("crypto") or "").startswith("1 AES_CM_128_HMAC_SHA1_")
    assert OURS.srtp is Srtp.OFF
