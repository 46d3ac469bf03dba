"""Between 8 and 16 kHz, for sound that comes in pieces: what a piece needs of the one before is remembered.

The filter lets 3.4 kHz pass and keeps what is above 4.6 kHz 60 dB down; it holds sound back by 1.5 ms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16

TAPS = 49
DELAY_SAMPLES = TAPS // 2
"""At 16 kHz."""

Floats = npt.NDArray[np.float32]


def _kernel() -> Floats:
    """A windowed sinc that cuts at a quarter of the higher rate; its sum is 1."""
    at = np.arange(TAPS) - DELAY_SAMPLES
    taps = 0.5 * np.sinc(0.5 * at) * np.kaiser(TAPS, 5.65)
    return np.asarray(taps / taps.sum(), np.float32)


_KERNEL = _kernel()


class Halver:
    """16 kHz to 8 kHz. Pieces of any length; an odd sample waits for the next piece."""

    def __init__(self) -> None:
        self._rest: Floats = np.zeros(TAPS - 1, np.float32)

    def push(self, pcm: Pcm16) -> Pcm16:
        """int16 at 16 kHz in, int16 at 8 kHz out."""
        whole = np.concatenate([self._rest, pcm.astype(np.float32)])
        count = (len(whole) - TAPS + 1) // 2
        if count <= 0:
            self._rest = whole
            return np.zeros(0, np.int16)
        self._rest = whole[2 * count :]
        made = np.convolve(whole[: 2 * count + TAPS - 1], _KERNEL, "valid")[::2]
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)


class Doubler:
    """8 kHz to 16 kHz."""

    def __init__(self) -> None:
        self._rest: Floats = np.zeros(TAPS - 1, np.float32)

    def push(self, pcm: Pcm16) -> Pcm16:
        """int16 at 8 kHz in, twice as many at 16 kHz out."""
        stuffed = np.zeros(2 * len(pcm), np.float32)
        stuffed[::2] = pcm
        stuffed *= 2.0
        whole = np.concatenate([self._rest, stuffed])
        self._rest = whole[len(whole) - (TAPS - 1) :]
        made = np.convolve(whole, _KERNEL, "valid")
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)
