"""How much sound a jitter buffer keeps in reserve: the target, and when to move towards it.

The reserve is what is left after a frame was taken, before the next packet must have come. Its
lowest value in a second says how much delay lay unused, its highest how little there ever was.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_MS = 20
_WINDOW_FRAMES = 50  # the reserve is judged once a second
_CALM_WINDOWS = 10  # this long without a late packet before the target comes down again
_PATIENCE_WINDOWS = 10  # this long is waited for silence before a frame is added or dropped in sound
_NOTHING_SEEN = 1 << 40


@dataclass(frozen=True, slots=True)
class JitterRules:
    """How much sound to keep in reserve.

    min_ms, max_ms  the target moves between these: up by 20 ms after late packets, down when calm
    target_ms       at the start: from a packet's arrival to its turn, 20 ms packets; longer packets
                    wait no longer, but the buffer holds more of them. Three times the same: fixed.
    idle_ms         this long without sound and the next packet starts a new talk spurt

    More than max_ms in reserve is pushed out, oldest first.
    """

    min_ms: int = 40
    target_ms: int = 40
    max_ms: int = 200
    idle_ms: int = 100

    def __post_init__(self) -> None:
        if not FRAME_MS <= self.min_ms <= self.target_ms <= self.max_ms:
            raise ValueError(
                f"want {FRAME_MS} <= min_ms <= target_ms <= max_ms, got {self.min_ms}, {self.target_ms}, {self.max_ms}"
            )


class Reserve:
    """Watches the reserve of one buffer.

    target_ms      the present target, between rules.min_ms and rules.max_ms
    adjust_frames  to be added (> 0) or dropped (< 0), where it is not heard
    """

    __slots__ = (
        "_calm",
        "_frame",
        "_frames",
        "_high",
        "_late",
        "_low",
        "_patience",
        "_rules",
        "adjust_frames",
        "target_ms",
    )

    def __init__(self, rules: JitterRules, rate_hz: int) -> None:
        self._rules = rules
        self._frame = rate_hz * FRAME_MS // 1000
        self.target_ms = rules.target_ms
        self._calm = 0
        self._low, self._high = _NOTHING_SEEN, 0
        self.restart()

    def restart(self) -> None:
        """A talk spurt begins, at the target by itself."""
        self.adjust_frames = 0
        self._patience = 0
        self._new_window()

    def late(self) -> None:
        """A packet came after its turn."""
        self._late += 1

    def watch(self, reserve_ticks: int, packet_ticks: int) -> None:
        """After each frame: what is left, and how long the sender's packets are."""
        if reserve_ticks < self._low:
            self._low = reserve_ticks
        if reserve_ticks > self._high:
            self._high = reserve_ticks
        self._frames += 1
        if self._frames >= _WINDOW_FRAMES:
            self._judge(packet_ticks)

    @property
    def window(self) -> tuple[int, int, int]:
        """Lowest and highest reserve, and frames, since it was judged last."""
        return self._low, self._high, self._frames

    def resume(self, window: tuple[int, int, int], packet_ticks: int) -> None:
        """Somebody else has watched since `window` was asked for: this is what it is now."""
        self._low, self._high, self._frames = window
        if self._frames >= _WINDOW_FRAMES:
            self._judge(packet_ticks)

    def may_adjust(self, quiet: bool) -> bool:
        """In silence, or when silence did not come for long (hold music)."""
        return quiet or self._patience >= _PATIENCE_WINDOWS

    def take_step(self) -> int:
        """+1: add a frame now, -1: drop one."""
        step = 1 if self.adjust_frames > 0 else -1
        self.adjust_frames -= step
        self._patience = 0
        return step

    def _new_window(self) -> None:
        self._frames = 0
        self._low = _NOTHING_SEEN
        self._high = 0
        self._late = 0

    def _judge(self, packet_ticks: int) -> None:
        """Move the target, and say by how many frames the reserve is off."""
        self._move_target()
        wanted = self._spare_ticks()
        if self._low >= wanted + self._frame:
            self.adjust_frames = -((self._low - wanted) // self._frame)
        elif self._high < wanted + packet_ticks - self._frame:
            self.adjust_frames = 1
        else:
            self.adjust_frames = 0
        self._patience = self._patience + 1 if self.adjust_frames else 0
        self._new_window()

    def _move_target(self) -> None:
        if self._late:
            self._calm = 0
            self.target_ms = min(self._rules.max_ms, self.target_ms + FRAME_MS)
        elif self._low >= self._spare_ticks():  # none of it was needed
            self._calm += 1
            if self._calm >= _CALM_WINDOWS:
                self._calm = 0
                self.target_ms = max(self._rules.min_ms, self.target_ms - FRAME_MS)

    def _spare_ticks(self) -> int:
        """The lowest reserve that a steady stream has at the target."""
        return (self.target_ms - FRAME_MS) * self._frame // FRAME_MS
