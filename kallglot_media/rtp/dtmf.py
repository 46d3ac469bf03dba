"""Keys pressed during a call, as telephone-event packets. RFC 4733 section 2.

     0                   1                   2                   3
    |     event     |E|R| volume    |          duration             |

A press is one event: all its packets have the same timestamp, its start. The end is sent three
times and any packet may be lost, so a press is known by (SSRC, timestamp, event) and reported
once, when it ends.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from kallglot_media.rtp.packet import RtpPacket

DIGITS = "0123456789*#ABCD"  # RFC 4733 section 3.2: events 0 to 15
_PAYLOAD = struct.Struct("!BBH")
_END = 0x80
_FULL_DURATION = 0xFFFF
_TICK_MS = 20


@dataclass(frozen=True, slots=True)
class DtmfPress:
    """One key. duration_ms as the sender measured it; 0 when only its first packet came."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class DtmfStats:
    """Packets by what became of them."""

    packets: int = 0
    malformed: int = 0  # shorter than an event
    other_events: int = 0  # not a key: flash, modem and fax tones
    stale: int = 0  # repeats of a press already reported
    timed_out: int = 0  # presses whose end never came


_Key = tuple[int, int, int]  # SSRC, timestamp, event


@dataclass(slots=True)
class _Held:
    """The key that is down. base_ticks: of earlier segments, when it is held for over 8 s."""

    key: _Key
    duration_ticks: int = 0
    base_ticks: int = 0
    idle_frames: int = 0


class DtmfReceiver:
    """push() every telephone-event packet, tick() every 20 ms; both give a press when one has ended.

    Traps seen in the wild: DTMF on an SSRC and sequence base of its own, end packets with one
    and the same sequence number, a first duration of 0 (SIPp's pcaps); so neither sequence
    numbers nor the order of arrival are relied on.

    time_out_ms  without a packet for this long, the end was lost
    forget_ms    after this long a reported press is forgotten: a sender that starts its
                 timestamps anew may use the same again
    """

    def __init__(self, rate_hz: int = 8000, *, time_out_ms: int = 120, forget_ms: int = 2000) -> None:
        self.stats = DtmfStats()
        self._ticks_per_ms = rate_hz // 1000
        self._time_out_frames = time_out_ms // _TICK_MS
        self._forget_frames = forget_ms // _TICK_MS
        self._held: _Held | None = None
        self._reported: dict[_Key, int] = {}  # and ticks since its last packet
        self._ended: deque[DtmfPress] = deque()

    def push(self, packet: RtpPacket) -> DtmfPress | None:
        """Take in one packet. A press that ended, or None."""
        self.stats.packets += 1
        if len(packet.payload) < _PAYLOAD.size:
            self.stats.malformed += 1
        else:
            event, flags, duration_ticks = _PAYLOAD.unpack_from(packet.payload)
            if event < len(DIGITS):
                self._take((packet.ssrc, packet.timestamp, event), duration_ticks, bool(flags & _END))
            else:
                self.stats.other_events += 1
        return self._ended.popleft() if self._ended else None

    def tick(self) -> DtmfPress | None:
        """20 ms went by. A press that ended, or None."""
        if self._reported:
            self._reported = {key: age + 1 for key, age in self._reported.items() if age < self._forget_frames}
        held = self._held
        if held is not None:
            held.idle_frames += 1
            if held.idle_frames >= self._time_out_frames:
                self.stats.timed_out += 1
                self._end(held)
        return self._ended.popleft() if self._ended else None

    def _take(self, key: _Key, duration_ticks: int, is_end: bool) -> None:
        if key in self._reported:
            self._reported[key] = 0
            self.stats.stale += 1
            return
        held = self._held
        if held is not None and held.key != key:
            if _is_next_segment(held, key):
                self._reported[held.key] = 0
                held = _Held(key, base_ticks=held.base_ticks + _FULL_DURATION)
            elif held.key[0] == key[0] and 0 < (held.key[1] - key[1]) & 0xFFFFFFFF < 1 << 16:
                self.stats.stale += 1  # an older press, overtaken by this one: too late to be in order
                return
            else:
                self.stats.timed_out += 1
                self._end(held)
                held = None
        if held is None:
            held = _Held(key)
        held.duration_ticks = max(held.duration_ticks, duration_ticks)
        held.idle_frames = 0
        self._held = held
        if is_end:
            self._end(held)

    def _end(self, held: _Held) -> None:
        self._held = None
        self._reported[held.key] = 0
        ticks = held.base_ticks + held.duration_ticks
        self._ended.append(DtmfPress(DIGITS[held.key[2]], ticks // self._ticks_per_ms))


def _is_next_segment(held: _Held, key: _Key) -> bool:
    """RFC 4733 section 2.5.1.3: a key held longer than the field can say goes on as a new event,
    whose timestamp is that of the last one plus its full duration."""
    same_key = key[0] == held.key[0] and key[2] == held.key[2]
    return same_key and (key[1] - held.key[1]) & 0xFFFFFFFF == _FULL_DURATION


class DtmfSender:
    """Builds the packets of a press."""

    def __init__(self, payload_type: int, rate_hz: int = 8000, *, volume_dbm0: int = -10) -> None:
        self._payload_type = payload_type
        self._step = rate_hz * _TICK_MS // 1000
        self._rate_hz = rate_hz
        self._volume = -volume_dbm0

    def packets(self, digit: str, duration_ms: int, *, sequence: int, timestamp: int, ssrc: int) -> list[RtpPacket]:
        """One packet for each 20 ms tick: the press, then its end three times.

        sequence   of the first; the next free number is then sequence + len(packets)
        timestamp  when the key went down; the same in all packets (RFC 4733 section 2.2.1)
        """
        if len(digit) != 1 or digit.upper() not in DIGITS:
            raise ValueError(f"{digit!r} is not a key; there are {DIGITS}")
        total_ticks = duration_ms * self._rate_hz // 1000
        if not 0 < total_ticks <= _FULL_DURATION:
            raise ValueError(f"{duration_ms} ms is not between 1 and {_FULL_DURATION * 1000 // self._rate_hz} ms")
        event = DIGITS.index(digit.upper())
        durations = [(ticks, 0) for ticks in range(self._step, total_ticks, self._step)] + [(total_ticks, _END)] * 3
        return [
            RtpPacket(
                self._payload_type,
                (sequence + index) & 0xFFFF,
                timestamp & 0xFFFFFFFF,
                ssrc,
                _PAYLOAD.pack(event, end | self._volume, ticks),
                marker=index == 0,  # "the beginning of a new event", section 2.2.1
            )
            for index, (ticks, end) in enumerate(durations)
        ]
