"""One leg: what it keeps besides its row in the plane's arrays."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kallglot_media.audio import g711
from kallglot_media.audio.conceal import Concealer
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.playout import PlayoutQueue
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.coders import CODINGS, Hearing
from kallglot_media.media.cutter import Cutter
from kallglot_media.media.guard import Guard
from kallglot_media.media.messages import LegStats, RtpLost, SetRemote
from kallglot_media.media.quality import UNHEARD, Quality, measure
from kallglot_media.media.reports import Reports
from kallglot_media.media.rows import FRAME_SAMPLES, LAWS, SILENCE
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.source_lock import Address, SourceLock
from kallglot_media.media.speaker import Speaker
from kallglot_media.modes.plan import Party
from kallglot_media.rtp.dtmf import DtmfPress, DtmfReceiver, DtmfStats
from kallglot_media.rtp.jitter import JitterBuffer, JitterStats
from kallglot_media.rtp.packet import RtpError, RtpPacket, is_rtcp

if TYPE_CHECKING:
    from kallglot_media.media.session import Session

COMFORT_NOISE = 13
"""Static payload type of RFC 3389: the peer says that it is silent."""


_JITTER_COUNTERS = tuple(field.name for field in dataclasses.fields(JitterStats))
_DTMF_COUNTERS = tuple(field.name for field in dataclasses.fields(DtmfStats))
_KEY_TICKS = 150  # a key's packets may be repeated for so long

_MOST_LOST = 250  # stretches between two LegStats: as many as there can be frames
MOST_MADE_UP_FRAMES = 5
"""Sound is made up for this long (it fades meanwhile); what is missing after that is silence."""


_HIGHEST_PORT = 65_535
_NOWHERE = ("0.0.0.0", "::")  # noqa: S104  not bound to, but not sent to either


class Report(NamedTuple):
    """RTCP to send. from_rtp_port: by the socket of the RTP port, not of the one above."""

    slot: int
    datagram: bytes
    remote: Address
    from_rtp_port: bool = False


class Leg:
    """Takes datagrams in, gives a payload per tick out, and counts by name what it drops."""

    def __init__(
        self, leg_id: str, session: Session, party: Party, slot: int, settings: MediaSettings, ssrc: int
    ) -> None:
        self.leg_id = leg_id
        self.epoch_s = 0.0  # Unix time when now_s was 0
        self.session = session
        self.party = party
        self.slot = slot
        self.remote: SetRemote | None = None
        self.lock = SourceLock(allow_latch=settings.allow_latch, latch_s=settings.latch_s)
        self.jitter = JitterBuffer(settings.jitter)
        self.hearing: Hearing | None = None  # None: G.711, decoded for all legs at once
        self.speaker: Speaker | None = None
        self.guard: Guard | None = None  # None: not encrypted
        self.reports = Reports(ssrc)
        self.dtmf = DtmfReceiver()
        self.concealer: Concealer | None = None
        self.playout = PlayoutQueue()
        self.tone: Pcm16 | None = None
        self.tone_at = 0
        self.cutter: Cutter | None = None
        self.counters: Counter[str] = Counter()
        self.first_sequence = 0
        self.last_rtp_s = 0.0
        self.lost_told = False
        self.silent = False  # the peer sends comfort noise: what is missing is silence, not loss
        self.noise_dbov = -127
        self.made_up_frames = MOST_MADE_UP_FRAMES  # in a row; none is made up before the first one came
        self._lost: list[list[int]] = []  # first sample and samples of what was made up since the last stats
        self._lost_before = 0
        self._presses: list[DtmfPress] = []
        self._key_ticks = 0
        self._receive_type = -1
        self._dtmf_type = -1

    @property
    def law(self) -> int:
        """Index into LAWS; a leg with another codec has silence in the first of them."""
        return LAWS.index(self.remote.codec) if self.remote and self.remote.codec in LAWS else 0

    @property
    def silence(self) -> bytes:
        """A payload of silence in the leg's law."""
        return SILENCE[self.law]

    def decode(self, payload: bytes) -> Pcm16:
        """A frame, or a part of one, when the peer's packets are not 20 ms long."""
        if self.hearing is not None:
            return self.hearing.decode(payload)
        return g711.DECODERS[LAWS[self.law]](np.frombuffer(payload, np.uint8))

    @property
    def sends(self) -> bool:
        """Whether the peer is to get RTP now."""
        return self.remote is not None and self.remote.send and (self.guard is None or self.guard.is_open)

    @property
    def receives(self) -> bool:
        """Whether RTP of the peer is wanted now."""
        return self.remote is not None and self.remote.receive

    def set_remote(self, message: SetRemote, now_s: float) -> None:
        """A new agreement with the peer. Waiting for its RTP starts anew."""
        self._set_coding(message)
        self.remote = message
        self.lock.set((message.host, message.port), now_s)
        self._receive_type = message.receive_payload_type
        self._dtmf_type = -1 if message.dtmf_receive_payload_type is None else message.dtmf_receive_payload_type
        self.last_rtp_s = now_s

    def _set_coding(self, message: SetRemote) -> None:
        """What is the same as before keeps what it knows of the stream."""
        before = self.remote
        coding = CODINGS[message.codec]
        if before is None or message.codec != before.codec:
            self.jitter = JitterBuffer(self.jitter.rules, stats=self.jitter.stats)
            self.hearing = coding.hearing() if coding.hearing is not None else None
            self.reports.clock_hz = coding.clock_hz
        if before is None or message.dtmf_clock_hz != before.dtmf_clock_hz:
            stats_of_keys = self.dtmf.stats
            self.dtmf = DtmfReceiver(message.dtmf_clock_hz)
            self.dtmf.stats = stats_of_keys
        if self.speaker is None or not self.speaker.goes_on(message):
            self.speaker = Speaker(message, self.reports.ssrc)
        if message.keys is None and message.dtls is None:
            self.guard = None
        else:
            self.guard = self.guard or Guard(self.counters)
            self.guard.agree(message)

    def press(self, digits: str, duration_ms: int) -> None:
        """Send keys to the peer, in place of sound."""
        if self.speaker is None or not self.speaker.press(digits, duration_ms):
            self.counters["dtmf_not_agreed"] += len(digits)

    def lost_rtp(self, now_s: float, timeout_s: float) -> RtpLost | None:
        """Once for each time that it goes away; a held leg may be silent."""
        silent_s = now_s - self.last_rtp_s
        if not self.receives:
            self.last_rtp_s = now_s
        elif silent_s < timeout_s:
            self.lost_told = False
        elif not self.lost_told:
            self.lost_told = True
            return RtpLost(self.leg_id, int(1000 * silent_s))
        return None

    def listen(self, rules: SegmentRules | None) -> None:
        """Start cutting into utterances by these rules, or stop. What is under way must be flushed before."""
        self.cutter = None if rules is None else Cutter(rules)

    def receive(self, datagram: bytes, source: Address, now_s: float, *, opened: bool = False) -> bool:
        """One datagram from the RTP port; True when it belongs to a pressed key. Never raises for what is in it.

        opened: it was decrypted before
        """
        if self.guard is not None and not opened:
            unlocked = self.guard.unlock(datagram, from_peer=self._is_peer_host(source))
            if unlocked is None:
                return False
            datagram = unlocked
        try:
            packet = RtpPacket.parse(datagram)
        except RtpError:
            self.counters[_kind_of(datagram)] += 1
            return False
        payload_type = packet.payload_type
        is_sound = payload_type == self._receive_type
        if not is_sound and payload_type not in (self._dtmf_type, COMFORT_NOISE):
            if self.remote is not None and self.remote.rtcp_mux and is_rtcp(datagram):
                self._take_rtcp(datagram, source, now_s)
            else:
                self.counters[self._why_not(datagram)] += 1
            return False
        if not self.lock.accepts(source, packet.sequence, now_s):
            self.counters["source"] += 1
            return False
        self.last_rtp_s = now_s
        self.reports.received(packet, now_s, is_sound=is_sound)
        if not self.receives:
            self.counters["held"] += 1
        elif not is_sound:
            return self._receive_other(packet)
        else:
            self.silent = False
            if self.hearing is None:
                self.jitter.insert(packet)
            elif (entered := self.hearing.enter(packet)) is not None:
                self.jitter.insert(entered)
            else:
                self.counters["malformed"] += 1
        return False

    def receive_rtcp(self, datagram: bytes, source: Address, now_s: float) -> None:
        """One datagram from the RTCP port."""
        unlocked = self.guard.unlock_rtcp(datagram) if self.guard is not None else datagram
        if unlocked is not None:
            self._take_rtcp(unlocked, source, now_s)

    def _take_rtcp(self, datagram: bytes, source: Address, now_s: float) -> None:
        """Believed from the RTP peer's host only."""
        if self._is_peer_host(source):
            self.reports.receive(datagram, now_s, wall_s=now_s + self.epoch_s)
        else:
            self.counters["rtcp_source"] += 1

    def seal_report(self, datagram: bytes) -> Report | None:
        """RTCP goes to the port above RTP's, unless the peer wants it elsewhere. RFC 3550 section 11."""
        if self.remote is None or self.lock.remote is None:
            return None
        locked = self.guard.lock_rtcp(datagram) if self.guard is not None else datagram
        if locked is None:
            return None
        host, port = self.lock.remote
        muxed = self.remote.rtcp_mux
        to_port = port if muxed else self.remote.rtcp_port or port + 1
        # "c=IN IP4 0.0.0.0" is a hold of the old kind (RFC 3264 8.4); sent to, it would be this machine itself.
        if to_port > _HIGHEST_PORT or host in _NOWHERE:
            self.counters["rtcp_no_port"] += 1
            return None
        return Report(self.slot, locked, (host, to_port), from_rtp_port=muxed)

    def _is_peer_host(self, source: Address) -> bool:
        return self.lock.remote is not None and source[0] == self.lock.remote[0]

    def _receive_other(self, packet: RtpPacket) -> bool:
        self.jitter.pass_by(packet)
        if packet.payload_type != self._dtmf_type:
            self.silent = True
            # RFC 3389 section 3.1: the first byte is the level, 0 to 127 below the loudest square wave
            self.noise_dbov = -(packet.payload[0] & 0x7F) if packet.payload else -127
            self.counters["comfort_noise"] += 1
            return False
        press = self.dtmf.push(packet)
        if press is not None:
            self._presses.append(press)
        self._key_ticks = _KEY_TICKS
        return True

    def take_presses(self) -> list[DtmfPress]:
        """Keys that were let go since the last tick; call it once a tick while `keys_busy`."""
        self._key_ticks -= 1
        press = self.dtmf.tick()
        presses, self._presses = self._presses, []
        return presses if press is None else [*presses, press]

    @property
    def keys_busy(self) -> bool:
        """Whether a key was pressed not long ago."""
        return self._key_ticks > 0

    def _why_not(self, datagram: bytes) -> str:
        if is_rtcp(datagram):
            return "rtcp_on_rtp_port"
        return "early" if self.remote is None else "payload_type"

    def stats(self) -> LegStats:
        """Counters and gauges of now."""
        counters = dict(self.counters)
        counters |= {name: getattr(self.jitter.stats, name) for name in _JITTER_COUNTERS}
        counters |= self.reports.counters()
        counters |= {f"dtmf_{name}": getattr(self.dtmf.stats, name) for name in _DTMF_COUNTERS}
        counters["latched"] = self.lock.latched
        counters["delay_ms"] = self.jitter.depth_ms
        quality, reports = self.quality(), self.reports
        lost, self._lost = tuple(itertools.chain.from_iterable(self._lost)), []
        return LegStats(
            self.leg_id, counters, reports.jitter_ms, reports.loss_ratio, quality.mos, quality.peer_mos, lost
        )

    @property
    def packets_lost(self) -> int:
        """Packets whose turn came and that were not there."""
        return self.jitter.stats.lost

    def note_lost(self, end_sample: int) -> None:
        """Sound is there again after frames that were made up: was it loss, or has the peer been silent?"""
        lost, self._lost_before = self.packets_lost - self._lost_before, self.packets_lost
        if lost > 0 and self.made_up_frames and len(self._lost) < _MOST_LOST:
            samples = self.made_up_frames * FRAME_SAMPLES
            self._lost.append([end_sample - samples, samples])

    def quality(self) -> Quality:
        """How it sounds, to us and to the peer."""
        return UNHEARD if self.remote is None else measure(self.jitter, self.reports, self.remote.codec)


def _kind_of(datagram: bytes) -> str:
    """What came to the RTP port that is not RTP. RFC 7983 section 7."""
    first = datagram[0] if datagram else 255
    if first <= 3:
        return "stun"
    if 20 <= first <= 63:
        return "dtls"
    return "malformed"
