"""Encrypted RTP and RTCP (RFC 3711, RFC 7714) through libsrtp: one object for the two directions of a leg.

`lock_all` and `unlock_all` do a packet of each of many legs where it lies, without a copy or an object for it: half of
what a call of pylibsrtp's takes is that. For it they call libsrtp as pylibsrtp does (whose version is pinned).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pylibsrtp
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from kallglot_media.media.messages import SrtpKeys

PROFILES: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
"""By their names in SDP, RFC 4568 section 6.2 and RFC 7714 section 14.2."""

REPLAY_WINDOW = 1024
"""Packets that may come in any order; RFC 3711 section 3.3.2 wants at least 64."""


class Srtp:
    """Datagrams in, datagrams out. What cannot be opened is None: forged, replayed, or of another key."""

    def __init__(self, keys: SrtpKeys) -> None:
        """Raises KeyError for an unknown suite, pylibsrtp.Error for a key of the wrong length."""
        self._keys = keys
        self._send = _session(keys.suite, keys.send_key, Policy.SSRC_ANY_OUTBOUND)
        self._receive = _session(keys.suite, keys.receive_key, Policy.SSRC_ANY_INBOUND)

    def goes_on(self, keys: SrtpKeys) -> Srtp:
        """For a new agreement: a direction whose key is the same keeps its counters, the other starts anew.

        Starting a direction again under the same key would use the same key stream twice, RFC 3711 section 9.1.
        """
        new = Srtp(keys)
        if keys.suite == self._keys.suite and keys.send_key == self._keys.send_key:
            new._send = self._send
        if keys.suite == self._keys.suite and keys.receive_key == self._keys.receive_key:
            new._receive = self._receive
        return new

    def protect(self, packet: bytes) -> bytes:
        """RTP as it goes on the wire."""
        return self._send.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """RTCP as it goes on the wire."""
        return self._send.protect_rtcp(packet)

    def unprotect(self, datagram: bytes) -> bytes | None:
        """The RTP packet."""
        try:
            return self._receive.unprotect(datagram)
        except (pylibsrtp.Error, ValueError):
            return None

    def unprotect_rtcp(self, datagram: bytes) -> bytes | None:
        """The RTCP packet."""
        try:
            return self._receive.unprotect_rtcp(datagram)
        except (pylibsrtp.Error, ValueError):
            return None


def _session(suite: str, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[suite])
    policy.window_size = REPLAY_WINDOW
    return Session(policy=policy)


def lock_all(srtp: Sequence[Srtp], packets: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.int32]:
    """`Srtp.protect` of a packet of each, in its place; returns how long they are now, −1: cannot be sent.

    packets: uint8[n, width], packets of `size` bytes with room for a tag of 16 behind them
    """
    sizes = np.full(len(packets), size, np.int32)
    return _each([it._send for it in srtp], packets, sizes, lib.srtp_protect)


def unlock_all(
    srtp: Sequence[Srtp], datagrams: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """`Srtp.unprotect` of a datagram of each, in its place; returns how long they are now, −1: cannot be opened."""
    return _each([it._receive for it in srtp], datagrams, sizes.copy(), lib.srtp_unprotect)


def _each(
    sessions: list[Session], packets: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int32], treat: Callable[..., int]
) -> npt.NDArray[np.int32]:
    assert packets.strides[1] == 1
    width = packets.strides[0]
    place, size = ffi.cast("char *", packets.ctypes.data), ffi.cast("int *", sizes.ctypes.data)
    for n, session in enumerate(sessions):
        if treat(session._srtp[0], place + n * width, size + n):
            sizes[n] = -1
    return sizes
