"""Adding voices without wrap-around, and turning them up and down without clicks, for many legs at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16, as_pcm16

Gains = npt.NDArray[np.float32]


def gain_of_db(level_db: float | None) -> float:
    """The factor for a level; None is "not heard".

    gain_of_db(-20.0) == 0.1, gain_of_db(None) == 0.0
    """
    return 0.0 if level_db is None else float(10.0 ** (level_db / 20.0))


def saturating_add(a: Pcm16, b: Pcm16) -> Pcm16:
    """a + b of any equal shape, held at the ends of int16 instead of wrapping."""
    total: Pcm16 = np.clip(np.add(a, b, dtype=np.int32), -32768, 32767).astype(np.int16)
    return total


def mix_with_gain(made: Pcm16, original: Pcm16, gains: Gains) -> Pcm16:
    """made + gains * original, rounded and saturated. gains broadcasts: [n_legs, samples], or [n_legs, 1]."""
    return as_pcm16(made + original * gains)


class GainRamps:
    """One gain per leg that moves towards its target in a straight line, sample by sample.

    From 0 to 1 takes release_ms, from 1 to 0 attack_ms (the original voice is turned down when
    made speech attacks). Rows are legs; the caller says which row is whose.

    gains  float32[n_legs], where each row stands now
    """

    def __init__(self, n_legs: int, rate_hz: int = 8000) -> None:
        self.gains: Gains = np.zeros(n_legs, np.float32)
        self._rate_hz = rate_hz
        self._up: Gains = np.ones(n_legs, np.float32)  # per sample
        self._down: Gains = np.ones(n_legs, np.float32)

    def set_row(self, row: int, gain: float, *, attack_ms: int, release_ms: int) -> None:
        """A leg takes the row: it stands at `gain` and moves at these speeds. 0 ms: at once."""
        self.gains[row] = gain
        self.set_speed(row, attack_ms=attack_ms, release_ms=release_ms)

    def set_speed(self, row: int, *, attack_ms: int, release_ms: int) -> None:
        """Change how fast the row moves; it goes on from where it stands."""
        self._down[row] = 1000.0 / (self._rate_hz * attack_ms) if attack_ms else 1.0
        self._up[row] = 1000.0 / (self._rate_hz * release_ms) if release_ms else 1.0

    def resize(self, n_legs: int) -> None:
        """More or fewer rows; those that stay keep their state."""
        kept = min(n_legs, len(self.gains))
        for name, fresh in (("gains", 0.0), ("_up", 1.0), ("_down", 1.0)):
            rows = np.full(n_legs, fresh, np.float32)
            rows[:kept] = getattr(self, name)[:kept]
            setattr(self, name, rows)

    def step(self, targets: Gains, samples: int) -> Gains:
        """The gain of each sample of the next tick, float32[n_legs, samples].

        targets  float32[n_legs]
        """
        if np.array_equal(targets, self.gains):
            return np.broadcast_to(self.gains[:, None], (len(self.gains), samples))
        difference = targets - self.gains
        slope = np.where(difference < 0, -self._down, self._up)
        travelled = slope[:, None] * np.arange(1, samples + 1, dtype=np.float32)
        low, high = np.minimum(difference, 0), np.maximum(difference, 0)
        ramp: Gains = self.gains[:, None] + np.clip(travelled, low[:, None], high[:, None])
        self.gains = np.where(ramp[:, -1] == self.gains + difference, targets, ramp[:, -1])
        return ramp
