"""The line of made speech that one listener hears: bounded, gapless, marked with sample positions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.pcm import Pcm16, samples_of

FADE_MS = 5


@dataclass(frozen=True, slots=True)
class PlayStarted:
    """offset: where in the pulled frame its first sample stands."""

    play_id: str
    offset: int


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """Heard to its end, or cleared. offset: where in the pulled frame it ended; 0 when cleared."""

    play_id: str
    offset: int
    played_samples: int
    total_samples: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """pcm: int16[n], or None when nothing plays (the caller then has no work)."""

    pcm: Pcm16 | None
    started: tuple[PlayStarted, ...] = ()
    finished: tuple[PlayFinished, ...] = ()


IDLE = Pulled(None)


@dataclass(slots=True)
class _Item:
    play_id: str
    parts: deque[Pcm16]
    total: int
    played: int = 0
    started: bool = False


class PlayoutQueue:
    """put() speech, pull() frames, clear() at a barge-in.

    longest_s  a put() that would make more than this wait is refused as a whole:
               half a sentence is worse than none
    """

    def __init__(self, rate_hz: int = 8000, longest_s: float = 60.0) -> None:
        self._rate_hz = rate_hz
        self._longest = int(longest_s * rate_hz)
        self._items: deque[_Item] = deque()
        self._waiting = 0
        self._fade: Pcm16 | None = None

    @property
    def waiting_samples(self) -> int:
        """Still to be heard."""
        return self._waiting

    @property
    def playing(self) -> bool:
        """Whether the next pull() gives sound."""
        return bool(self._items) or self._fade is not None

    def put(self, play_id: str, pcm: Pcm16) -> int:
        """Queue pcm behind what waits. Returns the samples refused: 0, or all of them when the line is full.

        The same play_id again, while it is the last in line, makes that item longer: speech that
        is made piece by piece starts and finishes once.
        """
        if self._waiting + len(pcm) > self._longest:
            return len(pcm)
        if self._items and self._items[-1].play_id == play_id:
            self._items[-1].parts.append(pcm)
            self._items[-1].total += len(pcm)
        else:
            self._items.append(_Item(play_id, deque([pcm]), len(pcm)))
        self._waiting += len(pcm)
        return 0

    def lend(self, samples: int, most: int) -> Pcm16 | None:
        """So many frames at once, int16[n, samples] with n up to `most`, as `pull` would give one after the other.

        None where something begins, ends or fades in the next frame: then nothing has been taken. What is not heard
        after all comes back with `give_back`.
        """
        if not self._items or self._fade is not None or not self._items[0].started:
            return None
        item = self._items[0]
        part = item.parts[0]
        frames = min(most, (len(part) - 1) // samples)  # the last sample is `pull`'s: it tells of the end
        if frames <= 0:
            return None
        taken = frames * samples
        item.parts[0] = part[taken:]
        item.played += taken
        self._waiting -= taken
        return part[:taken].reshape(frames, samples)

    def give_back(self, pcm: Pcm16) -> None:
        """The end of what was lent last was not heard."""
        item = self._items[0]
        item.parts.appendleft(pcm)
        item.played -= len(pcm)
        self._waiting += len(pcm)

    def pull(self, samples: int) -> Pulled:
        """The next `samples`, items back to back, zeros after the last."""
        if not self._items and self._fade is None:
            return IDLE
        frame = np.zeros(samples, np.int16)
        filled = self._take_fade(frame)
        started: list[PlayStarted] = []
        finished: list[PlayFinished] = []
        while self._items:
            item = self._items[0]
            if not item.started:
                if filled == samples:
                    break
                item.started = True
                started.append(PlayStarted(item.play_id, filled))
            filled += self._take(item, frame[filled:])
            if item.parts:
                break
            self._items.popleft()
            finished.append(PlayFinished(item.play_id, filled, item.played, item.total))
        return Pulled(frame, tuple(started), tuple(finished))

    def clear(self) -> tuple[PlayFinished, ...]:
        """Throw away what waits; what was sounding fades out over 5 ms in the next pull().

        Says of each item that was in line how much of it was heard (not counting the fade).
        """
        if not self._items:
            return ()
        sounding = self._items[0]
        if sounding.started:
            rest = np.zeros(samples_of(FADE_MS, self._rate_hz), np.int16)
            played = sounding.played
            self._take(sounding, rest)
            sounding.played = played
            self._fade = (rest * np.linspace(1.0, 0.0, len(rest), endpoint=False)).astype(np.int16)
        finished = tuple(PlayFinished(item.play_id, 0, item.played, item.total) for item in self._items)
        self._items.clear()
        self._waiting = 0
        return finished

    def _take(self, item: _Item, room: Pcm16) -> int:
        """Move samples of one item into `room`; returns how many."""
        filled = 0
        while item.parts and (filled < len(room) or not len(item.parts[0])):
            part = item.parts[0]
            size = min(len(part), len(room) - filled)
            room[filled : filled + size] = part[:size]
            filled += size
            if size == len(part):
                item.parts.popleft()
            else:
                item.parts[0] = part[size:]
        item.played += filled
        self._waiting -= filled
        return filled

    def _take_fade(self, frame: Pcm16) -> int:
        """The end of what was cleared; new speech stands right behind it."""
        if self._fade is None:
            return 0
        size = min(len(self._fade), len(frame))
        frame[:size] = self._fade[:size]
        self._fade = self._fade[size:] if size < len(self._fade) else None
        return size
