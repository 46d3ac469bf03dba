"""What a jitter buffer counts, and what it hands over to whoever goes on for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class JitterStats:
    """Packets, except where it says frames. received = played + late + duplicate + overflow + discarded + waiting."""

    received: int = 0
    played: int = 0  # all or part of it came out of pop()
    late: int = 0  # arrived after its turn, or under sound already there; says "raise target_ms"
    duplicate: int = 0
    overflow: int = 0  # pushed out by newer packets; says "sender is fast, or bursts"
    discarded: int = 0  # empty, longer than 200 ms, a stray from another stream, or left behind by a resync
    lost: int = 0  # its turn came and it was not there; by sequence number, so a pause is no loss
    reordered: int = 0  # came after a later one, in time
    resyncs: int = 0  # new SSRC, or sequence numbers or timestamps that jumped
    concealed_frames: int = 0  # holes: pop() gave None, later packets were there
    empty_frames: int = 0  # nothing there: pop() gave None
    stretched_frames: int = 0  # waited once more in silence, the reserve was low
    shrunk_frames: int = 0  # skipped, the reserve was high


class Smooth(NamedTuple):
    """A buffer in which nothing is out of the ordinary: all that somebody needs who goes on for it.

    play, end        the next frame's timestamp, and the end of the newest packet; `waiting` lies between, by frames
    newest_sequence  of the last of them
    waits_for_quiet  a frame is to be dropped or added where it is not heard: `pop(quiet=True)` wants to know
    window           lowest and highest reserve, and frames, since it was judged last
    """

    ssrc: int
    newest_sequence: int
    play: int
    end: int
    waiting: list[bytes]
    waits_for_quiet: bool
    window: tuple[int, int, int]
