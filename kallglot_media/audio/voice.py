"""Another voice out of a made one: its pitch and its speed, each by itself.

Higher without faster is slower first (WSOLA, which keeps the pitch), and then played at a higher rate.
"""

from __future__ import annotations

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.stretch import paced


def shaped(pcm: Pcm16, rate_hz: int, pitch: float, speed: float) -> tuple[Pcm16, int]:
    """(sound, its rate): `pcm` with its pitch times `pitch`, in 1/speed of the time.

    shaped(pcm, 16_000, 2.0, 1.0) has twice the pitch: as many seconds, at 32 kHz.
    """
    return paced(pcm, rate_hz, speed / pitch), round(rate_hz * pitch)
