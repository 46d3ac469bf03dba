"""Sound at rest under AES-256-GCM, in chunks: it can be written while it grows and read from any place.

    header of 96 bytes | slot 0 | slot 1 | …           slot: nonce 12 | at most half a second, encrypted | tag 16

Each file has a key of its own, made from the master key and the file's salt (HKDF-SHA-256). A slot is bound to its
place in its file, so slots cannot be swapped; the header, once finished, vouches for the length, so the end cannot
be cut off. A slot that was never written (the disk was full) is zeros, and reads as silence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"KGSEALED"
HEADER_BYTES = 96
CHUNK_SAMPLES = 4000
FRAME_BYTES = 4
CHUNK_BYTES = CHUNK_SAMPLES * FRAME_BYTES
NONCE_BYTES, TAG_BYTES = 12, 16
SLOT_BYTES = NONCE_BYTES + CHUNK_BYTES + TAG_BYTES
KEY_VARIABLE = "KALLGLOT_RECORDING_KEY"
"""Where the media processes and the commands find the key: 64 hexadecimal digits. More of them, behind a comma, are
older keys that still open what they sealed."""

_KEY_BYTES = 32
_HEAD = struct.Struct(">8sIIQ8s16s")
_UNFINISHED = (1 << 64) - 1
_VERSION = 1


class SealError(Exception):
    """A sealed file or a key is not what it should be; the message says what is there and what would do."""


def read_keys(text: str) -> tuple[bytes, ...]:
    """The keys in `text`, the first for sealing; none in an empty one. Raises SealError (without quoting a key)."""
    return tuple(_read_key(part.strip(), n) for n, part in enumerate(text.split(","), 1) if part.strip())


def keys_here() -> tuple[bytes, ...]:
    """The keys of the environment. Raises SealError."""
    return read_keys(os.environ.get(KEY_VARIABLE, ""))


def _read_key(text: str, number: int) -> bytes:
    try:
        key = bytes.fromhex(text) if len(text) == 2 * _KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES:
        mend = "write 64 hexadecimal digits; `openssl rand -hex 32` makes some"
        raise SealError(f"recording key {number} has {len(text)} characters and is no key of 32 bytes: {mend}")
    return key


def key_id(key: bytes) -> bytes:
    """Eight bytes that tell keys apart and say nothing about them."""
    return hashlib.sha256(b"kallglot recording key " + key).digest()[:8]


@dataclass(frozen=True, slots=True)
class Seal:
    """What the header of one file says. samples: of each channel; None while it grows."""

    rate_hz: int
    samples: int | None
    key: bytes = field(repr=False)
    salt: bytes

    @classmethod
    def new(cls, rate_hz: int, key: bytes) -> Seal:
        """For a file that begins."""
        return cls(rate_hz, None, key, os.urandom(16))

    @classmethod
    def read(cls, head: bytes, keys: Sequence[bytes]) -> Seal:
        """Of a file that is there. Raises SealError."""
        if len(head) < HEADER_BYTES or head[:8] != MAGIC:
            raise SealError("is no sealed recording, or its header is cut off")
        _, version, rate_hz, samples, its_key_id, salt = _HEAD.unpack_from(head)
        if version != _VERSION:
            raise SealError(f"is sealed by version {version} of the format, this program knows {_VERSION}")
        key = next((key for key in keys if key_id(key) == its_key_id), None)
        if key is None:
            have = ", ".join(key_id(key).hex() for key in keys) or "none"
            raise SealError(f"was sealed with key {its_key_id.hex()}, there is {have}; set {KEY_VARIABLE}")
        seal = cls(rate_hz, None if samples == _UNFINISHED else samples, key, salt)
        nonce, tag = head[_HEAD.size : _HEAD.size + NONCE_BYTES], head[_HEAD.size + NONCE_BYTES :][:TAG_BYTES]
        try:
            seal._cipher().decrypt(nonce, tag, head[: _HEAD.size])
        except InvalidTag:
            raise SealError("has a header that was changed after it was written") from None
        return seal

    def header(self) -> bytes:
        """The first 96 bytes of the file."""
        samples = _UNFINISHED if self.samples is None else self.samples
        head = _HEAD.pack(MAGIC, _VERSION, self.rate_hz, samples, key_id(self.key), self.salt)
        nonce = os.urandom(NONCE_BYTES)
        return (head + nonce + self._cipher().encrypt(nonce, b"", head)).ljust(HEADER_BYTES, b"\0")

    def finished(self, samples: int) -> Seal:
        """The same with its length."""
        return replace(self, samples=samples)

    def lock(self, slot: int, plain: bytes) -> bytes:
        """One slot as it stands in the file; each time another one."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, plain, self._place(slot))

    def unlock(self, slot: int, locked: bytes) -> bytes:
        """What is in a slot. Raises SealError for one that was changed or not written to its end."""
        size = len(locked) - NONCE_BYTES - TAG_BYTES
        if size < 0:
            raise SealError(f"slot {slot} is cut off")
        if not any(locked):
            return bytes(size)
        try:
            return self._cipher().decrypt(locked[:NONCE_BYTES], locked[NONCE_BYTES:], self._place(slot))
        except InvalidTag:
            raise SealError(f"slot {slot} (from {slot / 2:g} s on) was changed after it was written") from None

    def _place(self, slot: int) -> bytes:
        return self.salt + slot.to_bytes(8)

    def _cipher(self) -> AESGCM:
        return _cipher_of(self.key, self.salt)


@lru_cache(maxsize=4096)
def _cipher_of(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt, b"kallglot recording").derive(key))


def file_bytes(samples: int) -> int:
    """How long a sealed file with so many samples is."""
    whole, rest = divmod(samples, CHUNK_SAMPLES)
    last = NONCE_BYTES + rest * FRAME_BYTES + TAG_BYTES if rest else 0
    return HEADER_BYTES + whole * SLOT_BYTES + last


def samples_in(size: int) -> int:
    """How many samples a sealed file of `size` bytes has."""
    whole, rest = divmod(max(0, size - HEADER_BYTES), SLOT_BYTES)
    return whole * CHUNK_SAMPLES + max(0, rest - NONCE_BYTES - TAG_BYTES) // FRAME_BYTES
