"""The identifiers of production: from the operating system's randomness, so that nobody can foresee them."""

from __future__ import annotations

import secrets
import threading
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARS = 26
_RANDOM_BITS = 80


class RandomIds:
    """Implements `ids.Ids`. Every value is new; object ids of one process are sorted by when they were made."""

    def __init__(self) -> None:
        self._last_ulid = 0
        self._lock = threading.Lock()

    def tag(self) -> str:
        """64 bits; RFC 3261 section 19.3 asks for 32."""
        return secrets.token_hex(8)

    def branch(self) -> str:
        """The magic cookie and 96 bits. RFC 3261 section 8.1.1.7."""
        return f"z9hG4bK{secrets.token_hex(12)}"

    def call_id(self) -> str:
        """128 bits without a host: "using the host is not required". RFC 3261 section 8.1.1.4."""
        return secrets.token_hex(16)

    def nonce(self) -> str:
        """128 bits. RFC 7616 section 3.3."""
        return secrets.token_hex(16)

    def ssrc(self) -> int:
        """32 bits. RFC 3550 section 8.1."""
        return secrets.randbits(32)

    def rtp_sequence(self) -> int:
        """16 bits with the top one clear, so that the first roll-over is far. RFC 3711 section 3.3.1."""
        return secrets.randbits(15)

    def rtp_timestamp(self) -> int:
        """32 bits. RFC 3550 section 5.1."""
        return secrets.randbits(32)

    def object_id(self, prefix: str) -> str:
        """`object_id("sess")` -> "sess_01JD…": a ULID, 48 bits of Unix ms and 80 of randomness.

        Two in the same ms, or after the clock was set back, still sort: the next is the last one plus one.
        """
        with self._lock:  # the store's threads ask too
            return f"{prefix}_{_crockford(self._next_ulid())}"

    def _next_ulid(self) -> int:
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS - 1)
        stepped = fresh >> _RANDOM_BITS <= self._last_ulid >> _RANDOM_BITS
        self._last_ulid = self._last_ulid + 1 if stepped else fresh
        return self._last_ulid


def _crockford(value: int) -> str:
    return "".join(_CROCKFORD[value >> 5 * place & 31] for place in reversed(range(_ULID_CHARS)))
