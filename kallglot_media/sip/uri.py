"""URIs and the addresses that carry them. RFC 3261 sections 19.1, 20.10, 20.20, 20.39; tel: RFC 3966."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.params import (
    LWS,
    QUOTED,
    TOKEN,
    Params,
    find_param,
    format_params,
    parse_params,
    quote,
    set_param,
    unquote,
)

REMEMBERED = 2048
"""Texts whose value is kept, of each kind: those of a few hundred calls, at most 3 MB."""
REMEMBERED_CHARACTERS = 256
"""Longer texts are not kept."""

HOST = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++"

# Written more widely than section 25.1 where phones write more (an unescaped "#" in a feature code), never so wide
# that two readings are possible: no white space, controls, quotes, angle brackets, nor a second "@".
_SIP = re.compile(
    r"(sips?):"
    r"(?:([^@:\x00-\x20\x7f<>\"]++)(?::([^@\x00-\x20\x7f<>\"]*+))?@)?"
    rf"({HOST})(?::([0-9]{{1,5}}))?"
    r"(;[^?@\x00-\x20\x7f<>\"]++)?"
    r"(?:\?([^@\x00-\x20\x7f<>\"]++))?",
    re.IGNORECASE,
)
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):([^\x00-\x20\x7f<>\"]++)")
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_DISPLAY_AND_ADDRESS = re.compile(rf"[ \t]*+(?:({QUOTED})[ \t]*+|([^\",;<>]*+))<([^<>]*+)>", re.DOTALL)
_DISPLAY_TOKENS = re.compile(rf"{TOKEN}+(?: +{TOKEN}+)*+")


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP, SIPS or other URI, RFC 3261 section 19.1. Escapes stay as written; `user_text` resolves them.

    scheme   lower case
    user     as on the wire, escaped; for tel: the number
    host     without the brackets of an IPv6 reference; "" for schemes other than sip and sips
    port     None when not written
    params   values raw
    headers  what follows "?", escaped
    opaque   what follows the colon of a scheme that is not sip, sips or tel
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: Params = ()
    opaque: str | None = None

    @classmethod
    def parse(cls, text: str) -> Uri:
        """`sip:alice@example.com;transport=tcp`. Raises SipError."""
        return _parse_uri_again(text) if len(text) <= REMEMBERED_CHARACTERS else _parse_uri(text)

    def __str__(self) -> str:
        if self.opaque is not None:
            return f"{self.scheme}:{self.opaque}"
        text = f"{self.scheme}:"
        if self.user is not None:
            text += self.user
            if self.password is not None:
                text += f":{self.password}"
            if self.scheme != "tel":
                text += "@"
        text += f"[{self.host}]" if ":" in self.host else self.host
        if self.port is not None:
            text += f":{self.port}"
        if self.params:
            text += format_params(self.params)
        if self.headers:
            text += "?" + "&".join([name if value is None else f"{name}={value}" for name, value in self.headers])
        return text

    @property
    def user_text(self) -> str | None:
        """The user part with %-escapes resolved: "sips%3Auser%40example.com" -> "sips:user@example.com"."""
        return None if self.user is None else unescape(self.user)

    @property
    def is_lr(self) -> bool:
        """True for a loose router, section 16.12."""
        return self.has_param("lr")

    def param(self, name: str) -> str | None:
        """The value of a URI parameter; "" for one without a value; None when absent."""
        return find_param(self.params, name)

    def has_param(self, name: str) -> bool:
        """True when the URI parameter is there, with or without a value."""
        return find_param(self.params, name) is not None

    def same_as(self, other: Uri) -> bool:
        """Equivalence by section 19.1.4: escapes resolved, case kept in the user part only, parameters in any order."""
        if (self.scheme, self.host.lower(), self.port) != (other.scheme, other.host.lower(), other.port):
            return False
        if (self.user_text, self.password, self.opaque) != (other.user_text, other.password, other.opaque):
            return False
        mine, theirs = _comparable(self.params), _comparable(other.params)
        # "A user, ttl, or method uri-parameter appearing in only one URI never matches"; maddr and transport too.
        decisive = {"user", "ttl", "method", "maddr", "transport"}
        for name in (mine.keys() | theirs.keys()) & (decisive | (mine.keys() & theirs.keys())):
            if mine.get(name) != theirs.get(name):
                return False
        return _comparable(self.headers) == _comparable(other.headers)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A display name, a URI and header parameters: From, To, Contact, Route, Record-Route, Refer-To.

    display  unquoted; None when there is none
    """

    display: str | None
    uri: Uri
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """`"Bob" <sip:bob@b.example>;tag=1` or `sip:bob@b.example;tag=1`. Raises SipError."""
        return _parse_address_again(text) if len(text) <= REMEMBERED_CHARACTERS else _parse_address(text)

    @classmethod
    def of(cls, text: str) -> NameAddr:
        """An address as people write it: `parse`, but parameters of a bare URI are the URI's own. Raises SipError.

        In a header they would be the header's (section 20: "sip:b@h;transport=tcp" without angle brackets), and a
        call to a phone on TCP would go out over UDP.
        """
        return cls.parse(text) if "<" in text else cls(None, Uri.parse(text.strip(LWS)))

    def __str__(self) -> str:
        address = f"<{self.uri}>{format_params(self.params)}"
        if self.display is None:
            return address
        shown = self.display if _DISPLAY_TOKENS.fullmatch(self.display) else quote(self.display)
        return f"{shown} {address}"

    @property
    def tag(self) -> str | None:
        """The dialog tag, section 19.3; None when absent or empty."""
        return find_param(self.params, "tag") or None

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return replace(self, params=set_param(self.params, "tag", tag))

    def param(self, name: str) -> str | None:
        """The unquoted value of a header parameter; "" for one without a value; None when absent."""
        return find_param(self.params, name)


def escape_user(text: str) -> str:
    """`text` as the user part of a URI: everything outside section 25.1's `user` is %-escaped."""
    return quote_from_bytes(text.encode(), _USER_SAFE)


def unescape(text: str) -> str:
    """`text` with %-escapes resolved; broken ones stay, bytes that are not UTF-8 become U+FFFD."""
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def _parse_uri(text: str) -> Uri:
    match = _SIP.fullmatch(text)
    if match is None:
        return _parse_other(text)
    scheme, user, password, host, port, params, headers = match.groups()
    return Uri(
        scheme.lower(),
        user,
        password,
        host[1:-1] if host[0] == "[" else host,
        _port(port) if port else None,
        _parse_pairs(params[1:], ";") if params else (),
        _parse_pairs(headers, "&") if headers else (),
    )


def _parse_address(text: str) -> NameAddr:
    match = _DISPLAY_AND_ADDRESS.match(text)
    if match is None:
        return _parse_bare_address(text.strip(LWS))
    quoted, tokens, uri = match.groups()
    display = unquote(quoted) if quoted else (tokens.strip(LWS) or None)
    after = text[match.end() :]
    return NameAddr(display, Uri.parse(uri), parse_params(after, "bad_address") if after else ())


def _parse_bare_address(text: str) -> NameAddr:
    if "<" in text or '"' in text.partition(";")[0]:
        raise SipError("bad_address", "display name is not a quoted string or plain words before <uri>")
    uri, semicolon, params = text.partition(";")
    # "Even if the "display-name" is empty, the "name-addr" form MUST be used if the "addr-spec"
    # contains a comma, semicolon, or question mark." (20.10)
    if "?" in uri or "," in uri:
        raise SipError("bad_address", "a URI with , or ? stands without angle brackets")
    return NameAddr(None, Uri.parse(uri.rstrip(LWS)), parse_params(semicolon + params, "bad_address"))


# One call brings the same From, To, Contact and Request-URI in every message, a trunk the same ones in every call.
_parse_uri_again = lru_cache(REMEMBERED)(_parse_uri)
_parse_address_again = lru_cache(REMEMBERED)(_parse_address)


def _parse_other(text: str) -> Uri:
    match = _OTHER.fullmatch(text)
    if match is None:
        raise SipError("bad_uri", "not a URI: no scheme, or white space, quotes or angle brackets in it")
    scheme, rest = match[1].lower(), match[2]
    if scheme in ("sip", "sips"):
        raise SipError("bad_uri", f"after {scheme}: expected [user@]host[:port][;params][?headers]")
    if scheme == "tel":
        number, semicolon, params = rest.partition(";")
        return Uri(scheme, user=number, params=_parse_pairs(params, ";") if semicolon else ())
    return Uri(scheme, opaque=rest)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise SipError("bad_uri", f"port is {port}, expected 1 to 65535")
    return port


def _parse_pairs(text: str, separator: str) -> Params:
    pairs: list[tuple[str, str | None]] = []
    for piece in text.split(separator):
        name, equals, value = piece.partition("=")
        if not name:
            raise SipError("bad_uri", "a URI parameter has no name")
        pairs.append((name, value if equals else None))
    return tuple(pairs)


def _comparable(pairs: Params) -> dict[str, str]:
    return {unescape(name).lower(): unescape(value or "").lower() for name, value in pairs}
