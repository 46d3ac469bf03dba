"""The Digest computation and its parameters. RFC 7616 section 3.4, RFC 8760, RFC 3261 section 22."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from kallglot_media.sip.params import QUOTED, TOKEN, unquote

_PARAM = re.compile(rf"[ \t,]*+({TOKEN}++)[ \t]*+=[ \t]*+({QUOTED}|[^ \t,\"]++)[ \t]*+(?=,|$)", re.DOTALL)
_SCHEME = re.compile(rf"[ \t]*+({TOKEN}++)[ \t]++")

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
STRENGTH = ("MD5", "SHA-256", "SHA-512-256")
"""Weakest first; RFC 8760 section 2.1."""
SUPPORTED = tuple(name for name in STRENGTH if _HASHES[name] in hashlib.algorithms_available)
"""Those that this Python's OpenSSL has."""


def digest_hash(algorithm: str, text: str | bytes) -> str:
    """H(text), lower-case hexadecimal. `algorithm` is one of SUPPORTED."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


def base_algorithm(name: str) -> str | None:
    """ "sha-256-SESS" -> "SHA-256"; None for one that is not supported."""
    base = name.upper().removesuffix("-SESS")
    return base if base in SUPPORTED else None


def digest_response(
    *,
    algorithm: str,
    ha1: str,
    nonce: str,
    cnonce: str,
    nonce_count: str,
    qop: str | None,
    method: str,
    uri: str,
    body: bytes,
) -> str:
    """The `response` parameter, RFC 7616 section 3.4.1. `qop` None is RFC 2069's way, without cnonce and count.

    ha1  H(user:realm:password), see passwords.ha1()
    """
    base = base_algorithm(algorithm)
    assert base is not None  # both callers have looked
    if algorithm.upper().endswith("-SESS"):
        ha1 = digest_hash(base, f"{ha1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}" + (f":{digest_hash(base, body)}" if qop == "auth-int" else "")
    ha2 = digest_hash(base, a2)
    if qop is None:
        return digest_hash(base, f"{ha1}:{nonce}:{ha2}")
    return digest_hash(base, f"{ha1}:{nonce}:{nonce_count}:{cnonce}:{qop}:{ha2}")


def parse_digest(text: str) -> Mapping[str, str] | None:
    """The parameters of one `Digest …` header value: lower-case names, unquoted values.

    None for another scheme, for anything malformed and for a parameter that occurs twice.
    """
    match = _SCHEME.match(text)
    if match is None or match[1].lower() != "digest":
        return None
    found: dict[str, str] = {}
    at = match.end()
    while at < len(text):
        param = _PARAM.match(text, at)
        if param is None:
            return found if not text[at:].strip(" \t,") else None
        name = param[1].lower()
        if name in found:
            return None
        found[name] = unquote(param[2])
        at = param.end()
    return found
