"""Another voice out of a made one: its pitch and its speed, each by itself.

Higher without faster is slower first (WSOLA, which keeps the pitch), and then played at a higher rate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16

WINDOW_MS = 32
SEARCH_MS = 8


def shaped(pcm: Pcm16, rate_hz: int, pitch: float, speed: float) -> tuple[Pcm16, int]:
    """(sound, its rate): `pcm` with its pitch times `pitch`, in 1/speed of the time.

    shaped(pcm, 16_000, 2.0, 1.0) has twice the pitch: as many seconds, at 32 kHz.
    """
    return paced(pcm, rate_hz, speed / pitch), round(rate_hz * pitch)


def paced(pcm: Pcm16, rate_hz: int, speed: float) -> Pcm16:
    """`pcm` in 1/speed of the time at the same pitch, 0.4 ≤ speed ≤ 2.5; too short for two windows: as it is."""
    hop = rate_hz * WINDOW_MS // 2000
    if abs(speed - 1.0) < 1e-3 or len(pcm) < 4 * hop:
        return pcm
    search = rate_hz * SEARCH_MS // 1000
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    sound = np.concatenate([pcm.astype(np.float32), np.zeros(3 * hop + 2 * search, np.float32)])
    hops = max(1, round(len(pcm) / speed / hop) - 1)
    made = np.zeros((hops + 1) * hop, np.float32)
    made[:hop] = sound[:hop] * window[hop:]
    at = 0
    for number in range(hops):
        if number:
            at = _goes_on(sound, at + hop, round(number * hop * speed), hop, search)
        made[number * hop : (number + 2) * hop] += sound[at : at + 2 * hop] * window
    return np.clip(np.rint(made), -32768, 32767).astype(np.int16)


def _goes_on(sound: npt.NDArray[np.float32], after: int, wanted: int, hop: int, search: int) -> int:
    """Within `search` of `wanted`, where the sound is most like what came `after` the last piece."""
    natural = sound[after : after + hop]
    first = max(0, wanted - search)
    region = sound[first : wanted + search + hop]
    if len(natural) < hop or len(region) < hop:
        return min(wanted, len(sound) - 2 * hop)
    likeness = np.correlate(region, natural, "valid")
    energy = np.convolve(region * region, np.ones(hop, np.float32), "valid")
    return first + int(np.argmax(likeness / np.sqrt(energy + 1.0)))
