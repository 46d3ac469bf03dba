"""A leg without RTP: its sound comes and goes as messages, for a party connected over a WebSocket."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import LegStats, StreamAudioOut
from kallglot_media.media.rows import FRAME_SAMPLES, SILENCE
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import Party

if TYPE_CHECKING:
    from kallglot_media.media.session import Session

HOLD_FRAMES = 3
"""After a pause the first sound waits for so long, so that a piece that comes a little late leaves no hole."""

MOST_FRAMES = 250
"""More than this is thrown away, the oldest first: a client that sends faster than time goes."""

LOOK_FRAMES = 50
"""Over this many frames the smallest reserve is looked for; what is above HOLD_FRAMES of it is only delay."""

BATCH_FRAMES = 5
"""So much sound goes to the client at once: 100 ms."""

_MULAW_SILENCE = SILENCE[0]


class StreamBuffer:
    """Pieces of any length in, one frame of 20 ms per tick out. Offers what Ears wants of a JitterBuffer.

    Pieces come in bursts (200 ms at a time, or two at once after the network stood still). It starts after
    HOLD_FRAMES, and when there always is more in reserve than needed it drops so many quiet frames.
    """

    pieces = ()
    skipped = False

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._bytes = bytearray()
        self._running = False
        self._held = 0
        self._surplus = 0
        self._look_anew()

    @property
    def waiting(self) -> int:
        """Frames there are."""
        return len(self._bytes) // FRAME_SAMPLES

    @property
    def depth_ms(self) -> int:
        """Sound there is."""
        return 20 * self.waiting

    def put(self, sound: bytes) -> None:
        """Sound of the party, µ-law."""
        self.counters["stream_in"] += 1
        self._bytes += sound
        over = self.waiting - MOST_FRAMES
        if over > 0:
            self.counters["stream_overflow"] += over
            del self._bytes[: over * FRAME_SAMPLES]

    def pop(self, quiet: bool = False) -> bytes | None:
        """The next frame; None when there is none. quiet: nobody would notice if a frame were missing."""
        waiting = self.waiting
        if not self._running:
            self._held = self._held + 1 if waiting else 0
            if self._held <= HOLD_FRAMES:
                return None
            self._running, self._held = True, 0
        if not waiting:
            self.counters["stream_gaps"] += 1
            self._running = False
            self._surplus = 0
            self._look_anew()
            return None
        if self._surplus and quiet and waiting > 1:
            self.counters["stream_shrunk"] += 1
            self._surplus -= 1
            del self._bytes[:FRAME_SAMPLES]
            self._look_anew()
        else:
            self._look(waiting - 1)
        frame = bytes(self._bytes[:FRAME_SAMPLES])
        del self._bytes[:FRAME_SAMPLES]
        return frame

    def _look_anew(self) -> None:
        self._looked = 0
        self._least = MOST_FRAMES

    def _look(self, left: int) -> None:
        """`left` frames stay behind. What LOOK_FRAMES in a row did without, nobody needs."""
        self._least = min(self._least, left)
        self._looked += 1
        if self._looked == LOOK_FRAMES:
            self._surplus = max(0, self._least - HOLD_FRAMES)
            self._look_anew()


class StreamLeg(Leg):
    """See the module. Nothing is sent while there is nothing to hear."""

    def __init__(self, leg_id: str, session: Session, party: Party, slot: int, settings: MediaSettings) -> None:
        super().__init__(leg_id, session, party, slot, settings, ssrc=0)
        self.buffer = StreamBuffer()
        self.jitter = self.buffer  # type: ignore[assignment]
        self._out = bytearray()
        self._out_first = 0

    @property
    def receives(self) -> bool:
        """Always: a client that has nothing to say sends nothing."""
        return True

    @property
    def packets_lost(self) -> int:
        """None: a WebSocket loses nothing."""
        return 0

    def say(self, sound: bytes, position: int) -> list[StreamAudioOut]:
        """One frame of what the party hears, at `position` on the session's clock; a batch when one is full."""
        if sound == _MULAW_SILENCE:
            return self.flush()
        if not self._out:
            self._out_first = position
        self._out += sound
        return self.flush() if len(self._out) >= BATCH_FRAMES * FRAME_SAMPLES else []

    def flush(self) -> list[StreamAudioOut]:
        """What has been collected, if there is anything."""
        if not self._out:
            return []
        batch = StreamAudioOut(self.leg_id, self._out_first, bytes(self._out))
        self._out.clear()
        return [batch]

    def forget(self) -> None:
        """Barge-in: what was collected shall not be heard."""
        self._out.clear()

    def stats(self) -> LegStats:
        """Counters and gauges of now."""
        counters = dict(self.counters) | dict(self.buffer.counters) | {"delay_ms": self.buffer.depth_ms}
        return LegStats(self.leg_id, counters, 0.0, 0.0)
