"""The lock on a leg's sound: SRTP, with keys from the SDP or from a DTLS handshake."""

from __future__ import annotations

from collections import Counter

from kallglot_media.media.dtls import Dtls
from kallglot_media.media.messages import DtlsPeer, SetRemote
from kallglot_media.media.srtp import Srtp
from kallglot_media.rtp.packet import is_rtcp


class Guard:
    """Opens what comes and locks what goes. counters: of the leg; what cannot be opened is counted there."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._srtp: Srtp | None = None
        self._dtls: Dtls | None = None
        self._dtls_peer: DtlsPeer | None = None
        self._rtcp_mux = False
        self.has_news = False  # the handshake may have something to send

    def agree(self, message: SetRemote) -> None:
        """A new agreement: keys may be new, the handshake's peer too (RFC 5763 section 6.6)."""
        self._rtcp_mux = message.rtcp_mux
        if message.keys is not None:
            self._srtp = Srtp(message.keys) if self._srtp is None else self._srtp.goes_on(message.keys)
            self._dtls = self._dtls_peer = None
        elif message.dtls is not None and not self._is_known(message.dtls):
            self._srtp = None
            self._dtls, self._dtls_peer = Dtls(message.dtls), message.dtls
            self.has_news = True

    def _is_known(self, peer: DtlsPeer) -> bool:
        """RFC 5763 section 6.6: the same fingerprint goes on with the same association, whoever begins."""
        known = self._dtls_peer
        return known is not None and (known.hash_name, known.fingerprint) == (peer.hash_name, peer.fingerprint)

    @property
    def is_open(self) -> bool:
        """Whether there are keys: before that nothing is sent, rather than unencrypted."""
        return self._srtp is not None

    @property
    def srtp(self) -> Srtp | None:
        """The keys, when there are some."""
        return self._srtp

    def refuse(self) -> None:
        """RTP of this leg could not be opened."""
        self._counters["srtp_refused"] += 1

    def unlock(self, datagram: bytes, *, from_peer: bool) -> bytes | None:
        """RTP or RTCP out of a datagram that came to the RTP port; None when there is nothing (more) to do with it.

        from_peer: whether the SDP names its sender's host; only such a one may shake hands.
        """
        first = datagram[0] if datagram else 0
        if 20 <= first <= 63 and self._dtls is not None:  # RFC 7983 section 7
            if from_peer:
                self._shake_hands(self._dtls, datagram)
            else:
                self._counters["source"] += 1
            return None
        if first < 128 or first > 191:
            return datagram  # no RTP either: counted where that is told apart
        return self.unlock_rtcp(datagram) if is_rtcp(datagram) else self._unlock_rtp(datagram)

    def _unlock_rtp(self, datagram: bytes) -> bytes | None:
        if self._srtp is None:
            self._counters["srtp_early"] += 1
            return None
        packet = self._srtp.unprotect(datagram)
        if packet is None:
            self.refuse()
        return packet

    def unlock_rtcp(self, datagram: bytes) -> bytes | None:
        """RTCP out of a datagram; None, and counted, when it cannot be opened."""
        packet = self._srtp.unprotect_rtcp(datagram) if self._srtp is not None else None
        if packet is None:
            self._counters["srtcp_refused"] += 1
        return packet

    def lock(self, packet: bytes) -> bytes:
        """RTP as it goes on the wire."""
        assert self._srtp is not None
        return self._srtp.protect(packet)

    def lock_rtcp(self, packet: bytes) -> bytes | None:
        """RTCP as it goes on the wire. None: no keys for it, because DTLS makes them for each port by itself."""
        if self._srtp is None or (self._dtls is not None and not self._rtcp_mux):
            return None
        return self._srtp.protect_rtcp(packet)

    def on_time(self) -> None:
        """Once a second: the handshake may have lost a datagram."""
        if self._dtls is not None:
            self._dtls.on_time()
            self.has_news = True

    def take_datagrams(self) -> list[bytes]:
        """What the handshake sends."""
        self.has_news = False
        return self._dtls.take_datagrams() if self._dtls is not None else []

    def _shake_hands(self, dtls: Dtls, datagram: bytes) -> None:
        had_failed = dtls.failed is not None
        self.has_news = True
        dtls.receive(datagram)
        if dtls.keys is not None and self._srtp is None:
            self._srtp = Srtp(dtls.keys)
            self._counters["dtls_done"] += 1
        elif dtls.failed is not None and not had_failed:
            self._counters["dtls_failed"] += 1
