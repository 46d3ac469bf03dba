"""Where a 3xx sends us, RFC 3261 sections 8.1.3.4 and 20.10."""

from __future__ import annotations

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.message import Response
from kallglot_media.sip.uri import NameAddr


def targets_of(response: Response) -> tuple[str, ...]:
    """The SIP and tel URIs of Contact, best first ("q" parameter, then as written), each once."""
    found: list[tuple[float, str]] = []
    for value in response.headers.values("Contact"):
        try:
            contact = NameAddr.parse(value)
        except SipError:
            continue
        if contact.uri.scheme in ("sip", "sips", "tel"):
            found.append((_quality(contact), str(contact.uri)))
    found.sort(key=lambda one: -one[0])
    return tuple(dict.fromkeys(uri for _, uri in found))


def _quality(contact: NameAddr) -> float:
    """20.10: from 0 to 1; whoever does not say is as good as any."""
    text = next((value for name, value in contact.params if name.lower() == "q"), None) or "1"
    digits = text.replace(".", "", 1)
    return min(float(text), 1.0) if digits.isascii() and digits.isdigit() and len(text) <= 6 else 0.0
