"""REFER as values, RFC 3515 and RFC 4488: where somebody is sent, and how the news of it looks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.message import Request
from kallglot_media.sip.reasons import reason_phrase
from kallglot_media.sip.uri import NameAddr

EVENT = "refer"
SIPFRAG = "message/sipfrag"
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?")


@dataclass(frozen=True, slots=True)
class ReferTo:
    """to: a SIP or tel URI, without what belongs into headers. replaces: the value of the Replaces header, or None."""

    to: str
    replaces: str | None = None

    @classmethod
    def of(cls, request: Request) -> ReferTo:
        """RFC 3515 2.4.2: "a REFER request MUST contain exactly one Refer-To". Raises SipError."""
        values = request.headers.all("Refer-To")
        if len(values) != 1:
            raise SipError("bad_refer_to", f"a REFER needs one Refer-To, this one has {len(values)}")
        uri = NameAddr.parse(values[0]).uri
        method = (uri.param("method") or "INVITE").upper()
        if uri.scheme not in ("sip", "sips", "tel") or method != "INVITE":
            raise SipError("bad_refer_to", "Refer-To must be somebody to call: a sip or tel URI")
        found = [unquote(value or "") for name, value in uri.headers if name.lower() == "replaces"]
        bare = replace(uri, headers=(), params=tuple(one for one in uri.params if one[0].lower() != "method"))
        return cls(str(bare), found[0] if found else None)

    def __str__(self) -> str:
        if self.replaces is None:
            return f"<{self.to}>"
        return f"<{self.to}?Replaces={quote(self.replaces, safe='')}>"


def wants_no_news(request: Request) -> bool:
    """RFC 4488: Refer-Sub: false."""
    value = request.headers.first("Refer-Sub") or ""
    return value.split(";")[0].strip().lower() == "false"


def make_sipfrag(status: int, reason: str | None = None) -> bytes:
    """What a NOTIFY says of the call that was asked for: its status line (RFC 3515 2.4.5)."""
    phrase = " ".join((reason or reason_phrase(status)).split())
    return f"SIP/2.0 {status} {phrase}\r\n".encode()


def read_sipfrag(body: bytes) -> tuple[int, str] | None:
    """Status and phrase; None when there is no status line."""
    found = _STATUS_LINE.match(body)
    if found is None:
        return None
    return int(found[1]), (found[2] or b"").decode("utf-8", "replace").strip()
