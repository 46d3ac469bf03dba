"""Where every random-looking identifier comes from, so that tests can foresee them."""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """Source of identifiers. `random_ids.RandomIds` in production, a counting one in tests."""

    def tag(self) -> str:
        """A From or To tag, at least 32 bits of randomness. RFC 3261 section 19.3."""
        ...

    def branch(self) -> str:
        """A Via branch, starting with the magic cookie z9hG4bK. RFC 3261 section 8.1.1.7."""
        ...

    def call_id(self) -> str:
        """A Call-ID, unique over space and time. RFC 3261 section 8.1.1.4."""
        ...

    def nonce(self) -> str:
        """A digest nonce or client nonce. RFC 7616 section 3.3."""
        ...

    def ssrc(self) -> int:
        """A 32-bit synchronization source. RFC 3550 section 8.1."""
        ...

    def rtp_sequence(self) -> int:
        """A first RTP sequence number, 16 bits. RFC 3550 section 5.1."""
        ...

    def rtp_timestamp(self) -> int:
        """A first RTP timestamp, 32 bits. RFC 3550 section 5.1."""
        ...

    def object_id(self, prefix: str) -> str:
        """A sortable id for our own objects: `object_id("sess")` -> "sess_01J…" (ULID)."""
        ...
