"""Encryption in offers and answers: RFC 4568, RFC 5763, RFC 5761, RFC 3605."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.sdp.answer import make_answer, read_answer
from kallglot_media.sdp.crypto import SUITES, Crypto
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import DtlsPeer, MediaAbility, NotAcceptable, Srtp

KEYS = tuple(Crypto(tag, suite, bytes([tag]) * size) for tag, (suite, size) in enumerate(SUITES.items(), 1))
PLAIN = MediaAbility("192.0.2.1", 20_000)
OPTIONAL = replace(PLAIN, srtp=Srtp.OPTIONAL, crypto=KEYS, fingerprint="sha-256 AA:BB")
REQUIRED = replace(OPTIONAL, srtp=Srtp.REQUIRED)
PHONE_KEYS = tuple(Crypto(tag, suite, bytes([100 + tag]) * size) for tag, (suite, size) in enumerate(SUITES.items(), 1))
PHONE = replace(OPTIONAL, host="192.0.2.9", port=30_000, crypto=PHONE_KEYS)

INLINE = "inline:" + "A" * 40  # 30 bytes
SHA1_80 = f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}"


def offer(protocol: str, *attributes: str) -> bytes:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", f"m=audio 4000 {protocol} 0"]
    return ("\r\n".join([*lines, *(f"a={attribute}" for attribute in attributes)]) + "\r\n").encode()


@pytest.mark.parametrize("ours", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("theirs", [PHONE, replace(PHONE, srtp=Srtp.REQUIRED)])
def test_two_of_us_agree_on_the_best_suite(ours: MediaAbility, theirs: MediaAbility) -> None:
    offered = make_offer(ours)
    answered, told = make_answer(offered, theirs)
    agreed = read_answer(ours, answered)
    assert agreed.keys is not None
    assert told.keys is not None
    assert agreed.keys.suite == told.keys.suite == "AEAD_AES_256_GCM"
    assert (agreed.keys.send_key, agreed.keys.receive_key) == (told.keys.receive_key, told.keys.send_key)
    assert agreed.keys.send_key == KEYS[0].key
    assert (b"RTP/SAVP" in offered) == (ours is REQUIRED)


def test_optional_gives_way_to_a_phone_without() -> None:
    answered, told = make_answer(make_offer(OPTIONAL), replace(PHONE, srtp=Srtp.OFF))
    assert told.keys is None
    assert read_answer(OPTIONAL, answered).keys is None
    _, agreed = make_answer(offer("RTP/AVP"), OPTIONAL)
    assert agreed.keys is None


@pytest.mark.parametrize(
    ("ability", "body", "reason"),
    [
        (PLAIN, offer("RTP/SAVP", f"crypto:{SHA1_80}"), "offer has RTP/SAVP; we speak RTP/AVP"),
        (REQUIRED, offer("RTP/AVP"), "offer has RTP/AVP without a key that we can use; we insist on RTP/SAVP with"),
        (OPTIONAL, offer("RTP/SAVP"), "offer has RTP/SAVP without a key that we can use; we speak RTP/SAVP with"),
        (PLAIN, offer("UDP/TLS/RTP/SAVP", "fingerprint:sha-256 AB:CD"), "offer has UDP/TLS/RTP/SAVP; we speak RTP/AVP"),
        (OPTIONAL, offer("UDP/TLS/RTP/SAVPF", "fingerprint:md5 AB:CD"), "DTLS without a fingerprint that we can check"),
    ],
)
def test_refused_with_a_reason(ability: MediaAbility, body: bytes, reason: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        make_answer(body, ability)
    assert caught.value.code == 302
    assert caught.value.text.startswith(reason)


def test_an_answer_without_keys_to_an_offer_that_insists_is_refused() -> None:
    with pytest.raises(NotAcceptable, match="insist"):
        read_answer(REQUIRED, offer("RTP/AVP"))
    with pytest.raises(NotAcceptable, match="answer has RTP/SAVP; we speak"):
        read_answer(OPTIONAL, offer("RTP/SAVP", f"crypto:7 AES_CM_128_HMAC_SHA1_80 {INLINE}"))


@pytest.mark.parametrize(
    ("value", "suite"),
    [
        (SHA1_80, "AES_CM_128_HMAC_SHA1_80"),
        (SHA1_80 + "|2^31", "AES_CM_128_HMAC_SHA1_80"),
        (SHA1_80 + "|1048576 WSH=128", "AES_CM_128_HMAC_SHA1_80"),
        (f"2 aes_cm_128_hmac_sha1_32 {INLINE}", "AES_CM_128_HMAC_SHA1_32"),
        (SHA1_80 + "|2^31|1:4", None),  # MKI
        (SHA1_80 + f";{INLINE}", None),  # two keys
        (SHA1_80 + " UNENCRYPTED_SRTP", None),
        (SHA1_80 + "AAAA", None),  # too long
        (f"1 AEAD_AES_128_GCM {INLINE}", None),  # 30 bytes where 28 belong
        (f"1 F8_128_HMAC_SHA1_80 {INLINE}", None),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:====", None),
        ("", None),
    ],
)
def test_crypto_lines(value: str, suite: str | None) -> None:
    crypto = Crypto.parse(value)
    assert (crypto.suite if crypto else None) == suite


def test_the_first_line_that_we_understand_is_taken_with_its_tag() -> None:
    body, agreed = make_answer(offer("RTP/SAVP", "crypto:1 NEW inline:AAAA", "crypto:2" + SHA1_80[1:]), OPTIONAL)
    assert agreed.keys is not None
    assert agreed.keys.receive_key == bytes(30)
    assert b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" in body
    assert body.count(b"a=crypto") == 1
    assert b"m=audio 20000 RTP/SAVP 0" in body


@given(some.text(max_size=120))
def test_any_text_is_a_crypto_line_or_none(text: str) -> None:
    crypto = Crypto.parse(text)
    assert crypto is None or len(crypto.key) == SUITES[crypto.suite]


def test_keys_do_not_show_in_what_is_logged() -> None:
    _, agreed = make_answer(offer("RTP/SAVP", f"crypto:{SHA1_80}"), OPTIONAL)
    text = repr((agreed, OPTIONAL))
    assert "inline" not in text
    assert repr(KEYS[2].key)[2:-1] not in text


@pytest.mark.parametrize(
    ("attributes", "peer", "setup"),
    [
        (("fingerprint:sha-256 ab:cd", "setup:actpass"), DtlsPeer("sha-256", "AB:CD", True), b"a=setup:active"),
        (("fingerprint:SHA-1 AB:CD", "setup:active"), DtlsPeer("sha-1", "AB:CD", False), b"a=setup:passive"),
        (
            ("fingerprint:sha-1 01:02", "fingerprint:sha-256 AB:CD", "setup:passive"),
            DtlsPeer("sha-256", "AB:CD", True),
            b"a=setup:active",
        ),
    ],
)
def test_dtls_offers(attributes: tuple[str, ...], peer: DtlsPeer, setup: bytes) -> None:
    body, agreed = make_answer(offer("UDP/TLS/RTP/SAVP", *attributes), OPTIONAL)
    assert agreed.dtls == peer
    assert agreed.keys is None
    assert setup in body.split(b"\r\n")
    assert b"a=fingerprint:sha-256 AA:BB" in body


def test_fingerprint_and_setup_of_the_session_count_too() -> None:
    body = offer("UDP/TLS/RTP/SAVPF").replace(b"m=audio", b"a=fingerprint:sha-256 AB:CD\r\na=setup:actpass\r\nm=audio")
    _, agreed = make_answer(body, OPTIONAL)
    assert agreed.dtls == DtlsPeer("sha-256", "AB:CD", True)


def test_rtcp_mux_is_answered_and_another_rtcp_port_is_told() -> None:
    body, agreed = make_answer(offer("RTP/AVP", "rtcp-mux", "rtcp:4009 IN IP4 192.0.2.9"), PLAIN)
    assert agreed.rtcp_mux
    assert agreed.rtcp_port == 4009
    assert b"a=rtcp-mux" in body.split(b"\r\n")
    _, agreed = make_answer(offer("RTP/AVP", "rtcp:99999"), PLAIN)
    assert (agreed.rtcp_mux, agreed.rtcp_port) == (False, None)


def test_our_own_offer_in_a_call_by_dtls_stays_with_it() -> None:
    theirs = offer("UDP/TLS/RTP/SAVPF", "fingerprint:sha-256 AB:CD", "setup:actpass", "rtcp-mux")
    session = SdpSession(1)
    _, first = session.answer(theirs, OPTIONAL)
    again = session.offer(replace(OPTIONAL, send=False))
    for line in (b"m=audio 20000 UDP/TLS/RTP/SAVPF 0 8 101", b"a=setup:actpass", b"a=rtcp-mux", b"a=recvonly"):
        assert line in again.split(b"\r\n")
    assert b"a=crypto" not in again
    answer = offer("UDP/TLS/RTP/SAVPF", "fingerprint:sha-256 AB:CD", "setup:passive", "rtcp-mux")
    assert session.read_answer(answer) == replace(first, send=False)


def test_new_keys_in_a_new_offer() -> None:
    session = SdpSession(1)
    _, first = session.answer(offer("RTP/SAVP", f"crypto:{SHA1_80}"), OPTIONAL)
    _, second = session.answer(offer("RTP/SAVP", f"crypto:{SHA1_80[:-4]}BBBB"), OPTIONAL)
    assert first.keys is not None
    assert second.keys is not None
    assert first.keys.send_key == second.keys.send_key
    assert first.keys.receive_key != second.keys.receive_key
