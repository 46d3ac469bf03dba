"""Keys for SRTP in session descriptions, RFC 4568: a=crypto:<tag> <suite> inline:<key||salt> [parameters]."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

SUITES: Mapping[str, int] = {
    "AEAD_AES_256_GCM": 32 + 12,
    "AEAD_AES_128_GCM": 16 + 12,
    "AES_CM_128_HMAC_SHA1_80": 16 + 14,
    "AES_CM_128_HMAC_SHA1_32": 16 + 14,
}
"""Suites that we speak, best first, and the bytes of key and salt. RFC 4568 section 6.2, RFC 7714 section 14.2."""

_CRYPTO = re.compile(r"(\d{1,9})\s+([A-Za-z0-9_]+)\s+inline:([A-Za-z0-9+/]+={0,2})(\S*)((?:\s+\S+)*)\s*$", re.ASCII)
_LIFETIME = re.compile(r"(?:\|(?:2\^\d{1,2}|\d{1,15}))?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Crypto:
    """One crypto line. key: master key and salt, `SUITES[suite]` bytes, never shown."""

    tag: int
    suite: str
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """The line after "a=crypto:"; None for what we do not speak, which RFC 4568 section 5.1.2 lets us pass over.

        Not spoken: other suites, several keys, MKI, and session parameters other than the window size.
        """
        match = _CRYPTO.match(value)
        if match is None:
            return None
        tag, suite, coded, after, parameters = match.groups()
        understood = _LIFETIME.match(after) and all(one.upper().startswith("WSH=") for one in parameters.split())
        if suite.upper() not in SUITES or not understood:
            return None
        try:
            key = base64.b64decode(coded, validate=True)
        except binascii.Error:
            return None
        return cls(int(tag), suite.upper(), key) if len(key) == SUITES[suite.upper()] else None

    def __str__(self) -> str:
        """As in SDP, with the key: for the wire, not for logs."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def crypto_lines(attributes: Iterable[tuple[str, str | None]]) -> list[Crypto]:
    """The lines of an m-line that we understand, in the peer's order."""
    lines = [Crypto.parse(value) for name, value in attributes if name == "crypto" and value is not None]
    return [line for line in lines if line is not None]


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What SDES came to. The keys are master key and salt, never shown."""

    suite: str
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
