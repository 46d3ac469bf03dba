"""The plane's arrays: one row per leg, grown by doubling, row 0 always silent."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from kallglot_media.audio import g711

RATE_HZ = 8000
FRAME_SAMPLES = 160
HEADER_BYTES = 12
PACKET_BYTES = HEADER_BYTES + FRAME_SAMPLES
PAST_FRAMES = 16
"""Frames kept of each leg: concealment looks back on 3, an utterance on its lead-in."""

LAWS = ("PCMU", "PCMA")
SILENCE = tuple(bytes([g711.SILENCE[law]]) * FRAME_SAMPLES for law in LAWS)

_DECODE = np.concatenate([g711.ULAW_TO_PCM, g711.ALAW_TO_PCM])
_ENCODE = np.concatenate([g711.PCM_TO_ULAW, g711.PCM_TO_ALAW])


class Rows:
    """Arrays of `capacity` rows; `high` is one above the last row in use.

    law         int32[capacity], an index into LAWS
    heard       int16[capacity, 160], what each leg's peer said in this tick
    made        int16[capacity, 160], made speech and tones for each leg in this tick
    playing     bool[capacity], whether made speech plays to the leg in this tick
    packets     uint8[capacity, 172], RTP packets to send
    sequence, timestamp, ssrc, payload_type, marker   of the next packet, int64[capacity]
    """

    def __init__(self, capacity: int = 16) -> None:
        self.high = 1
        self._free: list[int] = []
        self.law = np.zeros(0, np.int32)
        self.heard = np.zeros((0, FRAME_SAMPLES), np.int16)
        self.past = np.zeros((PAST_FRAMES, 0, FRAME_SAMPLES), np.int16)
        self.made = np.zeros((0, FRAME_SAMPLES), np.int16)
        self.playing = np.zeros(0, np.bool_)
        self.packets = np.zeros((0, PACKET_BYTES), np.uint8)
        self.sequence = np.zeros(0, np.int64)
        self.timestamp = np.zeros(0, np.int64)
        self.ssrc = np.zeros(0, np.int64)
        self.payload_type = np.zeros(0, np.int64)
        self.marker = np.zeros(0, np.int64)
        self._grow(capacity)

    @property
    def capacity(self) -> int:
        """Rows there are, in use or not."""
        return len(self.law)

    def take(self) -> int:
        """The lowest free row, zeroed; so that the rows in use stay close together."""
        if not self._free:
            self._grow(2 * self.capacity)
        row = heapq.heappop(self._free)
        self.high = max(self.high, row + 1)
        return row

    def give_back(self, row: int) -> None:
        """Zero a row and free it."""
        for array in (self.law, self.heard, self.made, self.playing, self.sequence, self.timestamp, self.ssrc):
            array[row] = 0
        self.past[:, row] = 0
        heapq.heappush(self._free, row)

    def decode(self, payloads: list[bytes], tick: int) -> npt.NDArray[np.int16]:
        """Fill `heard` from one payload of 160 bytes per row below `high`; the frame before goes to `past`."""
        high = self.high
        heard = self.heard[:high]
        self.past[tick % PAST_FRAMES, :high] = heard
        codes = np.frombuffer(b"".join(payloads), np.uint8).reshape(high, FRAME_SAMPLES)
        index = codes + (self.law[:high, None] << 8)
        np.take(_DECODE, index, out=heard, mode="clip")
        heard[0] = 0
        return heard

    def last_frames(self, row: int, tick: int, count: int) -> npt.NDArray[np.int16]:
        """int16[count, 160]: the leg's frames before this tick, oldest first; for use after `decode` of `tick`."""
        frames: npt.NDArray[np.int16] = self.past[np.arange(tick + 1 - count, tick + 1) % PAST_FRAMES, row]
        return frames

    def forget(self) -> None:
        """Ticks were skipped: what was heard before them is not what came before the next."""
        self.past[:] = 0

    def encode(self, said: npt.NDArray[np.float32], sending: npt.NDArray[np.intp]) -> bytes:
        """One packet per row in `sending`, back to back; all RTP clocks move on. said: float32[high, 160], used up."""
        high = self.high
        packets = self.packets
        np.rint(said, out=said)
        np.minimum(said, 32767, out=said)
        pcm = np.maximum(said, -32768, out=said).astype(np.int16)
        index = pcm.view(np.uint16) + (self.law[:high, None] << 16)
        packets[:high, HEADER_BYTES:] = _ENCODE.take(index, mode="clip")
        self._write_headers(high)
        self.timestamp[:high] += FRAME_SAMPLES
        self.sequence[sending] += 1
        self.marker[sending] = 0
        return packets[sending].tobytes()

    def _write_headers(self, high: int) -> None:
        """RFC 3550 section 5.1: no padding, extension or CSRC."""
        head = self.packets[:high]
        head[:, 0] = 0x80
        head[:, 1] = self.payload_type[:high] | self.marker[:high] << 7
        head[:, 2:4] = self.sequence[:high].astype(">u2").view(np.uint8).reshape(high, 2)
        head[:, 4:8] = self.timestamp[:high].astype(">u4").view(np.uint8).reshape(high, 4)
        head[:, 8:12] = self.ssrc[:high].astype(">u4").view(np.uint8).reshape(high, 4)

    def _grow(self, capacity: int) -> None:
        had = self.capacity
        for name, array in list(vars(self).items()):
            if not isinstance(array, np.ndarray):
                continue
            axis = 1 if name == "past" else 0
            shape = list(array.shape)
            shape[axis] = capacity
            new = np.zeros(shape, array.dtype)
            new[tuple(slice(0, size) for size in array.shape)] = array
            setattr(self, name, new)
        for row in range(max(1, had), capacity):
            heapq.heappush(self._free, row)
