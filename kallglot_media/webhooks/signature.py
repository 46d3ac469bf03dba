"""The signature on everything that we send: `Kallglot-Signature: t=<unix seconds>,v1=<hex>`.

v1 is HMAC-SHA256 over "<t>." and the raw body, with the endpoint's secret as it was shown.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "Kallglot-Signature"
TOLERANCE_S = 300


def sign(secret: str, unix_s: int, body: bytes) -> str:
    """The header's value.

    sign("whsec_x", 1, b"{}") == "t=1,v1=36ee2f74…"
    """
    return f"t={unix_s},v1={_hmac(secret, unix_s, body)}"


def verify(secret: str, header: str, body: bytes, now_s: float, tolerance_s: int = TOLERANCE_S) -> bool:
    """What a receiver does: right signature, and not older (or newer) than the tolerance."""
    fields = dict(part.partition("=")[::2] for part in header.split(","))
    stamp = fields.get("t", "")
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 15 or abs(now_s - int(stamp)) > tolerance_s:
        return False
    expected = _hmac(secret, int(stamp), body)
    return hmac.compare_digest(expected.encode(), fields.get("v1", "").encode("utf-8", "replace"))


def _hmac(secret: str, unix_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % unix_s + body, hashlib.sha256).hexdigest()
