"""How a leg's RTP is encrypted, as control tells it: keys out of the SDP, or a peer to shake hands with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key and salt of each direction, never shown. suite: its name in SDP, e.g. "AES_CM_128_HMAC_SHA1_80"."""

    suite: str
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DtlsPeer:
    """With whom to shake hands: the fingerprint of its certificate, "AB:CD:…" by "sha-256", and who begins."""

    hash_name: str
    fingerprint: str
    we_begin: bool
