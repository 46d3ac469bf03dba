"""Whether and how the sound is encrypted: what protocol, keys and fingerprints in offer and answer come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kallglot_media.sdp.crypto import Crypto, SrtpKeys, crypto_lines
from kallglot_media.sdp.dtls import dtls_peer
from kallglot_media.sdp.types import DtlsPeer, MediaAbility, MediaLine, NotAcceptable, Srtp

PLAIN = ("RTP/AVP", "RTP/AVPF")
"""AVPF without any a=rtcp-fb is AVP with another timing of RTCP (RFC 4585), so it can be agreed to."""

SDES = ("RTP/SAVP", "RTP/SAVPF")
DTLS = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")

Attributes = Iterable[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Security:
    """lines: what our answer says about it; keys or dtls: what media needs, neither for plain RTP."""

    lines: tuple[str, ...] = ()
    keys: SrtpKeys | None = None
    dtls: DtlsPeer | None = None


def answer_security(line: MediaLine, session: Attributes, ability: MediaAbility) -> Security:
    """How we answer an offered m-line. Raises NotAcceptable."""
    protocol = line.protocol.upper()
    if protocol in DTLS and ability.srtp is not Srtp.OFF and ability.fingerprint is not None:
        peer = dtls_peer(line.attributes, session)
        setup = f"a=setup:{'active' if peer.we_begin else 'passive'}"
        return Security((f"a=fingerprint:{ability.fingerprint}", setup), dtls=peer)
    if protocol in (*PLAIN, *SDES) and ability.srtp is not Srtp.OFF:
        ours = {crypto.suite: crypto for crypto in ability.crypto}
        # RFC 4568 section 5.1.2: the first one "that is acceptable"; linphone and Asterisk offer it under RTP/AVP too
        theirs = next((crypto for crypto in crypto_lines(line.attributes) if crypto.suite in ours), None)
        if theirs is not None:
            mine = Crypto(theirs.tag, theirs.suite, ours[theirs.suite].key)
            return Security((f"a=crypto:{mine}",), SrtpKeys(theirs.suite, mine.key, theirs.key))
    if protocol in PLAIN and ability.srtp is not Srtp.REQUIRED:
        return Security()
    without_keys = "" if ability.srtp is Srtp.OFF else _without_keys(line)
    raise NotAcceptable(302, f"offer has {line.protocol}{without_keys}; we {_wish(ability)}")


def offer_protocol(ability: MediaAbility) -> str:
    """Optional encryption goes under RTP/AVP, so that peers without it need not refuse."""
    return SDES[0] if ability.srtp is Srtp.REQUIRED else PLAIN[0]


def offer_security(ability: MediaAbility, protocol: str) -> tuple[str, ...]:
    """The attributes of our own offer."""
    if protocol.upper() in DTLS:
        return (f"a=fingerprint:{ability.fingerprint}", "a=setup:actpass")
    return tuple(f"a=crypto:{crypto}" for crypto in ability.crypto) if ability.offers_keys else ()


def read_security(line: MediaLine, session: Attributes, ability: MediaAbility) -> Security:
    """What the answer to our offer comes to. Raises NotAcceptable."""
    if line.protocol.upper() in DTLS:
        return Security(dtls=dtls_peer(line.attributes, session, they_answer=True))
    return Security(keys=_read_keys(line, ability) if ability.offers_keys else None)


def _read_keys(line: MediaLine, ability: MediaAbility) -> SrtpKeys | None:
    """RFC 4568 section 5.1.3: the answer has exactly one crypto line, with the tag and suite of one we offered."""
    ours = {(crypto.tag, crypto.suite): crypto for crypto in ability.crypto}
    for theirs in crypto_lines(line.attributes):
        mine = ours.get((theirs.tag, theirs.suite))
        if mine is not None:
            return SrtpKeys(theirs.suite, mine.key, theirs.key)
    if ability.srtp is Srtp.REQUIRED or line.protocol.upper() in SDES:
        raise NotAcceptable(302, f"answer has {line.protocol}{_without_keys(line)}; we {_wish(ability)}")
    return None


def _without_keys(line: MediaLine) -> str:
    return "" if crypto_lines(line.attributes) else " without a key that we can use"


def _wish(ability: MediaAbility) -> str:
    if ability.srtp is Srtp.OFF:
        return f"speak {PLAIN[0]}"
    suites = ", ".join(crypto.suite for crypto in ability.crypto)
    return f"{'insist on' if ability.srtp is Srtp.REQUIRED else 'speak'} {SDES[0]} with {suites}"
