"""The plane's arrays: one row per leg, grown by doubling, row 0 always silent."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from kallglot_media.audio import g711
from kallglot_media.audio.own_voice import PLAYED_MS, halve

RATE_HZ = 8000
FRAME_SAMPLES = 160
PACKET = np.dtype(
    [
        ("first", "u1"),
        ("second", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", "u1", FRAME_SAMPLES),
    ]
)
"""An RTP packet as it goes on the wire, RFC 3550 section 5.1: no padding, extension or CSRC."""

PACKET_BYTES = PACKET.itemsize
LOCKED_BYTES = PACKET_BYTES + 16
"""Such a packet encrypted, with the longest tag there is (RFC 7714 section 4); a multiple of 4."""

_VERSION_2 = 0x80
_MARKER = 0x80
PAST_FRAMES = 16
"""Frames kept of each leg: concealment looks back on 3, an utterance on its lead-in."""

PLAYED_FRAMES = PLAYED_MS // 20
"""Frames kept of what each leg was told, at 4 kHz: its echo may come back as late as that."""

LAWS = ("PCMU", "PCMA")
BYTE_A_SAMPLE = (*LAWS, "G722")
"""Codecs of which a byte is a sample of the plane, so that a frame of every one fits into PACKET."""

SILENCE = tuple(bytes([g711.SILENCE[law]]) * FRAME_SAMPLES for law in LAWS)

_DECODE = np.concatenate([g711.ULAW_TO_PCM, g711.ALAW_TO_PCM])
_ENCODE = np.concatenate([g711.PCM_TO_ULAW, g711.PCM_TO_ALAW])


def grown(array: npt.NDArray[np.generic], rows: int, axis: int = 0) -> npt.NDArray[np.generic]:
    """The same with `rows` rows along an axis, those that are new zero."""
    shape = list(array.shape)
    shape[axis] = rows
    new = np.zeros(shape, array.dtype)
    new[tuple(slice(0, size) for size in array.shape)] = array
    return new


class Rows:
    """Arrays of `capacity` rows; `high` is one above the last row in use.

    heard      int16[capacity, 160], what each leg's peer said in this tick
    made       int16[capacity, 160], made speech and tones for each leg in this tick
    spoken     int16[high, 160], what each leg's peer hears in this tick; there after `encode`
    playing    bool[capacity], whether made speech plays to the leg in this tick
    sequence   int64[capacity], of the next packet, not wrapped
    timestamp  int64[capacity], of the next packet, not wrapped
    """

    def __init__(self, capacity: int = 16) -> None:
        self.high = 1
        self._free: list[int] = []
        self._used = {0}
        self.heard = np.zeros((0, FRAME_SAMPLES), np.int16)
        self.past = np.zeros((PAST_FRAMES, 0, FRAME_SAMPLES), np.int16)
        self.told = np.zeros((PLAYED_FRAMES, 0, FRAME_SAMPLES // 2), np.int16)
        self.made = np.zeros((0, FRAME_SAMPLES), np.int16)
        self.playing = np.zeros(0, np.bool_)
        self.sequence = np.zeros(0, np.int64)
        self.timestamp = np.zeros(0, np.int64)
        self.spoken = np.zeros((0, FRAME_SAMPLES), np.int16)
        self._packets = np.zeros(0, PACKET)
        self._marked: list[int] = []
        self._decode_from = np.zeros((0, 1), np.int32)  # where the leg's law starts in _DECODE
        self._encode_from = np.zeros((0, 1), np.int32)
        self._grow(capacity)

    @property
    def capacity(self) -> int:
        """Rows there are, in use or not."""
        return len(self.playing)

    def take(self) -> int:
        """The lowest free row, zeroed; so that the rows in use stay close together."""
        if not self._free:
            self._grow(2 * self.capacity)
        row = heapq.heappop(self._free)
        self._used.add(row)
        self.high = max(self._used) + 1
        return row

    def give_back(self, row: int) -> None:
        """Silence a row and free it."""
        self.heard[row] = self.made[row] = self.past[:, row] = self.told[:, row] = 0
        self.playing[row] = False
        self.set_law(row, 0)
        self._marked = [marked for marked in self._marked if marked != row]
        heapq.heappush(self._free, row)
        self._used.remove(row)
        self.high = max(self._used) + 1

    def start_stream(self, row: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """A leg took the row: this is the stream it will send."""
        self.sequence[row], self.timestamp[row] = sequence, timestamp
        self._packets["first"][row] = _VERSION_2
        self._packets["ssrc"][row] = ssrc

    def set_coding(self, row: int, law: int, payload_type: int) -> None:
        """How the row is coded; its next packet carries the marker. law: an index into LAWS."""
        self.set_law(row, law)
        self._packets["second"][row] = payload_type | _MARKER
        self._marked.append(row)

    def mark(self, rows: list[int]) -> None:
        """Their next packets carry the marker: a talk spurt begins (RFC 3551 section 4.1)."""
        self._packets["second"][rows] |= _MARKER
        self._marked += rows

    def set_law(self, row: int, law: int) -> None:
        """Which part of the tables the row uses."""
        self._decode_from[row], self._encode_from[row] = law << 8, law << 16

    def decode(self, codes: npt.NDArray[np.uint8], tick: int) -> npt.NDArray[np.int16]:
        """Fill `heard` from uint8[high, 160], a payload per row; the frame before goes to `past`."""
        high = self.high
        heard = self.heard[:high]
        self.past[tick % PAST_FRAMES, :high] = heard
        index = codes + self._decode_from[:high]
        np.take(_DECODE, index, out=heard, mode="clip")
        heard[0] = 0
        return heard

    def last_frames(self, row: int, tick: int, count: int) -> npt.NDArray[np.int16]:
        """int16[count, 160]: the leg's frames before this tick, oldest first; for use after `decode` of `tick`."""
        frames: npt.NDArray[np.int16] = self.past[np.arange(tick + 1 - count, tick + 1) % PAST_FRAMES, row]
        return frames

    def keep_told(self, tick: int) -> None:
        """What was said to the legs in this tick, for `told_before`; after `encode`."""
        self.told[tick % PLAYED_FRAMES, : self.high] = halve(self.spoken)

    def told_before(self, rows: list[int], tick: int) -> npt.NDArray[np.int16]:
        """int16[n, 3840] at 4 kHz: what these legs were told in the 48 ticks before this one, oldest first."""
        ticks = np.arange(tick, tick + PLAYED_FRAMES) % PLAYED_FRAMES
        told: npt.NDArray[np.int16] = self.told[ticks[:, None], rows]
        return told.swapaxes(0, 1).reshape(len(rows), -1)

    def heard_last(self, rows: list[int], tick: int, count: int) -> npt.NDArray[np.int16]:
        """int16[n, count * 80] at 4 kHz: what these legs' peers said last, the frame of this tick at the end."""
        ticks = np.arange(tick + 2 - count, tick + 1) % PAST_FRAMES
        frames = np.concatenate([self.past[ticks[:, None], rows], self.heard[None, rows]])
        return halve(frames.swapaxes(0, 1).reshape(len(rows), -1))

    def forget(self) -> None:
        """Ticks were skipped: what was heard before them is not what came before the next."""
        self.past[:] = 0
        self.told[:] = 0

    def encode(self, said: npt.NDArray[np.float32], sending: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """PACKET[n], one for each row in `sending`; all RTP clocks move on. said: float32[high, 160], used up."""
        high = self.high
        np.rint(said, out=said)
        np.minimum(said, 32767, out=said)
        pcm = self.spoken = np.maximum(said, -32768, out=said).astype(np.int16)
        packets = self._packets
        packets["payload"][:high] = _ENCODE.take(pcm.view(np.uint16) + self._encode_from[:high], mode="clip")
        packets["sequence"][:high] = self.sequence[:high]
        packets["timestamp"][:high] = self.timestamp[:high]
        # as packets[sending] would, in a tenth of the time
        data: npt.NDArray[np.void] = (
            packets.view(np.uint32).reshape(len(packets), -1).take(sending, axis=0).view(PACKET)[:, 0]
        )
        self.timestamp[:high] += FRAME_SAMPLES
        self.sequence[sending] += 1
        if self._marked:
            self._unmark(sending)
        return data

    def said(self, row: int) -> bytes:
        """The payload of the row's last packet: what its leg hears in this tick, in its law."""
        payload: npt.NDArray[np.uint8] = self._packets["payload"][row]
        return payload.tobytes()

    def _unmark(self, sent: npt.NDArray[np.intp]) -> None:
        gone = [row for row in self._marked if row in sent]
        self._packets["second"][gone] &= _MARKER - 1
        self._marked = [row for row in self._marked if row not in gone]

    def _grow(self, capacity: int) -> None:
        had = self.capacity
        for name, array in list(vars(self).items()):
            if not isinstance(array, np.ndarray):
                continue
            setattr(self, name, grown(array, capacity, axis=1 if name in ("past", "told") else 0))
        for row in range(max(1, had), capacity):
            heapq.heappush(self._free, row)
