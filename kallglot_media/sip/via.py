"""The way home of a response. RFC 3261 sections 18.2.1, 18.2.2 and 20.42; rport: RFC 3581."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.params import TOKEN, Params, find_param, format_params, parse_params, set_param
from kallglot_media.sip.uri import HOST

COOKIE = "z9hG4bK"

_VIA = re.compile(
    rf"[ \t]*+(SIP)[ \t]*+/[ \t]*+(2\.0)[ \t]*+/[ \t]*+({TOKEN}++)[ \t]++({HOST})(?:[ \t]*+:[ \t]*+([0-9]{{1,5}}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop of the way back.

    transport  upper case, "UDP", "TCP", "TLS", "WS", "WSS" or something we do not speak
    host       sent-by, without the brackets of an IPv6 reference
    port       None when not written (5060, or 5061 for TLS)
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """`SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport`, one element. Raises SipError."""
        match = _VIA.match(text)
        if match is None:
            raise SipError("bad_via", "Via is not SIP/2.0/transport host[:port]")
        _, _, transport, host, port = match.groups()
        if port and not 0 < int(port) < 65536:
            raise SipError("bad_via", f"Via port is {int(port)}, expected 1 to 65535")
        return cls(
            transport.upper(),
            host[1:-1] if host[0] == "[" else host,
            int(port) if port else None,
            parse_params(text[match.end() :], "bad_via"),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        return f"SIP/2.0/{self.transport} {host}{port}{format_params(self.params)}"

    @property
    def branch(self) -> str | None:
        """The branch as written, None when absent or empty."""
        return find_param(self.params, "branch") or None

    @property
    def unique_branch(self) -> str | None:
        """The branch when it can name a transaction, else None: an RFC 2543 peer, or a bare cookie.

        "The branch ID inserted by an element compliant with this specification MUST always begin with
        the characters "z9hG4bK"." (8.1.1.7) With nothing after it, it is not unique (RFC 4475 section 3.2.1).
        """
        branch = self.branch
        return branch if branch and len(branch) > len(COOKIE) and branch.lower().startswith("z9hg4bk") else None

    @property
    def received(self) -> str | None:
        """The address the request really came from, without brackets (RFC 5118 section 4.5: both forms occur)."""
        value = find_param(self.params, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The port the request really came from; None when absent, not yet filled in, or not a port."""
        value = find_param(self.params, "rport")
        if not value or len(value) > 5 or not (value.isascii() and value.isdigit()):
            return None
        return int(value) if 0 < int(value) < 65536 else None

    @property
    def wants_rport(self) -> bool:
        """True when the client asks for RFC 3581 symmetric responses."""
        return find_param(self.params, "rport") is not None

    def param(self, name: str) -> str | None:
        """The unquoted value of a parameter; "" for one without a value; None when absent."""
        return find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> Via:
        """The same hop with a parameter set."""
        return replace(self, params=set_param(self.params, name, value))
