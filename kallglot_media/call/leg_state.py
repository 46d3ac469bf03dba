"""What a leg is, where it stands, and how it ended."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from kallglot_media.sdp.crypto import SUITES, Crypto
from kallglot_media.sdp.types import CODECS, MediaAbility, Srtp
from kallglot_media.sip.events import EndedBy

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
class MediaHome:
    """Where RTP of our legs lives, and how it is coded.

    bind_host  the socket's address
    told_host  what SDP says
    codecs     names from sdp.types.CODECS, best first
    srtp       whether RTP is encrypted: a value of sdp.types.Srtp
    """

    bind_host: str
    told_host: str
    codecs: tuple[str, ...] = tuple(CODECS)
    srtp: str = Srtp.OFF

    def ability(self, port: int, fingerprint: str = "") -> MediaAbility:
        """What a leg with this RTP port can do, with new keys of its own; fingerprint: of our DTLS certificate."""
        crypto = tuple(
            Crypto(tag, suite, secrets.token_bytes(size)) for tag, (suite, size) in enumerate(SUITES.items(), 1)
        )
        return MediaAbility(
            self.told_host,
            port,
            self.codecs,
            srtp=Srtp(self.srtp),
            crypto=() if self.srtp == Srtp.OFF else crypto,
            fingerprint=fingerprint or None,
        )

    def probe(self) -> MediaAbility:
        """What any leg could do: enough to see whether an offer can be answered at all."""
        return self.ability(_DISCARD_PORT, "sha-256 00")
