"""DTLS-SRTP: a handshake on the RTP port that makes the keys of SRTP. RFC 5763, RFC 5764.

Datagrams in, datagrams out; OpenSSL's own clock tells when to repeat a flight. A handshake costs a
millisecond or two, once for each leg.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from kallglot_media.media.messages import DtlsPeer, SrtpKeys

MTU_BYTES = 1200
"""Longest datagram, so that it passes every network."""

_LABEL = b"EXTRACTOR-dtls_srtp"
_VALID_DAYS = 365
_RECORD_HEADER_BYTES = 13

_PROFILES = {
    b"SRTP_AEAD_AES_256_GCM": ("AEAD_AES_256_GCM", 32, 12),
    b"SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 16, 14),
    b"SRTP_AES128_CM_SHA1_32": ("AES_CM_128_HMAC_SHA1_32", 16, 14),
}
"""OpenSSL's name, best first -> ours, and the bytes of key and salt."""

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha-1": hashes.SHA1(),  # noqa: S303 - what old telephones offer; it names a certificate, it signs nothing
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate made for this process, as WebRTC does, and its fingerprint for SDP."""

    context: SSL.Context
    fingerprint: str


@functools.cache
def identity() -> Identity:
    """The one of this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kallglot")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.DTLS_METHOD)
    # the certificate is its own authority: `Dtls` holds it against the fingerprint of the SDP
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_tlsext_use_srtp(b":".join(_PROFILES))
    return Identity(context, f"sha-256 {_fingerprint(certificate, 'sha-256')}")


class Dtls:
    """One handshake.

    keys    once it is done and the certificate is the right one
    failed  why there will be none
    """

    def __init__(self, peer: DtlsPeer) -> None:
        self.keys: SrtpKeys | None = None
        self.failed: str | None = None
        self._peer = peer
        self._connection = SSL.Connection(identity().context, None)
        self._connection.set_ciphertext_mtu(MTU_BYTES)
        if peer.we_begin:
            self._connection.set_connect_state()
            self._go_on()
        else:
            self._connection.set_accept_state()

    def receive(self, datagram: bytes) -> None:
        """A datagram of the peer; then take what is to be sent."""
        if self.failed is None:
            self._connection.bio_write(datagram)
            self._go_on()

    def on_time(self) -> None:
        """Call now and then: a flight that got no answer is repeated."""
        if self.keys is None and self.failed is None:
            self._connection.DTLSv1_handle_timeout()

    def take_datagrams(self) -> list[bytes]:
        """What is to be sent, whole records in each datagram."""
        try:
            flight = self._connection.bio_read(65_536)
        except SSL.WantReadError:
            return []
        return list(_datagrams(flight))

    def _go_on(self) -> None:
        try:
            if self.keys is None:
                self._connection.do_handshake()
                self._finish()
            else:
                self._connection.recv(MTU_BYTES)  # its last flight again, or an alert: OpenSSL answers
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            pass  # close_notify: the call's end is SIP's business
        except SSL.Error as error:
            if self.keys is None:
                self.failed = f"handshake: {error}"

    def _finish(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or _fingerprint(certificate, self._peer.hash_name) != self._peer.fingerprint:
            self.failed = "the certificate is not the one of the SDP's fingerprint"
            return
        profile = _PROFILES.get(self._connection.get_selected_srtp_profile())
        if profile is None:
            self.failed = "no SRTP profile in common"
            return
        suite, key_bytes, salt_bytes = profile
        # RFC 5764 section 4.2: client key, server key, client salt, server salt
        material = self._connection.export_keying_material(_LABEL, 2 * (key_bytes + salt_bytes))
        salts = material[2 * key_bytes :]
        client = material[:key_bytes] + salts[:salt_bytes]
        server = material[key_bytes : 2 * key_bytes] + salts[salt_bytes:]
        self.keys = SrtpKeys(suite, client, server) if self._peer.we_begin else SrtpKeys(suite, server, client)


def _fingerprint(certificate: x509.Certificate, hash_name: str) -> str:
    return certificate.fingerprint(_HASHES[hash_name]).hex(":").upper()


def _datagrams(flight: bytes) -> Iterator[bytes]:
    """A flight as datagrams of whole records: OpenSSL's memory knows no borders between them. RFC 6347 section 4.1."""
    start = end = 0
    while end + _RECORD_HEADER_BYTES <= len(flight):
        after = end + _RECORD_HEADER_BYTES + int.from_bytes(flight[end + 11 : end + 13])
        if after - start > MTU_BYTES and end > start:
            yield flight[start:end]
            start = end
        end = after
    if end > start:
        yield flight[start:end]
