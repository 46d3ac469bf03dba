"""Speech said faster with its pitch kept (WSOLA), and with its pauses shortened. Whole pieces, no stream.

WSOLA, Verhelst and Roelands 1993: frames are taken from the sound at the faster pace and laid over each other at
the old one; each is moved by up to SEARCH_MS to where it goes on best from the one before, so that periods meet.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of

FASTEST = 1.35
"""Faster is tiring to listen to over a whole call, and recognisers begin to lose words."""

WINDOW_MS = 30
SEARCH_MS = 8
"""Half a period of the lowest voices, so that some place in it goes on in step."""

PAUSE_DBFS = -45.0
FADE_MS = 5


def faster(pcm: Pcm16, rate_hz: int, speed: float) -> Pcm16:
    """`pcm` in 1/speed of the time, at the same pitch. speed 1.0, and sound shorter than two windows, stay as they are.

    len(faster(pcm, 16_000, 1.25)) is len(pcm) / 1.25, to within a window.
    """
    # whole windows may round up to more than there was, at a speed hardly above 1.0
    return pcm if speed <= 1.0 else paced(pcm, rate_hz, speed)[: len(pcm)]


def paced(pcm: Pcm16, rate_hz: int, speed: float) -> Pcm16:
    """The same for any speed from 0.4 to 2.5: below 1.0 it is slower."""
    hop = samples_of(WINDOW_MS, rate_hz) // 2
    if abs(speed - 1.0) < 1e-3 or len(pcm) < 4 * hop:
        return pcm
    search = samples_of(SEARCH_MS, rate_hz)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    sound = np.concatenate([pcm.astype(np.float32), np.zeros(3 * hop + 2 * search, np.float32)])
    hops = max(1, round(len(pcm) / speed / hop) - 1)
    made = np.zeros((hops + 1) * hop, np.float32)
    made[:hop] = sound[:hop] * window[hop:]  # the first half window has nothing under it
    at = 0
    for n in range(hops):
        if n:
            at = _best_place(sound, at + hop, round(n * hop * speed), hop, search)
        made[n * hop : (n + 2) * hop] += sound[at : at + 2 * hop] * window
    return np.clip(np.rint(made[: round(len(pcm) / speed)]), -32768, 32767).astype(np.int16)


def _best_place(sound: npt.NDArray[np.float32], goes_on_at: int, wanted: int, hop: int, search: int) -> int:
    """Within `search` of `wanted`, where the sound is most like what follows what was laid down last."""
    template = sound[goes_on_at : goes_on_at + hop]
    first = max(0, wanted - search)
    region = sound[first : wanted + search + hop]
    if len(template) < hop or len(region) < hop:
        return min(wanted, len(sound) - 2 * hop)
    likeness = np.correlate(region, template, "valid")
    power = np.convolve(region * region, np.ones(hop, np.float32), "valid")
    return first + int(np.argmax(likeness / np.sqrt(power + 1.0)))


def shorter_pauses(pcm: Pcm16, rate_hz: int, longest_ms: int) -> Pcm16:
    """`pcm` with every silence inside it cut down to longest_ms; its own beginning and end stay."""
    frame = samples_of(FRAME_MS, rate_hz)
    whole = len(pcm) // frame
    if not whole:
        return pcm
    quiet = rms_dbfs(pcm[: whole * frame].reshape(-1, frame)) < PAUSE_DBFS
    loud = np.flatnonzero(~quiet)
    if not len(loud):
        return pcm
    most = max(1, longest_ms // FRAME_MS)
    parts: list[Pcm16] = []
    start = 0
    for before, after in pairwise(loud.tolist()):
        if after - before - 1 > most:
            # half of what is kept stays behind the word, half before the next
            head = (before + 1 + most - most // 2) * frame
            parts.append(pcm[start:head])
            start = (after - most // 2) * frame
    parts.append(pcm[start:])
    return _joined(parts, samples_of(FADE_MS, rate_hz))


def _joined(parts: list[Pcm16], fade: int) -> Pcm16:
    """One behind the other, without a click where they meet."""
    if len(parts) == 1:
        return parts[0]
    down = np.linspace(1.0, 0.0, fade, dtype=np.float32)
    smooth = []
    for n, part in enumerate(parts):
        sound = part.astype(np.float32)
        if n and len(sound) >= fade:
            sound[:fade] *= down[::-1]
        if n + 1 < len(parts) and len(sound) >= fade:
            sound[-fade:] *= down
        smooth.append(sound)
    return np.rint(np.concatenate(smooth)).astype(np.int16)
