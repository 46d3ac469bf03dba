"""What a leg is, where it stands, and how it ended."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from kallglot_media.sdp.crypto import SUITES, Crypto
from kallglot_media.sdp.types import CODECS, MediaAbility, Srtp, TextAbility
from kallglot_media.sip.events import EndedBy, Peer

_DISCARD_PORT = 9  # RFC 863: nobody is told this one


class LegState(StrEnum):
    """new → early (ringing or dialling) → answered → ended."""

    NEW = "new"
    EARLY = "early"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LegEnd:
    """How a leg ended: by whom, and the SIP status and words that say why."""

    by: EndedBy
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaTerms:
    """codecs    instead of those of all calls, best first; then their order counts, not the peer's; None: as all
    srtp        instead of that of all calls; None: as all
    offer_keys  the signalling is secret
    """

    codecs: tuple[str, ...] | None = None
    srtp: Srtp | None = None
    offer_keys: bool = False

    def applied(self, ability: MediaAbility) -> MediaAbility:
        """What a leg can do on these terms."""
        return replace(
            ability,
            codecs=self.codecs or ability.codecs,
            follows_peer=self.codecs is None,
            srtp=self.srtp or ability.srtp,
            offer_keys=self.offer_keys,
        )


class Terms(Protocol):
    """Where a leg learns on what terms its sound goes: see terms.py."""

    def caller(self, source: Peer) -> MediaTerms:
        """Of a call that came from there."""
        ...

    def destination(self, to: str) -> MediaTerms:
        """Of a call that goes there."""
        ...


class SameForAll:
    """No peer is treated otherwise than another."""

    def caller(self, source: Peer) -> MediaTerms:
        """As everybody."""
        return MediaTerms(offer_keys=True)

    def destination(self, to: str) -> MediaTerms:
        """As everybody."""
        return MediaTerms(offer_keys=True)


@dataclass(frozen=True, slots=True)
class MediaHome:
    """Where RTP of our legs lives, and how it is coded.

    bind_host  the socket's address
    told_host  what SDP says
    codecs     names from sdp.types.CODECS, best first
    srtp       whether RTP is encrypted: a value of sdp.types.Srtp
    terms      what is otherwise with some peers
    comfort_noise  peers that take it are told to make noise of silence (RFC 3389)
    """

    bind_host: str
    told_host: str
    codecs: tuple[str, ...] = tuple(CODECS)
    srtp: str = Srtp.OFF
    terms: Terms = field(default_factory=SameForAll)
    comfort_noise: bool = False

    def ability(self, port: int, fingerprint: str = "", text_port: int = 0) -> MediaAbility:
        """What a leg with this RTP port can do, with new keys of its own; fingerprint: of our DTLS certificate.

        text_port  of its text line; 0: it has none
        """
        return MediaAbility(
            self.told_host,
            port,
            self.codecs,
            srtp=Srtp(self.srtp),
            crypto=_new_keys(),
            fingerprint=fingerprint or None,
            text=TextAbility(text_port, _new_keys()) if text_port else None,
            comfort_noise=self.comfort_noise,
        )

    def probe(self, source: Peer) -> MediaAbility:
        """What a leg to this caller could do: enough to see whether an offer can be answered at all."""
        return self.terms.caller(source).applied(self.ability(_DISCARD_PORT, "sha-256 00"))


def _new_keys() -> tuple[Crypto, ...]:
    return tuple(Crypto(tag, suite, secrets.token_bytes(size)) for tag, (suite, size) in enumerate(SUITES.items(), 1))
