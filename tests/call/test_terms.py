"""On what terms the sound of a call goes: the trunk's codecs and keys, and where keys are offered."""

from __future__ import annotations

from typing import Any

import pytest

from kallglot_media.call.leg_state import MediaHome, MediaTerms
from kallglot_media.call.phones import Phones
from kallglot_media.call.terms import TermsOf
from kallglot_media.call.trunks import Trunks, trunk_address
from kallglot_media.config.sip import Sip
from kallglot_media.config.trunks import Trunk
from kallglot_media.random_ids import RandomIds
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import MediaAbility, NotAcceptable, Srtp
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import Reply
from kallglot_media.sip.uri import Uri
from tests.support.ladder import make_request

UDP, TLS = Peer("udp", "198.51.100.7", 5060), Peer("tls", "198.51.100.7", 5061)


def terms_of(*trunks: dict[str, Any], phones: Phones | None = None) -> TermsOf:
    base = {"hosts": ("sip:192.0.2.1",), "qualify_s": None}
    return TermsOf(Trunks([Trunk.model_validate(base | one) for one in trunks]), phones, lambda: 0.0)


def home(*trunks: dict[str, Any], srtp: str = "optional") -> MediaHome:
    return MediaHome("192.0.2.10", "192.0.2.10", ("opus", "G722", "PCMU", "PCMA"), srtp, terms_of(*trunks))


CARRIER = {"name": "carrier", "codecs": ("PCMA", "PCMU"), "srtp": "off"}


def offer_to(home: MediaHome, to: str) -> str:
    ability = home.terms.destination(to).applied(home.ability(4000, "sha-256 AA"))
    return make_offer(ability).decode()


def test_a_trunk_is_offered_its_codecs_in_its_order() -> None:
    offer = offer_to(home(CARRIER), trunk_address("carrier", "+4930"))
    assert "m=audio 4000 RTP/AVP 8 0 101\r\n" in offer
    assert "a=crypto" not in offer
    assert len(offer) < 300


@pytest.mark.parametrize(
    ("to", "has_keys"),
    [
        ("sip:bob@192.0.2.20", False),
        ("sip:bob@192.0.2.20;transport=tcp", False),
        ("sip:bob@192.0.2.20;transport=TLS", True),
        ("<sip:bob@192.0.2.20;transport=wss>", True),
        ("sips:bob@example.com", True),
        ("trunk:plain/1", False),
        ("trunk:secret/1", True),
        ("trunk:half/1", False),
        ("trunk:insists/1", True),
        ("trunk:nobody/1", False),
        ("rubbish", False),
    ],
)
def test_keys_are_offered_where_nobody_on_the_way_reads_them(to: str, has_keys: bool) -> None:
    secret = "sip:192.0.2.2;transport=tls"
    trunks = (
        {"name": "plain"},
        {"name": "secret", "hosts": (secret,)},
        {"name": "half", "hosts": (secret, "sip:192.0.2.3")},
        {"name": "insists", "srtp": "required"},
    )
    assert ("a=crypto:1 " in offer_to(home(*trunks), to)) is has_keys


def test_a_phone_that_logged_on_over_tls_is_offered_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "secret")
    sip = Sip.model_validate(
        {
            "accounts": ({"user": "bob", "password_env": "WORD"},),
            "registrar": {"enabled": True, "free_from": ("198.51.100.0/24",)},
        }
    )
    phones = Phones(RandomIds(), sip, None)
    terms = terms_of(phones=phones)
    for peer, offer_keys in ((UDP, False), (TLS, True)):
        assert log_on(phones, peer).status == 200
        assert terms.destination("sip:bob@127.0.0.1") == MediaTerms(offer_keys=offer_keys)
        log_on(phones, peer, expires=0)


def log_on(phones: Phones, peer: Peer, expires: int = 60) -> Reply:
    request: Request = make_request("REGISTER")
    request.uri = Uri.parse("sip:127.0.0.1")
    request.headers.set("To", "<sip:bob@127.0.0.1>")
    contact = f"<sip:bob@{peer.host}:{peer.port};transport={peer.transport}>;expires={expires}"
    request.headers.set("Contact", contact)
    request.headers.set("CSeq", f"{log_on_count()} REGISTER")
    return phones.registrar.receive(request, peer, 0.0)


_count = iter(range(1, 100))


def log_on_count() -> int:
    return next(_count)


OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"


def ability_for(home: MediaHome, source: Peer) -> MediaAbility:
    return home.terms.caller(source).applied(home.ability(4000, "sha-256 AA"))


def test_of_a_trunks_offer_its_first_listed_codec_is_taken_and_of_others_their_own_first() -> None:
    ours = home(CARRIER | {"allow_from": ("198.51.100.0/24",)})
    _, agreed = SdpSession(1).answer(OFFER, ability_for(ours, UDP))
    assert agreed.codec == "PCMA"
    _, agreed = SdpSession(1).answer(OFFER, ability_for(ours, Peer("udp", "203.0.113.1", 5060)))
    assert agreed.codec == "PCMU"


def test_encryption_may_be_wanted_on_one_trunk_alone() -> None:
    ours = home({"name": "insists", "srtp": "required", "allow_from": ("198.51.100.0/24",)}, srtp="off")
    with pytest.raises(NotAcceptable):
        SdpSession(1).answer(OFFER, ability_for(ours, UDP))
    _, agreed = SdpSession(1).answer(OFFER + KEY, ability_for(ours, UDP))
    assert agreed.keys is not None
    _, agreed = SdpSession(1).answer(OFFER + KEY, ability_for(ours, Peer("udp", "203.0.113.1", 5060)))
    assert agreed.keys is None


def test_keys_once_agreed_are_offered_again_over_udp_too() -> None:
    """Our hold of a call that the peer made with keys: without them it would go on in the clear."""
    session, ability = SdpSession(1), ability_for(home(), UDP)
    assert not ability.offers_keys
    session.answer(OFFER + KEY, ability)
    again = session.offer(ability)
    assert b"a=crypto:" in again
    answer = OFFER.replace(b"RTP/AVP 0 8", b"RTP/AVP 0") + KEY.replace(b"crypto:1 ", b"crypto:3 ")
    assert session.read_answer(answer).keys is not None


def test_a_key_that_was_not_asked_for_is_not_taken() -> None:
    session = SdpSession(1)
    session.offer(ability_for(home(), UDP))
    assert session.read_answer(OFFER + KEY).keys is None


def test_without_terms_of_its_own_a_home_treats_all_alike() -> None:
    plain = MediaHome("192.0.2.10", "192.0.2.10", srtp=Srtp.OPTIONAL)
    assert "a=crypto" in offer_to(plain, "sip:bob@192.0.2.20")


def test_a_codec_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="again"):
        Trunk.model_validate({"name": "x", "hosts": ("sip:192.0.2.1",), "codecs": ("PCMA", "PCMA")})


def test_the_probe_goes_by_who_calls() -> None:
    ours = home({"name": "insists", "srtp": "required", "allow_from": ("198.51.100.0/24",)})
    assert ours.probe(UDP).srtp is Srtp.REQUIRED
    assert ours.probe(Peer("udp", "203.0.113.1", 5060)).srtp is Srtp.OPTIONAL
