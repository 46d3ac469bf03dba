"""Keys heard as tones, for peers that send them in no other way. ITU-T Q.23 (the tones), Q.24 (how to know them).

A key is two tones at once, one of each group. That is rare in speech, and rarer still for two frames: most of a
frame's power must lie in one tone of each group, nearly as strong as each other, and the frame next to it must agree.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16

LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")

KEY_NAMES = "".join(KEYS)

FRAME_SAMPLES = 160
RATE_HZ = 8000
_FRAME_MS = 20

_QUIETEST_RMS = 32768 * 10 ** (-35 / 20)
"""Q.24 wants keys known down to -25 dBm0 a tone, which is about -28 dBFS for both; below this nothing is looked at."""

_SURE_SHARE = 0.8
"""This much of a frame's power lies in the two tones, once …"""
_NEAR_SHARE = 0.35
"""… and this much in the frame before or after: it may hold the edge of the tone."""

_MOST_TWIST = 10 ** (9 / 10)
"""One tone is at most so many times as strong as the other: 9 dB, as Q.24 has it for the worst line."""

_GAP_FRAMES = 2
"""So much without the key (40 ms) and the next one is another press."""

_OFF = (0.985, 1.0, 1.015)
"""Q.24: a tone counts within 1.5 % of its frequency, and not beyond 3.5 %. A frame tells 50 Hz apart, which is 3 % of
the highest tone, so each is looked for in three places."""

_AT = 2j * np.pi * np.arange(FRAME_SAMPLES)[:, None] / RATE_HZ
_PROBES = np.exp(-_AT * np.outer(LOW_HZ + HIGH_HZ, _OFF).ravel()).astype(np.complex64)


class ToneKeys:
    """One leg's ear for keys: `push(*look(frame))` each 20 ms; a key comes out once, when it is let go."""

    def __init__(self) -> None:
        self._down: str | None = None
        self._frames = 0
        self._gap = 0
        self._near: str | None = None  # what the frame before looked like, by the weaker rule
        self._sure: str | None = None  # and by the stronger one

    @property
    def is_idle(self) -> bool:
        """Whether a frame without any key would change nothing."""
        return self._down is None and self._near is None

    def push(self, key: str, share: float) -> tuple[str, int] | None:
        """What `look` made of the next frame. The key that has ended and its duration in ms, to the next 20."""
        near = key if share >= _NEAR_SHARE else None
        sure = key if share >= _SURE_SHARE else None
        ended = self._advance(near, sure)
        self._near, self._sure = near, sure
        return ended

    def _advance(self, near: str | None, sure: str | None) -> tuple[str, int] | None:
        if self._down is not None:
            if near == self._down:
                self._frames += 1 + self._gap
                self._gap = 0
                return None
            self._gap += 1
            if self._gap < _GAP_FRAMES and near is None:
                return None
            ended = self._down, self._frames * _FRAME_MS
            self._down = None
            return ended
        if near is not None and near == self._near and (sure is not None or self._sure is not None):
            self._down, self._frames, self._gap = near, 2, 0
        return None


def look(frames: Pcm16) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The strongest key in each of int16[n, 160], by its place in KEY_NAMES, and its share of the frame's power: 0.0
    where there is none."""
    sound = frames.astype(np.float32)
    power = np.einsum("ij,ij->i", sound, sound) / FRAME_SAMPLES
    # A sine of amplitude a has the power a²/2, and |projection| = a·N/2.
    found: npt.NDArray[np.float32] = 2 * np.abs(sound @ _PROBES / FRAME_SAMPLES) ** 2
    tones = found.reshape(len(sound), 8, len(_OFF)).max(axis=2)
    row, column = tones[:, :4].argmax(axis=1), tones[:, 4:].argmax(axis=1)
    each = np.arange(len(sound))
    low, high = tones[each, row], tones[each, 4 + column]
    is_pair = np.maximum(low, high) <= _MOST_TWIST * np.minimum(low, high)
    share = np.where(is_pair & (power >= _QUIETEST_RMS**2), (low + high) / np.maximum(power, 1.0), 0.0)
    return 4 * row + column, share.astype(np.float32)
