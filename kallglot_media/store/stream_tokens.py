"""Tokens that open one session's stream for five minutes: kst_<payload><mac>.

Signed, not stored: making one costs no write, and any node can check it. The secret is
`store.write(secrets.secret, secrets.STREAM_TOKENS)`.

    payload  expiry in ms since 1970 (6 bytes), nonce (10 bytes)
    mac      HMAC-SHA256 over payload and session id, first 20 bytes
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from enum import Enum

LIFETIME_MS = 5 * 60_000
PREFIX = "kst_"
_EXPIRY_BYTES, _NONCE_BYTES, _MAC_BYTES = 6, 10, 20
_PAYLOAD_BYTES = _EXPIRY_BYTES + _NONCE_BYTES


class TokenState(Enum):
    """What a token is worth. INVALID: not ours, changed, or of another session."""

    GOOD = "good"
    EXPIRED = "expired_token"
    INVALID = "invalid_token"


def issue(secret: bytes, session_id: str, now_ms: int, lifetime_ms: int = LIFETIME_MS) -> str:
    """A new token, good until now_ms + lifetime_ms."""
    payload = (now_ms + lifetime_ms).to_bytes(_EXPIRY_BYTES, "big") + secrets.token_bytes(_NONCE_BYTES)
    return PREFIX + base64.urlsafe_b64encode(payload + _mac(secret, payload, session_id)).decode().rstrip("=")


def check(secret: bytes, session_id: str, token: str, now_ms: int) -> TokenState:
    """Whether `token` opens this session's stream now."""
    try:
        raw = base64.b64decode(token.removeprefix(PREFIX).encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        return TokenState.INVALID
    if not token.startswith(PREFIX) or len(raw) != _PAYLOAD_BYTES + _MAC_BYTES:
        return TokenState.INVALID
    payload, mac = raw[:_PAYLOAD_BYTES], raw[_PAYLOAD_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, payload, session_id)):
        return TokenState.INVALID
    if int.from_bytes(payload[:_EXPIRY_BYTES], "big") <= now_ms:
        return TokenState.EXPIRED
    return TokenState.GOOD


def _mac(secret: bytes, payload: bytes, session_id: str) -> bytes:
    signed = payload + session_id.encode("utf-8", "surrogatepass")
    return hmac.new(secret, signed, hashlib.sha256).digest()[:_MAC_BYTES]
