"""Call-progress tones as loops: play the array again and again and the cadence is right.

Frequencies and cadences: ITU-T E.180 supplement 2 (Germany 425 Hz, United Kingdom, North America).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.pcm import Pcm16, as_pcm16

LEVEL_DBFS = -19.0  # about -13 dBm0, what exchanges send
_EDGE_MS = 5


@dataclass(frozen=True, slots=True)
class Tone:
    """frequencies_hz sound together; cadence_ms: on, off, on, off …"""

    frequencies_hz: tuple[int, ...]
    cadence_ms: tuple[int, ...]


TONES: dict[str, dict[str, Tone]] = {
    "eu": {
        "ringback": Tone((425,), (1000, 4000)),
        "busy": Tone((425,), (480, 480)),
        "congestion": Tone((425,), (240, 240)),
    },
    "uk": {
        "ringback": Tone((400, 450), (400, 200, 400, 2000)),
        "busy": Tone((400,), (375, 375)),
        "congestion": Tone((400,), (400, 350, 225, 525)),
    },
    "us": {
        "ringback": Tone((440, 480), (2000, 4000)),
        "busy": Tone((480, 620), (500, 500)),
        "congestion": Tone((480, 620), (250, 250)),
    },
}


def tone(name: str, rate_hz: int = 8000, region: str = "eu") -> Pcm16:
    """One turn of a tone's cadence: tone("busy").shape == (7680,).

    Raises KeyError that names the tones, or the regions, there are.
    """
    if region not in TONES:
        raise KeyError(f"no tones for region {region!r}; there are {', '.join(TONES)}")
    if name not in TONES[region]:
        raise KeyError(f"no tone {name!r}; there are {', '.join(TONES[region])}")
    wanted = TONES[region][name]
    parts = [
        _sound(wanted.frequencies_hz, length_ms, rate_hz) if index % 2 == 0 else np.zeros(rate_hz * length_ms // 1000)
        for index, length_ms in enumerate(wanted.cadence_ms)
    ]
    return as_pcm16(np.concatenate(parts))


def beep(rate_hz: int = 8000) -> Pcm16:
    """Speak after this: 1000 Hz for 0.4 s."""
    return as_pcm16(_sound((1000,), 400, rate_hz))


def _sound(
    frequencies_hz: tuple[int, ...], length_ms: int, rate_hz: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A burst with 5 ms edges, so that it does not click."""
    samples = rate_hz * length_ms // 1000
    seconds = np.arange(samples) / rate_hz
    waves = np.sum([np.sin(2 * np.pi * frequency * seconds) for frequency in frequencies_hz], axis=0)
    amplitude = 32768.0 * 10 ** (LEVEL_DBFS / 20.0) * np.sqrt(2.0 / len(frequencies_hz))
    edge = rate_hz * _EDGE_MS // 1000
    shape = np.minimum(1.0, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / edge)
    return np.asarray(waves * amplitude * shape, dtype=np.float64)
