"""Opus (RFC 6716, RTP payload RFC 7587) through libopus, at the plane's 8 kHz.

libopus codes at 8 kHz by itself, so that no resampling is needed; the RTP clock is 48 kHz all the same.
The library is the one inside PyAV's wheel, or the system's: PyAV itself has neither loss concealment nor
the use of in-band FEC.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from struct import Struct

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ
from kallglot_media.rtp.packet import RtpPacket, unwrap

CLOCK_HZ = 48_000
UNIT_SAMPLES = RATE_HZ // 400
"""2.5 ms: every Opus packet is a multiple of it (RFC 6716 section 2.1.4)."""

BITRATE = 20_000
EXPECTED_LOSS_PERCENT = 10
"""So much in-band FEC is sent along."""

COMPLEXITY = 3
"""Two thirds of the time of 5, and no worse on telephone speech."""

_UNIT_CLOCK = CLOCK_HZ // 400
_LONGEST_SAMPLES = RATE_HZ * 120 // 1000
_MOST_BYTES = 1275
_MOST_KEPT = 256  # packets; the jitter buffer never holds as many
_VOUCHER = Struct(f"!QH{UNIT_SAMPLES - 10}x")

_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS = 4002, 4010, 4012, 4014


class OpusMissing(Exception):
    """There is no libopus here; the message says how to get one."""


@cache
def library() -> ctypes.CDLL:
    """libopus. Raises OpusMissing."""
    for name in _candidates():
        try:
            return _declared(ctypes.CDLL(name))
        except OSError:
            continue
    raise OpusMissing("no libopus; install the package `av` (pip) or `libopus0` (the system), or leave out Opus")


def _candidates() -> list[str]:
    spec = find_spec("av")
    places = [Path(folder).parent / "av.libs" for folder in (spec.submodule_search_locations or ())] if spec else []
    found = [str(path) for place in places for path in sorted(place.glob("libopus-*"))]
    system = ctypes.util.find_library("opus")
    return [*found, system] if system else found


def _declared(opus: ctypes.CDLL) -> ctypes.CDLL:
    state, number, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    error = ctypes.POINTER(ctypes.c_int)
    opus.opus_encoder_create.restype = opus.opus_decoder_create.restype = state
    opus.opus_encoder_create.argtypes = [ctypes.c_int32, number, number, error]
    opus.opus_decoder_create.argtypes = [ctypes.c_int32, number, error]
    opus.opus_encoder_destroy.argtypes = opus.opus_decoder_destroy.argtypes = [state]
    opus.opus_encode.argtypes = [state, state, number, data, ctypes.c_int32]
    opus.opus_decode.argtypes = [state, data, ctypes.c_int32, state, number, number]
    opus.opus_packet_get_nb_samples.argtypes = [data, ctypes.c_int32, ctypes.c_int32]
    return opus


class OpusEncoder:
    """Mono, 8 kHz, with in-band FEC."""

    def __init__(self) -> None:
        self._opus = library()
        self._out = ctypes.create_string_buffer(_MOST_BYTES)
        self._state = self._opus.opus_encoder_create(RATE_HZ, 1, _APPLICATION_VOIP, ctypes.byref(ctypes.c_int()))
        if not self._state:
            raise MemoryError("libopus made no encoder")
        fec = (_SET_FEC, 1), (_SET_LOSS, EXPECTED_LOSS_PERCENT)
        for what, value in ((_SET_BITRATE, BITRATE), (_SET_COMPLEXITY, COMPLEXITY), *fec):
            self._opus.opus_encoder_ctl(ctypes.c_void_p(self._state), what, ctypes.c_int32(value))

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_encoder_destroy(self._state)

    def encode(self, pcm: Pcm16) -> bytes:
        """One packet of 10, 20, 40 or 60 ms."""
        pcm = np.ascontiguousarray(pcm)
        size = self._opus.opus_encode(self._state, pcm.ctypes.data, len(pcm), self._out, _MOST_BYTES)
        if size < 0:
            raise ValueError(f"libopus takes no frame of {len(pcm)} samples: error {size}")
        return self._out.raw[:size]


class OpusDecoder:
    """Packets in their order, with what stands in for lost ones."""

    def __init__(self) -> None:
        self._opus = library()
        self._out = np.zeros(_LONGEST_SAMPLES, np.int16)
        self._state = self._opus.opus_decoder_create(RATE_HZ, 1, ctypes.byref(ctypes.c_int()))
        if not self._state:
            raise MemoryError("libopus made no decoder")

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Pcm16:
        """The packet's sound; silence for one that libopus does not understand."""
        return self._decode(packet, _LONGEST_SAMPLES, fec=False)

    def conceal(self, samples: int, following: bytes | None) -> Pcm16:
        """What stands in for lost `samples`: from the FEC in the packet that follows them, else made up."""
        pcm = self._decode(following, samples, fec=following is not None)
        if len(pcm) == samples:
            return pcm
        return np.zeros(samples, np.int16)

    def _decode(self, packet: bytes | None, most: int, *, fec: bool) -> Pcm16:
        size = len(packet) if packet is not None else 0
        samples = self._opus.opus_decode(self._state, packet, size, self._out.ctypes.data, most, int(fec))
        return self._out[: max(0, samples)].copy()


class OpusVouchers:
    """Lets the jitter buffer handle what cannot be cut.

    The buffer counts one byte of payload as one tick of an 8 kHz clock and cuts where it has to. An Opus
    packet has no such bytes, but its sound has: so a voucher goes into the buffer, 20 bytes for each
    2.5 ms that name the packet and the place in it, and is exchanged for sound on the way out.
    """

    def __init__(self) -> None:
        self._opus = library()
        self._decoder = OpusDecoder()
        self._packets: OrderedDict[int, bytes] = OrderedDict()
        self._serial = 0
        self._last_timestamp = 0
        self._open = -1  # the packet in _pcm
        self._pcm: Pcm16 = np.zeros(0, np.int16)

    def voucher(self, packet: RtpPacket) -> RtpPacket | None:
        """What goes into the jitter buffer for an RTP packet; None when it is not Opus."""
        payload = packet.payload
        samples = self._opus.opus_packet_get_nb_samples(payload, len(payload), CLOCK_HZ) if payload else -1
        if samples <= 0:
            return None
        self._last_timestamp = unwrap(packet.timestamp, self._last_timestamp, 32)
        self._serial += 1
        self._packets[self._serial] = payload
        if len(self._packets) > _MOST_KEPT:
            self._packets.popitem(last=False)
        units = (_VOUCHER.pack(self._serial, unit) for unit in range(samples // _UNIT_CLOCK))
        timestamp = self._last_timestamp // _UNIT_CLOCK * UNIT_SAMPLES & 0xFFFFFFFF
        return packet._replace(timestamp=timestamp, payload=b"".join(units))

    def decode(self, vouchers: bytes) -> Pcm16:
        """The sound of whole vouchers, as many samples as they have bytes."""
        parts = []
        for serial, unit in _VOUCHER.iter_unpack(vouchers):
            if serial != self._open:
                self._open, self._pcm = serial, self._decoder.decode(self._packets.pop(serial, b"\0"))
            part = self._pcm[unit * UNIT_SAMPLES : (unit + 1) * UNIT_SAMPLES]
            parts.append(part if len(part) == UNIT_SAMPLES else np.zeros(UNIT_SAMPLES, np.int16))
        return np.concatenate(parts)

    def conceal(self, pieces: Sequence[tuple[int, bytes]], following: bytes | None) -> Pcm16:
        """A frame of which only `pieces` (offset, vouchers) came, or nothing. following: the vouchers after it."""
        frame = np.zeros(FRAME_SAMPLES, np.int16)
        at = 0
        for offset, vouchers in pieces:
            if offset > at:
                frame[at:offset] = self._decoder.conceal(offset - at, self._packet_of(vouchers))
            at = offset + len(vouchers)
            frame[offset:at] = self.decode(vouchers)
        if at < FRAME_SAMPLES:
            frame[at:] = self._decoder.conceal(FRAME_SAMPLES - at, self._packet_of(following))
        return frame

    def _packet_of(self, vouchers: bytes | None) -> bytes | None:
        """The packet that these vouchers begin, while it still is there."""
        if not vouchers or len(vouchers) < _VOUCHER.size:
            return None
        serial, unit = _VOUCHER.unpack_from(vouchers)
        return self._packets.get(serial) if unit == 0 else None
