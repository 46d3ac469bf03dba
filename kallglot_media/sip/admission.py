"""Who may start a call, and what is wrong with a request before any call sees it. RFC 3261 sections 8.2 and 22."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kallglot_media.sip.message import Request

ALLOWED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "MESSAGE")
ALLOW = ", ".join(ALLOWED)
SUPPORTED = ("100rel", "timer", "replaces", "norefersub")
"""Option tags that we speak: RFC 3262, 4028, 3891, 4488."""
SUPPORTED_TEXT = ", ".join(SUPPORTED)
SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response: status, and the headers that say what would have been right."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


def objection(request: Request) -> Refusal | None:
    """What the user agent core has against a new request, inside a dialog or outside. RFC 3261 8.2.1 to 8.2.3."""
    if request.method not in ALLOWED:
        return Refusal(405, (("Allow", ALLOW),))
    if request.uri.scheme not in ("sip", "sips", "tel"):
        return Refusal(416)
    # 8.2.2.3: "If a UAS does not understand an option-tag listed in a Require header field,
    #  it MUST respond by generating a response with status code 420"
    unknown = [tag for tag in request.headers.values("Require") if tag and tag.lower() not in SUPPORTED]
    if unknown and request.method not in ("ACK", "CANCEL"):
        return Refusal(420, (("Unsupported", ", ".join(dict.fromkeys(unknown))),))
    if request.method in ("INVITE", "UPDATE") and request.body:
        return _body_objection(request)
    return None


def invite_objection(request: Request) -> Refusal | None:
    """What a new INVITE must have on top, for the dialog and for what we may do with it."""
    # 8.1.1.8: the Contact "MUST be present and contain exactly one SIP or SIPS URI in any
    #  request that can result in the establishment of a dialog."
    contact = request.contact
    if contact is None or contact.uri.scheme not in ("sip", "sips"):
        return Refusal(400, reason="Bad Request (INVITE needs a Contact with a SIP URI)")
    # We send the call on, like the back-to-back user agents of RFC 7332 section 4: at 0 it ends here.
    if request.max_forwards == 0:
        return Refusal(483)
    return None


def expires_s(request: Request) -> float:
    """How long an INVITE is valid, 20.19; infinite when it does not say, or says nonsense."""
    text = request.headers.first("Expires") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 10 else math.inf


def _body_objection(request: Request) -> Refusal | None:
    """8.2.3: 415 "MUST contain an Accept header field" with what we read."""
    accept = (("Accept", SDP),)
    encoding = (request.headers.first("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("identity", ""):
        return Refusal(415, (*accept, ("Accept-Encoding", "identity")))
    if request.content_type in (None, SDP) or _is_optional(request.headers.values("Content-Disposition")):
        return None
    return Refusal(415, accept)


def _is_optional(dispositions: Iterable[str]) -> bool:
    """20.11: handling=optional lets us ignore a body that we do not read."""
    return any("handling=optional" in value.replace(" ", "").lower() for value in dispositions)
