"""DTLS-SRTP in session descriptions: a=fingerprint (RFC 8122) and a=setup (RFC 4145, RFC 5763 section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kallglot_media.sdp.types import DtlsPeer, NotAcceptable

HASHES = ("sha-256", "sha-384", "sha-512", "sha-1")
"""Best first. SHA-1 because old telephones have nothing else; RFC 8122 section 5 wants SHA-256 or better."""

_FINGERPRINT = re.compile(r"(\S+)\s+([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+)\s*$", re.ASCII)


Attributes = Iterable[tuple[str, str | None]]


def dtls_peer(media: Attributes, session: Attributes, *, they_answer: bool = False) -> DtlsPeer:
    """What an offer, or an answer to our "actpass", says; attributes of the m-line go before the session's.

    Raises NotAcceptable when there is no fingerprint that we can check.
    """
    attributes = [*media, *session]
    fingerprints = dict(_fingerprints(attributes))
    best = next((name for name in HASHES if name in fingerprints), None)
    if best is None:
        raise NotAcceptable(302, f"DTLS without a fingerprint that we can check: {', '.join(HASHES)}")
    setup = next((value.lower() for name, value in attributes if name == "setup" and value), "active")
    # RFC 5763 section 5: "If the offer is actpass … the answerer SHOULD use active", as no ICE is to wait for
    we_begin = setup == "passive" or (setup == "actpass" and not they_answer)
    return DtlsPeer(best, fingerprints[best], we_begin)


def _fingerprints(attributes: Attributes) -> Iterable[tuple[str, str]]:
    for name, value in attributes:
        match = _FINGERPRINT.match(value) if name == "fingerprint" and value else None
        if match is not None:
            yield match[1].lower(), match[2].upper()
