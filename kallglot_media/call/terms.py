"""On what terms the sound of one call goes: a trunk's own codecs and keys, and whether keys may be offered at all.

Keys in SDP are as secret as the message that they stand in (RFC 4568 section 7.1): over UDP and TCP everybody on the
way reads them, and four lines of them make an INVITE too long for a datagram. So we offer them over TLS and WebSocket,
and where a trunk insists; who offers us keys is answered with keys.
"""

from __future__ import annotations

from collections.abc import Callable

from kallglot_media.call.leg_state import MediaTerms
from kallglot_media.call.phones import Phones
from kallglot_media.call.trunks import TrunkLine, Trunks
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.uri import NameAddr, Uri

SECRET = frozenset({"tls", "wss"})
"""Transports that nobody on the way reads."""


class TermsOf:
    """Looks the terms up. phones: None when none log on here; now_s: the clock that their registrations go by."""

    def __init__(self, trunks: Trunks, phones: Phones | None, now_s: Callable[[], float]) -> None:
        self._trunks = trunks
        self._phones = phones
        self._now_s = now_s

    def caller(self, source: Peer) -> MediaTerms:
        """Of a call that came from there."""
        return _terms(self._trunks.of_source(source.host), source.transport in SECRET)

    def destination(self, to: str) -> MediaTerms:
        """Of a call to a SIP address, or to `trunk:NAME/NUMBER`."""
        line = self._trunks.of_address(to)
        if line is not None:
            return _terms(line, all(_is_secret(Uri.parse(host)) for host in line.machine.rules.hosts))
        try:
            uri = NameAddr.of(to).uri
        except SipError:
            return MediaTerms()  # dialling it will say what is wrong
        bindings = self._phones.contacts(uri, self._now_s()) if self._phones is not None else None
        if bindings:
            secret = [b.flow.transport in SECRET if b.flow is not None else _is_secret(b.uri) for b in bindings]
            return MediaTerms(offer_keys=all(secret))
        return MediaTerms(offer_keys=_is_secret(uri))


def _terms(line: TrunkLine | None, offer_keys: bool) -> MediaTerms:
    if line is None:
        return MediaTerms(offer_keys=offer_keys)
    return MediaTerms(line.codecs, line.srtp, offer_keys)


def _is_secret(uri: Uri) -> bool:
    return uri.scheme == "sips" or (uri.param("transport") or "").lower() in SECRET
